"""Answers of a random cut forest, and models that are none."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from clary.algorithms.random_cut_forest import serve
from clary.algorithms.random_cut_forest.model import Forest
from clary.algorithms.random_cut_forest.serve import Predictor
from clary.algorithms.random_cut_forest.spec import SPEC
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Surroundings
from clary.toolkit.records import Records

POINTS = np.random.default_rng(0).normal(size=(60, 20, 3)).astype(np.float32)
FOREST = Forest.grow(POINTS, 1200)
MODEL = Artifact(SPEC.name, {}, {"feature_dim": 3}, FOREST.tensors())
ROWS = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)


def test_the_answer_is_the_score_under_the_managed_key() -> None:
    predictor = Predictor.load(MODEL, "cpu")
    request = predictor.decode(b"0,0,0\n9,9,9\n", MediaType.parse("text/csv"))
    answer = json.loads(predictor.encode(predictor.predict(request), MediaType.parse("application/json")))
    assert list(answer) == ["scores"]
    assert [list(each) for each in answer["scores"]] == [["score"], ["score"]]
    assert answer["scores"][0]["score"] < 1 < 2 < answer["scores"][1]["score"]


def test_sparse_and_dense_requests_have_the_same_answer() -> None:
    predictor = Predictor.load(MODEL, "cpu")
    sparse = {"data": {"features": {"keys": [1], "shape": [3], "values": [4.5]}}}
    body = json.dumps({"instances": [sparse, {"features": [0, 4.5, 0]}]}).encode()
    scores = predictor.predict(predictor.decode(body, MediaType.parse("application/json")))["score"]
    assert scores[0] == scores[1]


def test_contributions_and_base_are_the_score() -> None:
    found = Predictor.load(MODEL, "cpu").predict_with(Records(POINTS[0]), {"contributions": "true"})
    np.testing.assert_allclose(found["base"] + found["contributions"].sum(axis=1), found["score"], rtol=1e-5)
    assert (found["base"] > 0).all(), "each row is in a tree"


def test_threads_and_callers_at_once_change_nothing() -> None:
    predictor = Predictor.load(MODEL, "cpu")
    alone = predictor.predict(Records(ROWS))["score"]
    predictor.place(Surroundings(threads=3))
    with ThreadPoolExecutor(4) as callers:
        for answer in callers.map(lambda _: predictor.predict(Records(ROWS))["score"], range(12)):
            assert (answer == alone).all()


def test_an_answer_out_of_all_proportion_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.load(MODEL, "cpu")
    monkeypatch.setattr(serve, "MOST_CONTRIBUTIONS", 10)
    with pytest.raises(TooLargeError, match="1500 numbers"):
        predictor.predict_with(Records(ROWS), {"contributions": "true"})


def test_another_model_or_a_damaged_one_is_refused() -> None:
    with pytest.raises(UserError, match="model of kmeans"):
        Predictor.load(replace(MODEL, algorithm="kmeans"), "cpu")
    with pytest.raises(UserError, match="damaged: points must be an array of float32 with 3 axes"):
        Predictor.load(replace(MODEL, tensors={}), "cpu")
    moved = {**FOREST.tensors(), "left": np.roll(FOREST.trees.left, 1)}
    with pytest.raises(UserError, match="damaged: tree 0"):
        Predictor.load(replace(MODEL, tensors=moved), "cpu")
