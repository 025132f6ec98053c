"""The arithmetic of a job beside plain definitions: filling, losses, calibration, mixing, lags."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.forecast import calibration, ensemble
from clary.forecast.candidates.lags import Lags, ahead, drawn
from clary.forecast.candidates.naive import npts, seasonal_naive
from clary.forecast.filling import AGGREGATES, RULES, aggregated, chosen, filled
from clary.forecast.grid import Grid, frequency
from clary.forecast.panel import Panel
from clary.forecast.scores import losses, scored

LEVELS = (0.1, 0.5, 0.9)
NAN = float("nan")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("zero", [1, 0, 0, 4]),
        ("previous", [1, 1, 1, 4]),
        ("next", [1, 4, 4, 4]),
        ("linear", [1, 2, 3, 4]),
        ("mean", [1, 2.5, 2.5, 4]),
        ("min", [1, 1, 1, 4]),
        ("7", [1, 7, 7, 4]),
    ],
)
def test_gaps_are_filled_as_the_rule_says(rule: str, expected: list[float]) -> None:
    assert filled(np.array([1, NAN, NAN, 4]), rule).tolist() == expected


@given(st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), min_size=1), st.sampled_from(RULES))
def test_no_gap_is_left(values: list[float], rule: str) -> None:
    series = np.array([*values, 1.0])
    out = filled(series, chosen(rule, series))
    assert not np.isnan(out).any()
    assert (out[~np.isnan(series)] == series[~np.isnan(series)]).all()


@pytest.mark.parametrize("rule", AGGREGATES)
def test_rows_of_one_step_are_joined(rule: str) -> None:
    values = np.array([3.0, 1.0, NAN, 5.0, NAN])
    expected = {"sum": 4, "mean": 2, "median": 2, "min": 1, "max": 3, "first": 3, "last": 1}[rule]
    found = aggregated(np.array([0, 0, 0, 1, 2]), values, rule)
    assert found[:2].tolist() == [expected, 5.0]
    assert np.isnan(found[2])


def test_the_weighted_quantile_loss_is_that_of_the_definition() -> None:
    actual, forecast = np.array([[[10.0, 0.0]]]), np.array([[[[8.0, 9.0, 13.0], [-1.0, 1.0, 2.0]]]])
    found = scored(actual, forecast, LEVELS, LEVELS, np.ones((1, 1)))
    expected = {0.1: 2 * (0.1 * 2 + 0.1 * 1) / 10, 0.5: (1 + 1) / 10, 0.9: 2 * (0.1 * 3 + 0.1 * 2) / 10}
    assert found.weighted_losses == pytest.approx(expected)
    assert found.wape == pytest.approx(0.2)
    assert found.rmse == pytest.approx(1.0)
    assert found.between(0.1, 0.9) == 1.0


def test_what_is_not_there_counts_nothing() -> None:
    actual = np.array([[[10.0, NAN]]])
    forecast = np.tile([8.0, 10.0, 12.0], (1, 1, 2, 1))
    assert scored(actual, forecast, LEVELS, LEVELS, np.ones((1, 1))).wape == 0.0


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_calibration_widens_what_is_too_narrow_and_narrows_what_is_too_wide(width: float) -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(size=(4, 50, 20))
    forecast = np.broadcast_to(width * np.array([-1.2816, 0.0, 1.2816]), (*actual.shape, 3))
    by = calibration.factors(actual, forecast, LEVELS)
    assert by[1] == 1.0
    assert by[[0, 2]] == pytest.approx(1 / width, rel=0.1)
    kept = calibration.crossed(actual, forecast, LEVELS)
    assert ((actual >= kept[..., 0]) & (actual <= kept[..., 2])).mean() == pytest.approx(0.8, abs=0.02)


def test_calibrated_quantiles_do_not_cross() -> None:
    found = calibration.scaled(np.array([[1.0, 2.0, 3.0]]), LEVELS, np.array([0.2, 1.0, 5.0]))
    assert found.tolist() == [[1.8, 2.0, 7.0]]


def test_the_ensemble_leaves_out_what_is_far_off_and_is_no_worse_than_the_worst() -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(size=(3, 20, 10)) + 10
    spread = np.array([-1.3, 0.0, 1.3])
    good = {name: (actual + rng.normal(size=actual.shape))[..., None] + spread for name in "ab"}
    given = {**good, "far": np.full((*actual.shape, 3), 30.0)}
    weights = ensemble.weights(actual, given, LEVELS)
    assert set(weights) == {"a", "b"}
    assert sum(weights.values()) == pytest.approx(1.0)
    mixed = losses(actual, ensemble.combined(given, weights), LEVELS).sum()
    assert mixed < min(losses(actual, each, LEVELS).sum() for each in good.values())


def test_a_candidate_weighs_less_the_surer_it_is_that_it_is_worse() -> None:
    rng = np.random.default_rng(1)
    actual = rng.normal(size=(8, 10, 10)) + 10
    spread = np.array([-1.3, 0.0, 1.3])
    best = actual[..., None] + 0.5 * rng.normal(size=actual.shape)[..., None] + spread
    always, once = best.copy(), best.copy()
    always[..., 1] += 0.4 * np.sign(always[..., 1] - actual)
    lost = losses(actual, always, LEVELS).sum() - losses(actual, best, LEVELS).sum()
    # The same is lost in a single point of a single window.
    once[0, 0, 0, 1] += np.sign(once[0, 0, 0, 1] - actual[0, 0, 0]) * lost
    weights = ensemble.weights(actual, {"best": best, "always": always, "once": once}, LEVELS)
    assert weights["best"] > weights["once"] > weights.get("always", 0.0)
    assert ensemble.behind(ensemble.lost_in(actual, once, LEVELS), ensemble.lost_in(actual, best, LEVELS)) < 1.2


def test_perfect_forecasts_share_the_weight() -> None:
    actual = np.ones((2, 3, 4))
    perfect = np.ones((2, 3, 4, 3))
    assert sum(ensemble.weights(actual, {"a": perfect, "b": perfect}, LEVELS).values()) == pytest.approx(1.0)


def panel(count: int = 4, length: int = 60) -> Panel:
    rng = np.random.default_rng(3)
    values = tuple(10 + rng.normal(size=length) for _ in range(count))
    keys = tuple((str(number),) for number in range(count))
    return Panel(Grid(frequency("D")), ("item_id",), keys, np.zeros(count, int), length, values)


def test_lags_do_not_see_what_lies_behind_the_origin() -> None:
    whole, horizon = panel(), 5
    rows = drawn(whole, horizon, 500, np.random.default_rng(0), season=7)
    assert (rows.steps >= 1).all()
    assert (rows.origins + rows.steps <= whole.end).all()
    level, spread = (each for each in Lags(whole, horizon).scales(rows))
    table = Lags(whole, horizon).table(rows, level, spread)
    for row in range(0, 500, 50):
        series, origin = int(rows.series[row]), int(rows.origins[row])
        changed = list(whole.values)
        changed[series] = np.concatenate([changed[series][:origin], changed[series][origin:] + 100])
        other = Lags(Panel(whole.grid, whole.names, whole.keys, whole.first, whole.end, tuple(changed)), horizon)
        np.testing.assert_allclose(other.table(rows, level, spread)[row], table[row], atol=1e-4)


def test_rows_ahead_are_those_of_the_forecast() -> None:
    rows = ahead(panel(2), 3, [0, 1])
    assert rows.steps.tolist() == [1, 2, 3, 1, 2, 3]
    assert rows.origins.tolist() == [60] * 6


@pytest.mark.parametrize("forecaster", [seasonal_naive, npts])
def test_what_repeats_exactly_is_forecast_exactly(forecaster: object) -> None:
    assert callable(forecaster)
    week = np.array([1.0, 2, 3, 4, 5, 9, 8])
    found = forecaster(np.tile(week, 6), 9, np.array(LEVELS), (7,))
    np.testing.assert_allclose(found, np.resize(week, 9)[:, None] * np.ones(3), atol=1e-9)
