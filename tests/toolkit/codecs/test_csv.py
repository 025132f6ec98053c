"""CSV: what is written is read back, the fast and the careful ways agree, and wrong cells are named."""

from __future__ import annotations

import io
import math
import tracemalloc
from collections.abc import Generator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clary.toolkit.codecs import csv
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

NAN = math.nan
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=8)
DELIMITERS = (",", ";", "\t", "|", " ", ":")


def read(
    text: bytes | str,
    *,
    label_size: int = 0,
    missing: bool = False,
    delimiter: str | None = ",",
    block_bytes: int = 1 << 20,
) -> list[Records]:
    body = text.encode() if isinstance(text, str) else text
    found = csv.read(
        io.BytesIO(body),
        label_size=label_size,
        source="train/a.csv",
        missing=missing,
        delimiter=delimiter,
        block_bytes=block_bytes,
    )
    return list(found)


def rows(
    text: bytes | str,
    *,
    label_size: int = 0,
    missing: bool = False,
    delimiter: str | None = ",",
    block_bytes: int = 1 << 20,
) -> Floats:
    found = read(text, label_size=label_size, missing=missing, delimiter=delimiter, block_bytes=block_bytes)
    return Records.join(found).dense()


def written(cells: Floats, delimiter: str = ",") -> bytes:
    stream = io.BytesIO()
    csv.write(stream, Records(cells))
    return stream.getvalue().replace(b",", delimiter.encode())


def bits(values: Floats) -> list[int]:
    """The exact numbers, with -0 told apart from 0."""
    found: list[int] = np.ascontiguousarray(values).view(np.uint32).ravel().tolist()
    return found


@pytest.mark.parametrize("delimiter", DELIMITERS)
@given(cells=arrays.arrays(np.float32, SHAPES, elements=FINITE), block_bytes=st.integers(1, 200))
def test_what_is_written_is_read_back_bit_for_bit(delimiter: str, cells: Floats, block_bytes: int) -> None:
    body = written(cells, delimiter)
    for told in (delimiter, None):
        found = rows(body, delimiter=told, block_bytes=block_bytes)
        assert found.shape == cells.shape
        assert bits(found) == bits(cells)
        assert bits(csv.decode(body, delimiter=told).dense()) == bits(cells)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=FINITE), st.data())
def test_labels_come_first(cells: Floats, data: st.DataObject) -> None:
    labels = data.draw(st.integers(1, cells.shape[1] - 1))
    stream = io.BytesIO()
    csv.write(stream, Records(np.ascontiguousarray(cells[:, labels:]), cells[:, :labels].copy()))
    for found in (
        Records.join(read(stream.getvalue(), label_size=labels)),
        csv.decode(stream.getvalue(), label_size=labels),
    ):
        assert found.labels is not None
        assert bits(found.labels) == bits(cells[:, :labels])
        assert bits(found.dense()) == bits(cells[:, labels:])
        assert found.dense().flags.c_contiguous


@pytest.mark.parametrize("delimiter", DELIMITERS)
@given(
    cells=arrays.arrays(np.float32, SHAPES, elements=st.floats(allow_infinity=False, width=32)).filter(
        lambda cells: not np.isnan(cells).all(axis=1).any()
    )
)
def test_missing_cells_are_read_back_as_nan(delimiter: str, cells: Floats) -> None:
    body = written(cells, delimiter)
    np.testing.assert_array_equal(rows(body, missing=True, delimiter=delimiter), cells)
    np.testing.assert_array_equal(csv.decode(body, missing=True, delimiter=delimiter).dense(), cells)


