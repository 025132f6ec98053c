"""Careful reading of CSV: cell by cell, with the row, the column and the reason where one is no number.

This is what decides which text is a number. The fast parsers only see to it that ordinary files need not
come here.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clary.toolkit.codecs import floats
from clary.toolkit.errors import DataError
from clary.toolkit.records import Floats

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
NAN = re.compile(r"[+-]?nan", re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_SHOWN = 40
_DELIMITERS = ",;\t| :"
_GUESSED_FROM = 512


@dataclass(frozen=True)
class Layout:
    """What each row of a file must hold: so many columns, of which the first are labels.

    ``missing`` allows empty cells and NaN among the features; both are NaN then. ``delimiter`` stands between
    two cells of CSV.
    """

    columns: int
    labels: int
    missing: bool
    source: str
    delimiter: str = ","

    def __post_init__(self) -> None:
        if self.labels >= self.columns:
            raise DataError(
                f"found {count(self.columns)} with label_size={self.labels}, so no feature is left; "
                "give each row its features or set label_size to the number of label columns",
                source=self.source,
                row=1,
            )


def count(columns: int) -> str:
    """``1 column`` or ``5 columns``."""
    return f"{columns} column{'' if columns == 1 else 's'}"


def blank(line: bytes, delimiter: str | None) -> bool:
    """Whether the line holds nothing but blanks that part no cells; such lines are skipped."""
    rest = line.strip(b" \t\r")
    return not rest and (delimiter not in (" ", "\t") or delimiter.encode() not in line)


def guess(line: bytes) -> str:
    """The delimiter that parts the most numbers and empty cells of a line; a comma where none does."""
    # No character takes more than four bytes.
    text = line[: 4 * _GUESSED_FROM + 1].decode(errors="replace").rstrip("\r")
    best, most = _DELIMITERS[0], 1
    for delimiter in _DELIMITERS:
        cells = text[:_GUESSED_FROM].split(delimiter)
        if len(text) > _GUESSED_FROM:
            # The last one may have been cut.
            cells.pop()
        if len(cells) > most and all(map(_may_be_number, cells)):
            best, most = delimiter, len(cells)
    return best


def _may_be_number(cell: str) -> bool:
    bare = cell.strip(' "')
    return not bare or NUMBER.fullmatch(bare) is not None or not _is_text(bare)


def split(line: bytes, delimiter: str, *, source: str, row: int) -> list[str]:
    """The cells of one line, without the blanks and the quotes around them."""
    if b"\0" in line:
        raise DataError("the row holds a NUL byte; the file must be UTF-8 text", source=source, row=row)
    try:
        text = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"the row is not UTF-8 text (byte {error.start + 1} of the row)", source=source, row=row
        ) from None
    if "\r" in text:
        raise DataError("the row holds a bare carriage return; rows end in LF or CRLF", source=source, row=row)
    if '"' not in text:
        return [cell.strip(" \t") for cell in text.split(delimiter)]
    text = _around_quotes(delimiter).sub('"', text)
    try:
        (cells,) = csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")
    except csv.Error:
        raise DataError('the quotes do not match; a quoted number is "1.5"', source=source, row=row) from None
    return [cell.strip(" \t") for cell in cells]


@lru_cache(maxsize=8)
def _around_quotes(delimiter: str) -> re.Pattern[str]:
    """A quote and the blanks between it and the delimiter behind it, which are no part of the cell."""
    blanks = " \t".replace(delimiter, "")
    return re.compile(rf'"[{blanks}]+(?={re.escape(delimiter)}|$)')


def refuse_header(cells: list[str], *, source: str, row: int) -> None:
    """DataError if the cells of a first row hold text, which is taken for column names."""
    for column, cell in enumerate(cells, 1):
        if _is_text(cell):
            reason = f"found {_shown(cell)}, which is not a number; this looks like a header row"
            reason += ", and the data must have none"
            raise DataError(reason, source=source, row=row, column=column)


def runs(data: bytes, first_row: int, layout: Layout) -> Iterator[tuple[int, Floats]]:
    """The rows between blank lines as arrays (N, columns), each with the number of its first row."""
    held: list[list[float]] = []
    for row, line in enumerate(data.split(b"\n"), first_row):
        if not blank(line, layout.delimiter):
            cells = split(line, layout.delimiter, source=layout.source, row=row)
            held.append(_numbers(cells, row, layout))
        elif held:
            yield row - len(held), floats.narrow(np.array(held, np.float64))
            held = []
    if held:
        yield row - len(held) + 1, floats.narrow(np.array(held, np.float64))


def _numbers(cells: list[str], row: int, layout: Layout) -> list[float]:
    if len(cells) != layout.columns:
        raise DataError(
            f"found {count(len(cells))}, expected {layout.columns} as in the first row", source=layout.source, row=row
        )
    return [_number(cell, row, column, layout) for column, cell in enumerate(cells, 1)]


def _number(cell: str, row: int, column: int, layout: Layout) -> float:
    if NUMBER.fullmatch(cell):
        value = float(cell)
        if floats.fits(value):
            return value
        reason = f"{_shown(cell)} {floats.TOO_LARGE}"
    elif layout.missing and column > layout.labels and (not cell or NAN.fullmatch(cell)):
        return math.nan
    elif not cell:
        reason = f"the cell is empty; every {_kind(column, layout)} must be a number"
    elif _is_text(cell):
        reason = f"found {_shown(cell)}, which is not a number"
    else:
        reason = f"found {_shown(cell)}; every {_kind(column, layout)} must be a finite number"
    raise DataError(reason, source=layout.source, row=row, column=column)


def _kind(column: int, layout: Layout) -> str:
    return "label" if column <= layout.labels else "feature"


def _is_text(cell: str) -> bool:
    return bool(cell) and not any(kind.fullmatch(cell) for kind in (NUMBER, NAN, _INFINITE))


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "...")
