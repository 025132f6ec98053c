"""Where an algorithm declares contributions, an answer explains itself when asked, and is the same otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clary.algorithms import registry
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.asking import ask, close, first, several, telling
from exam.endpoint import Answer, Endpoint, Rows, rows

pytestmark = pytest.mark.only_if("contributions")


def explained(endpoint: Endpoint, algorithm: AlgorithmSpec, numbers: range, asked: str = "true") -> Rows:
    accept = f"{telling(algorithm)}; contributions={asked}"
    return rows(algorithm, ask(endpoint, algorithm, first(algorithm), numbers, accept))


def test_contributions_come_on_request_and_change_nothing_else(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    numbers = several(algorithm)
    before = ask(endpoint, algorithm, first(algorithm), numbers, telling(algorithm))
    plain, asked = rows(algorithm, before), explained(endpoint, algorithm, numbers)
    width = material.rows(algorithm.name, material.channels(algorithm)[0]).width
    for record in asked:
        assert len(record["contributions"]) == width * len(record["base"])
        assert np.isfinite([*record["contributions"], *record["base"]]).all()
    assert close([{name: record[name] for name in plain[0]} for record in asked], plain)
    assert [set(record) - set(plain[0]) for record in asked] == [{"contributions", "base"}] * len(numbers)
    assert close(explained(endpoint, algorithm, numbers, "false"), plain)
    assert ask(endpoint, algorithm, first(algorithm), numbers, telling(algorithm)).body == before.body


def test_contributions_add_up_to_what_ranks_the_scores(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    records = explained(endpoint, algorithm, range(min(40, registry.example(algorithm.name).at_once)))
    width = material.rows(algorithm.name, material.channels(algorithm)[0]).width
    for record in records:
        sums = np.reshape(record["contributions"], (-1, width)).sum(axis=1) + record["base"]
        assert len(sums) == 1 or len(record["score"]) == 1 or sums.argmax() == np.argmax(record["score"])
        record["sums"] = sums.tolist()
    if len(records[0]["sums"]) == 1:
        sums, scores = (np.array([record[name][0] for record in records]) for name in ("sums", "score"))
        order = np.argsort(sums)
        assert (np.diff(scores[order]) >= -1e-5 * np.abs(scores).max()).all()


def test_contributions_of_a_row_do_not_depend_on_its_neighbors(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    together = explained(endpoint, algorithm, several(algorithm))
    alone = [explained(endpoint, algorithm, range(number, number + 1))[0] for number in several(algorithm)]
    assert close(together, alone)


def test_callers_with_and_without_options_get_their_own_answers(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    types = (telling(algorithm), f"{telling(algorithm)}; contributions=true", algorithm.payloads.responses[0])
    calls = [(range(number, number + 1), accept) for number in range(20) for accept in types]
    expected = [ask(endpoint, algorithm, first(algorithm), *call).body for call in calls]
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda call: ask(endpoint, algorithm, first(algorithm), *call), calls * 3))
    for (_, accept), answer, wanted in zip(calls * 3, answers, expected * 3, strict=True):
        assert (b"contributions" in answer.body) == ("contributions" in accept)
        alone = Answer(200, answer.content_type, wanted)
        assert close(rows(algorithm, answer), rows(algorithm, alone))
