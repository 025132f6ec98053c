"""Series in memory all the way: fitted, deployed, forecast as asked, and in whole files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from clary.cli.main import run
from clary.datasets.series import seasonal
from clary.sdk import DeepAR, RequestRefusedError, TrainingJob
from clary.toolkit.errors import UserError

pytestmark = pytest.mark.slow

SERIES = seasonal(12, 96)
SETTINGS: dict[str, Any] = {
    "time_freq": "H",
    "context_length": 12,
    "prediction_length": 6,
    "epochs": 1,
    "num_cells": 8,
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    """A job on the series as a list of dicts."""
    return DeepAR(**SETTINGS, output=tmp_path_factory.mktemp("jobs")).fit(train=SERIES, test=SERIES, logs=False)


def test_other_forms_of_the_same_series_give_the_same_model(job: TrainingJob, tmp_path: Path) -> None:
    lines = "".join(json.dumps(each) + "\n" for each in SERIES)
    (tmp_path / "series.json").write_text(lines)
    arrays = [{"start": pandas.Timestamp(each["start"]), "target": np.array(each["target"])} for each in SERIES]
    for form in (tmp_path / "series.json", arrays):
        again = DeepAR(**SETTINGS, output=tmp_path / "jobs").fit(train=form, test=form, logs=False)
        assert again.metrics["train:final_loss"].value == job.metrics["train:final_loss"].value
        assert again.metrics["test:RMSE"].value == job.metrics["test:RMSE"].value


def test_an_endpoint_answers_what_is_asked_for(job: TrainingJob) -> None:
    with job.deploy(workers=1) as predictor:
        plain = predictor.predict(SERIES[:2])
        asked = predictor.predict(SERIES[:2], num_samples=20, quantiles=[0.1, 0.9], output_types=["quantiles"])
        with pytest.raises(RequestRefusedError, match=r"field configuration\.num_samples: must be an integer from 1"):
            predictor.predict(SERIES, num_samples=0)
        with pytest.raises(RequestRefusedError, match="instance 2, field target: is empty"):
            predictor.predict([SERIES[0], {"start": "2024-01-01", "target": []}])
    assert [list(each) for each in plain] == [["mean"], ["mean"]]
    assert len(plain[0]["mean"]) == 6
    for each in asked:
        low, high = (np.array(each["quantiles"][level]) for level in ("0.1", "0.9"))
        assert (low <= high).all()


def test_a_batch_transform_and_the_command_answer_alike(job: TrainingJob, tmp_path: Path) -> None:
    lines = "".join(json.dumps({**each, "id": number}) + "\n" for number, each in enumerate(SERIES))
    (tmp_path / "series.jsonl").write_text(lines)
    environment = {"DEEPAR_FORWARDED_FIELDS": '["id"]', "DEEPAR_INFERENCE_CONFIG": '{"num_samples": 10}'}
    (out,) = job.transform(tmp_path / "series.jsonl", tmp_path, workers=1, environment=environment)
    transformed = [json.loads(line) for line in Path(out).read_text().splitlines()]
    assert [each.pop("id") for each in transformed] == list(range(12))
    assert {tuple(each["quantiles"]) for each in transformed} == {tuple(f"0.{tenth}" for tenth in range(1, 10))}

    arguments = ["predict", str(job.model_path), str(tmp_path / "series.jsonl"), "--output", str(tmp_path / "own")]
    assert run([*arguments, "--accept", 'application/jsonlines; configuration={"num_samples": 10}']) == 0
    assert [json.loads(line) for line in (tmp_path / "own").read_text().splitlines()] == transformed


def test_the_command_names_the_line_of_a_bad_series(
    job: TrainingJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "series.json").write_text(json.dumps(SERIES[0]) + '\n\n{"start": "2024-01-01", "target": ["x"]}\n')
    assert run(["predict", str(job.model_path), str(tmp_path / "series.json")]) == 1
    assert "series.json, line 3, field target[0]: " in capsys.readouterr().err


def test_what_cannot_be_series_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="channel train takes files, a list of dicts, or a pandas data frame"):
        DeepAR(**SETTINGS, output=tmp_path).fit(train=np.ones((3, 2)))
    assert not list(tmp_path.iterdir())
