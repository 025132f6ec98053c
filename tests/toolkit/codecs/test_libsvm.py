"""LIBSVM: labels, weights, groups and pairs are read back, and wrong rows are named."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from clary.toolkit.codecs import libsvm
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
CELLS = arrays.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=FINITE)


def rows(text: str | bytes, *, width: int | None = None, block_bytes: int = 1 << 20) -> list[libsvm.Rows]:
    body = text.encode() if isinstance(text, str) else text
    return list(libsvm.read_rows(io.BytesIO(body), width=width, source="a.svm", block_bytes=block_bytes))


@given(CELLS, st.integers(1, 100), st.booleans())
def test_what_is_written_is_read_back(cells: Floats, block_bytes: int, sparse: bool) -> None:
    features = cells[:, 1:].copy()
    stream = io.BytesIO()
    libsvm.write(stream, Records(csr_matrix(features) if sparse else features, cells[:, :1].copy()))
    found = [part.records for part in rows(stream.getvalue(), width=features.shape[1], block_bytes=block_bytes)]
    assert np.concatenate([part.dense() for part in found]).tolist() == features.tolist()
    assert np.concatenate([np.asarray(part.labels) for part in found]).tolist() == cells[:, :1].tolist()
    assert sum(map(len, found)) == len(cells)


@given(CELLS)
def test_comments_and_blanks_change_nothing(cells: Floats) -> None:
    stream = io.BytesIO()
    libsvm.write(stream, Records(cells[:, 1:].copy(), cells[:, :1].copy()))
    plain = stream.getvalue()
    spaced = b"# a comment\n" + plain.replace(b"\n", b" \t# 1:2\r\n\n").replace(b" ", b"  ")
    expected = Records.join([part.records for part in rows(plain, width=9)])
    found = [part.records for part in rows(spaced, width=9)]
    assert np.concatenate([part.dense() for part in found]).tolist() == expected.dense().tolist()
    assert [part.first_row for part in found] == [2 + 2 * at for at in range(len(cells))]


def test_positions_count_from_zero_and_width_grows() -> None:
    found = [part.records for part in rows("1 0:5\n2 3:7\n0 1:1\n", block_bytes=6)]
    assert [part.dense().tolist() for part in found] == [[[5]], [[0, 0, 0, 7]], [[0, 1, 0, 0]]]


def test_weights_and_groups_are_kept() -> None:
    (found,) = rows("1:0.5 qid:7 0:1\n0:2 qid:8\n")
    assert found.weights is not None
    assert found.weights.tolist() == [0.5, 2]
    assert found.groups is not None
    assert found.groups.tolist() == [7, 8]
    assert found.records.dense().tolist() == [[1], [0]]
    for text, reason in (("1:0.5 0:1\n", "weights"), ("1 qid:3 0:1\n", "qid groups")):
        with pytest.raises(DataError, match=f"row 1: the rows have {reason}"):
            list(libsvm.read(io.BytesIO(text.encode())))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1 0:5 2:7", [[5, 0, 7]]),
        (b"0:5 2:7\n", [[5, 0, 7]]),
        (b"1 2:7 0:5\n\n0 1:3\n", [[5, 0, 7], [0, 3, 0]]),
        (b"1\n", [[0]]),
        (b"0:1 1:2 # no label\n", [[1, 2]]),
    ],
)
def test_a_request_needs_no_label(body: bytes, expected: list[list[float]]) -> None:
    found = libsvm.decode(body)
    assert found.labels is None
    assert found.dense().tolist() == expected


@pytest.mark.parametrize(
    ("text", "row", "reason"),
    [
        ("1 0:1\nx 0:1\n", 2, "the label must be a finite number; got 'x'"),
        ("label 0:1\n", 1, "got 'label'"),
        ("1 0:1\nnan 0:1\n", 2, "the label must be a finite number"),
        ("1:x 0:1\n", 1, "the weight must be a finite number; got 'x'"),
        ("1: 0:1\n", 1, "the weight must be"),
        ("1 0:1\n1 0:\n", 2, "the value at position 0 must be a finite number; got ''"),
        ("1 0:abc\n", 1, "got 'abc'"),
        ("1 0:inf\n", 1, "got 'inf'"),
        ("1 0:nan\n", 1, "got 'nan'"),
        ("1 0:1e39\n", 1, "too large for a 32-bit float"),
        ("1 0:1:2\n", 1, "got '1:2'"),
        ("1 a:1\n", 1, "a position must be a whole number; got 'a'"),
        ("1 0.5:1\n", 1, "got '0.5'"),
        ("1 1e2:1\n", 1, "got '1e2'"),
        ("1 :1\n", 1, "got ''"),
        ("1 -1:1\n", 1, "position -1 is outside"),
        ("1 2147483648:1\n", 1, "position 2147483648 is outside"),
        ("1 99999999999999999999:1\n", 1, "a position must be a whole number"),
        ("1 0:1\n1 5\n", 2, "found '5' where position:value must stand"),
        ("1,2,3\n", 1, "got '1,2,3'"),
        ("1 0:1\n1 3:1 3:2\n", 2, "position 3 occurs twice"),
        ("1 0:1\n1 10:1\n", 2, "position 10 is outside 0 to 9"),
        ("1 qid:x 0:1\n", 1, "qid must be a whole number; got 'x'"),
        ("1 qid:1 0:1\n1 0:1\n", 2, "some rows have a qid"),
        ("1 0:1\n1 qid:1 0:1\n", 2, "some rows have a qid"),
        ("1:1 0:1\n1 0:1\n", 2, "some rows have a weight"),
        (b"1 0:1\n1 0:\xff\n", 2, "not UTF-8"),
        ("1 0:1\n\n\n1 0:x\n", 4, "got 'x'"),
    ],
)
def test_malformed_rows_are_named(text: str | bytes, row: int, reason: str) -> None:
    for block_bytes in (1 << 20, 4):
        with pytest.raises(DataError) as found:
            rows(text, width=10, block_bytes=block_bytes)
        assert found.value.row == row
        assert reason in found.value.reason
        assert str(found.value).startswith(f"a.svm, row {row}: ")


@pytest.mark.parametrize("body", [b"", b"\n", b"# only a comment\n"])
def test_nothing_is_an_empty_file_but_no_request(body: bytes) -> None:
    assert rows(body) == []
    with pytest.raises(DataError, match="holds no row"):
        libsvm.decode(body)


@given(st.one_of(st.binary(max_size=40), st.text("0123456789:.-+e #\nqidx\r", max_size=40).map(str.encode)))
def test_random_bytes_are_read_or_refused(body: bytes) -> None:
    for attempt in (lambda: list(rows(body)), lambda: [libsvm.decode(body)]):
        try:
            attempt()
        except UserError:
            continue


@given(st.text("0123456789:. -\n", max_size=40), st.integers(1, 12))
def test_the_size_of_the_blocks_changes_nothing(text: str, block_bytes: int) -> None:
    def found(size: int) -> object:
        try:
            parts = rows(text, width=1000, block_bytes=size)
        except DataError as error:
            return error.row
        return [
            (part.records.first_row + at, row, np.asarray(part.records.labels)[at].tolist())
            for part in parts
            for at, row in enumerate(part.records.dense().tolist())
        ]

    assert found(block_bytes) == found(1 << 20)


def test_what_the_format_cannot_hold_is_not_written() -> None:
    one = np.ones((1, 1), np.float32)
    for records in (Records(one), Records(one, np.ones((1, 2), np.float32))):
        with pytest.raises(UserError, match="exactly one label"):
            libsvm.write(io.BytesIO(), records)
    with pytest.raises(UserError, match="finite"):
        libsvm.write(io.BytesIO(), Records(one * np.inf, one))
