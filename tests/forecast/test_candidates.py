"""The candidates beside what they must find: exact rhythms, effects of features, the same numbers in two ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clary.forecast.candidates import linear
from clary.forecast.candidates.candidate import LeftOutError, Task
from clary.forecast.candidates.lags import Rows, ahead
from clary.forecast.candidates.linear import LINEAR
from clary.forecast.candidates.regressors import effects
from clary.forecast.candidates.statistical import Work
from clary.forecast.candidates.trees import TREES
from clary.forecast.grid import Grid, frequency
from clary.forecast.panel import Panel
from clary.forecast.workers import Workers

LEVELS = (0.1, 0.5, 0.9)
HORIZON = 5


def panel(*series: np.ndarray, spelled: str = "D") -> Panel:
    """Series that end together."""
    end = max(len(each) for each in series)
    first = np.array([end - len(each) for each in series])
    keys = tuple((str(number),) for number in range(len(series)))
    return Panel(Grid(frequency(spelled)), ("item_id",), keys, first, end, tuple(series))


def weeks(length: int, *, size: float = 1.0, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(int(length + size))
    return size * (10 + np.resize([0.0, 1, 2, 3, 2, 8, 9], length) + noise * rng.normal(size=length))


def task(given: Panel, windows: int = 2) -> Task:
    ends = [given.end - HORIZON * back for back in range(windows, 0, -1)]
    return Task(given, ends, HORIZON, LEVELS, Workers(1))


def test_the_regression_follows_a_rhythm_whatever_the_size_of_the_series() -> None:
    given = panel(weeks(120), weeks(150, size=1000.0), weeks(140, size=0.01))
    found = LINEAR.run(task(given))
    for row, size in enumerate((1.0, 1000.0, 0.01)):
        expected = weeks(len(given.values[row]) + HORIZON, size=size)[-HORIZON:]
        np.testing.assert_allclose(found.final[row, :, 1], expected, rtol=0.02)
    again = LINEAR.again(found.state, given, HORIZON, LEVELS)
    np.testing.assert_array_equal(again, found.final)


def test_the_regression_says_the_same_at_a_place_as_behind_an_end() -> None:
    given = panel(weeks(90, noise=0.5), weeks(120, size=3.0, noise=0.5))
    lines = linear.fitted(given, HORIZON, LEVELS)
    behind = np.mean([line.forecast(given) for line in lines], axis=0)
    rows = ahead(given, HORIZON, [0, 1])
    np.testing.assert_allclose(linear.at(lines, given, rows).reshape(behind.shape), behind, rtol=1e-9)
    early = Rows(np.array([0]), np.array([2]), np.array([1]))
    assert np.isnan(linear.at(lines, given, early)).all()


def test_the_regression_leaves_out_what_is_too_short() -> None:
    with pytest.raises(LeftOutError, match="too short"):
        LINEAR.run(task(panel(weeks(20))))
    found = LINEAR.run(task(panel(weeks(100), weeks(120), weeks(3))))
    assert np.isnan(found.final[2]).all()
    assert np.isfinite(found.final[:2]).all()


def test_the_lines_are_kept_without_a_pickle() -> None:
    lines = linear.fitted(panel(weeks(90, noise=0.5)), HORIZON, LEVELS)
    kept = linear.unpacked(linear.packed(lines))
    assert [each.coefficients.tolist() for each in kept] == [each.coefficients.tolist() for each in lines]


def test_effects_of_features_are_found_beside_trend_and_season() -> None:
    rng = np.random.default_rng(0)
    count = 300
    promoted, price = (rng.random(count) < 0.2).astype(float), 5 + rng.normal(size=count)
    season = np.resize([0.0, 3, 1, 7, 2, 9, 4], count)
    values = 0.2 * np.arange(count) + season + 12 * promoted - 2 * price + 0.1 * rng.normal(size=count)
    features = np.stack([promoted, price, np.ones(count)], axis=1)
    assert effects(values, features, 7) == pytest.approx([12, -2, 0], rel=0.05)
    twice = np.stack([promoted, 1 - promoted], axis=1)
    assert effects(values + 2 * price, twice, 7) @ [1, -1] == pytest.approx(12, rel=0.05)


@pytest.mark.slow
def test_arima_uses_what_is_known_ahead() -> None:
    pytest.importorskip("statsforecast")
    rng = np.random.default_rng(0)
    promoted = (rng.random(130) < 0.25).astype(float)
    values = weeks(130, noise=0.3) + 20 * promoted
    work = Work("arima", values[:120], (110, 120), 10, LEVELS, (7,), features=promoted[:, None])
    with_it, state = work.answer()
    without, _ = replace(work, features=None).answer()
    later = values[120:]
    assert np.abs(with_it[-1, :, 1] - later).mean() < 0.3 * np.abs(without[-1, :, 1] - later).mean()
    assert state is not None
    again, _ = replace(work, ends=(120,), state=state).answer()
    np.testing.assert_allclose(again[0], with_it[1])


@pytest.mark.slow
@pytest.mark.parametrize("length", [22, 120])
def test_trees_learn_with_and_without_a_regression_to_begin_at(length: int) -> None:
    pytest.importorskip("xgboost")
    pytest.importorskip("statsforecast")
    given = panel(*(weeks(length, size=1.0 + number, noise=0.3) for number in range(12)))
    assert bool(linear.fitted(given.until(given.end - 2 * HORIZON), HORIZON, LEVELS)) == (length > 30)
    with Workers(1) as workers:
        found = TREES.run(replace(task(given), workers=workers))
    assert np.isfinite(found.final).all()
    expected = np.array([weeks(length + HORIZON, size=1.0 + number)[-HORIZON:] for number in range(12)])
    assert np.abs(found.final[..., 1] / expected - 1).mean() < (0.3 if length < 30 else 0.1)
    np.testing.assert_array_equal(TREES.again(found.state, given, HORIZON, LEVELS), found.final)
