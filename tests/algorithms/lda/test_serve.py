"""Mixtures over the wire, models of the managed LDA, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms.lda.serve import Predictor
from clary.algorithms.lda.spec import SPEC
from clary.toolkit.artifact import Artifact
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import MediaType
from dirichlet import Array

ALPHA = np.array([0.25, 0.75], np.float32)
BETA = np.array([[0.5, 0.5, 0, 0], [0, 0.2, 0.4, 0.4]], np.float32)


def predictor(alpha: Array = ALPHA, beta: Array = BETA) -> Predictor:
    return Predictor.load(Artifact("lda", {}, {}, {"alpha": alpha, "beta": beta}), "cpu")


def answered(body: bytes, content_type: str, accept: str = "application/json") -> Any:
    served = predictor()
    answer = served.predict(served.decode(body, MediaType.parse(content_type)))
    return json.loads(served.encode(answer, MediaType.parse(accept)))


REQUESTS = {
    "text/csv": b"2,2,0,0\n0,0,5,1\n",
    "application/json": b'{"instances": [{"features": [2, 2, 0, 0]}, '
    b'{"data": {"features": {"values": [0, 0, 5, 1]}}}]}',
    "sparse": b'{"instances": [{"data": {"features": {"keys": [0, 1], "shape": [4], "values": [2, 2]}}}, '
    b'{"data": {"features": {"keys": [2, 3], "shape": [4], "values": [5, 1]}}}]}',
}


@pytest.mark.parametrize("form", REQUESTS)
def test_each_document_is_answered_by_its_mixture(form: str) -> None:
    content_type = "application/json" if form == "sparse" else form
    expected = {"predictions": [{"topic_mixture": [1.0, 0.0]}, {"topic_mixture": [0.0, 1.0]}]}
    assert answered(REQUESTS[form], content_type) == expected


def test_an_empty_document_is_answered_by_the_prior() -> None:
    assert answered(b"0,0,0,0\n", "text/csv") == {"predictions": [{"topic_mixture": [0.25, 0.75]}]}


def test_mixtures_sum_up_to_one() -> None:
    (mixture,) = (each["topic_mixture"] for each in answered(b"1,3,1,0\n", "text/csv")["predictions"])
    assert sum(mixture) == pytest.approx(1)
    assert min(mixture) > 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"1,2,3\n", "the row has 3 features, feature_dim is 4"),
        (b"1,2,3,4\n0,0,-1,0\n", "row 2, column 3: a document cannot have a word -1 times"),
        (b"1,2,x,4\n", "column 3"),
    ],
)
def test_a_bad_document_is_refused_with_its_place(body: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        answered(body, "text/csv")


def managed(folder: Path, content: bytes) -> Path:
    (folder / "model_algo-1").write_bytes(content)
    return folder


def test_a_model_of_the_managed_lda_is_served(tmp_path: Path) -> None:
    adopted = Predictor.adopt(managed(tmp_path, mxnet_ndarray.encode([ALPHA, BETA])))
    assert SPEC.parse(adopted.hyperparameters)
    served = Predictor.load(adopted, "cpu")
    answer = served.predict(served.decode(REQUESTS["text/csv"], MediaType.parse("text/csv")))
    assert answer["topic_mixture"].tolist() == [[1, 0], [0, 1]]


def test_topics_that_somebody_scaled_are_shares_again(tmp_path: Path) -> None:
    scaled = Predictor.adopt(
        managed(tmp_path, mxnet_ndarray.encode([ALPHA, BETA * np.array([[7], [0.1]], np.float32)]))
    )
    one, other = (
        each.predict(each.decode(b"1,3,1,0\n", MediaType.parse("text/csv")))["topic_mixture"]
        for each in (predictor(), Predictor.load(scaled, "cpu"))
    )
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ([ALPHA], "it holds 1 arrays"),
        ([BETA, ALPHA], "alpha has the shape"),
        ([ALPHA[:1], BETA], "alpha has the shape"),
        ([ALPHA, -BETA], "beta has a number that is negative or not finite"),
        ([ALPHA * np.float32(np.nan), BETA], "alpha has a number that is negative or not finite"),
        ([ALPHA, BETA * np.array([[0], [1]], np.float32)], "all zero"),
    ],
)
def test_a_file_that_is_no_model_of_lda_is_refused(arrays: list[Array], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"model_algo-1 is no model of LDA: .*{said}.*it should hold alpha"):
        Predictor.adopt(managed(tmp_path, mxnet_ndarray.encode(arrays)))


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model_algo-1"):
        Predictor.adopt(managed(tmp_path, mxnet_ndarray.encode([ALPHA, BETA])[:-5]))


def test_an_artifact_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="this is a model of pca"):
        Predictor.load(Artifact("pca", {}, {}, {}), "cpu")
    with pytest.raises(UserError, match="damaged"):
        predictor(alpha=ALPHA[:1])
