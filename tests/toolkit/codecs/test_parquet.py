"""Parquet: what is written is read back, and columns or cells that are no numbers are named."""

from __future__ import annotations

import io

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clary.toolkit.codecs import parquet
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def file(**columns: object) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def read(body: bytes, *, label_size: int = 0, missing: bool = False) -> list[Records]:
    return list(parquet.read(io.BytesIO(body), label_size=label_size, source="a.parquet", missing=missing))


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=FINITE), st.integers(0, 1))
def test_what_is_written_is_read_back(cells: Floats, labels: int) -> None:
    stream = io.BytesIO()
    parquet.write(stream, Records(cells[:, labels:].copy(), cells[:, :labels].copy() if labels else None))
    found = Records.join(read(stream.getvalue(), label_size=labels))
    assert found.dense().tolist() == cells[:, labels:].tolist()
    assert (found.labels is None) == (labels == 0)
    if found.labels is not None:
        assert found.labels.tolist() == cells[:, :labels].tolist()
    assert parquet.decode(stream.getvalue(), label_size=labels).dense().tolist() == cells[:, labels:].tolist()


def test_every_kind_of_number_is_read() -> None:
    body = file(a=[1, 2], b=[1.5, 2.5], c=[True, False], d=pyarrow.array([3, 4], pyarrow.decimal128(5, 2)))
    assert Records.join(read(body)).dense().tolist() == [[1, 1.5, 1, 3], [2, 2.5, 0, 4]]


def test_a_stream_that_cannot_seek_is_read() -> None:
    body = io.BytesIO(file(a=[1.0], b=[2.0]))

    class Pipe:
        def read(self, size: int, /) -> bytes:
            return body.read(size)

    assert [part.dense().tolist() for part in parquet.read(Pipe(), label_size=0)] == [[[1, 2]]]


def test_large_files_come_in_parts() -> None:
    values = np.arange(300_000, dtype=np.float32)
    found = read(file(**{str(at): values for at in range(8)}))
    assert len(found) > 1
    assert [part.first_row for part in found] == list(np.cumsum([1, *map(len, found[:-1])]))
    assert (np.concatenate([part.dense()[:, 3] for part in found]) == values).all()


@pytest.mark.parametrize(
    ("body", "row", "column", "reason"),
    [
        (file(a=[1.0, 2.0], b=[1.0, None]), 2, 2, "found null"),
        (file(a=[1.0, float("nan")], b=[1.0, 2.0]), 2, 1, "found nan"),
        (file(a=[1.0, 2.0], b=[float("inf"), 2.0]), 1, 2, "found inf"),
        (file(a=[1.0], b=[1e300]), 1, 2, "finite 32-bit float"),
        (file(a=[1.0], b=["x"]), None, 2, "column 'b' holds string"),
        (file(a=[[1.0]], b=[1.0]), None, 1, "column 'a' holds list"),
        (b"1,2,3\n", 1, None, "not a parquet file"),
        (b"", 1, None, "not a parquet file"),
        (file(a=[1.0])[:-9], 1, None, "not a parquet file"),
    ],
)
def test_malformed_files_are_named(body: bytes, row: int | None, column: int | None, reason: str) -> None:
    with pytest.raises(DataError) as found:
        read(body)
    assert (found.value.row, found.value.column) == (row, column)
    assert reason in found.value.reason
    assert str(found.value).startswith("a.parquet")


def test_missing_values_are_nan_where_allowed() -> None:
    found = Records.join(read(file(a=[1.0, None], b=[None, 2.0]), missing=True))
    np.testing.assert_array_equal(found.dense(), [[1, np.nan], [np.nan, 2]])
    with pytest.raises(DataError, match="row 2, column 1: found null"):
        read(file(a=[1.0, None], b=[1.0, 2.0]), label_size=1, missing=True)


def test_labels_must_leave_a_feature() -> None:
    with pytest.raises(DataError, match="no feature is left"):
        read(file(a=[1.0]), label_size=1)


def test_an_empty_table_is_an_empty_file_but_no_request() -> None:
    body = file(a=pyarrow.array([], pyarrow.float32()))
    assert read(body) == []
    with pytest.raises(DataError, match="holds no row"):
        parquet.decode(body)


def test_rows_without_columns_are_not_written() -> None:
    with pytest.raises(UserError, match="at least one feature"):
        parquet.write(io.BytesIO(), Records(np.empty((2, 0), np.float32)))


@given(st.binary(max_size=60), st.integers(0, 1000), st.integers(0, 255))
def test_random_bytes_are_refused(body: bytes, at: int, byte: int) -> None:
    whole = bytearray(file(a=[1.0, 2.0]))
    whole[at % len(whole)] = byte
    for attempt in (body, b"PAR1" + body + b"PAR1", bytes(whole)):
        try:
            read(attempt)
        except UserError:
            continue
