"""``clary predict``: the answers of the endpoint, for a file of rows, whole or not at all."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from clary.cli.main import run
from clary.datasets import samples
from clary.sdk.model import Model
from clary.toolkit.artifact import opened


def test_predict_writes_a_json_line_for_each_row_in_order(model: Path, digits: Path, tmp_path: Path) -> None:
    scores = tmp_path / "new" / "scores.jsonl"
    assert run(["predict", str(model), str(digits), "--output", str(scores)]) == 0
    answers = [json.loads(line) for line in scores.read_text().splitlines()]
    assert len(answers) == 1797
    with Model(model).deploy(workers=1) as predictor:
        served = predictor.predict(samples.digits().features)
    assert [each["closest_cluster"] for each in answers] == served.closest_cluster.tolist()
    np.testing.assert_allclose(
        [each["distance_to_cluster"] for each in answers], served.distance_to_cluster, rtol=1e-5
    )
    assert [path.name for path in scores.parent.iterdir()] == ["scores.jsonl"]


def test_predict_writes_to_standard_output_otherwise(
    model: Path, digits: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["predict", str(model), str(digits), "--accept", "text/csv"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert len(lines) == 1797
    assert all(len(line.split(",")) == 2 for line in lines)


@pytest.mark.parametrize("name", ["rows.recordio", "rows.parquet", "rows.jsonl", "rows.csv.gz"])
def test_every_format_of_the_rows_gives_the_same_answers(
    name: str, model: Path, digits: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = tmp_path / name
    if name.endswith(".gz"):
        rows.write_bytes(gzip.compress(digits.read_bytes()))
    else:
        assert run(["data", "convert", str(digits), str(rows)]) == 0
    answers = []
    for path in (digits, rows):
        assert run(["predict", str(model), str(path)]) == 0
        answers.append(capsysbinary.readouterr().out)
    assert answers[0] == answers[1]


def test_labels_in_the_rows_are_left_out_when_they_are_named(model: Path, tmp_path: Path) -> None:
    rows, scores = tmp_path / "labeled.csv", tmp_path / "scores.csv"
    assert run(["data", "sample", "digits", str(rows), "--labels"]) == 0
    arguments = ["predict", str(model), str(rows), "--output", str(scores), "--accept", "text/csv"]
    assert run([*arguments, "--content-type", "text/csv;label_size=1"]) == 0
    assert len(scores.read_text().splitlines()) == 1797


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no rows"),
        ("1,2,3\n", "row 1: the row has 3 features, feature_dim is 64"),
        (",".join(["1"] * 64) + "\n" + ",".join(["1"] * 63) + "\n", "row 2"),
        (",".join(["1"] * 63 + ["x"]) + "\n", "row 1, column 64"),
    ],
)
def test_rows_that_cannot_be_scored_are_named_and_leave_no_output(
    content: str, reason: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(content)
    assert run(["predict", str(model), str(rows), "--output", str(tmp_path / "scores.jsonl")]) == 1
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_json_document_holds_all_answers(model: Path, digits: Path, tmp_path: Path) -> None:
    document, lines = tmp_path / "scores.json", tmp_path / "scores.jsonl"
    assert run(["predict", str(model), str(digits), "--accept", "application/json", "--output", str(document)]) == 0
    assert run(["predict", str(model), str(digits), "--output", str(lines)]) == 0
    answers = [json.loads(line) for line in lines.read_text().splitlines()]
    assert json.loads(document.read_text()) == {"predictions": answers}


@pytest.mark.parametrize(
    ("accept", "reason"),
    [
        (
            "text/html",
            "K-means does not answer in text/html; it has application/json, application/jsonlines, text/csv",
        ),
        ("text/csv; verbose=true", "answers of K-means have no option 'verbose'; the options are: none"),
    ],
)
def test_answers_that_cannot_be_given_are_refused(
    accept: str, reason: str, model: Path, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(model), str(digits), "--accept", accept]) == 1
    said = capsys.readouterr()
    assert reason in said.err
    assert said.out == ""


def test_a_model_of_the_managed_suite_asks_for_its_algorithm_and_then_answers(
    model: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    managed = tmp_path / "managed"
    with opened(model) as folder:
        managed.mkdir()
        (managed / "model_algo-1").write_bytes((folder / "model_algo-1").read_bytes())
    assert run(["predict", str(managed), str(digits)]) == 1
    refusal = capsys.readouterr().err
    assert "found model_algo-1" in refusal
    assert "--algorithm or CLARY_ALGORITHM: " in refusal
    assert "kmeans" in refusal
    assert run(["predict", str(managed), str(digits), "--algorithm", "kmeans"]) == 0
    adopted = capsys.readouterr().out
    assert run(["predict", str(model), str(digits)]) == 0
    assert adopted == capsys.readouterr().out
