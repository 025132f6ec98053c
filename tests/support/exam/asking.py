"""What the exam asks of an endpoint, and whether two answers say the same."""

from __future__ import annotations

import pytest

from clary.algorithms import registry
from clary.toolkit import media
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.endpoint import Answer, Endpoint, Rows


def ask(endpoint: Endpoint, algorithm: AlgorithmSpec, kind: str, numbers: range, accept: str | None = None) -> Answer:
    """The answer to a request of that type for the example's records of these numbers."""
    return endpoint.invoke(material.body(algorithm, kind, numbers), kind, accept)


def first(algorithm: AlgorithmSpec) -> str:
    """The request type that is declared first."""
    return algorithm.payloads.requests[0]


def several(algorithm: AlgorithmSpec) -> range:
    """The numbers of seven records, or of as many as a request may hold."""
    return range(min(7, registry.example(algorithm.name).at_once))


def telling(algorithm: AlgorithmSpec) -> str:
    """A type in which an answer names its fields, where there is one."""
    responses = algorithm.payloads.responses
    return next((name for name in responses if name != media.CSV), responses[0])


def of_numbers(algorithm: AlgorithmSpec) -> None:
    """Skip the check where requests are not rows of numbers."""
    if registry.example(algorithm.name).request:
        pytest.skip(f"{algorithm.title} reads no rows of numbers")


def close(found: Rows, expected: Rows) -> bool:
    """Whether the records say the same; types differ in how many digits they write."""
    return [set(each) for each in found] == [set(each) for each in expected] and all(
        one[name] == pytest.approx(other[name], rel=1e-5, abs=1e-6)
        for one, other in zip(found, expected, strict=True)
        for name in one
    )
