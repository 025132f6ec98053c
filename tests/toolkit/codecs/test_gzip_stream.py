"""Gzip is undone wherever a stream begins with its magic, and damage names the source."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.codecs import gzip_stream
from clary.toolkit.errors import DataError


class Pipe:
    """A stream that cannot seek and hands over few bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        self._rest, self._most = io.BytesIO(content), most

    def read(self, size: int, /) -> bytes:
        return self._rest.read(min(size, self._most))


def drained(stream: gzip_stream.Readable) -> bytes:
    return b"".join(iter(lambda: stream.read(7), b""))


@given(st.binary(max_size=50), st.integers(1, 9), st.booleans(), st.booleans())
def test_every_stream_is_read_as_what_it_holds(content: bytes, most: int, pipe: bool, compress: bool) -> None:
    if content.startswith(gzip_stream.MAGIC):
        content = b"x" + content
    body = gzip.compress(content) if compress else content
    assert drained(gzip_stream.plain(Pipe(body, most) if pipe else io.BytesIO(body))) == content


def test_members_that_follow_each_other_are_one_stream() -> None:
    assert drained(gzip_stream.plain(io.BytesIO(gzip.compress(b"1,2\n") + gzip.compress(b"3,4\n")))) == b"1,2\n3,4\n"


def test_a_stream_that_is_not_compressed_can_still_seek() -> None:
    stream = io.BytesIO(b"PAR1...")
    assert gzip_stream.plain(stream) is stream
    assert stream.tell() == 0


WHOLE = gzip.compress(b"1,2\n" * 1000, mtime=0)  # without a time, so that the tests have the same names each time


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (WHOLE[:-1], "end early"),
        (WHOLE[:20], "end early"),
        (WHOLE[:2], "end early"),
        (WHOLE[:-8] + bytes(8), "damaged"),
        (WHOLE[:15] + b"\xff\xff\xff" + WHOLE[18:], "damaged"),
        (WHOLE + b"garbage", "damaged"),
        (b"\x1f\x8b\x09" + WHOLE[3:], "damaged"),
    ],
)
def test_damage_names_the_source(body: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"^train/a.csv.gz: .*{reason}"):
        drained(gzip_stream.plain(io.BytesIO(body), source="train/a.csv.gz"))
