"""A table of texts with the line of each row: from a CSV file as people's programs write them, or a data frame."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clary.forecast.findings import Findings
from clary.toolkit.errors import DataError, UserError

_DELIMITERS = ",;\t|"
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LONGEST = 1 << 17  # characters of a cell: more is a quote that was never closed
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "#n/a", "nat"})


@dataclass(frozen=True)
class Table:
    """Columns of stripped texts by name, and the line of the file on which each row ends.

    ``origins`` are the columns that the rows' values come from, where the table had one for each series.
    """

    source: str
    columns: Mapping[str, list[str]]
    lines: Sequence[int]
    decimal_comma: bool = False
    origins: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the file's order."""
        return list(self.columns)

    def error(self, row: int, column: str, reason: str) -> DataError:
        """An error that names the file, the line and the column."""
        return DataError(reason, source=self.source, row=self.lines[row], column=column, kind="line")

    def without(self, rows: set[int]) -> Table:
        """The table without those rows."""
        if not rows:
            return self
        kept = [row for row in range(len(self)) if row not in rows]
        columns = {name: [cells[row] for row in kept] for name, cells in self.columns.items()}
        return Table(self.source, columns, [self.lines[row] for row in kept], self.decimal_comma)


def missing(cell: str) -> bool:
    """Whether the cell says that there is no value."""
    return cell.lower() in MISSING


def read(given: Path | str | Any, findings: Findings, name: str = "") -> Table:
    """The table of a CSV file (also gzipped), or of a pandas or polars data frame.

    Rows with too few or too many cells are rejected with their line; UserError or DataError where the whole cannot be
    read as a table.
    """
    if isinstance(given, (str, Path)):
        return _of_text(_text(Path(given)), Path(given).name, findings)
    if hasattr(given, "columns"):
        return _of_frame(given, name or "the data frame")
    raise UserError(
        f"{name or 'the input'} must be the path of a CSV file or a data frame; got {type(given).__name__}"
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz" or content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if content[:4] in (b"PK\x03\x04", b"PAR1"):
        raise UserError(f"{path} is no CSV but a workbook or parquet file; save it as CSV (UTF-8) first")
    if content[:2] in _WIDE_MARKS:
        return content.decode("utf-16", errors="replace")
    content = content.removeprefix(_UTF8_MARK)
    if (place := content.find(b"\0")) >= 0:
        line = content[:place].count(b"\n") + 1
        raise DataError("found a zero byte; this is no text file", source=path.name, row=line, kind="line")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"byte 0x{content[error.start]:02x} is no UTF-8; save the file as CSV (UTF-8)"
        raise DataError(found, source=path.name, row=line, kind="line") from None


def _of_text(text: str, source: str, findings: Findings) -> Table:
    if not text.strip():
        raise UserError(f"{source} is empty; a header line and rows are needed")
    delimiter = _delimiter(text)
    if delimiter != ",":
        shown = "a tab" if delimiter == "\t" else repr(delimiter)
        findings.repair(source, "delimiter", 1, f"cells are parted by {shown} in place of a comma")
    rows, lines = _rows(text, delimiter, source)
    header, begin = _header(rows, source, findings)
    columns: dict[str, list[str]] = {name: [] for name in header}
    kept: list[int] = []
    cells = list(columns.values())
    for row, line in zip(rows[begin:], lines[begin:], strict=True):
        values = _fitted(row, len(header))
        if values is None:
            word = "cells are" if len(row) != 1 else "cell is"
            findings.reject(source, line, "", f"{len(row)} {word} here, and the header has {len(header)}")
            continue
        for column, value in zip(cells, values, strict=True):
            column.append(value.strip())
        kept.append(line)
    findings.check(source, len(rows) - begin, 0.5)
    if not kept:
        raise UserError(f"{source} has a header and no rows")
    return Table(source, columns, kept, decimal_comma=delimiter != ",")


def _delimiter(text: str) -> str:
    first = next(line for line in text.splitlines() if line.strip())
    counts = [(first.count(each), -place, each) for place, each in enumerate(_DELIMITERS)]
    return max(counts)[2] if max(counts)[0] else ","


def _rows(text: str, delimiter: str, source: str) -> tuple[list[list[str]], list[int]]:
    """The rows that are not blank, and the line on which each ends."""
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        begun = lines[-1] + 1 if lines else 1
        raise DataError(f"{error}; is a quote left open?", source=source, row=begun, kind="line") from None
    return rows, lines


def _header(rows: list[list[str]], source: str, findings: Findings) -> tuple[list[str], int]:
    """The names of the columns, and the number of rows that they take: none where the first row is data."""
    first = [cell.strip() for cell in rows[0]]
    if _is_data(first):
        if len(first) != 3:
            raise DataError(
                f"the first line holds data and no names: {', '.join(first)}; put a header line above it",
                source=source,
                row=1,
                kind="line",
            )
        findings.repair(source, "header", 1, "there is no header line; columns are named by what they hold")
        return [f"column {number}" for number in range(1, len(first) + 1)], 0
    while first and not first[-1] and len(first) > 1:
        first.pop()
    for place, name in enumerate(first, 1):
        if not name:
            raise DataError(f"column {place} of {len(first)} has no name", source=source, row=1, kind="line")
        if (before := first.index(name) + 1) != place:
            raise DataError(
                f"columns {before} and {place} are both named {name!r}; names must differ",
                source=source,
                row=1,
                kind="line",
            )
    return first, 1


def _is_data(cells: Sequence[str]) -> bool:
    """Whether a first row holds a date and a number, which no header does."""
    dates = [cell[:4].isdigit() and cell[4:5] in "-/" and len(cell) > 6 for cell in cells]
    numbers = [_is_number(cell) for cell in cells]
    return any(dates) and any(numbers)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _fitted(row: list[str], width: int) -> list[str] | None:
    """The row's cells; empty ones too many at its end are dropped, and any other difference is None."""
    while len(row) > width and not row[-1].strip():
        row = row[:-1]
    return row if len(row) == width else None


def _of_frame(frame: Any, name: str) -> Table:
    names = [str(column) for column in frame.columns]
    if len(set(names)) != len(names):
        raise UserError(f"{name} has several columns of one name: {', '.join(names)}")
    if not names or not len(frame):
        raise UserError(f"{name} has no rows")
    columns = {str(column): _texts(frame[column]) for column in frame.columns}
    return Table(name, columns, range(1, len(frame) + 1))


def _texts(column: Any) -> list[str]:
    values = np.asarray(column)
    if values.dtype.kind == "M":
        cells = np.datetime_as_string(values.astype("M8[s]"))
        return ["" if cell == "NaT" else str(cell) for cell in cells]
    return ["" if cell is None or cell != cell else str(cell).strip() for cell in values.tolist()]
