"""Files cut into payloads of whole records that stay below a size, in one pass and constant memory."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast

from clary.toolkit.errors import DataError

Split = Literal["None", "Line", "RecordIO"]
Strategy = Literal["MultiRecord", "SingleRecord"]
_BLOCK = 1 << 20
_MAGIC = 0xCED7230A
_HEAD = struct.Struct("<II")
_LENGTH = (1 << 29) - 1
_WHOLE, _LAST = 0, 3


@dataclass(frozen=True)
class Payload:
    """The body of one request and the number, from 1, of its first record in the file."""

    body: bytes
    first: int
    records: int


def inflated(stream: BinaryIO) -> BinaryIO:
    """The stream's content, without its gzip compression if it has one."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
    if buffered.peek(2)[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    return buffered


def payloads(
    stream: BinaryIO, split: Split, *, limit: int, strategy: Strategy = "MultiRecord", source: str
) -> Iterator[Payload]:
    """The stream's records in payloads of at most ``limit`` bytes; DataError if one record alone is larger.

    With split ``None`` the whole stream is one payload. A single RecordIO record travels without its framing,
    as the platform sends it.
    """
    if split == "None":
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise DataError(f"the file is larger than one request may be ({limit} bytes)", source=source)
        yield Payload(body, 1, 1)
        return
    records = whole_records(stream, split, source=source)
    if strategy == "SingleRecord":
        for number, record in enumerate(records, 1):
            _check(record, limit, source, number)
            yield Payload(record if split == "Line" else _bare(record), number, 1)
        return
    yield from _filled(records, limit, source)


def whole_records(stream: BinaryIO, split: Split, *, source: str) -> Iterator[bytes]:
    """Each record as it stands in the file: a line with its newline, or a RecordIO record with its framing."""
    if split == "None":
        raise ValueError("a file without a split is one record")
    return _lines(stream) if split == "Line" else _framed(stream, source)


def _filled(records: Iterator[bytes], limit: int, source: str) -> Iterator[Payload]:
    parts: list[bytes] = []
    size = number = 0
    for number, record in enumerate(records, 1):
        _check(record, limit, source, number)
        if size + len(record) > limit:
            yield Payload(b"".join(parts), number - len(parts), len(parts))
            parts, size = [], 0
        parts.append(record)
        size += len(record)
    if parts:
        yield Payload(b"".join(parts), number - len(parts) + 1, len(parts))


def _check(record: bytes, limit: int, source: str, number: int) -> None:
    if len(record) > limit:
        raise DataError(
            f"the record has {len(record)} bytes, more than one request may have ({limit})", source=source, row=number
        )


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines with their newlines; blank ones are left out."""
    for line in stream:
        if not line.isspace():
            yield line


def _framed(stream: BinaryIO, source: str) -> Iterator[bytes]:
    """Whole RecordIO records with their framing, the parts of a split one together."""
    number, parts = 1, []
    while head := stream.read(_HEAD.size):
        if len(head) < _HEAD.size or _HEAD.unpack(head)[0] != _MAGIC:
            raise DataError("no RecordIO record begins here", source=source, row=number)
        word = _HEAD.unpack(head)[1]
        length = word & _LENGTH
        body = stream.read(length + -length % 4)
        if len(body) < length:
            raise DataError("the file ends inside this record", source=source, row=number)
        parts.append(head + body)
        if word >> 29 in (_WHOLE, _LAST):
            yield b"".join(parts)
            number, parts = number + 1, []
    if parts:
        raise DataError("the file ends inside this record", source=source, row=number)


def _bare(framed: bytes) -> bytes:
    """A framed record's payload; between the parts of a split one stands the magic that the writer left out."""
    parts, position = [], 0
    while position < len(framed):
        length = _HEAD.unpack_from(framed, position)[1] & _LENGTH
        start = position + _HEAD.size
        parts.append(framed[start : start + length])
        position = start + length + -length % 4
    return struct.pack("<I", _MAGIC).join(parts)
