"""Records are cut, joined and measured without losing rows, labels or their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.toolkit.errors import DataError
from clary.toolkit.records import Records

KINDS = [np.dtype(np.float32), np.dtype(np.float32), np.dtype(np.int64)]


def made(
    rows: int, *, sparse: bool = False, labels: int = 1, first_row: int = 1, weights: bool = True, groups: bool = True
) -> Records:
    """Rows whose label, weight and group are their number."""
    numbers = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) % 4
    features: Any = csr_matrix(numbers) if sparse else numbers
    number = np.arange(first_row, first_row + rows)
    return Records(
        features,
        np.tile(number.astype(np.float32)[:, None], (1, labels)) if labels else None,
        "a.csv",
        first_row,
        number.astype(np.float32) if weights else None,
        number if groups else None,
    )


def per_row(records: Records) -> list[list[float]]:
    """Label, weight and group of each row."""
    assert records.labels is not None
    assert records.weights is not None
    assert records.groups is not None
    assert [array.dtype for array in (records.labels, records.weights, records.groups)] == KINDS
    found: list[list[float]] = np.column_stack([records.labels, records.weights, records.groups]).tolist()
    return found


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@given(data=st.data(), rows=st.integers(0, 9))
def test_parts_joined_are_the_whole(sparse: bool, data: st.DataObject, rows: int) -> None:
    whole = made(rows, sparse=sparse, first_row=5)
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
    parts = [whole.rows(start, stop) for start, stop in zip([0, *cuts], [*cuts, rows], strict=True)]
    joined = Records.join(parts)
    assert joined.dense().tolist() == whole.dense().tolist()
    assert per_row(joined) == per_row(whole) == [[row] * 3 for row in range(5, 5 + rows)]
    assert (joined.source, joined.first_row, joined.width) == ("a.csv", 5, 3)
    assert [part.first_row for part in parts] == [5 + start for start in [0, *cuts]]


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@given(data=st.data(), rows=st.integers(0, 9))
def test_rows_are_taken_in_any_order(sparse: bool, data: st.DataObject, rows: int) -> None:
    whole = made(rows, sparse=sparse)
    picks = st.lists(st.integers(0, rows - 1), max_size=12) if rows else st.just([])
    order = np.array(data.draw(picks), np.int64)
    taken = whole.take(order)
    assert taken.sparse == sparse
    assert taken.dense().tolist() == whole.dense()[order].tolist()
    assert per_row(taken) == [[row + 1] * 3 for row in order.tolist()]
    assert (taken.source, taken.first_row, len(taken)) == ("a.csv", 1, len(order))


def test_dense_and_sparse_parts_join_to_sparse_ones() -> None:
    joined = Records.join([made(2), made(3, sparse=True)])
    assert joined.sparse
    assert joined.dense().tolist() == [*made(2).dense().tolist(), *made(3).dense().tolist()]


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_rows_without_labels_weights_and_groups_stay_without(sparse: bool) -> None:
    bare = made(3, sparse=sparse, labels=0, weights=False, groups=False)
    for found in (Records.join([bare, bare]), bare.rows(0, 1), bare.take(np.array([2, 0]))):
        assert (found.labels, found.weights, found.groups) == (None, None, None)


def test_dense_features_are_not_copied() -> None:
    whole = made(4)
    assert whole.dense() is whole.features
    assert np.shares_memory(whole.rows(1, 3).dense(), whole.dense())


@given(data=st.data(), rows=st.integers(1, 9))
def test_sparse_rows_are_cut_as_scipy_cuts_them(data: st.DataObject, rows: int) -> None:
    whole = made(rows, sparse=True)
    start, stop = data.draw(st.integers(0, rows + 1)), data.draw(st.integers(0, rows + 3))
    kept: Any = whole.features
    found: Any = whole.rows(start, stop).features
    wanted = kept[start:stop]
    for name in ("data", "indices", "indptr"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
        assert getattr(found, name).dtype == getattr(wanted, name).dtype
    assert found.shape == wanted.shape
    assert not found.nnz or np.shares_memory(found.data, kept.data)
    found.check_format()


@pytest.mark.parametrize(("rows", "width", "message"), [(2, 4, "the row has 3 features, width is 4")])
def test_another_width_is_refused_with_its_place(rows: int, width: int, message: str) -> None:
    records = made(rows, first_row=7)
    assert records.expect_width(3) is records
    with pytest.raises(DataError) as caught:
        records.expect_width(width, name="width")
    assert str(caught.value) == f"a.csv, row 7: {message}"
    assert (caught.value.source, caught.value.row, caught.value.column) == ("a.csv", 7, None)


def test_one_feature_is_told_in_the_singular() -> None:
    with pytest.raises(DataError, match="the row has 1 feature, feature_dim is 2"):
        Records(np.zeros((1, 1), np.float32)).expect_width(2)
