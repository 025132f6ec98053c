"""The code on the page does what the page says: a score with NumPy alone, and a model that follows a stream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms.random_cut_forest.model import Forest
from clary.algorithms.random_cut_forest.serve import Predictor
from clary.algorithms.random_cut_forest.spec import SPEC
from clary.toolkit.artifact import Artifact, opened, pack
from clary.toolkit.records import Records

PAGE = Path(__file__).parents[3] / "docs" / "algorithms" / "random_cut_forest.md"
BLOCKS = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
POINTS = np.random.default_rng(0).normal(size=(60, 12, 2)).round(1).astype(np.float32)


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A model in the current folder, as a folder's files and as an archive."""
    monkeypatch.chdir(tmp_path)
    artifact = Artifact(SPEC.name, {}, {"feature_dim": 2}, Forest.grow(POINTS, 900).tensors())
    artifact.write(tmp_path)
    pack(tmp_path, tmp_path / "model.tar.gz")
    return artifact


def run(start: str, **given: Any) -> dict[str, Any]:
    """The names that the block with this line defines."""
    (block,) = (each for each in BLOCKS if start in each)
    exec(compile(block, str(PAGE), "exec"), given)
    return given


def test_numpy_alone_scores_as_the_server_does(model: Artifact) -> None:
    score = run("load_file")["score"]
    rows = np.array([[0, 0], [5, -4], POINTS[0, 0]], np.float32)
    served = Predictor.load(model, "cpu").predict(Records(rows))["score"]
    assert [score(row) for row in rows] == pytest.approx(served, rel=1e-6)


def test_a_model_that_was_taken_away_follows_a_stream(model: Artifact) -> None:
    rows = np.random.default_rng(1).normal(loc=8, size=(5000, 2)).astype(np.float32)
    scores = run("forest.update", new_rows=rows)["scores"]
    assert scores[0] > 2
    assert scores[-100:].mean() < 1.2
    with opened(Path("updated.tar.gz")) as folder:
        updated = Artifact.read(folder)
    assert updated.tensors["seen"] == [5900]
    far = Records(np.array([[0, 0]], np.float32))
    before, after = (Predictor.load(each, "cpu").predict(far)["score"][0] for each in (model, updated))
    assert before < after
