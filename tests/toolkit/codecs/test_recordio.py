"""RecordIO framing: the published layout, splitting at the magic, and damage named by record and byte."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.codecs import recordio
from clary.toolkit.codecs.recordio import MAGIC
from clary.toolkit.errors import DataError, UserError

TWO_RECORDS = bytes.fromhex("0A23D7CE 02000000 61620000 0A23D7CE 00000000")
SPLIT_RECORD = bytes.fromhex("0A23D7CE 04000020 01020304 0A23D7CE 04000060 05060708")
SPLIT_PAYLOAD = bytes.fromhex("01020304 0A23D7CE 05060708")

PAYLOADS = st.lists(st.lists(st.one_of(st.just(MAGIC), st.binary(max_size=9)), max_size=6).map(b"".join), max_size=6)


def read(body: bytes, size: int = 1 << 20) -> list[bytes]:
    return list(recordio.read(io.BytesIO(body), source="a.rec", size=size))


def written(payloads: list[bytes]) -> bytes:
    stream = io.BytesIO()
    for payload in payloads:
        recordio.write(stream, payload)
    return stream.getvalue()


def part(flag: int, payload: bytes) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | len(payload)) + payload + bytes(-len(payload) % 4)


def test_the_published_vectors() -> None:
    assert written([b"ab", b""]) == TWO_RECORDS
    assert read(TWO_RECORDS) == [b"ab", b""]
    assert written([SPLIT_PAYLOAD]) == SPLIT_RECORD
    assert read(SPLIT_RECORD) == [SPLIT_PAYLOAD]


@given(PAYLOADS, st.integers(1, 40))
def test_what_is_written_is_read_back(payloads: list[bytes], size: int) -> None:
    assert read(written(payloads), size) == payloads


@given(PAYLOADS, st.integers(1, 40))
def test_records_of_writers_that_never_split_are_read(payloads: list[bytes], size: int) -> None:
    assert read(b"".join(part(0, payload) for payload in payloads), size) == payloads


@given(PAYLOADS)
def test_the_magic_never_stands_aligned_inside_a_part(payloads: list[bytes]) -> None:
    body = written(payloads)
    starts = [at for at in range(0, len(body), 4) if body[at : at + 4] == MAGIC]
    position = 0
    for start in starts:
        assert start == position
        length = struct.unpack_from("<I", body, start + 4)[0] & (1 << 29) - 1
        position = start + 8 + length + -length % 4
    assert position == len(body)


def test_files_may_be_joined_and_may_be_empty() -> None:
    assert read(TWO_RECORDS + SPLIT_RECORD) == [b"ab", b"", SPLIT_PAYLOAD]
    assert read(b"") == []


@pytest.mark.parametrize(
    ("body", "row", "byte", "reason"),
    [
        (b"1,2\n3,4\n", 1, 0, "31 2c 32 0a"),
        (TWO_RECORDS + b"x" * 8, 3, 20, "must begin"),
        (TWO_RECORDS[:19], 2, 12, "cut off"),
        (TWO_RECORDS[:10], 1, 0, "cut off"),
        (TWO_RECORDS[:4], 1, 0, "cut off"),
        (MAGIC + b"\xff\xff\xff\x1f", 1, 0, "cut off"),
        (SPLIT_RECORD[:12], 1, 12, "cut off"),
        (SPLIT_RECORD[12:], 1, 0, "flag 3"),
        (part(2, b"abcd"), 1, 0, "flag 2"),
        (part(1, b"abcd") + part(0, b"abcd"), 1, 12, "flag 0"),
        (part(1, b"abcd") + part(1, b"abcd"), 1, 12, "flag 1"),
        (part(7, b"abcd"), 1, 0, "flag 7"),
        (part(1, b"abcd") + b"12345678", 1, 12, "31 32 33 34"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_damage_is_named(body: bytes, row: int, byte: int, reason: str, size: int) -> None:
    with pytest.raises(DataError) as found:
        read(body, size)
    assert found.value.row == row
    assert reason in found.value.reason
    assert str(found.value).endswith(f"at byte {byte}")
    assert str(found.value).startswith(f"a.rec, row {row}")


@given(st.binary(max_size=100))
def test_random_bytes_are_refused(body: bytes) -> None:
    for attempt in (body, MAGIC + body):
        try:
            read(attempt, 16)
        except UserError:
            continue
