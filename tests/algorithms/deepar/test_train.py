"""What a job does with its series: log lines, early stopping, hosts, refusals, and forecasts that make sense."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms.deepar import train
from clary.toolkit.errors import DataError, UserError
from forecasting import Trained, learned, on_hosts, series

SMALL: dict[str, Any] = {"num_cells": 12, "num_layers": 1, "mini_batch_size": 32, "learning_rate": 0.01}


def waves(count: int = 8, points: int = 60, seed: int = 0) -> list[list[float]]:
    """Days of a clear shape at levels far apart, with some noise."""
    rng = np.random.default_rng(seed)
    shape = 2 + np.sin(2 * np.pi * np.arange(points) / 24)
    levels = 10.0 ** (np.arange(count) % 4)
    return [(level * (shape + 0.05 * rng.normal(size=points))).tolist() for level in levels]


def said(found: Trained, start: str) -> list[str]:
    return [line for line in found.lines if line.startswith(start)]


def test_the_log_says_what_others_look_for(tmp_path: Path) -> None:
    target = waves(10)
    target[0][3] = math.nan
    found = learned(tmp_path, *target, test=target, **SMALL, epochs=3, seed=5, early_stopping_patience=40)
    assert found.lines[:2] == ["Using early stopping with patience 40", "random_seed is 5"]
    kept = np.concatenate(target)
    kept = np.abs(kept[~np.isnan(kept)].astype(np.float32).astype(float))
    for name in ("Training", "Test"):
        begin = found.lines.index(f"{name} set statistics:")
        lines = found.lines[begin + 1 : begin + 8]
        assert lines[:4] == [
            "Real time series",
            "number of time series: 10",
            "number of observations: 599",
            "mean target length: 60.0",
        ]
        assert [float(each) for each in lines[4].split(": ")[1].split("/")] == pytest.approx(
            [kept.min(), kept.mean(), kept.max()]
        )
        assert float(lines[5].removeprefix("mean abs(target): ")) == pytest.approx(kept.mean())
        assert lines[6] == "contains missing values: yes (0.2%)"
    assert "Small number of time series. Doing 32 passes over dataset with prob 1 per epoch." in found.lines
    assert "Evaluating model accuracy on testset using 100 samples" in found.lines
    for epoch in range(3):
        assert said(found, f"Epoch[{epoch}] avg_epoch_loss=")
        (speed,) = said(found, f"Epoch[{epoch}] Batch[5]\t")
        assert re.fullmatch(r".*\tSpeed: \d+\.\d\d samples/sec\tloss=-?\d+\.\d{6}", speed)
    assert len(said(found, "processed a total of ")) == 3
    assert len(said(found, "best epoch loss so far: ") + said(found, "loss did not improve")) == 3
    for score in (
        "RMSE",
        "mean_absolute_QuantileLoss",
        "mean_wQuantileLoss",
        "wQuantileLoss[0.1]",
        "wQuantileLoss[0.9]",
    ):
        (line,) = said(found, f"#test_score (localhost, {score}): ")
        assert float(line.split(": ")[1]) > 0


def test_the_metrics_are_those_of_the_log(tmp_path: Path) -> None:
    found = learned(tmp_path, *waves(), test=waves(), **SMALL, epochs=2)
    losses, batches = found.values("train:loss"), found.values("train:loss:batch")
    assert len(losses) == 2
    assert found.values("train:final_loss") == losses[-1:]
    assert len(found.values("test:RMSE")) == len(found.values("test:mean_wQuantileLoss")) == 1
    numbers = [
        tuple(map(int, each)) for each in re.findall(r"epoch=(\d+), batch=(\d+) train loss", "\n".join(found.lines))
    ]
    assert numbers[:2] == [(0, 0), (0, 5)]
    assert len(batches) == len(numbers)
    assert all(math.isfinite(each) for each in batches)
    assert batches[0] != 0
    firsts = [batches[place] for place, (_, batch) in enumerate(numbers) if batch == 0]
    assert len(firsts) == 2
    lasts = [
        batches[place] for place in range(len(numbers)) if place + 1 == len(numbers) or numbers[place + 1][1] == 0
    ]
    assert lasts == pytest.approx(losses, rel=0.3)


def test_whole_numbers_without_gaps_are_called_so(tmp_path: Path) -> None:
    found = learned(tmp_path, *[[1, 2, 3] * 20] * 6, **SMALL)
    assert "Integer time series" in found.lines
    assert "contains missing values: no" in found.lines
    assert "Using early stopping with patience None" in found.lines


def test_losses_fall(tmp_path: Path) -> None:
    found = learned(tmp_path, *waves(), **SMALL, epochs=12)
    losses = found.values("train:loss")
    assert losses[-1] < losses[0] - 0.5


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    one, same, other = (learned(tmp_path, *waves(), **SMALL, epochs=2, seed=seed) for seed in (1, 1, 2))
    for name, each in one.artifact.tensors.items():
        assert np.array_equal(each, same.artifact.tensors[name])
    assert not np.array_equal(one.artifact.tensors["head.weight"], other.artifact.tensors["head.weight"])


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_early_stopping_takes_the_best_epoch(tmp_path: Path, rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # A rate that stays the same, so that a shorter job goes the same way.
    monkeypatch.setattr(train, "_schedule", lambda steps: lambda step: 1.0)
    asked = {**SMALL, "learning_rate": rate, "mini_batch_size": 8}
    found = learned(tmp_path, *waves(4, 100), **asked, epochs=60, early_stopping_patience=2)
    losses = found.values("train:loss")
    best = int(np.argmin(losses))
    assert found.values("train:final_loss") == [losses[best]]
    assert f"Loading parameters from best epoch ({best})" in found.lines
    assert said(found, "Final loss: ")[0].endswith(f"(occurred at epoch {best})")
    assert said(found, "Loss has not improved for 2 epochs: stopping training now.")
    assert len(losses) == best + 3 < 60
    alone = learned(tmp_path, *waves(4, 100), **asked, epochs=best + 1)
    for name, each in alone.artifact.tensors.items():
        assert np.array_equal(each, found.artifact.tensors[name])


def test_the_best_epoch_counts_too_where_the_epochs_run_out(tmp_path: Path) -> None:
    asked = {**SMALL, "learning_rate": 0.3, "mini_batch_size": 8}
    found = learned(tmp_path, *waves(4, 100), **asked, epochs=6, early_stopping_patience=40)
    losses = found.values("train:loss")
    assert len(losses) == 6
    assert found.values("train:final_loss") == [min(losses)]
    assert not any("stopping training now" in line for line in found.lines)


def test_a_job_that_resumes_behind_its_last_epoch_is_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    first = learned(tmp_path, *waves(), test=waves(), kept=kept, **SMALL, epochs=2)
    again = learned(tmp_path, *waves(), test=waves(), kept=kept, **SMALL, epochs=2)
    for name, each in first.artifact.tensors.items():
        assert np.array_equal(each, again.artifact.tensors[name])
    assert again.values("test:RMSE") == first.values("test:RMSE")
    assert not any("nan" in line for line in again.lines)


def test_too_few_observations_are_refused(tmp_path: Path) -> None:
    target = [[1.0] * 60] * 5
    learned(tmp_path, *target, **SMALL)
    with pytest.raises(UserError, match="299 observations"):
        learned(tmp_path, *target[:4], [math.nan] + [1.0] * 59, **SMALL)


def test_series_that_are_too_short_are_left_out(tmp_path: Path) -> None:
    found = learned(tmp_path, *waves(), [1.0], [2.0], **SMALL)
    assert "2 series are shorter than prediction_length=2 and are left out of training" in found.lines
    with pytest.raises(DataError, match="no series has as many points as prediction_length=61"):
        learned(tmp_path, *waves(), **{**SMALL, "prediction_length": 61})


def test_a_series_as_long_as_the_forecast_is_learned_from(tmp_path: Path) -> None:
    found = learned(tmp_path, *waves(), **{**SMALL, "prediction_length": 60})
    assert not any("left out" in line for line in found.lines)


def test_test_series_with_nothing_before_the_forecast_are_not_scored(tmp_path: Path) -> None:
    rest = waves(2)
    one = learned(tmp_path, *waves(), test=rest, **SMALL)
    other = learned(tmp_path, *waves(), test=[*rest, [5.0, 1e6]], **SMALL)
    assert one.values("test:RMSE") == other.values("test:RMSE")
    with pytest.raises(DataError, match="no series has a point to score"):
        learned(tmp_path, *waves(), test=[[5.0, 6.0]], **SMALL)


def test_withheld_points_are_not_seen(tmp_path: Path) -> None:
    """What is scored is a forecast: other targets there change the errors alone."""
    test = waves(1)
    test[0][-2:] = [1.0, 1.0]
    one = learned(tmp_path, *waves(), test=test, **SMALL)
    test[0][-2:] = [-1e6, -1e6]
    other = learned(tmp_path, *waves(), test=test, **SMALL)
    assert other.values("test:RMSE")[0] == pytest.approx(1e6, rel=1e-3)
    assert one.values("test:RMSE")[0] < 100


@pytest.mark.parametrize(
    ("likelihood", "bad"), [("beta", 1.5), ("negative-binomial", -1), ("negative-binomial", 0.5)]
)
def test_targets_without_a_chance_are_refused(tmp_path: Path, likelihood: str, bad: float) -> None:
    with pytest.raises(DataError, match=rf"(?s)line 2.*target\[4\].*found {bad:g}"):
        learned(tmp_path, [1.0] * 300, [1.0] * 4 + [bad], likelihood=likelihood, **SMALL)


def test_numbers_too_large_for_it_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="training diverged"):
        learned(tmp_path, *waves(), **{**SMALL, "learning_rate": 1e30, "epochs": 3})


@pytest.mark.parametrize("likelihood", ["gaussian", "student-T", "negative-binomial", "deterministic-L1"])
def test_forecasts_stay_near_the_level_of_their_series(tmp_path: Path, likelihood: str) -> None:
    levels = (0, 5, 3000, 1_000_000)
    rng = np.random.default_rng(0)
    target = [rng.poisson(level, 80).tolist() for level in levels] + [[7] * 80]
    found = learned(tmp_path, *target, likelihood=likelihood, **SMALL, epochs=6)
    asked = [*target, [0] * 3, [3000], [6, 4], [1_000_000, None, None], [7] * 30]
    records = [
        {"start": "2024-02-03 01:00:00", "target": [math.nan if each is None else each for each in one]}
        for one in asked
    ]
    drawn = found.forecaster.sample(series(*records), 100)
    assert np.isfinite(drawn).all()
    medians = np.median(drawn, axis=(1, 2))
    for one, median in zip(asked, medians, strict=True):
        level = np.mean([each for each in one if each is not None])
        # What a new series does is hard to learn in so few epochs.
        share = 0.5 if len(one) > 10 else 2
        assert abs(median - level) <= share * level + 1


def test_shares_stay_shares(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = rng.beta(4, 12, size=(6, 80)).tolist()
    found = learned(tmp_path, *target, likelihood="beta", **SMALL, epochs=6)
    drawn = found.forecaster.sample(series(*target, [0.25], [0.0, 0.0], [1.0]), 100)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert np.median(drawn[:6]) == pytest.approx(0.24, abs=0.1)


def test_categories_and_dynamic_features_help(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    for number in range(12):
        lift = rng.random(62) < 0.5
        target = 10 * (1 + lift[:60]) + rng.normal(size=60) * 0.1
        feature = [lift.astype(float).tolist()]
        records.append({"start": "2024-01-01", "target": target, "cat": [number % 2], "dynamic_feat": feature})
    found = learned(tmp_path, *records, **{**SMALL, "likelihood": "gaussian", "epochs": 15})
    assert found.forecaster.fields.categories == (2,)
    assert found.forecaster.fields.dynamic == 1
    drawn = found.forecaster.sample(series(*records, cardinality=(2,), dynamic=1, ahead=2), 100).mean(axis=1)
    wanted = np.array([[10 * (1 + each) for each in record["dynamic_feat"][0][60:]] for record in records])
    assert np.abs(drawn - wanted).mean() < 2.5


@pytest.mark.slow
def test_hosts_with_the_same_series_do_what_one_does(tmp_path: Path) -> None:
    asked: dict[str, Any] = {**SMALL, "epochs": 3, "dropout_rate": 0, "early_stopping_patience": 9}
    whole = learned(tmp_path, *waves(), test=waves(), **asked)
    found = on_hosts(tmp_path, waves(), waves(), test=waves(), **asked)
    assert found.values("train:loss") == pytest.approx(whole.values("train:loss"), rel=0.02)
    assert found.values("test:mean_wQuantileLoss") == pytest.approx(whole.values("test:mean_wQuantileLoss"), rel=0.1)
    for name, each in whole.artifact.tensors.items():
        assert found.artifact.tensors[name] == pytest.approx(each, abs=0.06)


@pytest.mark.slow
def test_hosts_with_other_series_learn_from_all(tmp_path: Path) -> None:
    asked: dict[str, Any] = {**SMALL, "epochs": 6, "likelihood": "gaussian"}
    whole = learned(tmp_path, *waves(), test=waves(), **asked)
    found = on_hosts(tmp_path, waves()[:3], waves()[3:], test=waves(), sharded=True, **asked)
    assert found.values("train:loss")[-1] == pytest.approx(whole.values("train:loss")[-1], abs=0.5)
    usual = [each.artifact.schema["mean_absolute_target"] for each in (whole, found)]
    assert usual[0] == pytest.approx(usual[1])
    seen = [sum(int(line.split()[4]) for line in said(each, "processed a total of")) for each in (whole, found)]
    assert seen[1] == pytest.approx(seen[0], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("rest", [[], [[1.0]]])
def test_a_host_without_a_series_to_learn_from_takes_part(tmp_path: Path, rest: list[list[float]]) -> None:
    records = [{"start": "2024-01-01", "target": each, "cat": [place % 3]} for place, each in enumerate(waves())]
    others = [{"start": "2024-01-01", "target": each, "cat": [3]} for each in rest]
    found = on_hosts(tmp_path, records, others, test=records[:2], sharded=True, **SMALL)
    assert len(found.values("train:loss")) == 1
    assert found.forecaster.fields.categories == (4 if rest else 3,)


@pytest.mark.slow
def test_hosts_whose_series_have_other_fields_are_refused(tmp_path: Path) -> None:
    others = [{"start": "2024-01-01", "target": each, "cat": [0]} for each in waves()]
    with pytest.raises(DataError, match="do not have the same fields"):
        on_hosts(tmp_path, waves(), others, sharded=True, **SMALL)
