"""Rows in a file or on standard input: what they are, and their records as a stream in bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clary.toolkit import media
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType

if TYPE_CHECKING:
    from clary.toolkit.records import Records
    from clary.toolkit.tabular import Reading

STANDARD_INPUT = "-"


def type_of(path: Path, given: str | None, *, option: str) -> MediaType:
    """The type that the user gave, or else that the file's name tells; UserError names the option otherwise.

    CSV and parquet without ``label_size`` have no label column.
    """
    text = given or (media.CSV if str(path) == STANDARD_INPUT else media.of_file(path.name))
    if text is None:
        raise UserError(
            f"the name of {path} does not tell what it holds; say so with {option}, for example {option} {media.CSV}"
        )
    from clary.toolkit.tabular import ALIASES

    found = MediaType.parse(text)
    name, parameters = ALIASES.get(found.name, found.name), found.parameters
    if name in (media.CSV, media.PARQUET) and "label_size" not in parameters:
        parameters = {**parameters, "label_size": "0"}
    return MediaType(name, parameters)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, or those of standard input for ``-``; UserError if they cannot be read."""
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; give one file of rows") from error
    except OSError as error:
        raise UserError(f"the rows {path} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def records(
    stream: BinaryIO, content_type: MediaType, source: str, reading: Reading | None = None
) -> Iterator[Records]:
    """Blocks of rows, in order; DataError names the row and the reason where one cannot be read."""
    from clary.toolkit import tabular

    return tabular.read(stream, content_type, source=source, reading=reading or tabular.PLAIN)


def said(path: Path) -> str:
    """What messages call the rows."""
    return "stdin" if str(path) == STANDARD_INPUT else str(path)