@pytest.mark.parametrize("delimiter", DELIMITERS)
@given(
    cells=arrays.arrays(np.int64, SHAPES, elements=st.integers(-(10**10), 10**10)),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_whole_numbers_of_any_length_are_read(delimiter: str, cells: npt.NDArray[np.int64], end: str) -> None:
    text = end.join(delimiter.join(map(str, row)) for row in cells.tolist())
    assert bits(rows(text, delimiter=delimiter)) == bits(cells.astype(np.float32))


SPELLINGS = st.one_of(
    st.from_regex(r"[+-]?([0-9]{1,12}\.?[0-9]{0,8}|\.[0-9]{1,8})([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.text("0123456789+-.eE nainf_x\t", max_size=6),
    st.sampled_from(["", "nan", "-NaN", "inf", "Infinity", "1_0", "0x1", "1e39", "1e-60", "٣", "1d5", "--1", "+ 1"]),
)


def outcome(text: str, delimiter: str, missing: bool, read_it: str) -> object:
    try:
        if read_it == "request":
            found = csv.decode(text.encode(), delimiter=delimiter, missing=missing)
        else:
            found = Records.join(read(text, delimiter=delimiter, missing=missing))
    except DataError as error:
        return error.reason, error.row, error.column
    return [["nan" if math.isnan(cell) else cell for cell in row] for row in found.dense().tolist()]


@given(
    st.lists(st.lists(SPELLINGS, min_size=2, max_size=2), min_size=1, max_size=3),
    st.sampled_from(DELIMITERS),
    st.booleans(),
)
@example([["+1", ".5"], ["1.", " 2 "]], ",", False)
@example([["", ""], ["1.", "2\t"]], "\t", True)
@example([["1", "2 "], ["", "4"]], " ", True)
def test_every_way_of_reading_accepts_and_refuses_the_same(
    table: list[list[str]], delimiter: str, missing: bool
) -> None:
    plain = "\n".join(delimiter.join(row) for row in table)
    columns = plain.partition("\n")[0].count(delimiter) + 1
    # A bare quote turns the whole text over to the careful way.
    careful = plain + "\n" + delimiter.join(['"1" ' if delimiter != " " else '"1"\t', *["2"] * (columns - 1)])
    expected = outcome(careful, delimiter, missing, "request")
    quick_file, quick_request = (outcome(plain, delimiter, missing, each) for each in ("file", "request"))
    assert quick_file == quick_request
    if isinstance(quick_file, list):
        assert isinstance(expected, list)
        assert quick_file == expected[:-1]
    else:
        assert quick_file == expected


@given(
    st.binary(max_size=200),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([*DELIMITERS, None]),
    st.integers(1, 50),
)
def test_random_bytes_are_read_or_refused(
    body: bytes, label_size: int, missing: bool, delimiter: str | None, block_bytes: int
) -> None:
    def read_all() -> None:
        read(body, label_size=label_size, missing=missing, delimiter=delimiter, block_bytes=block_bytes)

    def decode() -> None:
        csv.decode(body, label_size=label_size, missing=missing, delimiter=delimiter)

    for attempt in (read_all, decode):
        try:
            attempt()
        except UserError:
            continue


@given(
    st.text("0123456789.,;-+eE\n\r\"'\t xn", max_size=60),
    st.integers(1, 20),
    st.sampled_from([",", ";", "\t", " "]),
)
def test_the_size_of_the_blocks_changes_nothing(text: str, block_bytes: int, delimiter: str) -> None:
    def found(size: int) -> object:
        try:
            parts = read(text, delimiter=delimiter, block_bytes=size)
        except DataError as error:
            return str(error)
        return [(part.first_row + at, row) for part in parts for at, row in enumerate(part.dense().tolist())]

    assert found(block_bytes) == found(1 << 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("1,2\n3,4", [[1, 2], [3, 4]]),
        ("1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
        ("1,2\r\n3,4", [[1, 2], [3, 4]]),
        ("1,2\n3,4\r\n", [[1, 2], [3, 4]]),
        ("\ufeff1,2\n", [[1, 2]]),
        ("1,2\n\n\n", [[1, 2]]),
        ("\n1,2\n", [[1, 2]]),
        ("1,2\n   \n3,4\n", [[1, 2], [3, 4]]),
        ('"1","2.5"\n', [[1, 2.5]]),
        (' "1" , "2.5" \n', [[1, 2.5]]),
        (" 1 ,\t2\n", [[1, 2]]),
        ("+1,-.5\n", [[1, -0.5]]),
        ("1.,01\n", [[1, 1]]),
        ("1e3,2E-1\n", [[1000, np.float32(0.2)]]),
        ("5\n6\n", [[5], [6]]),
        ("999999999,1234567890\n", [[np.float32(999999999), np.float32(1234567890)]]),
        ("1e-60,0\n", [[0, 0]]),
    ],
)
def test_permitted_spellings(text: str, expected: list[list[float]]) -> None:
    assert rows(text).tolist() == expected
    assert csv.decode(text.encode()).dense().tolist() == expected


@pytest.mark.parametrize(
    ("text", "row", "column", "reason"),
    [
        ("x1,x2\n1,2\n", 1, 1, "looks like a header row"),
        ("label,0,1\n1,2,3\n", 1, 1, "the data must have none"),
        ('"sepal length","sepal width"\n1,2\n', 1, 1, "'sepal length'"),
        ("\n\nid,x\n1,2\n", 3, 1, "looks like a header row"),
        ("1,2\n3,abc\n", 2, 2, "'abc', which is not a number"),
        ("1,2\nabc,3\n", 2, 1, "'abc', which is not a number"),
        ("1,2\n3,4\n5,\n", 3, 2, "empty"),
        ("1,,3\n", 1, 2, "empty"),
        (",\n", 1, 1, "empty"),
        ('1,""\n', 1, 2, "empty"),
        ("1,2\n3,   \n", 2, 2, "empty"),
        ("1,2\n3\n", 2, None, "found 1 column, expected 2"),
        ("1,2\n3,4,5\n", 2, None, "found 3 columns, expected 2"),
        ("1,2\n\n3,4,5\n", 3, None, "found 3 columns, expected 2"),
        ("1\n2,3\n", 2, None, "found 2 columns, expected 1"),
        ("1,2\n3,4,\n", 2, None, "found 3 columns"),
        ("1,nan\n", 1, 2, "'nan'; every feature must be a finite number"),
        ("1,2\nNaN,3\n", 2, 1, "'NaN'"),
        ("1,inf\n", 1, 2, "'inf'"),
        ("1,2\n3,-Infinity\n", 2, 2, "finite"),
        ("1,1e39\n", 1, 2, "too large for a 32-bit float"),
        ("1,-1e999\n", 1, 2, "too large"),
        ("1,2\n3,1_000\n", 2, 2, "'1_000'"),
        ("1,2\n3,0x10\n", 2, 2, "'0x10'"),
        ("1,2\n3,1.2.3\n", 2, 2, "'1.2.3'"),
        ("1,2\n3,1e\n", 2, 2, "'1e'"),
        ("1,2\n3,-\n", 2, 2, "'-'"),
        ("1,2\n3,1 2\n", 2, 2, "'1 2'"),
        ("1,2\n3,$5\n", 2, 2, "'$5'"),
        ("1,2\n3,5%\n", 2, 2, "'5%'"),
        ("1,2\n3,true\n", 2, 2, "'true'"),
        ("1,2\n3,null\n", 2, 2, "'null'"),
        ("1,2\n3,NA\n", 2, 2, "'NA'"),
        ("1,2\n3,'4'\n", 2, 2, "not a number"),
        ('1,2\n3,"4\n', 2, None, "quotes"),
        ('1,2\n3,4"5"\n', 2, 2, "not a number"),
        ('1,2\n3,"4"5\n', 2, None, "quotes"),
        ('1,2\n"3,4"\n', 2, None, "found 1 column"),
        ("1;2\n3;4\n", 1, 1, "'1;2'"),
        ("1\t2\n", 1, 1, "not a number"),
        ("1,2\r3,4\r", 1, None, "carriage return"),
        (b"1,2\n3,\xff\n", 2, None, "not UTF-8 text (byte 3"),
        (b"\xff\xfe1\x00,\x002\x00\n\x00", 1, None, "NUL"),
        (b"1,2\n3,\x00\n", 2, None, "NUL"),
        ("1,2\n3,٣\n", 2, 2, "not a number"),
        ("1,2\n3,−4\n", 2, 2, "not a number"),
        ("1,2\n3," + "x" * 500 + "\n", 2, 2, "xxx..."),
        ("1,2\n3,4\x0b\n", 2, 2, "not a number"),
        ("1,2\n3,1d5\n", 2, 2, "'1d5'"),
        ("1,2\n3,nan(7)\n", 2, 2, "nan(7)"),
    ],
)
def test_malformed_rows_are_named(text: str | bytes, row: int, column: int | None, reason: str) -> None:
    body = text.encode() if isinstance(text, str) else text
    for block_bytes in (1 << 20, 4):
        with pytest.raises(DataError) as found:
            read(body, block_bytes=block_bytes)
        assert (found.value.row, found.value.column) == (row, column)
        assert reason in found.value.reason
        assert str(found.value).startswith(f"train/a.csv, row {row}")
    with pytest.raises(DataError) as refused:
        csv.decode(body)
    assert (refused.value.row, refused.value.column) == (row, column)
    assert reason in refused.value.reason


@pytest.mark.parametrize("delimiter", DELIMITERS[1:])
@pytest.mark.parametrize(
    ("text", "row", "column", "reason"),
    [
        ("1,2\n3,abc\n", 2, 2, "'abc', which is not a number"),
        ("1,2\n3,\n", 2, 2, "the cell is empty"),
        ("1,2\n,\n", 2, 1, "the cell is empty"),
        ("1,2\n3\n", 2, None, "found 1 column, expected 2"),
        ('1,2\n"3",4,5\n', 2, None, "found 3 columns, expected 2"),
        ('1,2\n3,"4\n', 2, None, "quotes"),
        ("1,2\n3,inf\n", 2, 2, "finite"),
        ("a,b\n1,2\n", 1, 1, "looks like a header row"),
    ],
)
def test_malformed_rows_are_named_whatever_parts_their_cells(
    delimiter: str, text: str, row: int, column: int | None, reason: str
) -> None:
    body = text.replace(",", delimiter)
    for block_bytes in (1 << 20, 4):
        with pytest.raises(DataError, match=reason) as found:
            read(body, delimiter=delimiter, block_bytes=block_bytes)
        assert (found.value.row, found.value.column) == (row, column)
    with pytest.raises(DataError, match=reason) as refused:
        csv.decode(body.encode(), delimiter=delimiter)
    assert (refused.value.row, refused.value.column) == (row, column)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1;2;3\n", [[1, 2, 3]]),
        ("1;;3\n;5;\n", [[1, NAN, 3], [NAN, 5, NAN]]),
        ("1\t2\n", [[1, 2]]),
        ("1 \t 2 \t\n", [[1, 2, NAN]]),
        ("\t\t\n1\t2\t3\n", [[NAN, NAN, NAN], [1, 2, 3]]),
        ("1 2\n", [[1, 2]]),
        ("1  2\n", [[1, NAN, 2]]),
        ("1, 2, 3\n", [[1, 2, 3]]),
        ("1|2\n", [[1, 2]]),
        ("1:2\n", [[1, 2]]),
        ('"1";"2"\n', [[1, 2]]),
        ("nan;-1e3;inf\n".replace("inf", "2"), [[NAN, -1000, 2]]),
        ("7\n8\n", [[7], [8]]),
        ("\n \n1;2\n", [[1, 2]]),
        (",,\n", [[NAN] * 3]),
        (",".join(["1.25"] * 500), [[1.25] * 500]),
        (";".join(["1234567890.5"] * 500) + "\n", [[np.float32(1234567890.5)] * 500]),
    ],
)
def test_the_first_row_tells_the_delimiter(text: str, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(rows(text, delimiter=None, missing=True), expected)
    np.testing.assert_array_equal(csv.decode(text.encode(), delimiter=None, missing=True).dense(), expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a;b\n1;2\n", "'a;b', which is not a number; this looks like a header row"),
        ("1,5;2,5\n", "'5;2', which is not a number"),
        ("1/2/3\n", "'1/2/3', which is not a number"),
        ("1;2\n3,4\n", "found 1 column, expected 2"),
        (b"\xff;2\n", "not UTF-8 text"),
    ],
)
def test_a_row_that_tells_no_delimiter_has_commas(text: str | bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read(text, delimiter=None)


def test_a_wrong_cell_far_into_a_file_is_named() -> None:
    text = "1.5,2\n" * 10_000 + "1.5,oops\n" + "1.5,2\n" * 10
    with pytest.raises(DataError, match=r"^train/a\.csv, row 10001, column 2: found 'oops'"):
        read(text, block_bytes=1000)


def test_another_delimiter_is_shown_even_where_no_feature_is_left() -> None:
    with pytest.raises(DataError, match="row 1, column 1: found '1;2', which is not a number"):
        read("1;2\n", label_size=1)


@pytest.mark.parametrize("label_size", [2, 5])
def test_labels_must_leave_a_feature(label_size: int) -> None:
    with pytest.raises(DataError, match=f"found 2 columns with label_size={label_size}"):
        read("1,2\n", label_size=label_size)
    with pytest.raises(DataError, match="no feature is left"):
        csv.decode(b"1,2", label_size=label_size)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,,3", [[1, NAN, 3]]),
        (",2\n1,\n", [[NAN, 2], [1, NAN]]),
        (",", [[NAN, NAN]]),
        ("1,,\r\n,,1\r\n\r\n", [[1, NAN, NAN], [NAN, NAN, 1]]),
        ("1,\n\n,2\n", [[1, NAN], [NAN, 2]]),
        ("1\n\n2\n", [[1], [2]]),
        ("\n1\n", [[1]]),
        ("1,nan\n", [[1, NAN]]),
    ],
)
def test_missing_numbers_of_a_request(text: str, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(csv.decode(text.encode(), missing=True).dense(), expected)
    np.testing.assert_array_equal(rows(text, missing=True), expected)


def test_labels_are_never_missing() -> None:
    with pytest.raises(DataError, match=r"row 2, column 1.*every label must be a number"):
        read("1,2\n,3\n", label_size=1, missing=True)
    with pytest.raises(DataError, match=r"row 2, column 1.*label must be a finite"):
        read("1,2\nnan,3\n", label_size=1, missing=True)
    with pytest.raises(DataError, match="column 1"):
        csv.decode(b",3\n", label_size=1, missing=True)
    assert csv.decode(b"3,\n", label_size=1, missing=True).width == 1


@pytest.mark.parametrize("text", ["1,,nan\n", "1,2,inf\n"])
def test_missing_does_not_mean_infinite(text: str) -> None:
    if "inf" in text:
        with pytest.raises(DataError, match="row 1, column 3"):
            read(text, missing=True)
    else:
        assert [math.isnan(cell) for cell in rows(text, missing=True)[0]] == [False, True, True]


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n"])
def test_nothing_is_an_empty_file_but_no_request(body: bytes) -> None:
    assert read(body) == []
    with pytest.raises(DataError, match="holds no row"):
        csv.decode(body)


def test_a_text_without_newlines_is_refused_before_memory_runs_out() -> None:
    class Endless:
        def read(self, size: int, /) -> bytes:
            return b"1" * size

    with pytest.raises(DataError, match="longer than 67108864 bytes"):
        list(csv.read(Endless(), source="x"))


def test_memory_does_not_grow_with_the_file() -> None:
    line = b",".join([b"0.123456"] * 50) + b"\n"

    class Lines:
        def __init__(self, megabytes: int) -> None:
            self.left = megabytes * (1 << 20) // len(line)

        def read(self, size: int, /) -> bytes:
            count = min(self.left, max(1, size // len(line)))
            self.left -= count
            return line * count

    def peak(megabytes: int) -> int:
        tracemalloc.start()
        try:
            assert sum(len(part) for part in csv.read(Lines(megabytes), label_size=0)) > 2000 * megabytes
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(48) < peak(12) + (4 << 20)


def test_a_reader_left_early_stops_its_threads() -> None:
    found = csv.read(io.BytesIO(b"1,2\n" * 100_000), label_size=0, block_bytes=1000)
    assert isinstance(found, Generator)
    assert len(next(found)) == 250
    found.close()


def test_answers_are_rows_of_short_numbers() -> None:
    columns = {
        "closest_cluster": np.array([1, 0], np.float32),
        "distance": np.array([0.1, 36.5], np.float32),
        "parts": np.array([[1, 2.5], [3, 4]], np.float32),
    }
    assert csv.encode(columns) == b"1.0,0.1,1.0,2.5\n0.0,36.5,3.0,4.0\n"
    assert csv.encode({"n": np.array([3], np.float32)}) == b"3.0\n"
    assert csv.encode({"label": np.array([3, -1]), "score": np.array([0.1, np.nan])}) == b"3,0.1\n-1,nan\n"
    assert csv.encode({"parts": np.arange(8.0).reshape(2, 2, 2)}) == b"0.0,1.0,2.0,3.0\n4.0,5.0,6.0,7.0\n"
    assert csv.encode({"n": np.array([np.nan])}) == b"nan\n"
    assert csv.encode({"n": np.empty(0, np.float32)}) == b""


def test_infinite_numbers_are_not_written() -> None:
    with pytest.raises(UserError, match="infinite"):
        csv.write(io.BytesIO(), Records(np.array([[np.inf]], np.float32)))
