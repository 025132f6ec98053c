"""Data in memory becomes records, or is refused with the place of what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from clary.sdk.arrays import RecordSet, as_records
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


def test_a_pair_is_features_and_labels() -> None:
    for labels in ([0, 1], np.array([[0], [1]]), pandas.Series([0, 1]), polars.Series([0, 1])):
        records = as_records((ROWS, labels), name="train")
        assert records.labels is not None
        assert records.labels.tolist() == [[0.0], [1.0]]


def test_a_vector_is_a_row_only_where_that_is_meant() -> None:
    assert as_records([1.0, 2.0], name="x", one_row=True).dense().tolist() == [[1.0, 2.0]]
    with pytest.raises(UserError, match=r"two dimensions.*\(2,\); for rows of one feature use reshape"):
        as_records([1.0, 2.0], name="x")


NAN_ROW = np.array([[1.0, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (NAN_ROW, r"train, row 2, column 2: nan is not a finite number"),
        (np.array([[1.0, np.inf]]), r"train, row 1, column 2: inf"),
        (np.array([[1e300]]), r"train, row 1, column 1: 1e\+300 is too large for float32"),
        (sparse.csr_matrix(np.nan_to_num(NAN_ROW, nan=np.inf)), r"train, row 2, column 2: inf"),
        (pandas.DataFrame({"a": [1.0, None]}), r"train, row 2, column 1: column 'a' has no value"),
        (pandas.DataFrame({"a": [1, None]}, dtype="Int64"), r"train, row 2, column 1: column 'a' has no value"),
        (pandas.DataFrame({"a": [np.inf]}), r"train, row 1, column 1: column 'a': inf"),
        (polars.DataFrame({"a": [1.0, None]}), r"train, row 2, column 1: column 'a' has no value"),
        (polars.DataFrame({"a": [1.0], "b": [float("nan")]}), r"train, row 1, column 2: column 'b': nan"),
    ],
)
def test_a_value_that_is_no_finite_number_is_named_by_row_and_column(data: Any, wanted: str) -> None:
    with pytest.raises(DataError, match=wanted):
        as_records(data, name="train")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (pandas.DataFrame({"a": [1.0], "city": ["Bonn"]}), "column 'city' must hold numbers; its type is"),
        (pandas.DataFrame({"when": pandas.to_datetime(["2030-01-01"])}), "column 'when' must hold numbers"),
        (polars.DataFrame({"city": ["Bonn"]}), "column 'city' must hold numbers; its type is String"),
        (np.array([["a"]]), "must hold numbers"),
        (np.array([[1 + 2j]]), "must hold numbers; its type is complex128"),
        (np.array([[None]], dtype=object), "must hold numbers; its type is object"),
        ([[1, 2], [3]], "rows have different lengths"),
        (np.zeros((2, 2, 2)), r"two dimensions, rows and features; its shape is \(2, 2, 2\)"),
        (np.zeros((0, 3)), r"train is empty: its shape is \(0, 3\)"),
        (np.zeros((3, 0)), "train is empty"),
        ((ROWS, [1]), "train has 2 rows but 1 labels"),
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
