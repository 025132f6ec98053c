"""A served PCA: projections in every form, of our own model and of the managed one's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clary.algorithms.pca.serve import Predictor
from clary.datasets import samples
from clary.toolkit.artifact import Artifact
from clary.toolkit.codecs import mxnet_ndarray, record_protobuf
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType
from components import learned

Array = npt.NDArray[Any]
RNG = np.random.default_rng(4)
V = np.linalg.qr(RNG.standard_normal((3, 2)))[0].astype(np.float32)
S, MEAN = np.array([1, 5], np.float32), np.array([[10, 20, 30]], np.float32)
ROWS = [[1.5, 16.0, 14.0], [23.0, 0.0, -1.0]]
EXPECTED = (np.array(ROWS) - MEAN) @ V.astype(np.float64)


def managed(folder: Path, **arrays: Array) -> Path:
    (folder / "model_algo-1").write_bytes(mxnet_ndarray.encode(arrays))
    return folder


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return Predictor.load(Predictor.adopt(managed(tmp_path, mean=MEAN, v=V, s=S)), "cpu")


def answered(predictor: Predictor, accept: str) -> bytes:
    body = "".join(",".join(map(str, row)) + "\n" for row in ROWS).encode()
    return predictor.encode(predictor.predict(predictor.decode(body, MediaType.parse(CSV))), MediaType(accept))


def test_json_holds_projections_from_the_least_to_the_most_significant(predictor: Predictor) -> None:
    found = json.loads(answered(predictor, JSON))
    assert list(found) == ["projections"]
    assert [list(each) for each in found["projections"]] == [["projection"]] * 2
    np.testing.assert_allclose([each["projection"] for each in found["projections"]], EXPECTED, rtol=1e-6)


def test_json_lines_hold_one_projection_each(predictor: Predictor) -> None:
    lines = [json.loads(line) for line in answered(predictor, JSON_LINES).splitlines()]
    np.testing.assert_allclose([line["projection"] for line in lines], EXPECTED, rtol=1e-6)


def test_csv_holds_a_projection_in_each_line(predictor: Predictor) -> None:
    lines = [[float(cell) for cell in line.split(b",")] for line in answered(predictor, CSV).splitlines()]
    np.testing.assert_allclose(lines, EXPECTED, rtol=1e-6)


def test_records_hold_the_projection_as_a_label(predictor: Predictor) -> None:
    found = list(record_protobuf.decode_answers(answered(predictor, RECORDIO_PROTOBUF)))
    assert [list(each) for each in found] == [["projection"]] * 2
    np.testing.assert_allclose([each["projection"] for each in found], EXPECTED, rtol=1e-6)


def test_a_managed_model_without_a_mean_projects_as_it_is(tmp_path: Path) -> None:
    artifact = Predictor.adopt(managed(tmp_path, v=V, s=S))
    assert artifact.hyperparameters["subtract_mean"] == "false"
    request = json.dumps({"instances": [{"features": row} for row in ROWS]}).encode()
    predictor = Predictor.load(artifact, "cpu")
    found = predictor.predict(predictor.decode(request, MediaType.parse(JSON)))["projection"]
    np.testing.assert_allclose(found, np.array(ROWS) @ V, rtol=1e-5)


def test_the_managed_file_that_we_write_answers_like_our_own_model(tmp_path: Path) -> None:
    rows = samples.digits().dense()
    trained = learned(rows, num_components=7)
    (tmp_path / "model_algo-1").write_bytes(trained.artifact.files["model_algo-1"])
    theirs = Predictor.load(Predictor.adopt(tmp_path), "cpu")
    body = "".join(",".join(map(str, row)) + "\n" for row in rows[:5]).encode()
    one, other = (
        each.predict(each.decode(body, MediaType.parse(CSV)))["projection"] for each in (theirs, trained.predictor())
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_shift_of_a_million_leaves_the_projections_their_digits() -> None:
    rows = samples.digits().dense()
    near, far = learned(rows, num_components=7), learned(rows + np.float32(2**20), num_components=7)
    for shift, trained in ((0, near), (2**20, far)):
        body = "".join(",".join(map(str, row + shift)) + "\n" for row in rows[:5].astype(int)).encode()
        predictor = trained.predictor()
        found = predictor.predict(predictor.decode(body, MediaType.parse(CSV)))["projection"]
        # Components may differ by their sign where two numbers are equally far from zero.
        expected = (rows[:5] - rows.mean(axis=0, dtype=np.float64)) @ near.artifact.tensors["v"]
        np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-5, atol=1e-5)


def test_a_request_without_rows_has_an_answer_without_rows(predictor: Predictor) -> None:
    request = predictor.decode(b'{"instances": []}', MediaType.parse(JSON))
    assert predictor.encode(predictor.predict(request), MediaType(JSON)) == b'{"projections":[]}'


def test_a_projection_that_no_float_can_hold_names_its_row(predictor: Predictor) -> None:
    body = b"1,2,3\n3e38,3e38,-3e38\n-3e38,3e38,3e38\n"
    with pytest.raises(DataError, match=r"row [23].*larger than a float32"):
        predictor.predict(predictor.decode(body, MediaType.parse(CSV)))


def test_a_row_of_another_width_is_refused_with_both_sizes(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="the row has 4 features, feature_dim is 3"):
        predictor.decode(b"1,2,3,4\n", MediaType.parse(CSV))


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"v": V}, "it holds v"),
        ({"v": V, "s": S, "w": S}, "it holds s, v, w"),
        ({"v": V, "s": np.ones(3, np.float32)}, r"v has the shape \[3, 2\] and s has 3 numbers"),
        ({"v": S, "s": S}, r"v has the shape \[2\]"),
        ({"v": V, "s": S, "mean": S}, "v has 3 rows and mean has 2 numbers"),
    ],
)
def test_a_managed_file_of_something_else_is_refused(tmp_path: Path, arrays: dict[str, Array], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Predictor.adopt(managed(tmp_path, **arrays))


def test_a_model_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="damaged"):
        Predictor.load(Artifact("pca", {}, {}, {"v": V, "mean": S}), "cpu")
