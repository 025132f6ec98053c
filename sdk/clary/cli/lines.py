"""A file of JSON Lines in blocks, answered by a model whose records are objects, every refusal with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO

from clary.runner.splitting import inflated
from clary.toolkit import media
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor

_BLOCK = 1 << 18  # bytes of lines that are answered at once
_LINES = MediaType(media.JSON_LINES)
Lines = list[bytes]


def answers(
    predictor: Predictor[Any, Any], stream: BinaryIO, kind: MediaType, asked: Mapping[str, str], source: str
) -> Iterator[tuple[int, Any]]:
    """The answers to the file's records in order, in parts, each with its number of records.

    DataError names the line of the file; UserError where the file is of another type.
    """
    if kind.name != media.JSON_LINES:
        raise UserError(
            f"{predictor.spec.title} reads files of {media.JSON_LINES} here; if {source} is one, say so with "
            f"--content-type {media.JSON_LINES}"
        )
    first = 1
    for block in _blocks(stream):
        if any(line.strip() for line in block):
            yield from _halved(predictor, block, first, asked, source)
        first += len(block)


def _blocks(stream: BinaryIO) -> Iterator[Lines]:
    """The file's lines, blank ones too, so many that they have about the size of a block."""
    lines = iter(inflated(stream))
    for line in lines:
        block, size = [line], len(line)
        while size < _BLOCK and (more := next(lines, b"")):
            block.append(more)
            size += len(more)
        yield block


def _halved(
    predictor: Predictor[Any, Any], block: Lines, first: int, asked: Mapping[str, str], source: str
) -> Iterator[tuple[int, Any]]:
    """The answers to a block, in halves where one answer would be too large."""
    try:
        request = predictor.decode(b"".join(block), _LINES)
        answer = predictor.predict_with(request, asked) if asked else predictor.predict(request)
    except DataError as error:
        row = None if error.row is None else error.row + first - 1
        raise DataError(error.reason, source=source, row=row, field=error.field, kind=error.kind) from None
    except TooLargeError:
        if len(block) == 1:
            raise
        half = len(block) // 2
        parts = (block[:half], first), (block[half:], first + half)
        yield from chain.from_iterable(_halved(predictor, *part, asked, source) for part in parts)
        return
    yield predictor.count(request), answer
