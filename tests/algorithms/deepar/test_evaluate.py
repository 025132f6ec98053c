"""Scores are those of the formulas as they are written down, point by point."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.algorithms.deepar.evaluate import Errors

Array = npt.NDArray[Any]
LEVELS = (0.1, 0.5, 0.85)


def forecasts(seed: int, series: int = 3, samples: int = 20, steps: int = 4) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    target_NT = rng.normal(5, 10, (series, steps)).astype(np.float32)
    target_NT[rng.random(target_NT.shape) < 0.2] = math.nan
    target_NT[0, 0] = 3
    return rng.normal(5, 10, (series, samples, steps)).astype(np.float32), target_NT


def scored(*parts: tuple[Array, Array]) -> Errors:
    errors = Errors.none(LEVELS)
    for paths_NST, target_NT in parts:
        errors.add(paths_NST, target_NT)
    return errors


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), samples=st.sampled_from([1, 2, 33]))
def test_the_scores_are_the_formulas(seed: int, samples: int) -> None:
    paths_NST, target_NT = forecasts(seed, samples=samples)
    errors = scored((paths_NST, target_NT))
    squares, size, losses = [], 0.0, dict.fromkeys(LEVELS, 0.0)
    for (n, t), y in np.ndenumerate(target_NT.astype(float)):
        if np.isnan(y):
            continue
        drawn = paths_NST[n, :, t].astype(float)
        squares.append((drawn.mean() - y) ** 2)
        size += abs(y)
        for level in LEVELS:
            q = np.quantile(drawn, level)
            losses[level] += 2 * ((1 - level) * abs(q - y) if q > y else level * abs(q - y))
    assert errors.points == len(squares)
    assert errors.rmse == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-6)
    assert errors.losses == pytest.approx(list(losses.values()), rel=1e-6)
    assert errors.quantile_losses == pytest.approx([each / size for each in losses.values()], rel=1e-6)
    assert errors.mean_quantile_loss == pytest.approx(np.mean([each / size for each in losses.values()]), rel=1e-6)


def test_parts_and_hosts_add_up() -> None:
    parts = [forecasts(seed, series=seed + 1) for seed in range(3)]
    whole = scored(*parts)
    sums = np.sum([scored(part).numbers() for part in parts], axis=0)
    added = whole.of(sums)
    assert added.levels == LEVELS
    assert added.numbers() == pytest.approx(whole.numbers())
    assert whole.of(whole.numbers()).rmse == whole.rmse


def test_a_perfect_forecast_loses_nothing() -> None:
    _, target_NT = forecasts(0)
    errors = scored((np.repeat(np.nan_to_num(target_NT)[:, None], 5, axis=1), target_NT))
    assert (errors.rmse, errors.mean_quantile_loss) == (0, 0)


def test_targets_of_nothing_but_zeros_are_scored() -> None:
    errors = scored((np.ones((1, 4, 2), np.float32), np.zeros((1, 2), np.float32)))
    assert errors.rmse == 1
    assert errors.quantile_losses == pytest.approx([2 * 2 * (1 - level) for level in LEVELS])


def test_no_point_is_no_point() -> None:
    errors = scored((np.ones((1, 4, 2), np.float32), np.full((1, 2), math.nan, np.float32)))
    assert errors.points == 0
    assert not errors.numbers().any()
