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
from typing import NoReturn

import numpy as np

from clary.toolkit.codecs import floats
from clary.toolkit.errors import DataError
from clary.toolkit.records import Floats

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_AFTER_QUOTE = re.compile(r'"[ \t]+(?=,|$)')
_SHOWN = 40


@dataclass(frozen=True)
class Layout:
    """What each row of a file must hold: so many columns, of which the first are labels.

    ``missing`` allows empty cells and NaN among the features; both are NaN then.
    """

    columns: int
    labels: int
    missing: bool
    source: str

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


def blank(line: bytes) -> bool:
    """Whether the line holds nothing but blanks; such lines are skipped."""
    return not line.strip(b" \t\r")


def split(line: bytes, *, source: str, row: int) -> list[str]:
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
        return [cell.strip(" \t") for cell in text.split(",")]
    try:
        (cells,) = csv.reader([_AFTER_QUOTE.sub('"', text)], strict=True, skipinitialspace=True)
    except csv.Error:
        raise DataError('the quotes do not match; a quoted number is "1.5"', source=source, row=row) from None
    return [cell.strip(" \t") for cell in cells]


def runs(data: bytes, first_row: int, layout: Layout, *, header: bool) -> Iterator[tuple[int, Floats]]:
    """The rows between blank lines as arrays (N, columns), each with the number of its first row.

    ``header`` says that text in the first row is taken for column names in the message.
    """
    held: list[list[float]] = []
    for row, line in enumerate(data.split(b"\n"), first_row):
        if not blank(line):
            held.append(_numbers(split(line, source=layout.source, row=row), row, layout, header=header))
            header = False
        elif held:
            yield row - len(held), floats.narrow(np.array(held, np.float64))
            held = []
    if held:
        yield row - len(held) + 1, floats.narrow(np.array(held, np.float64))


def _numbers(cells: list[str], row: int, layout: Layout, *, header: bool) -> list[float]:
    if header and any(_is_text(cell) for cell in cells):
        _refuse_header(cells, row, layout)
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
    elif layout.missing and column > layout.labels and (not cell or _NAN.fullmatch(cell)):
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
    return bool(cell) and not any(kind.fullmatch(cell) for kind in (NUMBER, _NAN, _INFINITE))


def _refuse_header(cells: list[str], row: int, layout: Layout) -> NoReturn:
    column, cell = next((at, cell) for at, cell in enumerate(cells, 1) if _is_text(cell))
    reason = f"found {_shown(cell)}, which is not a number; this looks like a header row, and the data must have none"
    raise DataError(reason, source=layout.source, row=row, column=column)


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "...")
