"""Data in memory becomes records, or is refused with the place of what is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from clary.sdk.arrays import RecordSet, as_records, feature_names
from clary.toolkit.errors import DataError, UserError

ROWS = np.array([[1.0, 2.0, 0.0], [0.0, 4.5, -6.0]])
FRAME = {"a": [1.0, 0.0], "b": [2.0, 4.5], "c": [0.0, -6.0]}


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        ROWS.astype(np.float32),
        np.asfortranarray(ROWS),
        ROWS.tolist(),
        tuple(map(tuple, ROWS.tolist())),
        pandas.DataFrame(FRAME),
        pandas.DataFrame(FRAME).convert_dtypes(),
        polars.DataFrame(FRAME),
        sparse.csr_matrix(ROWS),
        sparse.csc_array(ROWS),
        sparse.coo_matrix(ROWS),
    ],
    ids=lambda data: f"{type(data).__module__.partition('.')[0]}-{type(data).__name__}",
)
def test_every_kind_of_rows_gives_the_same_records(data: Any) -> None:
    records = as_records(data, name="train")
    np.testing.assert_array_equal(records.dense(), ROWS.astype(np.float32))
    assert records.dense().flags.c_contiguous
    assert records.features.dtype == np.float32
    assert records.sparse == sparse.issparse(data)
    assert records.labels is None


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.bool_, np.float16])
def test_every_kind_of_number_is_taken(kind: type[np.generic]) -> None:
    np.testing.assert_array_equal(as_records(np.eye(2, dtype=kind), name="x").dense(), np.eye(2))


LABELS = [
    [0, 1],
    np.array([[0], [1]]),
    np.array([0, 1], dtype=np.int8),
    np.array([False, True]),
    np.array([0, 1.0], dtype=object),
    [Decimal(0), Decimal(1)],
    pandas.Series([0, 1], index=["p", "q"]),
    pandas.Series([False, True], dtype="boolean"),
    pandas.Series([0, 1], dtype="UInt8"),
    pandas.DataFrame({"y": [0, 1]}),
    polars.Series([0, 1]),
    polars.Series([False, True]),
    polars.DataFrame({"y": [0, 1]}),
]


@pytest.mark.parametrize(
    "labels", LABELS, ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', '')}"
)
def test_labels_of_every_kind_of_number_are_the_same_labels(labels: Any) -> None:
    for rows in (ROWS, ROWS.tolist(), pandas.DataFrame(FRAME), sparse.csr_matrix(ROWS)):
        records = as_records((rows, labels), name="train")
        assert records.labels is not None
        assert records.labels.tolist() == [[0.0], [1.0]]
        assert records.labels.dtype == np.float32


@pytest.mark.parametrize("frame", [pandas.DataFrame(FRAME), polars.DataFrame(FRAME)], ids=["pandas", "polars"])
def test_the_labels_may_be_a_column_of_the_frame(frame: Any) -> None:
    for records in (as_records(frame, name="train", label="b"), as_records((frame, "b"), name="train")):
        assert records.dense().tolist() == ROWS[:, [0, 2]].tolist()
        assert records.labels is not None
        assert records.labels.tolist() == [[2.0], [4.5]]
    assert list(frame.columns) == ["a", "b", "c"], "the caller's frame stays as it is"
    assert feature_names(frame) == ["a", "b", "c"]
    assert feature_names(ROWS) is None


def test_a_column_may_have_any_name_that_pandas_allows() -> None:
    records = as_records(pandas.DataFrame(ROWS), name="train", label=0)
    assert records.labels is not None
    assert records.labels.tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize(
    ("data", "label", "wanted"),
    [
        (pandas.DataFrame(FRAME), "d", "train has no column named 'd' to take the labels from; it has a, b, c"),
        (polars.DataFrame(FRAME), "d", "train has no column named 'd'"),
        (pandas.DataFrame(np.eye(30)), "d", r"it has 0, 1, .* and 10 more"),
        (pandas.DataFrame([[1, 2, 3]], columns=["x", "y", "y"]), "y", "2 columns named 'y'"),
        (ROWS, "b", r"'b' would name the label's column of a data frame, and this is a ndarray; .* \(rows, labels\)"),
        ((ROWS, "b"), None, "'b' would name the label's column"),
        ((ROWS, [0, 1]), "b", "train has its labels already; leave out label='b'"),
        (RecordSet(as_records(ROWS, name="x"), "train"), "b", "has its labels already"),
        (pandas.DataFrame({"a": [1], "y": ["yes"]}), "y", "train labels must hold numbers.*'yes'; number the texts"),
        (polars.DataFrame({"a": [1], "y": ["yes"]}), "y", "train labels must hold numbers.*'yes'; number the texts"),
        (
            (ROWS, ["no", "yes"]),
            None,
            r"must hold numbers.*as in 'no'; .*numpy\.unique\(texts, return_inverse=True\)",
        ),
        ((ROWS, pandas.Series(["no", None])), None, "train labels must hold numbers.*number the texts"),
        ((ROWS, pandas.Categorical(["no", "yes"])), None, "train labels must hold numbers.*number the texts"),
        ((ROWS, [0, None]), None, "train labels, row 2, column 1: there is no value"),
        ((ROWS, [0, np.inf]), None, "train labels, row 2, column 1: inf is not a finite number"),
        ((ROWS, pandas.Series([0, None], dtype="Int64")), None, "train labels, row 2, column 1: there is no value"),
        ((ROWS, [1]), None, "train has 2 rows but 1 labels"),
        ((ROWS, np.zeros((2, 1, 1))), None, "train labels must have one or two dimensions"),
        (([[1, 2], [3]], [0, 1]), None, "rows have different lengths"),
    ],
)
def test_labels_that_cannot_be_taken_are_refused_with_the_reason(data: Any, label: Any, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        as_records(data, name="train", label=label)


def test_a_vector_is_a_row_only_where_that_is_meant() -> None:
    assert as_records([1.0, 2.0], name="x", one_row=True).dense().tolist() == [[1.0, 2.0]]
    with pytest.raises(UserError, match=r"two dimensions.*\(2,\); for rows of one feature use reshape"):
        as_records([1.0, 2.0], name="x")


NAN_ROW = np.array([[1.0, 2.0], [3.0, np.nan]])
HOLES = [
    NAN_ROW,
    NAN_ROW.tolist(),
    [[1, 2], [3, None]],
    np.array([[1, 2], [3, None]], dtype=object),
    np.array([[1, 2], [3, pandas.NA]], dtype=object),
    pandas.DataFrame({"a": [1.0, 3.0], "b": [2.0, None]}),
    pandas.DataFrame({"a": [1, 3], "b": [2, None]}, dtype="Int64"),
    pandas.DataFrame({"a": [1.0, 3.0], "b": pandas.array([2.0, None], dtype="Float32")}),
    polars.DataFrame({"a": [1, 3], "b": [2, None]}),
    polars.DataFrame({"a": [1.0, 3.0], "b": [2.0, float("nan")]}),
    sparse.csr_matrix(NAN_ROW),
]


@pytest.mark.parametrize("data", HOLES, ids=lambda data: f"{type(data).__module__.partition('.')[0]}")
def test_a_missing_value_is_nan_where_it_is_allowed_and_named_by_its_place_elsewhere(data: Any) -> None:
    found = as_records(data, name="train", missing=True)
    np.testing.assert_array_equal(found.dense(), NAN_ROW.astype(np.float32))
    with pytest.raises(
        DataError, match=r"train, row 2, column 2: (column 'b': )?there is no value; fill it"
    ) as caught:
        as_records(data, name="train")
    assert (caught.value.row, caught.value.column) == (2, 2)


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (np.array([[1.0, np.inf]]), r"train, row 1, column 2: inf is not a finite number"),
        (np.array([[1e300]]), r"train, row 1, column 1: 1e\+300 is too large for float32"),
        (sparse.csr_matrix([[1.0, -np.inf]]), r"train, row 1, column 2: -inf"),
        (pandas.DataFrame({"a": [np.inf]}), r"train, row 1, column 1: column 'a': inf"),
        (polars.DataFrame({"a": [1e300]}), r"train, row 1, column 1: column 'a': 1e\+300 is too large"),
        ([[10**400]], "train holds a number that is too large for float32"),
    ],
)
def test_what_is_not_finite_is_refused_everywhere(data: Any, wanted: str, missing: bool) -> None:
    with pytest.raises(UserError, match=wanted):
        as_records(data, name="train", missing=missing)


def test_zeros_that_a_sparse_matrix_holds_are_kept_and_the_matrix_is_left_alone() -> None:
    given = sparse.csr_matrix(
        (np.array([0.0, 1.0, 2.0], np.float32), np.array([2, 0, 0]), np.array([0, 2, 3])), shape=(2, 3)
    )
    twice = sparse.coo_matrix((np.ones(2, np.float32), ([0, 0], [1, 1])), shape=(1, 3)).tocsr(copy=False)
    before = given.indices.copy()
    records = as_records(given, name="train")
    features: Any = records.features
    assert features.nnz == 3
    assert features.indices.tolist() == [0, 2, 0]
    np.testing.assert_array_equal(given.indices, before)
    assert as_records(twice, name="train").dense().tolist() == [[0.0, 2.0, 0.0]]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (
            pandas.DataFrame({"a": [1.0], "city": ["Bonn"]}),
            "column 'city' must hold numbers; its type is .*; encode it as numbers first, or leave it out",
        ),
        (pandas.DataFrame({"when": pandas.to_datetime(["2030-01-01"])}), "column 'when' must hold numbers"),
        (polars.DataFrame({"city": ["Bonn"]}), "column 'city' must hold numbers; its type is String"),
        (np.array([["a"]]), "must hold numbers; its type is <U1, as in 'a'; number the texts first"),
        (np.array([[1 + 2j]]), "must hold numbers; its type is complex128"),
        (np.array([[object()]], dtype=object), "must hold numbers; its type is object"),
        ([[1, 2], [3]], "rows have different lengths"),
        (np.zeros((2, 2, 2)), r"two dimensions, rows and features; its shape is \(2, 2, 2\)"),
        (np.zeros((0, 3)), r"train is empty: its shape is \(0, 3\)"),
        (np.zeros((3, 0)), "train is empty"),
        (sparse.csr_matrix(np.array([[1j]])), "must hold numbers"),
        ("text", "must hold numbers"),
        (7, "two dimensions"),
    ],
)
def test_what_cannot_be_rows_is_refused_with_the_reason(data: Any, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        as_records(data, name="train")


@given(rows=st.integers(1, 20), width=st.integers(1, 5), data=st.data())
def test_the_place_is_right_wherever_it_is(rows: int, width: int, data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, width - 1))
    array = np.zeros((rows, width))
    array[row, column] = np.nan
    for given_array in (array, sparse.csr_matrix(array)):
        with pytest.raises(DataError) as caught:
            as_records(given_array, name="x")
        assert (caught.value.row, caught.value.column) == (row + 1, column + 1)


def test_a_record_set_says_what_it_holds() -> None:
    held = RecordSet(as_records(ROWS, name="train"), "train")
    assert (held.num_records, held.feature_dim, held.channel) == (2, 3, "train")
    assert repr(held) == "RecordSet(2 rows of 3 features for channel 'train')"
