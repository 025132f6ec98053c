"""The one door to every row format: each media type goes to its codec, and unknown ones get a hint."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clary.toolkit import media, tabular
from clary.toolkit.errors import DataError, NotAcceptableError, UnsupportedMediaError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Floats, Records
from clary.toolkit.tabular import PLAIN, Reading

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
CELLS = arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(2, 4)), elements=FINITE)
WITH_LABELS = (media.CSV, media.LIBSVM, media.RECORDIO_PROTOBUF, media.PARQUET)
ANSWER = {"score": np.array([1, 0.5], np.float32)}


def written(records: Records, content_type: str) -> bytes:
    stream = io.BytesIO()
    tabular.write(stream, records, MediaType.parse(content_type))
    return stream.getvalue()


def read(body: bytes, content_type: str, reading: Reading = PLAIN) -> Records:
    stream = io.BytesIO(body)
    return Records.join(list(tabular.read(stream, MediaType.parse(content_type), source="a", reading=reading)))


def values(records: Records, width: int) -> list[list[float]]:
    # LIBSVM says nothing of trailing columns that are zero.
    found: list[list[float]] = np.pad(records.dense(), ((0, 0), (0, width - records.width))).tolist()
    return found


@pytest.mark.parametrize("content_type", WITH_LABELS)
@pytest.mark.parametrize("compressed", [False, True])
@given(cells=CELLS)
def test_what_is_written_is_read_back_with_its_labels(content_type: str, compressed: bool, cells: Floats) -> None:
    body = written(Records(cells[:, 1:].copy(), cells[:, :1].copy()), content_type)
    found = read(gzip.compress(body) if compressed else body, content_type)
    assert values(found, cells.shape[1] - 1) == cells[:, 1:].tolist()
    assert found.labels is not None
    assert found.labels.tolist() == cells[:, :1].tolist()


@pytest.mark.parametrize(
    "content_type",
    ["text/csv; label_size=0", media.RECORDIO_PROTOBUF, media.JSON_LINES, "application/x-parquet; label_size=0"],
)
@given(cells=CELLS)
def test_rows_without_labels_are_read_back(content_type: str, cells: Floats) -> None:
    body = written(Records(cells), content_type)
    for found in (read(body, content_type), tabular.decode(body, MediaType.parse(content_type))):
        assert found.dense().tolist() == cells.tolist()
        assert found.labels is None


def test_a_file_has_one_label_column_and_a_request_none() -> None:
    body = b"1,2,3\n"
    assert read(body, "text/csv").dense().tolist() == [[2, 3]]
    assert tabular.decode(body, MediaType.parse("text/csv")).dense().tolist() == [[1, 2, 3]]
    assert tabular.decode(body, MediaType.parse("TEXT/CSV; Label_Size = 1")).dense().tolist() == [[2, 3]]
    assert read(body, "text/csv;label_size=2").dense().tolist() == [[3]]


@pytest.mark.parametrize("name", ["text/libsvm", "text/x-libsvm", "libsvm"])
def test_all_names_of_libsvm(name: str) -> None:
    assert read(b"1 0:5\n", name).dense().tolist() == [[5]]
    assert tabular.decode(b"1 0:5\n", MediaType.parse(name)).dense().tolist() == [[5]]


@pytest.mark.parametrize("name", tabular.ALIASES)
def test_a_short_name_is_the_type(name: str) -> None:
    whole = tabular.ALIASES[name]
    labels = None if name == "jsonlines" else np.array([[3]], np.float32)
    if name == "json":
        body = b'{"instances": [{"features": [1, 2]}]}'
    else:
        body = written(Records(np.array([[1, 2]], np.float32), labels), name)
        assert read(body, name.upper()).dense().tolist() == [[1, 2]]
    decoded, expected = (tabular.decode(body, MediaType.parse(each)) for each in (name, whole))
    assert decoded.dense().tolist() == expected.dense().tolist()


@pytest.mark.parametrize("name", ["text/csv;label_size=0", media.RECORDIO_PROTOBUF, "parquet;label_size=0"])
def test_missing_numbers_are_nan_where_they_may_be_missing(name: str) -> None:
    missing = Reading(missing=True)
    cells = np.array([[1, np.nan, 3]], np.float32)
    body = written(Records(cells), name)
    np.testing.assert_array_equal(read(body, name, missing).dense(), cells)
    np.testing.assert_array_equal(tabular.decode(body, MediaType.parse(name), missing).dense(), cells)
    with pytest.raises(DataError, match="row 1, column 2"):
        read(body, name)
    with pytest.raises(DataError, match="row 1, column 2"):
        tabular.decode(body, MediaType.parse(name))


@pytest.mark.parametrize("delimiter", [";", None])
def test_the_delimiter_of_csv(delimiter: str | None) -> None:
    reading, csv = Reading(delimiter=delimiter), MediaType(media.CSV)
    assert read(b"1;2;3\n", media.CSV, reading).dense().tolist() == [[2, 3]]
    assert tabular.decode(b"1;2;3\n", csv, reading).dense().tolist() == [[1, 2, 3]]
    together = tabular.decode_together([b"1,2", b"3,4\n"], csv, reading)
    assert (together is None) == (delimiter == ";")
    if together is not None:
        assert together.dense().tolist() == [[1, 2], [3, 4]]
    with pytest.raises(DataError, match="'1;2;3', which is not a number"):
        read(b"1;2;3\n", media.CSV)


def test_weights_and_groups_are_kept_where_they_are_asked_for() -> None:
    body = b"1:0.5 qid:7 0:2\n"
    found = read(body, media.LIBSVM, Reading(extras=True))
    assert found.weights is not None
    assert found.groups is not None
    assert (found.weights.tolist(), found.groups.tolist(), found.dense().tolist()) == ([0.5], [7], [[2]])
    assert written(found, media.LIBSVM) == b"1.0:0.5 qid:7 0:2.0\n"
    with pytest.raises(DataError, match="row 1: the rows have weights, which this algorithm does not use"):
        read(body, media.LIBSVM)
    for name in (media.CSV, media.RECORDIO_PROTOBUF, media.JSON_LINES, media.PARQUET):
        with pytest.raises(UserError, match=f"{name} has no place for weights and groups of rows; text/libsvm has"):
            written(found, name)


def test_json_requests() -> None:
    assert tabular.decode(b'{"instances": [{"features": [1]}]}', MediaType.parse(media.JSON)).dense().tolist() == [
        [1]
    ]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json", b'{"predictions":[{"score":1.0},{"score":0.5}]}'),
        ("application/jsonlines", b'{"score":1.0}\n{"score":0.5}\n'),
        ("text/csv", b"1.0\n0.5\n"),
    ],
)
def test_answers(accept: str, expected: bytes) -> None:
    assert tabular.encode(ANSWER, MediaType.parse(accept)) == expected


def test_the_name_of_the_list_in_json_answers() -> None:
    assert tabular.encode(ANSWER, MediaType.parse(media.JSON), json_key="scores").startswith(b'{"scores":')


@pytest.mark.parametrize("label_size", ["-1", "one", "1.5", "", "²"])
def test_a_label_size_that_is_no_number_is_refused(label_size: str) -> None:
    content_type = MediaType.parse(f"text/csv; label_size={label_size}")
    for attempt in (
        lambda: tabular.decode(b"1,2\n", content_type),
        lambda: tabular.read(io.BytesIO(b"1,2\n"), content_type, source="a"),
    ):
        with pytest.raises(UserError, match="label_size must be a whole number of at least 0"):
            attempt()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("text/libsvn", "did you mean text/libsvm?"),
        ("text/cvs", "did you mean text/csv?"),
        ("application/x-recordio-protobuff", "did you mean application/x-recordio-protobuf?"),
        ("image/png", "possible are text/csv, "),
        ("", "possible are text/csv, "),
    ],
)
def test_unknown_types_are_refused_with_a_hint(name: str, hint: str) -> None:
    for attempt in (
        lambda: tabular.decode(b"", MediaType(name)),
        lambda: tabular.read(io.BytesIO(), MediaType(name), source="a"),
        lambda: tabular.write(io.BytesIO(), Records(np.ones((1, 1), np.float32)), MediaType(name)),
    ):
        with pytest.raises(UnsupportedMediaError) as found:
            attempt()
        assert repr(name) in str(found.value)
        assert hint in str(found.value)


def test_an_answer_in_an_unknown_type_is_refused() -> None:
    with pytest.raises(NotAcceptableError, match="cannot answer in 'image/png'; possible are application/json"):
        tabular.encode(ANSWER, MediaType("image/png"))


def test_the_source_stands_first_in_messages() -> None:
    with pytest.raises(DataError, match=r"^train/a\.csv, row 2, column 1: found 'x'"):
        list(tabular.read(io.BytesIO(b"1,2\nx,2\n"), MediaType("text/csv"), source="train/a.csv"))


def test_requests_need_neither_pyarrow_nor_scipy() -> None:
    program = """
