"""Models of the plain library serve as the library predicts, in every form of the managed container's answers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clary.algorithms.xgboost import serve
from clary.algorithms.xgboost.serve import KEYS, Predictor
from clary.algorithms.xgboost.spec import SPEC
from clary.container.app import build
from clary.container.serve_settings import ServeSettings
from clary.toolkit import media, tabular
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.codecs import record_protobuf
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Surroundings
from clary.toolkit.records import Floats, Records
from serving.asgi import Response, call

WIDTH, CLASSES = 5, 3
OLD = Path(__file__).parent / "xgboost-1.7.6"
CSV, JSON, LINES, RECORDIO = map(
    MediaType, (media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF), ({}, {}, {}, {})
)
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "logistic": {"objective": "binary:logistic"},
    "logitraw": {"objective": "binary:logitraw"},
    "hinge": {"objective": "binary:hinge"},
    "softmax": {"objective": "multi:softmax", "num_class": CLASSES},
    "softprob": {"objective": "multi:softprob", "num_class": CLASSES},
    "squared": {"objective": "reg:squarederror"},
    "tweedie": {"objective": "reg:tweedie"},
    "poisson": {"objective": "count:poisson"},
    "ranking": {"objective": "rank:ndcg"},
    "cox": {"objective": "survival:cox"},
    "aft": {"objective": "survival:aft"},
    "linear": {"objective": "binary:logistic", "booster": "gblinear"},
    "linear_softprob": {"objective": "multi:softprob", "num_class": CLASSES, "booster": "gblinear"},
    "dart": {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.5},
    "dart_softprob": {"objective": "multi:softprob", "num_class": CLASSES, "booster": "dart", "rate_drop": 0.5},
}


def rows(count: int = 120, seed: int = 0) -> Floats:
    """Rows with zeros and with missing values."""
    random = np.random.default_rng(seed)
    found = random.normal(size=(count, WIDTH)).astype(np.float32)
    found[random.random(found.shape) < 0.2] = np.nan
    found[random.random(found.shape) < 0.1] = 0
    return found


@cache
def booster(name: str, seed: int = 0) -> xgboost.Booster:
    given = PARAMETERS[name]
    features = rows(120, seed)
    score = np.nan_to_num(features[:, 0] + features[:, 1] * features[:, 2])
    classes = CLASSES if "num_class" in given else 2
    labels = np.digitize(score, np.linspace(-0.5, 0.5, classes - 1)).astype(np.float32)
    data = xgboost.DMatrix(features, labels, feature_names=[f"f{at}" for at in range(WIDTH)], nthread=1)
    if name == "ranking":
        data.set_group([10] * 12)
    if name == "aft":
        data.set_float_info("label_lower_bound", labels + 1)
        data.set_float_info("label_upper_bound", labels + 2)
    depth = {} if given.get("booster") == "gblinear" else {"max_depth": 3}
    return xgboost.train({**depth, "nthread": 1, "seed": seed, **given}, data, 6)


def saved(name: str, form: str = "ubj", seed: int = 0) -> bytes:
    return bytes(booster(name, seed).save_raw(form))


def loaded(*contents: bytes) -> Predictor:
    names = ["xgboost-model"] if len(contents) == 1 else [f"xgboost-model-{at}" for at in range(len(contents))]
    files = dict(zip(names, contents, strict=True))
    return Predictor.load(Artifact(SPEC.name, {}, {}, {}, files), "cpu")


@cache
def predictor(name: str) -> Predictor:
    return loaded(saved(name))


def expected(name: str, features: Any, **asked: bool) -> Any:
    return booster(name).predict(xgboost.DMatrix(features, nthread=1), validate_features=False, **asked)


def text(features: Floats) -> bytes:
    lines = (",".join("" if np.isnan(cell) else repr(float(cell)) for cell in row) for row in features)
    return "\n".join(lines).encode()


def body(features: Floats, kind: MediaType) -> bytes:
    stream = io.BytesIO()
    tabular.write(stream, Records(features), kind)
    return stream.getvalue()


def csr(features: Floats) -> Any:
    from scipy.sparse import csr_matrix

    there = ~np.isnan(features)
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return csr_matrix((features[there], np.nonzero(there)[1], ends), shape=features.shape)


# The library's own predictions


@pytest.mark.parametrize("form", ["ubj", "json"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_model_of_plain_xgboost_predicts_bit_for_bit_the_same(name: str, form: str) -> None:
    features = rows(50, seed=7)
    found = loaded(saved(name, form)).predict(Records(features))["score"]
    wanted = expected(name, features)
    assert found.shape == wanted.shape
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("name", PARAMETERS)
def test_sparse_rows_predict_as_dense_ones_with_gaps(name: str) -> None:
    features = rows(50, seed=7)
    found = predictor(name).predict(Records(csr(features)))["score"]
    assert found.tobytes() == expected(name, features).tobytes()


@pytest.mark.parametrize("name", PARAMETERS)
def test_sparse_rows_may_end_before_the_last_feature(name: str) -> None:
    features = rows(20, seed=3)
    features[:, 3:] = np.nan
    narrow = Records(csr(np.ascontiguousarray(features[:, :3])))
    asked = predictor(name).check(narrow)
    assert predictor(name).predict(asked)["score"].tobytes() == expected(name, features).tobytes()
    explained = predictor(name).predict_with(asked, {"contributions": "true"})
    assert explained["contributions"].shape[-1] == WIDTH


@pytest.mark.parametrize("name", ["logistic", "dart", "linear", "softprob"])
def test_several_threads_get_what_one_gets(name: str) -> None:
    parts = [Records(rows(10, seed)) for seed in range(12)]
    model = predictor(name)

    def both(part: Records) -> tuple[bytes, bytes]:
        answer = model.predict_with(part, {"contributions": "true"})
        return model.predict(part)["score"].tobytes(), answer["contributions"].tobytes()

    alone = [both(part) for part in parts]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(2):
            assert list(threads.map(both, parts)) == alone


@pytest.mark.parametrize("name", ["logistic", "softprob", "dart", "linear"])
def test_many_rows_are_shared_out_among_threads_and_answered_as_by_one(name: str) -> None:
    features = rows(4100, seed=4)
    one, several = placed(name), placed(name, threads=3)
    for request in (Records(features), Records(csr(features))):
        assert several.predict(request)["score"].tobytes() == one.predict(request)["score"].tobytes()
        for key, found in several.predict_with(request, {"contributions": "true"}).items():
            assert found.tobytes() == one.predict_with(request, {"contributions": "true"})[key].tobytes()


@pytest.mark.parametrize("name", ["binary.ubj", "multi.json", "regression.ubj", "linear.ubj", "dart.json"])
def test_a_model_saved_by_an_older_xgboost_serves(name: str, tmp_path: Path) -> None:
    case = json.loads((OLD / "expected.json").read_text())
    (tmp_path / name).write_bytes((OLD / name).read_bytes())
    found = Predictor.load(Predictor.adopt(tmp_path), "cpu").predict(Records(np.array(case["rows"], np.float32)))
    np.testing.assert_allclose(found["score"], case["expected"][name.partition(".")[0]], rtol=1e-6)


# Requests


def test_requests_of_every_type_hold_the_same_rows() -> None:
    features = rows(8, seed=1)
    features[:, 0] = np.where(np.isnan(features[:, 0]), 1, features[:, 0])
    model = predictor("logistic")
    pairs = [" ".join(f"{at}:{cell!r}" for at, cell in enumerate(row) if cell == cell) for row in features.tolist()]
    bodies = {
        "text/csv": text(features),
        "text/csv; charset=utf-8": text(features) + b"\n",
        "text/csv; label_size=0": text(features).replace(b",", b";"),
        "text/csv; label_size=1": b"\n".join(b"1," + line for line in text(features).split(b"\n")),
        "text/libsvm": "\n".join(pairs).encode(),
        "text/libsvm; label_size=1": "\n".join(f"1 {each}" for each in pairs).encode(),
        "application/x-recordio-protobuf": body(features, RECORDIO),
    }
    for kind, content in bodies.items():
        found = model.predict(model.decode(content, MediaType.parse(kind)))["score"]
        assert found.tobytes() == expected("logistic", features).tobytes(), kind


def test_label_size_means_nothing_where_no_column_is_too_many() -> None:
    decoded = predictor("logistic").decode(b"1,2,3,4,5", MediaType.parse("text/csv;label_size=1"))
    np.testing.assert_array_equal(decoded.dense(), [[1, 2, 3, 4, 5]])


@pytest.mark.parametrize("size", ["2", "-1", "one", ""])
def test_another_label_size_is_refused(size: str) -> None:
    with pytest.raises(UserError, match=f"label_size must be 0 or 1 in a request; got '{size}'"):
        predictor("logistic").decode(b"1,2,3,4,5", MediaType("text/csv", {"label_size": size}))


@pytest.mark.parametrize("content", [b"1,2,3,4", b"1,2,3,4,5,6", b"1", b"1,2,3,4,5,6,7"])
@pytest.mark.parametrize("size", ["0", "1"])
def test_dense_rows_of_another_width_are_refused_with_both_sizes(content: bytes, size: str) -> None:
    if size == "1" and content.count(b",") == WIDTH:
        return
    with pytest.raises(DataError, match=rf"row 1: the row has {content.count(b',') + 1} feature.*{WIDTH}"):
        predictor("logistic").decode(content, MediaType("text/csv", {"label_size": size}))


def test_a_sparse_row_beyond_the_last_feature_is_refused_by_its_number() -> None:
    told = "row 3: the row has at least 6 features, with a value at position 5; the model has 5"
    with pytest.raises(DataError, match=told):
        predictor("logistic").decode(b"0:1\n1 1:2\n1 0:3 5:1\n", MediaType(media.LIBSVM))
    empty = csr(np.full((2, WIDTH + 2), np.nan, np.float32))
    with pytest.raises(DataError, match="the row has 7 features, num_features is 5"):
        predictor("logistic").check(Records(empty))


def test_zero_based_positions_are_never_shifted() -> None:
    found = predictor("logistic").decode(b"1 1:2 4:3\n", MediaType(media.LIBSVM)).dense()
    np.testing.assert_array_equal(found, [[0, 2, 0, 0, 3]])


def test_rows_that_are_predicted_together_keep_their_zeros_and_their_gaps() -> None:
    model, features = predictor("logistic"), rows(9, seed=2)
    features[0] = 0
    short = features[6:].copy()
    short[:, 2:] = np.nan
    requests = [
        Records(features[:3]),
        Records(csr(features[3:6])),
        model.check(Records(csr(np.ascontiguousarray(short[:, :2])))),
        Records(features[:1]),
    ]
    together = model.predict(model.join(requests))["score"]
    alone = np.concatenate([model.predict(request)["score"] for request in requests])
    np.testing.assert_array_equal(together, alone)
    assert model.join(requests[:1] * 2).sparse is False


def test_rows_read_together_are_checked_together() -> None:
    model = predictor("logistic")
    records = model.decode_together([b"1,2,3,4,5", b"5,4,3,2,1\n"], CSV)
    assert records is not None
    assert records.dense().shape == (2, WIDTH)
    assert model.decode_together([b"1,2,3,4,", b"5,4,3,2,1"], CSV) is None
    with pytest.raises(DataError):
        model.decode_together([b"1,2,3", b"5,4,3"], CSV)


# Answers: plain predictions

TWO = Records(np.array([[1, 0, -1, 0.5, 2], [-1, 0, 1, 0.5, np.nan]], np.float32))


def written(model: Predictor, accept: MediaType, options: Mapping[str, str] | None = None) -> bytes:
    answer = model.predict(TWO) if options is None else model.predict_with(TWO, options)
    return model.encode(answer, accept)


def score(name: str) -> list[Any]:
    found: list[Any] = json.loads(json.dumps(np.asarray(expected(name, TWO.dense())).tolist()))
    return found


def numbers(content: bytes) -> Any:
    """Rows of numbers, as float32 spells them."""
    return np.array([json.loads(b"[%b]" % line) for line in content.splitlines()], np.float32)


def test_plain_answers_of_one_number_each() -> None:
    model, wanted = predictor("logistic"), expected("logistic", TWO.dense())
    content = written(model, CSV)
    assert content.count(b"\n") == 2
    assert content.endswith(b"\n")
    np.testing.assert_array_equal(numbers(content)[:, 0], wanted)
    found = json.loads(written(model, JSON))
    assert [list(each) for each in found["predictions"]] == [["score"], ["score"]]
    np.testing.assert_array_equal(np.array([each["score"] for each in found["predictions"]], np.float32), wanted)
    assert [json.loads(line) for line in written(model, LINES).splitlines()] == found["predictions"]
    records = record_protobuf.decode_answers(written(model, RECORDIO))
    np.testing.assert_array_equal([each["score"][0] for each in records], wanted)


def test_plain_answers_of_a_number_for_each_class() -> None:
    model, wanted = predictor("softprob"), expected("softprob", TWO.dense())
    np.testing.assert_array_equal(numbers(written(model, CSV)), wanted)
    found = json.loads(written(model, JSON))["predictions"]
    np.testing.assert_array_equal(np.array([each["score"] for each in found], np.float32), wanted)
    records = record_protobuf.decode_answers(written(model, RECORDIO))
    np.testing.assert_array_equal([each["score"] for each in records], wanted)


@pytest.mark.parametrize("name", ["softmax", "hinge"])
def test_classes_are_answered_as_floats(name: str) -> None:
    assert set(written(predictor(name), CSV).split()) <= {b"0.0", b"1.0", b"2.0"}


def placed(name: str, **surroundings: Any) -> Predictor:
    model = loaded(saved(name))
    model.place(Surroundings(**surroundings))
    return model


def test_a_batch_transform_gets_lines_whatever_it_accepts() -> None:
    plain = written(predictor("logistic"), CSV)
    for accept in (CSV, JSON, LINES, RECORDIO):
        assert written(placed("logistic", batch=True), accept) == plain
        content = written(placed("softprob", batch=True), accept)
        assert content.endswith(b"]\n")
        assert b", " in content
        np.testing.assert_array_equal(
            np.array([json.loads(line) for line in content.splitlines()], np.float32),
            expected("softprob", TWO.dense()),
        )


def test_a_multi_model_endpoint_answers_in_one_line_or_one_array() -> None:
    one, each = placed("logistic", multi_model=True), placed("softprob", multi_model=True)
    assert written(one, CSV) == written(predictor("logistic"), CSV).strip().replace(b"\n", b",")
    assert json.loads(written(one, JSON)) == [entry["score"] for entry in answers(predictor("logistic"))]
    assert json.loads(b"[%b]" % written(each, CSV)) == [entry["score"] for entry in answers(predictor("softprob"))]
    assert written(each, CSV).startswith(b"[0.")
    assert json.loads(written(each, JSON)) == json.loads(b"[%b]" % written(each, CSV))
    assert written(one, LINES) == written(predictor("logistic"), LINES)


def answers(model: Predictor, options: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(written(model, JSON, options))["predictions"]
    return found


@pytest.mark.parametrize("surroundings", [{}, {"batch": True}, {"multi_model": True}])
@pytest.mark.parametrize("options", [{}, {"output": "raw_scores,labels"}, {"contributions": "true"}])
@pytest.mark.parametrize("name", ["logistic", "softprob"])
def test_answers_written_together_are_those_written_alone(
    name: str, options: Mapping[str, str], surroundings: Mapping[str, bool]
) -> None:
    model, features, counts = placed(name, **surroundings), rows(6), [1, 3, 2]
    answer = model.predict_with(Records(features), options)
    for accept in (CSV, JSON, LINES, RECORDIO):
        alone = [model.encode(part, accept) for part in model.split(answer, counts)]
        assert model.encode_parts(answer, counts, accept) == alone


# Answers: chosen values

ALL = {"output": ",".join(KEYS)}
CLASSIFIES = {"predicted_label", "labels", "raw_score", "raw_scores"}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("squared", {"predicted_score"}),
        ("tweedie", {"predicted_score"}),
        ("poisson", {"predicted_score"}),
        ("cox", {"predicted_score"}),
        ("logistic", CLASSIFIES | {"probability", "probabilities"}),
        ("softprob", CLASSIFIES | {"probability", "probabilities"}),
        ("logitraw", CLASSIFIES),
        ("hinge", CLASSIFIES),
        ("softmax", CLASSIFIES),
    ],
)
def test_an_objective_knows_some_values_and_the_others_are_null(name: str, known: set[str]) -> None:
    for answer in answers(predictor(name), ALL):
        assert tuple(answer) == KEYS
        assert {key for key, value in answer.items() if value is not None} == known
    records = record_protobuf.decode_answers(written(predictor(name), RECORDIO, ALL))
    for record in records:
        assert {key for key, value in record.items() if not np.isnan(value).any()} == known


def test_the_values_of_two_classes() -> None:
    for answer, one in zip(answers(predictor("logistic"), ALL), score("logistic"), strict=True):
        assert answer["predicted_label"] == int(one > 0.5)
        assert answer["labels"] == [0, 1]
        assert answer["probability"] == answer["raw_score"] == pytest.approx(one)
        assert answer["probabilities"] == answer["raw_scores"] == pytest.approx([1 - one, one])
    for answer, margin in zip(answers(predictor("logitraw"), ALL), score("logitraw"), strict=True):
        assert answer["predicted_label"] == int(margin > 0)
        assert answer["raw_scores"] == pytest.approx([1 - margin, margin])
    for answer, label in zip(answers(predictor("hinge"), ALL), score("hinge"), strict=True):
        assert (answer["predicted_label"], answer["raw_score"]) == (label, label)


def test_the_values_of_several_classes() -> None:
    for answer, each in zip(answers(predictor("softprob"), ALL), score("softprob"), strict=True):
        assert answer["predicted_label"] == int(np.argmax(each))
        assert answer["labels"] == [0, 1, 2]
        assert answer["probability"] == answer["raw_score"] == pytest.approx(max(each))
        assert answer["probabilities"] == answer["raw_scores"] == pytest.approx(each)
    for answer, label in zip(answers(predictor("softmax"), ALL), score("softmax"), strict=True):
        assert (answer["predicted_label"], answer["labels"]) == (label, [0, 1, 2])


def test_the_values_of_a_regression() -> None:
    found = [answer["predicted_score"] for answer in answers(predictor("squared"), {"output": "predicted_score"})]
    assert found == pytest.approx(score("squared"))


def test_chosen_values_as_text_come_in_their_order_with_lists_in_quotes() -> None:
    options = {"output": " probability, Labels,predicted_label,predicted_score"}
    content = written(predictor("logistic"), CSV, options)
    wanted = [
        f'{answer["probability"]},"[0, 1]",{answer["predicted_label"]},nan'
        for answer in answers(predictor("logistic"), options)
    ]
    assert content.decode() == "\n".join(wanted)
    lines = written(predictor("logistic"), LINES, options).splitlines()
    assert [json.loads(line) for line in lines] == answers(predictor("logistic"), options)


def test_chosen_values_obey_accept_in_a_batch_transform_and_among_several_models() -> None:
    for surroundings in ({"batch": True}, {"multi_model": True}):
        model = placed("logistic", **surroundings)
        for accept in (CSV, JSON, LINES, RECORDIO):
            assert written(model, accept, ALL) == written(predictor("logistic"), accept, ALL)


def test_no_chosen_value_is_the_plain_answer() -> None:
    assert written(predictor("logistic"), CSV, {"output": " "}) == written(predictor("logistic"), CSV)


@pytest.mark.parametrize("output", ["score", "labels,label", "labels,labels", "probability;labels"])
def test_values_that_are_unknown_are_refused(output: str) -> None:
    with pytest.raises(UserError, match=r"output \(SAGEMAKER_INFERENCE_OUTPUT\) must be a list with commas of pred"):
        predictor("logistic").predict_with(TWO, {"output": output})
    with pytest.raises(UserError, match="SAGEMAKER_INFERENCE_OUTPUT"):
        loaded(saved("logistic")).place(Surroundings(options={"output": output}))


# Answers: contributions

EXPLAIN = {"contributions": "true"}


def close(found: Any, wanted: Any) -> None:
    """Within 1e-4, of the number itself where it is large."""
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PARAMETERS)
def test_contributions_and_base_add_up_to_the_margin(name: str) -> None:
    features = rows(40, seed=5)
    answer = predictor(name).predict_with(Records(features), EXPLAIN)
    margin = expected(name, features, output_margin=True)
    classes = (CLASSES,) if "num_class" in PARAMETERS[name] else ()
    assert list(answer) == ["score", "base", "contributions"]
    assert answer["contributions"].shape == (40, *classes, WIDTH)
    assert answer["base"].shape == (40, *classes)
    close(answer["contributions"].sum(axis=-1) + answer["base"], margin)
    assert answer["score"].tobytes() == expected(name, features).tobytes()


CELLS = st.one_of(st.just(np.nan), st.just(0.0), st.floats(-1e4, 1e4, width=32))


@given(
    st.sampled_from(["logistic", "softprob", "dart", "linear"]),
    arrays.arrays(np.float32, st.tuples(st.integers(1, 8), st.just(WIDTH)), elements=CELLS),
    st.booleans(),
)
def test_contributions_add_up_for_any_rows(name: str, features: Floats, sparse: bool) -> None:
    answer = predictor(name).predict_with(Records(csr(features) if sparse else features), EXPLAIN)
    close(answer["contributions"].sum(axis=-1) + answer["base"], expected(name, features, output_margin=True))


def test_contributions_in_every_type() -> None:
    for name in ("logistic", "softprob"):
        model = predictor(name)
        answer = model.predict_with(TWO, EXPLAIN)
        found = answers(model, EXPLAIN)
        assert [list(each) for each in found] == [["score", "base", "contributions"]] * 2
        for key, column in answer.items():
            np.testing.assert_array_equal(np.array([each[key] for each in found], np.float32), column)
        assert [json.loads(line) for line in written(model, LINES, EXPLAIN).splitlines()] == found
        records = record_protobuf.decode_answers(written(model, RECORDIO, EXPLAIN))
        flat = np.hstack([column.reshape(2, -1) for column in answer.values()])
        np.testing.assert_array_equal([np.concatenate(list(each.values())) for each in records], flat)
        np.testing.assert_array_equal(numbers(written(model, CSV, EXPLAIN)), flat)


def test_contributions_obey_accept_in_a_batch_transform_and_among_several_models() -> None:
    for surroundings in ({"batch": True}, {"multi_model": True}):
        model = placed("logistic", **surroundings)
        for accept in (CSV, JSON, LINES, RECORDIO):
            assert written(model, accept, EXPLAIN) == written(predictor("logistic"), accept, EXPLAIN)


def test_contributions_stand_beside_chosen_values() -> None:
    options = {"output": "predicted_label", **EXPLAIN}
    assert [list(each) for each in answers(predictor("logistic"), options)] == [
        ["predicted_label", "base", "contributions"]
    ] * 2
    first = written(predictor("logistic"), CSV, options).splitlines()[0]
    assert first.count(b'"') == 2
    assert first.count(b", ") == WIDTH - 1


def test_what_contributions_mean_is_checked() -> None:
    assert written(predictor("logistic"), JSON, {"contributions": "False"}) == written(predictor("logistic"), JSON)
    with pytest.raises(UserError, match="contributions must be 'true' or 'false'; got 'yes'"):
        predictor("logistic").predict_with(TWO, {"contributions": "yes"})


def test_more_contributions_than_an_answer_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MOST_CONTRIBUTIONS", 100)
    with pytest.raises(TooLargeError, match="40 rows have too many contributions for one answer; ask for 16"):
        predictor("logistic").predict_with(Records(rows(40)), EXPLAIN)
    assert predictor("logistic").predict_with(Records(rows(16)), EXPLAIN)


# Through a server


def served(
    name: str, body: bytes, environment: Mapping[str, str] | None = None, *, content_type: str = "", accept: str = ""
) -> Response:
    settings = ServeSettings.read(environment or {}, root=OLD)
    return call(build(loaded(saved(name)), settings), body=body, content_type=content_type, accept=accept)


def test_a_request_chooses_values_in_its_accept_header() -> None:
    accept = 'application/json; output="probability,predicted_label"; contributions=true'
    found = served("logistic", b"1,2,3,4,5", content_type="text/csv", accept=accept).json["predictions"]
    assert [list(each) for each in found] == [["probability", "predicted_label", "base", "contributions"]]


def test_the_environment_chooses_values_and_their_type() -> None:
    environment = {
        "SAGEMAKER_INFERENCE_OUTPUT": "predicted_label,probability",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/jsonlines",
    }
    answer = served("logistic", b"1,2,3,4,5\n5,4,3,2,1", environment, content_type="csv", accept="*/*")
    assert [list(json.loads(line)) for line in answer.body.splitlines()] == [["predicted_label", "probability"]] * 2
    as_text = served("logistic", b"1,2,3,4,5", environment, content_type="csv", accept="text/csv").body
    assert not as_text.endswith(b"\n")
    batch = {**environment, "SAGEMAKER_BATCH": "true"}
    assert served("logistic", b"1,2,3,4,5", batch, content_type="csv", accept="text/csv").body == as_text + b"\n"


def test_the_environment_has_only_the_first_model_answer() -> None:
    model = loaded(*(saved("squared", seed=seed) for seed in range(3)))
    settings = ServeSettings.read({"SAGEMAKER_INFERENCE_ENSEMBLE": "false"}, root=OLD)
    found = call(build(model, settings), body=b"1,2,3,4,5", content_type="text/csv").body
    assert found == served("squared", b"1,2,3,4,5", content_type="text/csv").body


def test_text_is_the_answer_to_anybody_and_libsvm_the_question_of_nobody() -> None:
    found = served("logistic", b"0:1 1:2 2:3 3:4 4:5")
    assert found.headers["content-type"] == "text/csv"
    assert found.body == served("logistic", b"1,2,3,4,5", content_type="text/csv").body
    for short in ("libsvm", "text/x-libsvm", "Text/LibSVM"):
        assert served("logistic", b"0:1 1:2 2:3 3:4 4:5", content_type=short).body == found.body


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        (b'{"instances": []}', "application/json", "", 415),
        (b"1,2,3,4,5", "text/csv", "image/png", 406),
        (b"1,2,3,4", "text/csv", "", 400),
        (b"a,b,c,d,e", "text/csv", "", 400),
        (b"1,2,3,4,5", "text/csv;label_size=2", "", 400),
        (b"1,2,3,4,5", "text/csv", "text/csv;output=score", 400),
        (b"1,2,3,4,5", "text/csv", "text/csv;contributions=2", 400),
    ],
)
def test_what_cannot_be_answered_is_refused(body: bytes, content_type: str, accept: str, status: int) -> None:
    served("logistic", body, content_type=content_type, accept=accept).refused(status)


# Several models


def test_models_of_a_cross_validation_answer_with_their_mean() -> None:
    for name in ("squared", "logistic", "softprob"):
        contents = [saved(name, seed=seed) for seed in range(3)]
        parts = [loaded(content).predict_with(TWO, EXPLAIN) for content in contents]
        answer = loaded(*contents).predict_with(TWO, EXPLAIN)
        for key, found in answer.items():
            np.testing.assert_allclose(found, np.mean([part[key] for part in parts], axis=0), rtol=1e-6)


def test_models_that_answer_with_classes_vote() -> None:
    features = Records(rows(60, seed=9))
    for name in ("softmax", "hinge"):
        contents = [saved(name, seed=seed) for seed in range(4)]
        votes = np.stack([loaded(content).predict(features)["score"] for content in contents])
        wanted = [min(set(row), key=lambda label: (-row.count(label), label)) for row in votes.T.tolist()]
        assert len(set(wanted)) > 1
        assert loaded(*contents).predict(features)["score"].tolist() == wanted


@pytest.mark.parametrize(("value", "together"), [("true", True), ("True", True), ("false", False), ("0", False)])
def test_the_first_model_alone_answers_where_the_models_shall_not_together(value: str, together: bool) -> None:
    contents = [saved("squared", seed=seed) for seed in range(11)]
    model = loaded(*contents)
    found = model.predict_with(TWO, {"ensemble": value})["score"]
    wanted = model.predict(TWO)["score"] if together else loaded(contents[0]).predict(TWO)["score"]
    assert found.tolist() == wanted.tolist()


def test_models_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(UserError, match="xgboost-model-0, xgboost-model-1 cannot answer together"):
        loaded(saved("squared"), saved("logistic"))


# Models from elsewhere


def adopted(folder: Path) -> Predictor:
    return Predictor.load(Predictor.adopt(folder), "cpu")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("xgboost-model", "ubj"),
        ("xgboost-model", "json"),
        ("model.json", "json"),
        ("model.ubj", "ubj"),
        ("mine.bst", "ubj"),
        ("mine.model", "json"),
        ("mine", "ubj"),
    ],
)
def test_a_file_of_plain_xgboost_is_adopted(name: str, form: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(saved("logistic", form))
    (tmp_path / ".DS_Store").write_bytes(b"{junk")
    (tmp_path / "code").mkdir()
    assert adopted(tmp_path).predict(TWO)["score"].tolist() == score("logistic")


def test_a_model_that_the_library_itself_wrote_is_adopted(tmp_path: Path) -> None:
    booster("logistic").save_model(tmp_path / "model.json")
    assert adopted(tmp_path).predict(TWO)["score"].tolist() == score("logistic")


def test_a_server_loads_another_programs_model_json(tmp_path: Path) -> None:
    booster("logistic").save_model(tmp_path / MANIFEST)
    artifact = Predictor.adopt(tmp_path)
    artifact.write(tmp_path / "ours")
    again = Predictor.load(Artifact.read(tmp_path / "ours"), "cpu")
    assert again.predict(TWO)["score"].tolist() == score("logistic")


def test_numbered_models_are_adopted_together_and_other_files_left_out(tmp_path: Path) -> None:
    for seed in range(11):
        (tmp_path / f"xgboost-model-{seed}").write_bytes(saved("squared", seed=seed))
    (tmp_path / "notes.json").write_text("{}")
    found = adopted(tmp_path)
    assert found.predict(TWO)["score"].tolist() == pytest.approx(
        loaded(*[saved("squared", seed=seed) for seed in range(11)]).predict(TWO)["score"].tolist()
    )
    first = found.predict_with(TWO, {"ensemble": "false"})["score"]
    assert first.tolist() == loaded(saved("squared")).predict(TWO)["score"].tolist()


def test_several_models_that_are_not_numbered_are_refused(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(saved("squared", "json"))
    with pytest.raises(UserError, match=r"holds several models: a\.json, b\.json; leave one"):
        Predictor.adopt(tmp_path)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"\x80\x04\x95\x10", "mine.bst is a Python pickle, which can run any code"),
        (b"binf\x00\x00\x00?", "mine.bst is in the binary format that XGBoost 3.1 gave up"),
    ],
)
def test_a_form_that_is_not_read_is_refused_with_the_way_out(content: bytes, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "mine.bst").write_bytes(content)
    with pytest.raises(UserError, match=wanted) as refused:
        Predictor.adopt(tmp_path)
    assert "load it once with the XGBoost version that made it" in str(refused.value)
    assert "booster.save_model('xgboost-model.json')" in str(refused.value)


def test_a_linear_model_that_does_not_say_how_many_rounds_it_has_predicts_as_when_it_was_made() -> None:
    model = json.loads(saved("linear", "json"))
    model["learner"]["gradient_booster"]["model"]["boosted_rounds"] = 0
    model["learner"]["learner_model_param"]["base_score"] = "[2E-1]"
    found = loaded(json.dumps(model).encode()).predict_with(TWO, EXPLAIN)
    model["learner"]["gradient_booster"]["model"]["boosted_rounds"] = 6
    wanted = loaded(json.dumps(model).encode()).predict_with(TWO, EXPLAIN)
    for key, column in wanted.items():
        np.testing.assert_allclose(found[key], column, rtol=1e-6)


def test_a_folder_without_a_model_or_with_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=MANIFEST):
        Predictor.adopt(tmp_path)
    (tmp_path / "xgboost-model").write_bytes(saved("squared"))
    (tmp_path / MANIFEST).write_text('{"format": 1, "algor')
    with pytest.raises(UserError, match="cannot be read as a model manifest"):
        Predictor.adopt(tmp_path)


@pytest.mark.parametrize("form", ["ubj", "json"])
def test_half_a_model_is_refused(form: str) -> None:
    whole = saved("softprob", form)
    for end in (0, 1, 2, 10, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        with pytest.raises(UserError):
            loaded(whole[:end])


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"{}", b'{"learner": {}}', b'{"learner": 7}', b"[1]", b"{U\x01aZ}"]
)
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match="xgboost-model"):
        loaded(content)


def test_an_artifact_without_a_model_is_refused() -> None:
    for artifact in (
        Artifact("xgboost", {}, {}),
        Artifact("kmeans", {}, {}, {}, {"xgboost-model": saved("squared")}),
    ):
        with pytest.raises(UserError, match="XGBoost cannot load it"):
            Predictor.load(artifact, "cpu")
