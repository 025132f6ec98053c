"""LIBSVM: labels, weights, groups and pairs are read back, and wrong rows are named."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from clary.toolkit.codecs import libsvm
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

NAN = float("nan")
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
CELLS = arrays.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=FINITE)


def rows(
    text: str | bytes,
    *,
    width: int | None = None,
    block_bytes: int = 1 << 20,
    missing: bool = False,
    extras: bool = True,
) -> list[Records]:
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    found = libsvm.read(stream, width=width, source="a.svm", missing=missing, extras=extras, block_bytes=block_bytes)
    return list(found)


def written(records: Records) -> bytes:
    stream = io.BytesIO()
    libsvm.write(stream, records)
    return stream.getvalue()


def stored(records: Records) -> list[dict[int, float]]:
    """The pairs of each row, as they are kept."""
    matrix = csr_matrix(records.features)
    return [dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in matrix]


@given(CELLS, st.integers(1, 100), st.booleans())
def test_what_is_written_is_read_back(cells: Floats, block_bytes: int, sparse: bool) -> None:
    features = cells[:, 1:].copy()
    body = written(Records(csr_matrix(features) if sparse else features, cells[:, :1].copy()))
    found = rows(body, width=features.shape[1], block_bytes=block_bytes)
    assert np.concatenate([part.dense() for part in found]).tolist() == features.tolist()
    assert np.concatenate([np.asarray(part.labels) for part in found]).tolist() == cells[:, :1].tolist()
    assert sum(map(len, found)) == len(cells)
    if not sparse:
        assert all(np.asarray(part.features.data).size == part.dense().size for part in found)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=FINITE),
    st.booleans(),
    st.booleans(),
    st.integers(1, 100),
    st.data(),
)
def test_weights_and_groups_are_read_back(
    cells: Floats, weighted: bool, grouped: bool, block_bytes: int, data: st.DataObject
) -> None:
    count = len(cells)
    weights = data.draw(arrays.arrays(np.float32, count, elements=FINITE)) if weighted else None
    whole_numbers = st.integers(-(10**18) + 1, 10**18 - 1)
    groups = data.draw(arrays.arrays(np.int64, count, elements=whole_numbers)) if grouped else None
    body = written(Records(cells, cells[:, :1].copy(), weights=weights, groups=groups))
    # A comment turns the whole text over to the careful way.
    for text in (body, body.replace(b"\n", b" # a comment\n")):
        found = Records.join(rows(text, width=cells.shape[1], block_bytes=block_bytes))
        assert found.dense().tolist() == cells.tolist()
        for given_numbers, kept, kind in ((weights, found.weights, np.float32), (groups, found.groups, np.int64)):
            assert (given_numbers is None) == (kept is None)
            if given_numbers is not None and kept is not None:
                assert kept.dtype == kind
                assert kept.tolist() == given_numbers.tolist()


def test_zero_and_missing_stay_different() -> None:
    cells = np.array([[0, NAN, 2], [NAN, -0.0, NAN], [NAN, NAN, NAN]], np.float32)
    label = np.zeros((3, 1), np.float32)
    body = written(Records(cells, label))
    assert body == b"0.0 0:0.0 2:2.0\n0.0 1:-0.0\n0.0\n"
    (found,) = rows(body)
    assert stored(found) == [{0: 0, 2: 2}, {1: 0}, {}]
    kept = csr_matrix((np.array([0, 5], np.float32), [1, 2], [0, 1, 2, 2]), shape=(3, 3))
    (found,) = rows(written(Records(kept, label)))
    assert stored(found) == [{1: 0}, {2: 5}, {}]


def test_nan_is_a_value_only_where_numbers_may_be_missing() -> None:
    kept = csr_matrix((np.array([NAN, 5], np.float32), [1, 2], [0, 2]), shape=(1, 3))
    body = written(Records(kept, np.ones((1, 1), np.float32)))
    assert body == b"1.0 1:nan 2:5.0\n"
    (found,) = rows(body, missing=True)
    np.testing.assert_array_equal(found.features.data, kept.data)
    np.testing.assert_array_equal(libsvm.decode(b"1:-NaN 2:5", missing=True).dense(), [[0, NAN, 5]])
    with pytest.raises(DataError, match="row 1: the value at position 1 must be a finite number; got 'nan'"):
        rows(body)
    for text in ("1 0:inf\n", "nan 0:1\n", "1:nan 0:1\n", "1 0:nano\n"):
        with pytest.raises(DataError, match="must be a finite number"):
            rows(text, missing=True)


@given(CELLS)
def test_comments_and_blanks_change_nothing(cells: Floats) -> None:
    plain = written(Records(cells[:, 1:].copy(), cells[:, :1].copy()))
    spaced = b"# a comment\n" + plain.replace(b"\n", b" \t# 1:2\r\n\n").replace(b" ", b"  ")
    expected = Records.join(rows(plain, width=9))
    found = rows(spaced, width=9)
    assert np.concatenate([part.dense() for part in found]).tolist() == expected.dense().tolist()
    assert [part.first_row for part in found] == [2 + 2 * at for at in range(len(cells))]


def test_positions_count_from_zero_and_width_grows() -> None:
    found = rows("1 0:5\n2 3:7\n0 1:1\n", block_bytes=6)
    assert [part.dense().tolist() for part in found] == [[[5]], [[0, 0, 0, 7]], [[0, 1, 0, 0]]]


def test_weights_and_groups_are_kept() -> None:
    (found,) = rows("1:0.5 qid:7 0:1\n0:2 qid:8\n")
    assert found.weights is not None
    assert found.weights.tolist() == [0.5, 2]
    assert found.groups is not None
    assert found.groups.tolist() == [7, 8]
    assert found.dense().tolist() == [[1], [0]]
    for text, reason in (("1:0.5 0:1\n", "weights"), ("1 qid:3 0:1\n", "qid groups")):
        with pytest.raises(DataError, match=f"row 1: the rows have {reason}"):
            rows(text, extras=False)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1 0:5 2:7", [[5, 0, 7]]),
        (b"0:5 2:7\n", [[5, 0, 7]]),
        (b"1 2:7 0:5\n\n0 1:3\n", [[5, 0, 7], [0, 3, 0]]),
        (b"1\n", [[0]]),
        (b"0:1 1:2 # no label\n", [[1, 2]]),
        (b"0:0.5 3:1.2", [[0.5, 0, 0, np.float32(1.2)]]),
        (b"1 0:5\n0:6 1:7\n", [[5, 0], [6, 7]]),
        (b"1 qid:4 0:5\n0 qid:4 1:7\n", [[5, 0], [0, 7]]),
        (b"qid:4 0:5\n", [[5]]),
        (b"1:0.5 qid:4 0:5\n", [[5]]),
    ],
)
def test_a_request_needs_no_label(body: bytes, expected: list[list[float]]) -> None:
    found = libsvm.decode(body)
    assert (found.labels, found.weights, found.groups) == (None, None, None)
    assert found.dense().tolist() == expected


@pytest.mark.parametrize(
    "lines",
    [
        ["1 0:5 2:7"],
        ["0:5 2:7"],
        ["1 qid:3 0:5 2:7", "0 qid:3 1:1"],
        ["0:5 2:7", "3 1:0.5"],
        ["1 0:5 2:7", "1:0.5"],
        ["0:5 2:7 # no label"],
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_long_request_is_read_like_a_short_one(lines: list[str], end: str) -> None:
    short = end.join(lines).encode()
    found = libsvm.decode(end.encode().join([short] * 2000))
    assert (found.labels, found.weights, found.groups) == (None, None, None)
    assert found.dense().tolist() == np.tile(libsvm.decode(short).dense(), (2000, 1)).tolist()
    with pytest.raises(DataError, match=f"row {2000 * len(lines) + 1}: found 'x' where"):
        libsvm.decode(end.encode().join([short] * 2000 + [b"5 x"]))


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
    for attempt in (rows, libsvm.decode):
        try:
            attempt(body)
        except UserError:
            continue


@given(st.text("0123456789:. -\n", max_size=40), st.integers(1, 12))
def test_the_size_of_the_blocks_changes_nothing(text: str, block_bytes: int) -> None:
    def found(size: int) -> object:
        try:
            parts = rows(text, width=1000, block_bytes=size)
        except DataError as error:
            # Of rows that are at odds with each other, any may be the one that is named.
            return "at odds" if "some rows have" in error.reason else error.row
        return [
            (part.first_row + at, row, np.asarray(part.labels)[at].tolist())
            for part in parts
            for at, row in enumerate(part.dense().tolist())
        ]

    whole = found(1 << 20)
    assert found(block_bytes) == whole or (whole == "at odds" and isinstance(found(block_bytes), int))


def test_what_the_format_cannot_hold_is_not_written() -> None:
    one = np.ones((1, 1), np.float32)
    for records in (Records(one), Records(one, np.ones((1, 2), np.float32))):
        with pytest.raises(UserError, match="exactly one label"):
            libsvm.write(io.BytesIO(), records)
    for records in (
        Records(one * np.inf, one),
        Records(csr_matrix(one * np.inf), one),
        Records(one, one * NAN),
        Records(one, one, weights=one[0] * NAN),
    ):
        with pytest.raises(UserError, match=r"must be a finite number; the records hold (inf|nan)"):
            written(records)


def test_a_long_request_needs_no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(libsvm.decode(b"1 0:5 2:7\n" * 4000)) == 4000