import sys
sys.modules["pyarrow"] = sys.modules["scipy"] = None
import numpy as np
from clary.toolkit import tabular
from clary.toolkit.media import MediaType
bodies = {"text/csv": b"1,2\\n+3,4\\n", "application/json": b'{"instances": [{"features": [1, 2]}]}'}
for name, body in bodies.items():
    assert tabular.decode(body, MediaType(name)).dense()[0].tolist() == [1, 2]
answer = tabular.encode({"score": np.ones(2)}, MediaType("application/x-recordio-protobuf"))
assert len(answer) > 20
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_rows_of_libsvm_are_as_wide_as_they_are_said_to_be() -> None:
    wide, content = Reading(width=9), b"1 0:1 4:2\n0 2:1\n"
    asked = tabular.decode(content, MediaType(media.LIBSVM), wide)
    (read,) = tabular.read(io.BytesIO(content), MediaType(media.LIBSVM), source="rows", reading=wide)
    assert asked.width == read.width == 9
    assert np.array_equal(asked.dense(), read.dense())
    with pytest.raises(DataError, match="position 4 is outside 0 to 2"):
        next(tabular.read(io.BytesIO(content), MediaType(media.LIBSVM), source="rows", reading=Reading(width=3)))
    # A request says both widths where it is too wide, which is for the model to tell.
    assert tabular.decode(content, MediaType(media.LIBSVM), Reading(width=3)).width == 5
