"""Transparent decompression: a stream that begins with gzip's magic bytes is read as what it holds."""

from __future__ import annotations

import gzip
import zlib
from typing import BinaryIO, Protocol, cast

from clary.toolkit.errors import DataError

MAGIC = b"\x1f\x8b"


class Readable(Protocol):
    """All that a streaming reader asks of a stream: up to so many bytes, and none only at the end."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; empty at the end of the stream."""
        ...


class _Rejoined:
    """A stream whose first bytes were already taken, which cannot seek back to them."""

    def __init__(self, head: bytes, stream: Readable) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int, /) -> bytes:
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._stream.read(size)


class _Gunzipped:
    """The decompressed bytes; damage becomes a DataError that names the source."""

    def __init__(self, stream: Readable, source: str) -> None:
        self._file, self._source = gzip.GzipFile(fileobj=cast(BinaryIO, stream), mode="rb"), source

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except EOFError:
            raise DataError("the gzip data end early; the file was cut off", source=self._source) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"the gzip data are damaged ({error})", source=self._source) from None


def plain(stream: Readable, *, source: str = "") -> Readable:
    """The stream itself, or its decompressed content where it begins with gzip's magic bytes.

    Several gzip members that follow each other are one stream, as ``cat a.gz b.gz`` makes them. A stream that
    is not compressed and can seek is returned as it came.
    """
    head = _first_two(stream)
    if head == MAGIC:
        return _Gunzipped(_Rejoined(head, stream), source)
    seekable = getattr(stream, "seekable", None)
    if seekable is not None and seekable():
        seekable_stream = cast(BinaryIO, stream)
        seekable_stream.seek(-len(head), 1)
        return stream
    return _Rejoined(head, stream)


def _first_two(stream: Readable) -> bytes:
    head = stream.read(2)
    # A pipe may hand over a single byte at first.
    return head + stream.read(1) if len(head) == 1 else head
