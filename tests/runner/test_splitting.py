"""Files are cut at records, and nothing is lost or moved."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.runner.splitting import inflated, payloads
from clary.toolkit.codecs import recordio
from clary.toolkit.errors import DataError

MAGIC = b"\x0a\x23\xd7\xce"


@given(lines=st.lists(st.text("abc,1", min_size=1, max_size=9), max_size=40), limit=st.integers(10, 60))
def test_lines_stay_whole_in_order_and_below_the_limit(lines: list[str], limit: int) -> None:
    text = "".join(f"{line}\n" for line in lines).encode()
    cut = list(payloads(io.BytesIO(text), "Line", limit=limit, source="f"))
    assert b"".join(payload.body for payload in cut) == text
    assert all(len(payload.body) <= limit for payload in cut)
    assert [payload.first for payload in cut] == [1 + sum(p.records for p in cut[:n]) for n in range(len(cut))]


@given(records=st.lists(st.binary(max_size=30).map(lambda b: b + MAGIC + b), max_size=20))
def test_recordio_records_stay_whole_even_when_the_writer_split_them(records: list[bytes]) -> None:
    text = b"".join(map(recordio.frame, records))
    cut = list(payloads(io.BytesIO(text), "RecordIO", limit=200, source="f"))
    assert b"".join(payload.body for payload in cut) == text
    single = payloads(io.BytesIO(text), "RecordIO", limit=200, strategy="SingleRecord", source="f")
    assert [payload.body for payload in single] == records


def test_the_last_line_may_lack_its_newline_and_blank_lines_do_not_count() -> None:
    cut = list(payloads(io.BytesIO(b"1,2\n\n3,4"), "Line", limit=100, strategy="SingleRecord", source="f"))
    assert [payload.body for payload in cut] == [b"1,2\n", b"3,4"]


@pytest.mark.parametrize(
    ("text", "split", "wanted"),
    [
        (b"1,2\n" + b"x" * 50 + b"\n", "Line", "f, row 2: the record has 51 bytes"),
        (b"x" * 50, "None", "f: the file is larger"),
        (b"no record", "RecordIO", "f, row 1: no RecordIO record begins here"),
        (MAGIC + b"\x09\0\0\0abc", "RecordIO", "f, row 1: the file ends inside"),
        (MAGIC, "RecordIO", "f, row 1: no RecordIO"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_its_place(text: bytes, split: str, wanted: str) -> None:
    with pytest.raises(DataError, match=wanted):
        list(payloads(io.BytesIO(text), split, limit=20, source="f"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [b"1,2\n3,4\n", b""])
def test_gzip_is_undone_and_plain_files_pass(text: bytes) -> None:
    with inflated(io.BytesIO(gzip.compress(text))) as stream:
        assert stream.read() == text
    assert inflated(io.BytesIO(text)).read() == text
