"""JSON and JSON Lines: every form of an instance, standard numbers in answers, and the instance named when wrong."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from clary.toolkit.codecs import jsonlines
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
CELLS = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=FINITE)


def request(*instances: object) -> bytes:
    return json.dumps({"instances": instances}).encode()


def lines(*instances: object) -> bytes:
    return "\n".join(map(json.dumps, instances)).encode()


def short(values: object) -> dict[str, object]:
    return {"features": values}


def long(values: object) -> dict[str, object]:
    return {"data": {"features": {"values": values}}}


def sparse(keys: object, values: object, shape: object) -> dict[str, object]:
    return {"data": {"features": {"keys": keys, "shape": shape, "values": values}}}


@given(CELLS, st.integers(1, 100))
def test_what_is_written_is_read_back(cells: Floats, block_bytes: int) -> None:
    stream = io.BytesIO()
    jsonlines.write(stream, Records(cells))
    body = stream.getvalue()
    found = Records.join(list(jsonlines.read(io.BytesIO(body), block_bytes=block_bytes)))
    assert found.dense().tolist() == cells.tolist()
    assert jsonlines.decode_lines(body).dense().tolist() == cells.tolist()
    assert jsonlines.decode(request(*map(json.loads, body.splitlines()))).dense().tolist() == cells.tolist()


@given(CELLS)
def test_sparse_rows_are_read_back(cells: Floats) -> None:
    stream = io.BytesIO()
    jsonlines.write(stream, Records(csr_matrix(cells)))
    found = jsonlines.decode_lines(stream.getvalue())
    assert found.sparse
    assert found.dense().tolist() == cells.tolist()


@given(CELLS)
def test_the_forms_mean_the_same(cells: Floats) -> None:
    rows = cells.tolist()
    for form in (short, long):
        assert jsonlines.decode(request(*map(form, rows))).dense().tolist() == rows
        assert jsonlines.decode_lines(lines(*map(form, rows))).dense().tolist() == rows


def test_forms_may_be_mixed() -> None:
    found = jsonlines.decode(request(short([1, 2, 3]), long([4, 5, 6]), sparse([2, 0], [9, 7.5], [3])))
    assert found.sparse
    assert found.dense().tolist() == [[1, 2, 3], [4, 5, 6], [7.5, 0, 9]]


def test_an_instance_without_keys_is_a_row_of_zeros() -> None:
    assert jsonlines.decode(request(sparse([], [], [3]))).dense().tolist() == [[0, 0, 0]]


def test_extra_members_are_ignored() -> None:
    body = b'{"instances": [{"features": [1], "label": 5, "id": "x"}], "configuration": {"k": 2}}'
    assert jsonlines.decode(body).dense().tolist() == [[1]]
    found = jsonlines.decode(request({"data": {"features": {"values": [1, 2], "shape": [2]}, "x": 1}}))
    assert found.dense().tolist() == [[1, 2]]


def test_no_instances_is_no_record() -> None:
    assert len(jsonlines.decode(b'{"instances": []}')) == 0


def test_blank_lines_are_skipped_but_counted() -> None:
    body = b'\n{"features": [1]}\r\n\n  \n{"features": [2]}\n\n'
    assert jsonlines.decode_lines(body).dense().tolist() == [[1], [2]]
    with pytest.raises(DataError, match="row 4: "):
        jsonlines.decode_lines(b'{"features": [1]}\n\n\n{"features": ["x"]}\n')


MALFORMED = [
    ({}, '"features" are missing'),
    ({"feature": [1, 2]}, '"features" are missing'),
    ({"data": [1, 2]}, '"features" are missing'),
    ({"data": {"values": [1, 2]}}, '"features" are missing'),
    ([1, 2], "found a list; an instance is"),
    ("1,2", "found text; an instance is"),
    (None, "found null"),
    (5, "found 5"),
    (short("1,2"), '"features" must be a list of numbers; got text'),
    (short(None), "got null"),
    (short(3), "got 3"),
    (short([]), "at least one number"),
    (short([1, "2"]), '"features" hold text at 2'),
    (short([1, None]), "hold null at 2"),
    (short([True, 2]), "hold a boolean at 1"),
    (short([[1, 2]]), "hold a list at 1"),
    (short([1, {}]), "hold an object at 2"),
    (short([1, 1e39]), "too large for a 32-bit float"),
    (short([1, -(10**40)]), "too large for a 32-bit float"),
    (short([1]), "found 1 feature, expected 2 as in the first instance"),
    (short([1, 2, 3]), "found 3 features, expected 2"),
    (long([1, 2, 3]), "found 3 features, expected 2"),
    (long([]), '"values" must hold at least one number'),
    (long(["x", 1]), '"values" hold text at 1'),
    (long("x"), '"values" must be a list'),
    ({"data": {"features": {"keys": [1], "shape": [2]}}}, '"values" are missing'),
    ({"data": {"features": {}}}, '"values" are missing'),
    ({"data": {"features": {"keys": [1], "values": [2]}}}, 'need a "shape"'),
    ({"data": {"features": {"values": [1, 2], "shape": [3]}}}, '"shape" is [3] for 2 "values"'),
    (sparse([0, 1], [1], [2]), 'found 2 "keys" for 1 "values"'),
    (sparse([2], [1], [2]), "position 2 is outside 0 to 1"),
    (sparse([-1], [1], [2]), "position -1 is outside 0 to 1"),
    (sparse([2**64 - 1], [1], [2]), "is outside 0 to 1"),
    (sparse([10**30], [1], [2]), "must be whole numbers"),
    (sparse([1, 1], [1, 2], [2]), "position 1 occurs twice"),
    (sparse([0.5], [1], [2]), '"keys" hold 0.5 at 1; they must be whole numbers'),
    (sparse([True], [1], [2]), "hold a boolean"),
    (sparse("0", [1], [2]), '"keys" must be a list of whole numbers'),
    (sparse([0], [1], 2), '"shape" must be a list'),
    (sparse([0], [1], []), '"shape" must hold one whole number'),
    (sparse([0], [1], [2, 2]), '"shape" must hold one whole number'),
    (sparse([0], [1], [0]), '"shape" must hold one whole number'),
    (sparse([0], [1], [10**12]), '"shape" must hold one whole number'),
    (sparse([0], [1], [3]), "found 3 features, expected 2"),
    (sparse([0], [None], [2]), "hold null at 1"),
]


@pytest.mark.parametrize(("instance", "reason"), MALFORMED)
def test_malformed_instances_are_named(instance: object, reason: str) -> None:
    good = short([1, 2])
    for attempt in (
        lambda: jsonlines.decode(request(good, good, instance, good)),
        lambda: jsonlines.decode_lines(lines(good, good, instance, good)),
        lambda: list(jsonlines.read(io.BytesIO(lines(good, good, instance, good)), block_bytes=1)),
    ):
        with pytest.raises(DataError) as found:
            attempt()
        assert found.value.row == 3
        assert reason in found.value.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the request is empty"),
        (b"  ", "the request is empty"),
        (b'{"instances": [', "not JSON"),
        (b'{"instances": [{"features": [1,]}]}', "not JSON"),
        (b'{"instances": [{"features": [NaN]}]}', "(character 30)"),
        (b'{"instances": [{"features": [Infinity]}]}', "not JSON"),
        (b"{'instances': []}", "not JSON"),
        (b"\xff", "not JSON"),
        (b"1,2,3", "not JSON"),
        (b"[[1, 2]]", 'an object with a list "instances"'),
        (b"{}", 'an object with a list "instances"'),
        (b'{"features": [1]}', 'an object with a list "instances"'),
        (b'{"instances": {"features": [1]}}', '"instances" must be a list; got an object'),
        (b'{"instances": null}', "got null"),
        (b'{"instances": "x"}', "got text"),
    ],
)
def test_malformed_requests_are_refused(body: bytes, reason: str) -> None:
    with pytest.raises(DataError) as found:
        jsonlines.decode(body)
    assert reason in str(found.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "holds no instance"),
        (b"\n \n", "holds no instance"),
        (b'{"features": [1]}\n{"features": [1}', "row 2: not JSON"),
        (b'{"features": [1]} {"features": [1]}', "row 1: not JSON"),
        (b'{"instances": [{"features": [1]}]}', 'row 1: "features" are missing'),
    ],
)
def test_malformed_lines_are_refused(body: bytes, reason: str) -> None:
    with pytest.raises(DataError) as found:
        jsonlines.decode_lines(body)
    assert reason in str(found.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["features", "data", "values", "keys", "shape", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=40), JSON.map(lambda value: json.dumps({"instances": value}).encode())))
def test_random_requests_are_read_or_refused(body: bytes) -> None:
    for attempt in (jsonlines.decode, jsonlines.decode_lines):
        try:
            attempt(body)
        except UserError:
            continue


def test_answers_are_standard_json_in_the_order_of_the_fields() -> None:
    columns = {"closest_cluster": np.array([5.0, 2.0]), "distance_to_cluster": np.array([36.5, 0.1], np.float32)}
    assert (
        jsonlines.encode(columns) == b'{"predictions":[{"closest_cluster":5.0,"distance_to_cluster":36.5},'
        b'{"closest_cluster":2.0,"distance_to_cluster":0.1}]}'
    )
    assert (
        jsonlines.encode_lines(columns) == b'{"closest_cluster":5.0,"distance_to_cluster":36.5}\n'
        b'{"closest_cluster":2.0,"distance_to_cluster":0.1}\n'
    )
    vectors = {"projection": np.array([[1, 2], [3, 4]], np.float32)[:, ::-1]}
    assert (
        jsonlines.encode(vectors, key="scores") == b'{"scores":[{"projection":[2.0,1.0]},{"projection":[4.0,3.0]}]}'
    )
    labels = {"label": np.array([1, 0]), "score": np.array([0.9, 0.1])}
    assert jsonlines.encode_lines(labels) == b'{"label":1,"score":0.9}\n{"label":0,"score":0.1}\n'
    nested = {"label": np.array([2]), "parts": np.array([[[1, 0.1], [3, 4]]])}
    assert jsonlines.encode_lines(nested) == b'{"label":2,"parts":[[1.0,0.1],[3.0,4.0]]}\n'
    assert jsonlines.encode({"score": np.empty(0)}) == b'{"predictions":[]}'
    assert jsonlines.encode_lines({"score": np.array([np.nan])}) == b'{"score":null}\n'


def test_what_the_format_cannot_hold_is_not_written() -> None:
    with pytest.raises(UserError, match="labels"):
        jsonlines.write(io.BytesIO(), Records(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32)))
    with pytest.raises(UserError, match="finite"):
        jsonlines.write(io.BytesIO(), Records(np.array([[np.nan]], np.float32)))
