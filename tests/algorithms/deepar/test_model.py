"""A forecast is what the whole network says when it is run again over what was drawn, for each series by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.algorithms.deepar import model
from clary.algorithms.deepar.data import Fields, Series
from clary.algorithms.deepar.loss import Noise
from clary.algorithms.deepar.model import Forecaster, Network
from clary.algorithms.deepar.spec import BETA, DETERMINISTIC, NEGATIVE_BINOMIAL, STUDENT_T
from clary.algorithms.deepar.spec import LIKELIHOODS as NAMES
from clary.algorithms.deepar.windows import Windows
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
from forecasting import series
from forecasting import settings as chosen

Array = npt.NDArray[Any]
CPU = torch.device("cpu")
FIELDS = Fields((2, 3), 1)
HORIZON = 5


def forecaster(fields: Fields = FIELDS, seed: int = 0, **given: Any) -> Forecaster:
    """One that has learned nothing, but whose weights are large enough to matter."""
    small = {"num_cells": 8, "context_length": 6, "prediction_length": HORIZON, "embedding_dimension": 3}
    hp = chosen(**{**small, **given})
    torch.manual_seed(seed)
    network = Network(hp, fields, 5.0)
    with torch.no_grad():
        for each in network.parameters():
            each.mul_(1.5)
    return Forecaster(network.eval(), hp, CPU)


def some(count: int = 4, seed: int = 0, level: float = 10.0, ahead: int = HORIZON) -> Series:
    """Counts with gaps, of several lengths, the first of one point alone."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        target = rng.poisson(level, 1 + 7 * number).astype(float)
        target[1:][rng.random(len(target) - 1) < 0.2] = np.nan
        features = [rng.normal(size=len(target) + ahead).tolist()]
        cat = [int(rng.integers(2)), int(rng.integers(3))]
        found.append({"start": f"2024-03-0{1 + number % 9}", "target": target, "cat": cat, "dynamic_feat": features})
    return series(*found, cardinality=FIELDS.categories, dynamic=1, ahead=ahead)


def run_again(asked: Forecaster, known: Series, samples: int) -> Array:
    """The samples (S, T) of one series by running the network over all steps for each step of the forecast."""
    network, context = asked.network, asked.hp.context_length
    noise, length = Noise([model._chance(known, 0)]), int(known.lengths[0])
    copies = known.take(np.zeros(samples, np.int64))
    drawn_ST = np.empty((samples, 0), np.float32)
    over = 0.0
    for step in range(asked.prediction_length):
        past = np.repeat(known.target[None], samples, axis=0)
        target_ST = np.concatenate([past, drawn_ST * np.float32(over)], axis=1).astype(np.float32)
        seen = replace(copies, target=target_ST.ravel(), ends=np.arange(samples + 1) * (length + step))
        first_S = np.full(samples, length - context)
        batch = Windows(seen, network.lags, network.usual, CPU).cut(
            np.arange(samples), first_S, context, context + step + 1
        )
        over = float(batch.scale_B[0])
        hidden_THB, _ = network.recurrent(network.project(batch), network.recurrent.start(samples))
        raw = [each[-1:].numpy() for each in network.numbers(hidden_THB)]
        scale_1S = np.full((1, samples), over, np.float32)
        drawn_ST = np.concatenate([drawn_ST, network.likelihood.draw(raw, scale_1S, noise).T], axis=1)
    return drawn_ST.astype(np.float32) * np.float32(over)


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_those_of_running_the_network_again(name: str) -> None:
    asked = forecaster(likelihood=name, num_layers=3 if name == STUDENT_T else 2)
    known = some(level=0.4) if name == BETA else some()
    if name == BETA:
        known = replace(known, target=np.minimum(known.target, 1))
    found = asked.sample(known, 4)
    assert found.shape == (4, 4, HORIZON)
    assert found.dtype == np.float32
    with torch.inference_mode():
        for index in range(len(known)):
            wanted = run_again(asked, known.take(np.array([index])), 4)
            assert found[index] == pytest.approx(wanted, rel=2e-3, abs=1e-3)


def test_a_forecast_sees_what_was_drawn() -> None:
    asked = forecaster(likelihood="gaussian")
    known = some()
    whole = asked.sample(known, 50)
    with torch.no_grad():
        asked.network.lag_weights().zero_()
    assert not np.allclose(whole, asked.sample(known, 50), rtol=1e-3)


