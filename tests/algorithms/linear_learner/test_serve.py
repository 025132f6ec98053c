"""Answers of a linear model: scores, labels, contributions, and models of the managed algorithm."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.special import expit
from scipy.special import softmax as oracle

from clary.algorithms.linear_learner import serve
from clary.algorithms.linear_learner.managed import managed_file, read_managed_file
from clary.algorithms.linear_learner.serve import Predictor, logistic, softmax
from clary.algorithms.linear_learner.spec import BINARY, MULTICLASS, REGRESSOR, SPEC
from clary.toolkit import media
from clary.toolkit.artifact import Artifact
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.codecs.record_protobuf import decode_answers
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(20, 4)).astype(np.float32)
LOSSES = {BINARY: "logistic", MULTICLASS: "softmax_loss", REGRESSOR: "squared_loss"}


def artifact(predictor_type: str, loss: str = "", *, threshold: float = 0.3, width: int = 4) -> Artifact:
    """A model with weights of some kind."""
    columns = 3 if predictor_type == MULTICLASS else 1
    schema = {"feature_dim": width, "predictor_type": predictor_type, "num_classes": columns}
    tensors = {
        "weights": RNG.normal(size=(columns, width)),
        "bias": RNG.normal(size=columns),
        "mean": RNG.normal(size=width),
    }
    schema |= {"loss": loss or LOSSES[predictor_type], "threshold": threshold}
    return Artifact(SPEC.name, {"predictor_type": predictor_type}, schema, tensors)


def linear(model: Artifact, rows: Array) -> Array:
    scores: Array = rows.astype(np.float64) @ model.tensors["weights"].T + model.tensors["bias"]
    return scores


def asked(model: Artifact, body: str, accept: str, **options: str) -> bytes:
    """The answer to a CSV request."""
    predictor = Predictor.load(model, "cpu")
    request = predictor.decode(body.encode(), MediaType.parse("text/csv"))
    answer = predictor.predict_with(request, options) if options else predictor.predict(request)
    return predictor.encode(answer, MediaType.parse(accept))


# Scores and labels


def test_a_binary_score_is_the_probability_and_the_label_that_of_the_threshold() -> None:
    model = artifact(BINARY, threshold=0.3)
    found = Predictor.load(model, "cpu").predict(Records(ROWS))
    expected = expit(linear(model, ROWS)[:, 0])
    np.testing.assert_allclose(found["score"], expected, rtol=1e-6)
    assert found["predicted_label"].tolist() == (expected >= 0.3).astype(int).tolist()
    assert ((expected >= 0.3) != (expected >= 0.5)).any()


def test_a_score_equal_to_the_threshold_is_labeled_1() -> None:
    model = Artifact(
        SPEC.name,
        {},
        {"predictor_type": BINARY, "loss": "hinge_loss", "threshold": 2.0},
        {"weights": np.ones((1, 1)), "bias": np.zeros(1), "mean": np.zeros(1)},
    )
    found = Predictor.load(model, "cpu").predict(Records(np.array([[1.9], [2.0], [-2.0]], np.float32)))
    assert found["predicted_label"].tolist() == [0, 1, 0]
    assert found["score"].tolist() == [np.float32(1.9), 2.0, -2.0]


def test_a_multiclass_score_is_a_probability_for_each_class() -> None:
    model = artifact(MULTICLASS)
    found = Predictor.load(model, "cpu").predict(Records(ROWS))
    expected = oracle(linear(model, ROWS), axis=1)
    np.testing.assert_allclose(found["score"], expected, rtol=1e-6)
    assert found["predicted_label"].tolist() == expected.argmax(axis=1).tolist()


def test_a_regressor_has_scores_alone() -> None:
    model = artifact(REGRESSOR)
    found = Predictor.load(model, "cpu").predict(Records(ROWS))
    assert list(found) == ["score"]
    np.testing.assert_allclose(found["score"], linear(model, ROWS)[:, 0], rtol=1e-6)


@pytest.mark.parametrize("predictor_type", LOSSES)
def test_sparse_rows_are_answered_as_dense_ones(predictor_type: str) -> None:
    rows = np.where(ROWS > 0, ROWS, 0)
    predictor = Predictor.load(artifact(predictor_type), "cpu")
    dense = predictor.predict_with(Records(rows), {"contributions": "true"})
    sparse = predictor.predict_with(Records(csr_matrix(rows)), {"contributions": "true"})
    assert list(dense) == list(sparse)
    for name, column in dense.items():
        np.testing.assert_allclose(sparse[name], column, rtol=1e-6)


@pytest.mark.parametrize("predictor_type", LOSSES)
def test_no_row_has_an_empty_answer(predictor_type: str) -> None:
    predictor = Predictor.load(artifact(predictor_type), "cpu")
    request = predictor.decode(b'{"instances": []}', MediaType.parse(media.JSON))
    for answer in (predictor.predict(request), predictor.predict_with(request, {"contributions": "true"})):
        assert {len(column) for column in answer.values()} == {0}
        assert predictor.encode(answer, MediaType.parse(media.JSON)) == b'{"predictions":[]}'
        for accept in (media.CSV, media.JSON_LINES, media.RECORDIO_PROTOBUF):
            assert predictor.encode(answer, MediaType.parse(accept)) == b""


def test_threads_get_the_answers_of_their_own_rows() -> None:
    predictor = Predictor.load(artifact(MULTICLASS), "cpu")
    requests = [Records(ROWS[number : number + 3]) for number in range(17)]
    expected = [predictor.predict(each)["score"] for each in requests]
    with ThreadPoolExecutor(8) as threads:
        for found, wanted in zip(threads.map(predictor.predict, requests), expected, strict=True):
            assert np.array_equal(found["score"], wanted)


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=5))
def test_probabilities_are_those_of_scipy_without_a_warning(margins: list[float]) -> None:
    values = np.array(margins)
    np.testing.assert_allclose(logistic(values), expit(values), rtol=1e-12)
    np.testing.assert_allclose(softmax(values[None]), oracle(values[None], axis=1), rtol=1e-12)


def test_a_score_beyond_float32_is_refused_by_its_row() -> None:
    with pytest.raises(DataError, match="row 2: the score of the row is larger than a float32"):
        asked(artifact(REGRESSOR), "1,2,3,4\n3e38,-3e38,3e38,3e38\n", media.JSON)


def test_another_width_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match="the row has 3 features, feature_dim is 4"):
        asked(artifact(BINARY), "1,2,3\n", media.JSON)


# The form of answers


def simple(predictor_type: str) -> Artifact:
    """A model of the first feature alone; the margin of [1, 0] is 4.584967478670572 for class 1."""
    weights = np.array([[4.584967478670572, 0]])
    if predictor_type == MULTICLASS:
        weights = np.log([[1, 1], [2, 1], [4, 1], [3, 1]])
    schema = {"predictor_type": predictor_type, "loss": LOSSES[predictor_type], "threshold": 0.4}
    tensors = {"weights": weights, "bias": np.zeros(len(weights)), "mean": np.zeros(2)}
    return Artifact(SPEC.name, {}, schema, tensors)


def test_json_answers_have_the_managed_form() -> None:
    found = json.loads(asked(simple(BINARY), "1,0\n-1,7\n", media.JSON))
    assert found == {
        "predictions": [
            {"score": pytest.approx(0.98989899), "predicted_label": 1},
            {"score": pytest.approx(0.01010101), "predicted_label": 0},
        ]
    }
    found = json.loads(asked(simple(MULTICLASS), "1,0\n", media.JSON))
    assert found == {"predictions": [{"score": pytest.approx([0.1, 0.2, 0.4, 0.3]), "predicted_label": 2}]}
    found = json.loads(asked(simple(REGRESSOR), "1,0\n", media.JSON))
    assert found == {"predictions": [{"score": pytest.approx(4.5849676)}]}


def test_json_lines_are_compact_with_sorted_keys_and_whole_labels() -> None:
    assert asked(simple(BINARY), "0,1\n0,2\n", media.JSON_LINES) == b'{"predicted_label":1,"score":0.5}\n' * 2
    assert asked(simple(REGRESSOR), "0,1\n", media.JSON_LINES) == b'{"score":0.0}\n'


def test_csv_answers_are_label_and_scores() -> None:
    assert asked(simple(BINARY), "0,1\n0,2\n", media.CSV) == b"1,0.5\n1,0.5\n"
    cells = [float(cell) for cell in asked(simple(MULTICLASS), "1,0\n", media.CSV).decode().split(",")]
    assert cells == pytest.approx([2, 0.1, 0.2, 0.4, 0.3])


def test_recordio_answers_hold_floats() -> None:
    (found,) = decode_answers(asked(simple(MULTICLASS), "1,0\n", media.RECORDIO_PROTOBUF))
    assert found["predicted_label"].tolist() == [2.0]
    assert found["score"].tolist() == pytest.approx([0.1, 0.2, 0.4, 0.3])


# Contributions


@pytest.mark.parametrize("predictor_type", LOSSES)
def test_contributions_and_base_add_up_to_the_linear_score(predictor_type: str) -> None:
    model = artifact(predictor_type)
    found = Predictor.load(model, "cpu").predict_with(Records(ROWS), {"contributions": "True"})
    assert list(found)[-2:] == ["base", "contributions"]
    total = found["contributions"].sum(axis=-1) + found["base"]
    np.testing.assert_allclose(total.reshape(len(ROWS), -1), linear(model, ROWS), rtol=1e-5, atol=1e-5)
    at_mean = linear(model, model.tensors["mean"][None]).astype(np.float32)
    np.testing.assert_allclose(found["base"].reshape(len(ROWS), -1), np.repeat(at_mean, len(ROWS), axis=0), rtol=1e-6)


def test_an_average_row_owes_nothing_to_any_feature() -> None:
    model = artifact(BINARY)
    model.tensors["mean"][:] = ROWS[0]
    found = Predictor.load(model, "cpu").predict_with(Records(ROWS[:1]), {"contributions": "1"})
    assert found["contributions"].tolist() == [[0.0] * 4]


@pytest.mark.parametrize("predictor_type", LOSSES)
def test_contributions_are_written_in_every_type(predictor_type: str) -> None:
    model, body = artifact(predictor_type), "1,2,3,4\n5,6,7,8\n"
    first = json.loads(asked(model, body, media.JSON, contributions="true"))["predictions"]
    shape = (3, 4) if predictor_type == MULTICLASS else (4,)
    assert [np.shape(each["contributions"]) for each in first] == [shape, shape]
    lines = asked(model, body, media.JSON_LINES, contributions="true").splitlines()
    assert [json.loads(line) for line in lines] == first
    answers = decode_answers(asked(model, body, media.RECORDIO_PROTOBUF, contributions="true"))
    rows = asked(model, body, media.CSV, contributions="true").decode().splitlines()
    for each, answer, row in zip(first, answers, rows, strict=True):
        assert list(each) == list(answer)
        assert answer["contributions"].tolist() == pytest.approx(np.ravel(each["contributions"]).tolist())
        cells = [float(cell) for cell in row.split(",")]
        assert cells == pytest.approx(np.concatenate([np.ravel(value) for value in each.values()]).tolist())


def test_contributions_that_are_not_asked_for_are_left_out() -> None:
    for value in ("false", "False", "0"):
        found = json.loads(asked(artifact(BINARY), "1,2,3,4\n", media.JSON, contributions=value))
        assert list(found["predictions"][0]) == ["predicted_label", "score"]
    with pytest.raises(UserError, match="contributions must be 'true' or 'false'; got 'maybe'"):
        asked(artifact(BINARY), "1,2,3,4\n", media.JSON, contributions="maybe")


def test_an_answer_out_of_proportion_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MOST_CONTRIBUTIONS", 23)
    with pytest.raises(
        TooLargeError, match="to 2 rows are 24 numbers, and an answer holds at most 23; ask for fewer"
    ):
        asked(artifact(MULTICLASS), "1,2,3,4\n5,6,7,8\n", media.JSON, contributions="true")
    asked(artifact(MULTICLASS), "1,2,3,4\n", media.JSON, contributions="true")


# Models


def test_a_model_is_written_and_read_back(tmp_path: Path) -> None:
    model = artifact(MULTICLASS)
    model.write(tmp_path)
    found = Predictor.load(Artifact.read(tmp_path), "cpu").predict(Records(ROWS))
    for name, column in Predictor.load(model, "cpu").predict(Records(ROWS)).items():
        assert np.array_equal(found[name], column)


@pytest.mark.parametrize("change", ["algorithm", "tensor", "shape", "mean", "schema", "threshold", "columns"])
def test_a_model_that_cannot_be_served_is_refused(change: str) -> None:
    model = artifact(BINARY)
    schema, tensors, name = dict(model.schema), dict(model.tensors), SPEC.name
    if change == "algorithm":
        name = "kmeans"
    elif change == "tensor":
        del tensors["weights"]
    elif change == "shape":
        tensors["bias"] = np.zeros(7)
    elif change == "mean":
        tensors["mean"] = np.zeros(7)
    elif change == "schema":
        del schema["predictor_type"]
    elif change == "threshold":
        schema["threshold"] = None
    else:
        schema["predictor_type"] = MULTICLASS
    with pytest.raises(UserError, match=r"this is a model of|this model is damaged"):
        Predictor.load(Artifact(name, {}, schema, tensors), "cpu")


@pytest.mark.parametrize(
    ("predictor_type", "loss", "threshold"),
    [
        (BINARY, "logistic", 0.5),
        (BINARY, "hinge_loss", 0.0),
        (MULTICLASS, "softmax_loss", None),
        (REGRESSOR, "squared_loss", None),
    ],
)
def test_a_managed_file_is_adopted(tmp_path: Path, predictor_type: str, loss: str, threshold: float | None) -> None:
    model = artifact(predictor_type, loss, threshold=threshold or 0.0)
    content = managed_file(model.tensors["weights"], model.tensors["bias"], predictor_type, loss)
    (tmp_path / "model_algo-1").write_bytes(content)
    adopted = Predictor.adopt(tmp_path)
    assert adopted.schema["loss"] == loss
    SPEC.parse(adopted.hyperparameters)
    expected = Predictor.load(model, "cpu").predict(Records(ROWS))
    found = Predictor.load(adopted, "cpu").predict(Records(ROWS))
    assert list(found) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(found[name], column, rtol=1e-5, atol=1e-6)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no model\.json"):
        Predictor.adopt(tmp_path)


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def network(*operators: dict[str, Any], heads: int = 1) -> bytes:
    nodes = [{"op": "null", "name": "data", "inputs": []}, *operators]
    return json.dumps({"nodes": nodes, "heads": [[len(nodes) - 1 - head, 0, 0] for head in range(heads)]}).encode()


def parameters(**arrays: Array) -> bytes:
    return mxnet_ndarray.encode({f"arg:{name}": array.astype(np.float32) for name, array in arrays.items()})


def test_a_managed_file_is_the_same_each_time_and_tells_no_date() -> None:
    weights, bias = np.ones((1, 3)), np.zeros(1)
    first, second = (managed_file(weights, bias, BINARY, "logistic") for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["mx-mod-symbol.json", "mx-mod-0000.params", "manifest.json"]
        symbol = json.loads(archive.read("mx-mod-symbol.json"))
        found = mxnet_ndarray.decode(archive.read("mx-mod-0000.params"))
    assert [node["name"] for node in symbol["nodes"]] == ["data", "fc0_weight", "fc0_bias", "fc0", "out_label", "out"]
    assert {name: array.shape for name, array in found.items()} == {"arg:fc0_weight": (1, 3), "arg:fc0_bias": (1,)}


@pytest.mark.parametrize(
    ("operator", "rows", "expected"),
    [
        ({"op": "LogisticRegressionOutput"}, 1, (BINARY, "logistic")),
        ({"op": "Activation", "attrs": {"act_type": "sigmoid"}}, 1, (BINARY, "logistic")),
        ({"op": "Activation", "param": {"act_type": "sigmoid"}}, 1, (BINARY, "logistic")),
        ({"op": "SVMOutput"}, 1, (BINARY, "hinge_loss")),
        ({"op": "SoftmaxOutput"}, 2, (BINARY, "logistic")),
        ({"op": "SoftmaxOutput"}, 5, (MULTICLASS, "softmax_loss")),
        ({"op": "MAERegressionOutput"}, 1, (REGRESSOR, "squared_loss")),
        ({"op": "FullyConnected", "attrs": {"num_hidden": "1"}}, 1, (REGRESSOR, "squared_loss")),
    ],
)
def test_the_kind_of_a_managed_model_is_that_of_its_output(
    operator: dict[str, Any], rows: int, expected: tuple[str, str]
) -> None:
    content = zipped(
        {
            "mx-mod-symbol.json": network(operator),
            "mx-mod-0014.params": parameters(fc0_weight=np.ones((rows, 3)), fc0_bias=np.zeros((rows, 1))),
            "additional-params.json": b"{}",
        }
    )
    found = read_managed_file(content, source="model_algo-1")
    assert (found.predictor_type, found.loss) == expected


def test_the_softmax_of_two_classes_is_a_binary_classifier() -> None:
    weights, bias = RNG.normal(size=(2, 3)), RNG.normal(size=2)
    content = zipped(
        {
            "a-symbol.json": network({"op": "BlockGrad"}, {"op": "SoftmaxOutput"}, heads=2),
            "a.params": parameters(fc0_weight=weights, fc0_bias=bias),
        }
    )
    found = read_managed_file(content, source="model_algo-1")
    rows = RNG.normal(size=(6, 3))
    expected = oracle(rows @ weights.T + bias, axis=1)[:, 1]
    np.testing.assert_allclose(expit(rows @ found.weights_CD[0] + found.bias_C[0]), expected, rtol=1e-5)


def test_a_managed_model_without_a_bias_has_one_of_zero() -> None:
    content = zipped({"-symbol.json": network({"op": "identity"}), ".params": parameters(fc0_weight=np.ones((1, 3)))})
    assert read_managed_file(content, source="model_algo-1").bias_C.tolist() == [0.0]


ONE = parameters(fc0_weight=np.ones((1, 3)), fc0_bias=np.zeros(1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "which is a zip archive"),
        (b"PK\x03\x04 cut", "which is a zip archive"),
        (zipped({"readme": b""}), "must hold one file whose name ends in '-symbol.json'; it holds readme"),
        (zipped({"-symbol.json": b"{", ".params": ONE}), "is no JSON"),
        (zipped({"-symbol.json": b"[" * 100_000, ".params": ONE}), "is no JSON"),
        (zipped({"-symbol.json": b"[]", ".params": ONE}), "1 rows of weights and ends in nothing"),
        (zipped({"-symbol.json": b'{"heads": [[3]], "nodes": []}', ".params": ONE}), "ends in nothing"),
        (zipped({"-symbol.json": network({"op": "Convolution"}), ".params": ONE}), "ends in Convolution"),
        (zipped({"-symbol.json": network({"op": "SVMOutput"}), ".params": b"junk"}), "cut short"),
        (
            zipped({"-symbol.json": network({"op": "SVMOutput"}), ".params": parameters(x=np.ones(3))}),
            "must hold one matrix of weights; it holds arg:x",
        ),
        (
            zipped(
                {
                    "-symbol.json": network({"op": "SVMOutput"}),
                    ".params": parameters(a_weight=np.ones((2, 3)), a_bias=np.ones(3)),
                }
            ),
            "2 rows of weights and 3 biases",
        ),
        (
            zipped(
                {
                    "-symbol.json": network({"op": "SVMOutput"}),
                    ".params": parameters(a_weight=np.full((1, 3), np.nan), a_bias=np.ones(1)),
                }
            ),
            "not finite",
        ),
        (
            zipped(
                {
                    "-symbol.json": network({"op": "LinearRegressionOutput"}),
                    ".params": parameters(a_weight=np.ones((2, 3)), a_bias=np.ones(2)),
                }
            ),
            "2 rows of weights and ends in LinearRegressionOutput",
        ),
    ],
)
def test_a_file_that_is_no_linear_model_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UserError, match="model_algo-1") as caught:
        read_managed_file(content, source="model_algo-1")
    assert reason in str(caught.value)


@given(st.data())
def test_a_damaged_managed_file_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(managed_file(np.ones((1, 3)), np.zeros(1), BINARY, "logistic"))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    with suppress(UserError):
        read_managed_file(bytes(content[: data.draw(st.integers(at, len(content)))]), source="model_algo-1")


def test_a_managed_file_packed_in_an_unread_way_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("mx-mod-symbol.json", network({"op": "SVMOutput"}))
    with pytest.raises(UserError, match="compressed in a way that is not read here"):
        read_managed_file(stream.getvalue(), source="model_algo-1")
