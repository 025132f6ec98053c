"""Series from a seed: a rhythm that a forecast can find, features that matter, and nothing that JSON cannot hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clary.datasets.series import GROUPS, Record, seasonal


def by_hour(record: Record) -> list[float]:
    """The mean value at each hour of the day."""
    hours = (int(record["start"][11:13]) + np.arange(len(record["target"]))) % 24
    return [float(np.mean(np.array(record["target"])[hours == hour])) for hour in range(24)]


def test_the_same_seed_gives_the_same_series() -> None:
    assert seasonal(3, 50, seed=4, features=True) == seasonal(3, 50, seed=4, features=True)
    assert seasonal(3, 50, seed=4) != seasonal(3, 50, seed=5)


def test_series_are_json_and_have_the_steps_asked_for() -> None:
    for record in seasonal(5, 30, features=True, missing=0.5):
        assert json.loads(json.dumps(record)) == record
        assert len(record["target"]) == len(record["dynamic_feat"][0]) == 30
        assert None in record["target"]


@pytest.mark.parametrize("number", range(6))
def test_every_day_has_the_same_busiest_hour_wherever_a_series_begins(number: int) -> None:
    found = by_hour(seasonal(6, 24 * 40)[number])
    assert abs(int(np.argmax(found)) - 15) <= 2
    assert max(found) > 2 * min(found)


def test_the_group_moves_the_busiest_hour_and_the_feature_raises_the_value() -> None:
    records = seasonal(GROUPS, 24 * 40, features=True)
    assert [record["cat"] for record in records] == [[0], [1], [2]]
    assert len({round(int(np.argmax(by_hour(record))) / 8) % 3 for record in records}) == GROUPS
    for record in records:
        busy, target = np.array(record["dynamic_feat"][0]) > 0, np.array(record["target"])
        assert 1.3 < target[busy].mean() / target[~busy].mean() < 1.7


def test_counts_are_whole_and_not_negative() -> None:
    values = np.concatenate([record["target"] for record in seasonal(4, 100, counts=True)])
    assert (values == values.astype(int)).all()
    assert values.min() >= 0
