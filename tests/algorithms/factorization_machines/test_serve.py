"""What a model answers, and the managed algorithm's model file: written, read, and refused when damaged."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms.factorization_machines.managed import managed_file, read_managed_file
from clary.algorithms.factorization_machines.model import Machine
from clary.algorithms.factorization_machines.serve import Predictor
from clary.toolkit import media
from clary.toolkit.artifact import Artifact
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

KINDS = ("binary_classifier", "regressor")
MACHINE = Machine(
    0.5, np.array([1, -1, 0], np.float32), np.array([[1, 2], [0.5, -1], [2, 0]], np.float32)
)  # <v0, v1> = -1.5, <v0, v2> = 2, <v1, v2> = 1
ROWS = Records(np.array([[1, 1, 0], [0, 0.5, 0], [1, 1, 1]], np.float32))
SCORES = [0.5 + 1 - 1 - 1.5, 0.5 - 0.5, 0.5 + 1 - 1 - 1.5 + 2 + 1]


def test_a_regressor_answers_with_its_score() -> None:
    answer = Predictor(MACHINE, "regressor").predict(ROWS)
    assert list(answer) == ["score"]
    assert answer["score"] == pytest.approx(SCORES)


def test_a_classifier_answers_with_a_probability_and_a_label() -> None:
    answer = Predictor(MACHINE, "binary_classifier").predict(ROWS)
    assert answer["score"] == pytest.approx(1 / (1 + np.exp(-np.array(SCORES))))
    # The second row has a probability of exactly 0.5, which counts as 1.
    assert answer["predicted_label"].tolist() == [0, 1, 1]


def test_answers_have_the_documented_form() -> None:
    predictor = Predictor(MACHINE, "binary_classifier")
    request = b'{"instances": [{"data": {"features": {"keys": [1], "shape": [3], "values": [0.5]}}}]}'
    answer = predictor.predict(predictor.decode(request, MediaType.parse(media.JSON)))
    written = predictor.encode(answer, MediaType.parse(media.JSON))
    assert json.loads(written) == {"predictions": [{"score": 0.5, "predicted_label": 1}]}


def test_rows_of_libsvm_may_end_before_the_last_feature() -> None:
    predictor = Predictor(MACHINE, "regressor")
    narrow = predictor.decode(b"0:1 1:1\n1:0.5\n", MediaType.parse(media.LIBSVM))
    assert predictor.predict(narrow)["score"] == pytest.approx(SCORES[:2])
    with pytest.raises(DataError, match="4 features, feature_dim is 3"):
        predictor.decode(b"3:1\n", MediaType.parse(media.LIBSVM))


def test_a_score_beyond_float32_is_refused_with_its_row() -> None:
    rows = Records(np.array([[0, 0, 0], [1e30, 1e30, 0]], np.float32))
    with pytest.raises(DataError, match="row 2: the score of the row is larger"):
        Predictor(MACHINE, "regressor").predict(rows)
    assert Predictor(MACHINE, "binary_classifier").predict(rows)["score"].tolist() == pytest.approx([0.622459, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_managed_file_is_read_back(kind: str, tmp_path: Path) -> None:
    (tmp_path / "model_algo-1").write_bytes(managed_file(MACHINE, kind))
    artifact = Predictor.adopt(tmp_path)
    assert artifact.schema == {"feature_dim": 3, "predictor_type": kind}
    served = Predictor.load(artifact, "cpu").predict(ROWS)["score"]
    assert np.array_equal(served, Predictor(MACHINE, kind).predict(ROWS)["score"])


def test_the_managed_file_has_the_members_and_arrays_of_the_vendors_article() -> None:
    with zipfile.ZipFile(io.BytesIO(managed_file(MACHINE, "regressor"))) as archive:
        assert archive.namelist() == ["symbol.json", "params"]
        arrays = mxnet_ndarray.decode(archive.read("params"))
        network = json.loads(archive.read("symbol.json"))
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {"arg:w0_weight": (1,), "arg:w1_weight": (3, 1), "arg:v": (3, 2)}
    names = [node["name"] for node in network["nodes"] if node["op"] == "null"]
    assert names == ["data", "w0_weight", "w1_weight", "v", "out_label"]
    assert network["nodes"][network["heads"][0][0]]["op"] == "LinearRegressionOutput"


def test_the_network_computes_the_score() -> None:
    """The graph, walked node by node as MXNet walks it."""
    with zipfile.ZipFile(io.BytesIO(managed_file(MACHINE, "regressor"))) as archive:
        arrays = mxnet_ndarray.decode(archive.read("params"))
        nodes = json.loads(archive.read("symbol.json"))["nodes"]
    known = {name.removeprefix("arg:"): array for name, array in arrays.items()} | {"data": ROWS.dense()}
    found: list[Any] = []
    for node in nodes[:-2]:
        given = [found[each[0]] for each in node["inputs"]]
        match node["op"]:
            case "null":
                found.append(known[node["name"]])
            case "dot":
                found.append(given[0] @ given[1])
            case "square":
                found.append(given[0] ** 2)
            case "elemwise_sub":
                found.append(given[0] - given[1])
            case "elemwise_add" | "broadcast_add":
                found.append(given[0] + given[1])
            case "sum":
                found.append(given[0].sum(axis=int(node["attrs"]["axis"]), keepdims=True))
            case "_mul_scalar":
                found.append(given[0] * float(node["attrs"]["scalar"]))
    assert found[-1][:, 0] == pytest.approx(SCORES)


def test_damaged_managed_files_are_refused() -> None:
    whole = managed_file(MACHINE, "regressor")
    for content in (b"", b"PK", whole[: len(whole) // 2], mxnet_ndarray.encode([np.ones(3, np.float32)])):
        with pytest.raises(UserError, match="model_algo-1"):
            read_managed_file(content, source="model_algo-1")


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"arg:w0": np.zeros(1), "arg:w1": np.zeros((3, 1))}, "must hold one array v"),
        ({"arg:w0": np.zeros(1), "arg:w1": np.zeros((2, 1)), "arg:v": np.zeros((3, 2))}, "must hold w0"),
        ({"arg:w0": np.zeros(1), "arg:w1": np.zeros((3, 1)), "arg:v": np.full((3, 2), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_make_no_machine_are_refused(arrays: dict[str, np.ndarray], reason: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "symbol.json", json.dumps({"nodes": [{"op": "LinearRegressionOutput"}], "heads": [[0, 0, 0]]})
        )
        archive.writestr("params", mxnet_ndarray.encode({k: v.astype(np.float32) for k, v in arrays.items()}))
    with pytest.raises(UserError, match=reason):
        read_managed_file(packed.getvalue(), source="model_algo-1")


def test_models_that_are_none_are_refused() -> None:
    tensors = {"w0": np.zeros(1), "w": np.zeros(3), "v": np.zeros((3, 2))}
    schema = {"feature_dim": 3, "predictor_type": "regressor"}
    name = "factorization_machines"
    for artifact, reason in (
        (Artifact("kmeans", {}, schema, tensors), "a model of kmeans"),
        (Artifact(name, {}, schema, {"w0": np.zeros(1)}), "no w0, w and v"),
        (Artifact(name, {}, schema, {**tensors, "w": np.zeros(4)}), "do not fit each other"),
        (Artifact(name, {}, {"feature_dim": 3}, tensors), "predictor_type is None"),
    ):
        with pytest.raises(UserError, match=reason):
            Predictor.load(artifact, "cpu")
