"""``clary explain`` and answers with options: what each feature adds, for files of rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from clary.cli.main import run

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers and the rows that they were trained on, without labels, and the names of their features."""
    folder = tmp_path_factory.mktemp("explained")
    settings = {
        "cells": ("predictor_type=binary_classifier", "epochs=3"),
        "flowers": ("predictor_type=multiclass_classifier", "num_classes=3", "epochs=3"),
    }
    for name, load in (("cells", load_breast_cancer), ("flowers", load_iris)):
        data: Any = load()
        np.savetxt(folder / f"{name}.csv", data.data, delimiter=",", fmt="%g")
        np.savetxt(folder / f"{name}-train.csv", np.column_stack([data.target, data.data]), delimiter=",", fmt="%g")
        (folder / f"{name}.txt").write_text(",".join(data.feature_names) + "\n")
        given = [part for each in settings[name] for part in ("-p", each)]
        arguments = ["--train", str(folder / f"{name}-train.csv"), *given, "--output", str(folder / name)]
        assert run(["train", "linear_learner", *arguments]) == 0
    return folder


def explain(folder: Path, name: str, *options: str) -> int:
    return run(["explain", str(folder / name / "model.tar.gz"), str(folder / f"{name}.csv"), *options])


def table(path: Path) -> tuple[list[str], np.ndarray[Any, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        header, *lines = csv.reader(stream)
    return header, np.array(lines, float)


def test_each_row_has_a_line_of_score_base_and_contributions(folder: Path, tmp_path: Path, capsys: Said) -> None:
    target = tmp_path / "why.csv"
    assert explain(folder, "cells", "--output", str(target), "--names", str(folder / "cells.txt")) == 0
    assert f"569 rows explained, written to {target}" in capsys.readouterr().err
    header, lines = table(target)
    assert header[:4] == ["row", "score", "base", "mean radius"]
    assert lines.shape == (569, 33)
    assert lines[:, 0].tolist() == list(range(569))
    np.testing.assert_allclose(1 / (1 + np.exp(-lines[:, 2:].sum(axis=1))), lines[:, 1], atol=1e-5)


def test_each_class_of_each_row_has_a_line(folder: Path, capsys: Said, tmp_path: Path) -> None:
    capsys.readouterr()
    assert explain(folder, "flowers") == 0
    printed = tmp_path / "printed.csv"
    printed.write_text(capsys.readouterr().out)
    header, lines = table(printed)
    assert header == ["row", "class", "score", "base", *(f"feature {number}" for number in range(4))]
    assert lines[:4, :2].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0]]
    np.testing.assert_allclose(lines[:, 2].reshape(-1, 3).sum(axis=1), 1, atol=1e-5)


def test_pictures_are_drawn_and_the_features_that_matter_are_listed(
    folder: Path, tmp_path: Path, capsys: Said
) -> None:
    over, one = tmp_path / "deep" / "over.png", tmp_path / "one.svg"
    assert explain(folder, "cells", "--plot", str(over), "--names", str(folder / "cells.txt"), "--top", "5") == 0
    shown = capsys.readouterr().out
    assert "What moves the score most, over 569 rows" in shown
    assert "worst texture" in shown
    assert "row,score" not in shown
    assert explain(folder, "flowers", "--plot", str(one), "--row", "7", "--class", "2") == 0
    assert over.stat().st_size > 1000
    assert one.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--row", "3"], 2, "--row is for a picture; name its file with --plot"),
        (["--class", "1"], 2, "--class is for a picture"),
        (["--plot", "why.png", "--row", "569"], 1, "the rows are 0 to 568; got row 569"),
        (["--plot", "why.png", "--class", "0"], 1, "there is no class to choose"),
        (["--plot", "why.txt"], 1, "the picture why.txt cannot be written"),
        (["--names", "no.txt"], 1, "the names no.txt cannot be read"),
        (["--names", "flowers.txt"], 1, "there are 4 names for 30 features; give one for each feature"),
    ],
)
def test_what_cannot_be_shown_is_told(
    options: list[str], status: int, reason: str, folder: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert explain(folder, "cells", *options) == status
    assert reason in capsys.readouterr().err


def test_an_algorithm_that_does_not_explain_says_which_do(model: Path, digits: Path, capsys: Said) -> None:
    assert run(["explain", str(model), str(digits)]) == 1
    said = capsys.readouterr().err
    assert "K-means does not explain its answers; those that do: " in said
    assert all(title in said.rpartition(":")[2] for title in ("Linear learner", "XGBoost"))


def test_rows_that_do_not_fit_and_empty_files_are_refused(folder: Path, tmp_path: Path, capsys: Said) -> None:
    model = str(folder / "cells" / "model.tar.gz")
    assert run(["explain", model, str(folder / "flowers.csv"), "--output", str(tmp_path / "why.csv")]) == 1
    assert "the row has 4 features" in capsys.readouterr().err
    (tmp_path / "empty.csv").write_text("")
    assert run(["explain", model, str(tmp_path / "empty.csv")]) == 1
    assert "there are no rows to explain" in capsys.readouterr().err
    assert not (tmp_path / "why.csv").exists()


@pytest.mark.parametrize("kind", ["application/jsonlines", "application/json"])
def test_options_stand_behind_the_type_of_an_answer(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several parts must make one file.
    monkeypatch.setattr("clary.cli.scoring._ROWS_AT_ONCE", 100)
    model, rows, scores = folder / "cells" / "model.tar.gz", folder / "cells.csv", tmp_path / "scores"
    arguments = ["predict", str(model), str(rows), "--accept", f"{kind}; contributions=true", "--output", str(scores)]
    assert run(arguments) == 0
    text = scores.read_text()
    found = json.loads(text)["predictions"] if kind.endswith("json") else [json.loads(x) for x in text.splitlines()]
    assert len(found) == 569
    assert len(found[0]["contributions"]) == 30
    margin = found[5]["base"] + sum(found[5]["contributions"])
    assert found[5]["score"] == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-5)


def test_a_value_that_an_option_does_not_have_is_refused(folder: Path, capsys: Said) -> None:
    model, rows = folder / "cells" / "model.tar.gz", folder / "cells.csv"
    assert run(["predict", str(model), str(rows), "--accept", "text/csv; contributions=maybe"]) == 1
    assert "contributions must be" in capsys.readouterr().err


def test_the_next_commands_name_what_explains(folder: Path, tmp_path: Path, capsys: Said) -> None:
    arguments = [
        "--train",
        str(folder / "cells-train.csv"),
        "-p",
        "predictor_type=binary_classifier",
        "-p",
        "epochs=1",
    ]
    assert run(["train", "linear_learner", *arguments, "--output", str(tmp_path / "out")]) == 0
    assert " explain " in capsys.readouterr().out.partition("next:")[2]
