"""RecordIO: binary records one after the other, each behind a magic number and its length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.errors import DataError, UserError

MAGIC = b"\x0a\x23\xd7\xce"
HEADER_BYTES = 8
LONGEST = (1 << 29) - 1
BUFFER_BYTES = 1 << 20

_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH = struct.Struct("<I")


class Cursor:
    """A place in a stream of records, with a buffer of what comes next.

    ``data[position:]`` are bytes read but not taken; ``row`` is the number of the next record, from 1.
    """

    def __init__(self, stream: Readable, *, source: str = "", size: int = BUFFER_BYTES) -> None:
        self.data, self.position, self.row, self.source = b"", 0, 1, source
        self._stream, self._size, self._gone = stream, size, 0

    def refill(self) -> bool:
        """Read on, keeping what was not taken; False at the end of the stream."""
        more = self._stream.read(self._size)
        self._gone += self.position
        self.data, self.position = self.data[self.position :] + more, 0
        return bool(more)

    def ready(self) -> bool:
        """Whether a record follows, of which at least the first part is in the buffer then; may read on."""
        while len(self.data) - self.position < HEADER_BYTES:
            if not self.refill():
                if self.position == len(self.data):
                    return False
                raise self._cut_off()
        self._need(HEADER_BYTES + self._padded(self._header(self.position)[1]))
        return True

    def whole(self) -> int:
        """Length of the next record's payload, which lies in the buffer behind the header; 0 if it is split."""
        flag, length = self._header(self.position)
        return length if flag == _WHOLE else 0

    def take(self) -> bytes:
        """The next record's payload, joined from its parts; ``ready`` must have been asked before."""
        parts = [self._part(_WHOLE, _FIRST)]
        while parts[-1][0] in (_FIRST, _MIDDLE):
            self._need(HEADER_BYTES)
            self._need(HEADER_BYTES + self._padded(self._header(self.position)[1]))
            parts.append(self._part(_MIDDLE, _LAST))
        self.row += 1
        return MAGIC.join(payload for _, payload in parts)

    def skip(self, records: int, size: int) -> None:
        """Pass over records that together take ``size`` bytes of the buffer."""
        self.position += size
        self.row += records

    def _part(self, *allowed: int) -> tuple[int, bytes]:
        flag, length = self._header(self.position)
        if flag not in allowed:
            raise self._error(f"a record part with flag {flag} stands where {' or '.join(map(str, allowed))} must be")
        start = self.position + HEADER_BYTES
        self.position = start + self._padded(length)
        return flag, self.data[start : start + length]

    def _header(self, position: int) -> tuple[int, int]:
        if self.data[position : position + 4] != MAGIC:
            found = self.data[position : position + 4].hex(" ")
            raise self._error(f"found the bytes {found} where a RecordIO record must begin (0a 23 d7 ce)")
        (word,) = _LENGTH.unpack_from(self.data, position + 4)
        return word >> 29, word & LONGEST

    def _need(self, size: int) -> None:
        missing = size - (len(self.data) - self.position)
        if missing <= 0:
            return
        pieces = [self.data[self.position :]]
        while missing > 0:
            # A length may be nonsense: never ask for much more than the stream has shown to hold.
            more = self._stream.read(max(self._size, min(missing, 16 * self._size)))
            if not more:
                raise self._cut_off()
            pieces.append(more)
            missing -= len(more)
        self._gone += self.position
        self.data, self.position = b"".join(pieces), 0

    @staticmethod
    def _padded(length: int) -> int:
        return length + -length % 4

    def _cut_off(self) -> DataError:
        return self._error("the record is cut off; the file ends inside it")

    def _error(self, reason: str) -> DataError:
        return DataError(f"{reason}, at byte {self._gone + self.position}", source=self.source, row=self.row)


def read(stream: Readable, *, source: str = "", size: int = BUFFER_BYTES) -> Iterator[bytes]:
    """The payload of each record in order; DataError names the record and the byte where the framing is broken.

    Reads records that were split at embedded magic numbers, and those of simple writers that never split.
    """
    cursor = Cursor(stream, source=source, size=size)
    while cursor.ready():
        yield cursor.take()


def frame(payload: bytes) -> bytes:
    """The record's bytes in a file: split where the payload holds the magic number at a multiple of four."""
    if len(payload) > LONGEST:
        raise UserError(f"a RecordIO record holds at most {LONGEST} bytes; got {len(payload)}")
    parts = _split(payload)
    flags = [_FIRST, *[_MIDDLE] * (len(parts) - 2), _LAST] if len(parts) > 1 else [_WHOLE]
    return b"".join(
        MAGIC + _LENGTH.pack(flag << 29 | len(part)) + part + bytes(-len(part) % 4)
        for flag, part in zip(flags, parts, strict=True)
    )


def write(stream: BinaryIO, payload: bytes) -> None:
    """Append one record."""
    stream.write(frame(payload))


def _split(payload: bytes) -> list[bytes]:
    parts, start, found = [], 0, payload.find(MAGIC)
    while found >= 0:
        if found % 4 == 0:
            parts.append(payload[start:found])
            start = found + 4
        found = payload.find(MAGIC, found + 4 if found % 4 == 0 else found + 1)
    return [*parts, payload[start:]]
