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


def made(rows: int, *, sparse: bool = False, labels: int = 1, first_row: int = 1) -> Records:
    numbers = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) % 4
    features: Any = csr_matrix(numbers) if sparse else numbers
    return Records(features, np.ones((rows, labels), np.float32) if labels else None, "a.csv", first_row)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@given(data=st.data(), rows=st.integers(0, 9))
def test_parts_joined_are_the_whole(sparse: bool, data: st.DataObject, rows: int) -> None:
    whole = made(rows, sparse=sparse, first_row=5)
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
    parts = [whole.rows(start, stop) for start, stop in zip([0, *cuts], [*cuts, rows], strict=True)]
    joined = Records.join(parts)
    assert joined.dense().tolist() == whole.dense().tolist()
    assert joined.labels is not None
    assert len(joined.labels) == rows
    assert (joined.source, joined.first_row, joined.width) == ("a.csv", 5, 3)
    assert [part.first_row for part in parts] == [5 + start for start in [0, *cuts]]


def test_dense_and_sparse_parts_join_to_sparse_ones() -> None:
    joined = Records.join([made(2), made(3, sparse=True)])
    assert joined.sparse
    assert joined.dense().tolist() == [*made(2).dense().tolist(), *made(3).dense().tolist()]


def test_rows_without_labels_stay_without() -> None:
    assert Records.join([made(2, labels=0), made(1, labels=0)]).labels is None
    assert made(2, labels=0).rows(0, 1).labels is None


def test_dense_features_are_not_copied() -> None:
    whole = made(4)
    assert whole.dense() is whole.features
    assert np.shares_memory(whole.rows(1, 3).dense(), whole.dense())


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
