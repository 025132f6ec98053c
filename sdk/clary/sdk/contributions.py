"""The option with which an answer is explained, and which algorithms have it."""

from __future__ import annotations

from clary.algorithms import registry
from clary.toolkit.errors import UserError
from clary.toolkit.spec import AlgorithmSpec

OPTION = "contributions"
ACCEPT = f"application/json; {OPTION}=true"


def explains(spec: AlgorithmSpec) -> bool:
    """Whether the algorithm says what each feature adds to an answer."""
    return any(option.name == OPTION for option in spec.payloads.options)


def check_explains(spec: AlgorithmSpec) -> None:
    """Raise UserError, with those that can, if the algorithm does not explain its answers."""
    if not explains(spec):
        able = ", ".join(each.title for each in registry.specs() if explains(each))
        raise UserError(f"{spec.title} does not explain its answers; those that do: {able}")
