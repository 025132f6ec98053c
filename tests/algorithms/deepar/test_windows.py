"""Windows are what a slow loop over their steps finds; an epoch's windows come in the expected numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.algorithms.deepar.data import Series
from clary.algorithms.deepar.windows import Batch, Draws, Windows
from forecasting import series

Array = npt.NDArray[Any]
CPU = torch.device("cpu")
NAN = math.nan
USUAL = 7.5
LAGS = (1, 2, 5, 11)
POINTS = st.lists(st.integers(-800, 800).map(lambda n: n / 8) | st.sampled_from([0.0, NAN]), min_size=1, max_size=15)


def points(known: Series, index: int) -> Array:
    return known.target[known.ends[index] : known.ends[index + 1]]


def scale(known: Series, index: int, first: int, context: int) -> float:
    """The mean size of what is observed in the context, or before its end."""
    values = points(known, index)[: max(0, first + context)]
    for some in (values[max(0, first) :], values):
        sizes = np.abs(some[~np.isnan(some)].astype(np.float64))
        if sizes.sum() > 0:
            return float(sizes.mean())
    return USUAL if np.isnan(values).all() else min(1.0, USUAL)


def inputs(known: Series, index: int, place: int, over: float) -> list[float]:
    """What the network sees at one step."""
    values, frequency = points(known, index), known.frequency
    found = []
    for lag in LAGS:
        back, value = place - lag, 0.0
        if 0 <= back < len(values):
            seen = [float(each) for each in values[: back + 1] if not np.isnan(each)]
            value = seen[-1] / over if seen else 0.0
        found.append(value)
    found += frequency.features(known.start[index : index + 1] + frequency.multiple * place)[0].tolist()
    found.append(math.log10(2 + max(place, 0)))
    rows = known.dynamic[known.dynamic_ends[index] : known.dynamic_ends[index + 1]]
    return found + (rows[min(max(place, 0), len(rows) - 1)].tolist() if known.dynamic.shape[1] else [])


def check(known: Series, batch: Batch, index_B: Array, first_B: Array, context: int, steps: int) -> None:
    assert len(batch) == len(index_B)
    assert all(each.dtype == torch.float32 for each in (batch.inputs_TIB, batch.target_TB, batch.observed_TB))
    for b, (index, first) in enumerate(zip(index_B.tolist(), first_B.tolist(), strict=True)):
        over = scale(known, index, first, context)
        assert batch.scale_B[b].item() == pytest.approx(over, rel=1e-6)
        values = points(known, index)
        assert batch.cat_BC[b].tolist() == known.cat[index].tolist()
        for t in range(steps):
            place = first + t
            within = 0 <= place < len(values) and not np.isnan(values[place])
            assert batch.observed_TB[t, b] == within
            assert batch.target_TB[t, b] == (values[place] if within else 0)
            wanted = inputs(known, index, place, over)
            assert batch.inputs_TIB[t, :, b].tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@settings(max_examples=30)
@given(
    targets=st.lists(POINTS, min_size=1, max_size=4),
    firsts=st.lists(st.integers(-8, 15), min_size=1, max_size=6),
    context=st.integers(1, 5),
    ahead=st.integers(1, 3),
    freq=st.sampled_from(["H", "2D", "M", "Y", "5min"]),
)
def test_a_window_is_what_a_slow_loop_finds(
    targets: list[list[float]], firsts: list[int], context: int, ahead: int, freq: str
) -> None:
    known = series(*targets, freq=freq)
    index_B, first_B = np.arange(len(firsts)) % len(targets), np.array(firsts)
    batch = Windows(known, LAGS, USUAL, CPU).cut(index_B, first_B, context, context + ahead)
    check(known, batch, index_B, first_B, context, context + ahead)


def test_a_window_has_categories_and_dynamic_features() -> None:
    known = series(
        {
            "start": "2024-01-01",
            "target": [1, 2, 3],
            "cat": [1, 0],
            "dynamic_feat": [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]],
        },
        {"start": "2023-06-30", "target": [4], "cat": [0, 2], "dynamic_feat": [[11, 12, 13], [14, 15, 16]]},
        freq="D",
        cardinality=(2, 3),
        dynamic=2,
        ahead=2,
    )
    index_B, first_B = np.array([1, 0, 1]), np.array([-1, -1, -2])
    batch = Windows(known, LAGS, USUAL, CPU).cut(index_B, first_B, 2, 4)
    check(known, batch, index_B, first_B, 2, 4)
    assert batch.inputs_TIB[:, -2:, 0].tolist() == [[11, 14], [11, 14], [12, 15], [13, 16]]


@pytest.mark.parametrize(
    ("target", "first", "wanted"),
    [
        ([2, -4, 9, 9], 0, 3.0),
        ([2, NAN, 9, 9], 0, 2.0),
        ([6, 2, 0, 0, 9], 2, 2.0),  # nothing but zeros in the context, so all that was before
        ([6, 2, NAN, NAN, 9], 2, 4.0),
        ([0, 0, 0, 0, 9], 2, 1.0),
        ([NAN, NAN, NAN, 5], 0, USUAL),
        ([5, 5, 5], -2, USUAL),  # all of the context lies before the beginning
        ([5, 1, 1], -1, 5.0),
        ([3, 5], 1, 5.0),
        ([1e-30, 1e-30, 4], 0, 1e-30),
        ([1e-42, 1e-42, 4], 0, 1.0),  # too small to divide by
    ],
)
def test_a_scale_is_never_zero(target: list[float], first: int, wanted: float) -> None:
    windows = Windows(series(target), LAGS, USUAL, CPU)
    (found,) = windows.scales(np.array([0]), np.array([first]), 2)
    assert found.dtype == np.float32
    assert found == pytest.approx(wanted, rel=1e-6)


def test_zeros_have_at_most_the_usual_scale() -> None:
    (found,) = Windows(series([0.0, 0.0]), LAGS, 0.01, CPU).scales(np.array([0]), np.array([0]), 2)
    assert found == pytest.approx(0.01)


def test_a_series_has_the_same_window_beside_giants() -> None:
    rng = np.random.default_rng(0)
    small, giant = (1e-6 * rng.gamma(2, size=50)).tolist(), (1e12 * rng.gamma(2, size=500)).tolist()
    alone = Windows(series(small), LAGS, USUAL, CPU).cut(np.array([0]), np.array([20]), 10, 15)
    beside = Windows(series(giant, small, giant), LAGS, USUAL, CPU).cut(np.array([0, 1]), np.array([3, 20]), 10, 15)
    for name in ("inputs_TIB", "target_TB", "observed_TB", "scale_B"):
        assert torch.equal(getattr(alone, name)[..., 0], getattr(beside, name)[..., 1])


@pytest.mark.parametrize(
    ("count", "batch", "passes", "probability"),
    [(14, 64, 46, 0.99), (200, 32, 2, 0.8), (156, 128, 9, 0.91), (1, 10, 100, 1), (320, 32, 1, 1), (5000, 32, 1, 1)],
)
def test_few_series_are_passed_over_several_times(count: int, batch: int, passes: int, probability: float) -> None:
    draws = Draws(np.full(count, 7), batch)
    assert (draws.passes, round(draws.probability, 2)) == (passes, probability)
    epochs = [sum(len(index_B) for index_B, _ in draws.epoch(np.random.default_rng(seed))) for seed in range(40)]
    expected = draws.passes * draws.probability * count
    assert np.mean(epochs) == pytest.approx(expected, abs=4 * math.sqrt(expected / 40))
    assert len(set(epochs)) > 1


def test_every_place_behind_the_first_is_drawn_about_as_often() -> None:
    chances_N = np.array([1, 3, 8])
    drawn = np.zeros((3, 8))
    for seed in range(60):
        for index_B, split_B in Draws(chances_N, 20).epoch(np.random.default_rng(seed)):
            assert len(index_B) == len(split_B) <= 20
            np.add.at(drawn, (index_B, split_B), 1)
    place_P = np.arange(8)
    possible = (place_P < chances_N[:, None]) & ((place_P > 0) | (chances_N[:, None] == 1))
    assert (drawn[~possible] == 0).all()
    # A series has windows as its length gives it chances, and shares them out among the places it has.
    wanted = 60 * 200 * (chances_N / 12 / possible.sum(1))[:, None] * possible
    assert drawn[possible] == pytest.approx(wanted[possible], rel=0.15)


def test_all_batches_but_the_last_are_full_and_mixed() -> None:
    batches = list(Draws(np.full(10, 50), 32).epoch(np.random.default_rng(0)))
    assert [len(index_B) for index_B, _ in batches[:-1]] == [32] * (len(batches) - 1)
    assert all(len(set(index_B.tolist())) > 5 for index_B, _ in batches[:-1])


def test_an_epoch_follows_from_its_generator() -> None:
    draws = Draws(np.arange(1, 30), 16)

    def drawn(seed: int) -> list[Any]:
        return [(i.tolist(), s.tolist()) for i, s in draws.epoch(np.random.default_rng([seed, 1]))]

    assert drawn(3) == drawn(3) != drawn(4)


def test_a_series_without_a_window_in_an_epoch_still_gives_one() -> None:
    class Unlucky(np.random.Generator):
        def poisson(self, *_: Any, **__: Any) -> Any:
            return np.zeros(1, np.int64)

    draws = Draws(np.array([4]), 1)
    assert [len(i) for i, _ in draws.epoch(Unlucky(np.random.PCG64(0)))] == [1]


def test_where_there_is_no_series_there_is_no_window() -> None:
    draws = Draws(np.empty(0, np.int64), 16)
    assert list(draws.epoch(np.random.default_rng(0))) == []
    assert (draws.passes, draws.probability) == (1, 1)