@settings(max_examples=10)
@given(indices=st.lists(st.integers(0, 7), min_size=1, max_size=8), name=st.sampled_from(NAMES[:1] + NAMES[2:]))
def test_a_series_has_the_same_samples_beside_any_others(indices: list[int], name: str) -> None:
    asked, known = forecaster(likelihood=name), some(8)
    whole = asked.sample(known, 3)
    assert asked.sample(known.take(np.array(indices)), 3) == pytest.approx(whole[indices], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("together", [1, 7, 50])
def test_the_number_of_paths_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    asked, known = forecaster(), some(8)
    whole = asked.sample(known, 10)
    monkeypatch.setattr(model, "PATHS_OF_A_CORE", together)
    assert asked.sample(known, 10) == pytest.approx(whole, rel=1e-3, abs=1e-4)


def test_the_same_request_has_the_same_bits() -> None:
    asked, known = forecaster(), some(8)
    assert np.array_equal(asked.sample(known, 10), asked.sample(known, 10))


def test_samples_of_a_series_differ_and_those_of_a_point_forecast_agree() -> None:
    known = some()
    drawn = forecaster().sample(known, 10)
    assert all(len(np.unique(drawn[index, :, step])) == 10 for index in range(4) for step in range(HORIZON))
    still = forecaster(likelihood=DETERMINISTIC).sample(known, 10)
    assert np.array_equal(still, np.repeat(still[:, :1], 10, axis=1))


def test_counts_come_as_counts() -> None:
    drawn = forecaster(likelihood=NEGATIVE_BINOMIAL).sample(some(), 30)
    assert drawn == pytest.approx(np.round(drawn), abs=1e-3)
    assert (drawn >= 0).all()


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_forecasts_have_the_scale_of_their_series(factor: float) -> None:
    asked = forecaster(Fields(None, 0), likelihood="gaussian")
    targets = [np.random.default_rng(seed).gamma(2, size=30) for seed in range(3)]
    with torch.no_grad():  # the network is also told the scale's logarithm
        asked.network.recurrent.from_input[0][:, 0] = 0
    one, other = (asked.sample(series(*[each * by for each in targets]), 400) for by in (1.0, factor))
    assert other.mean(axis=1) / factor == pytest.approx(one.mean(axis=1), abs=0.5)
    assert other.std(axis=1) / factor == pytest.approx(one.std(axis=1), rel=0.3)


@pytest.mark.parametrize(
    "target", [[0.0] * 20, [np.nan] * 20, [3.0], [np.nan], [1e30] * 20, [1e-30] * 20, [-5.0] * 9]
)
@pytest.mark.parametrize("name", NAMES)
def test_odd_series_have_finite_forecasts(target: list[float], name: str) -> None:
    drawn = forecaster(Fields(None, 0), likelihood=name).sample(series(target, [1.0, 2.0]), 5)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("horizon", [1, 2])
def test_short_forecasts_have_their_length(horizon: int) -> None:
    asked = forecaster(prediction_length=horizon, context_length=1)
    assert asked.sample(some(ahead=horizon), 3).shape == (4, 3, horizon)


def test_no_series_has_no_samples() -> None:
    nothing = some().take(np.empty(0, np.int64))
    assert forecaster().sample(nothing, 3).shape == (0, 3, HORIZON)


@pytest.mark.parametrize("fields", [FIELDS, Fields(None, 0), Fields((4,), 0), Fields(None, 3)])
def test_a_model_comes_back_as_it_was(tmp_path: Path, fields: Fields) -> None:
    asked = forecaster(fields, time_freq="2D", likelihood="negative-binomial")
    asked.artifact().write(tmp_path)
    back = Forecaster.load(Artifact.read(tmp_path), "cpu")
    assert (back.fields, back.frequency, back.prediction_length) == (fields, asked.frequency, HORIZON)
    assert back.network.usual == 5.0
    assert not back.network.training
    for one, other in zip(asked.network.parameters(), back.network.parameters(), strict=True):
        assert torch.equal(one, other)
    if not fields.categories and not fields.dynamic:
        known = series([1.0, 5.0, 2.0], freq="2D")
        assert np.array_equal(asked.sample(known, 3), back.sample(known, 3))


def test_another_algorithms_model_is_refused() -> None:
    with pytest.raises(UserError, match="model of kmeans"):
        Forecaster.load(replace(forecaster().artifact(), algorithm="kmeans"), "cpu")


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": {}},
        {"schema": {"cardinality": [2, 3], "num_dynamic_feat": 1}},
        {"schema": {"cardinality": [2], "num_dynamic_feat": 1, "mean_absolute_target": 1.0}},
        {"schema": {"cardinality": 5, "num_dynamic_feat": 1, "mean_absolute_target": 1.0}},
        {"schema": {"cardinality": ["x", 3], "num_dynamic_feat": 1, "mean_absolute_target": 1.0}},
        {"schema": {"cardinality": [-1, 3], "num_dynamic_feat": 1, "mean_absolute_target": 1.0}},
        {"schema": {"cardinality": [2, 3], "num_dynamic_feat": None, "mean_absolute_target": 1.0}},
        {"schema": {"cardinality": [2, 3], "num_dynamic_feat": 1, "mean_absolute_target": "much"}},
        {"schema": {"cardinality": [2, 3], "num_dynamic_feat": 1, "mean_absolute_target": 0}},
        {"schema": {"cardinality": [2, 3], "num_dynamic_feat": 1, "mean_absolute_target": float("nan")}},
        {"tensors": {}},
        {"tensors": {"head.weight": np.zeros((3, 8), np.float32)}},
        {"hyperparameters": {}},
    ],
)
def test_a_damaged_model_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Forecaster.load(replace(forecaster().artifact(), **damage), "cpu")
