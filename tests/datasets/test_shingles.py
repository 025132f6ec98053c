"""Shingles against their definition, and the made-up series that they are shown on."""

from __future__ import annotations

import numpy as np
import pytest

from clary.datasets import generators
from clary.datasets.shingles import shingled


def test_a_row_is_a_window_of_steps_oldest_first() -> None:
    series = np.arange(12).reshape(6, 2)
    assert shingled(series, 3).tolist() == [
        [0, 1, 2, 3, 4, 5],
        [2, 3, 4, 5, 6, 7],
        [4, 5, 6, 7, 8, 9],
        [6, 7, 8, 9, 10, 11],
    ]
    assert shingled([1.0, 2.0, 3.0], 2).tolist() == [[1, 2], [2, 3]]
    assert (shingled(series, 1) == series).all()
    assert shingled(series, 6).shape == (1, 12)


def test_rows_are_their_own_memory_and_keep_their_type() -> None:
    series = np.arange(5, dtype=np.float32)
    rows = shingled(series, 2)
    rows[0] = -1
    assert rows.dtype == np.float32
    assert series[0] == 0


@pytest.mark.parametrize("size", [0, -1, 6])
def test_a_size_that_does_not_fit_is_refused_with_both_numbers(size: int) -> None:
    with pytest.raises(ValueError, match=f"size must be from 1 to the 5 steps of the series; got {size}"):
        shingled(np.zeros(5), size)


def test_an_array_that_is_no_series_is_refused() -> None:
    with pytest.raises(ValueError, match="one or two axes"):
        shingled(np.zeros((2, 2, 2)), 1)


def test_demand_has_an_anomaly_in_every_ten_days_and_repeats_itself() -> None:
    series = generators.demand(60, seed=3)
    assert series.labels is not None
    assert len(series) == 60 * 48
    assert np.flatnonzero(np.diff(series.labels[:, 0]) == 1).size == 6
    assert (series.dense() == generators.demand(60, seed=3).dense()).all()
