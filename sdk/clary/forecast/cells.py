"""Cells of a column as times and as numbers, with a reason for each that is neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.table import missing
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
_ISO = re.compile(
    r"(\d{4})[-/.]?(\d{1,2})(?:[-/.]?(\d{1,2}))?"
    r"(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?"
)
_DAY_MONTH = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_YEAR = re.compile(r"\d{4}")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_EARLIEST, _LATEST = 1678, 2261


@dataclass
class Times:
    """Times of the cells, not a time where one is bad; ``bad`` says why, by row; ``notes`` are decisions."""

    values: Array
    bad: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class Numbers:
    """Numbers of the cells, NaN where one is missing or bad; ``bad`` says why, by row."""

    values: Array
    bad: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def times(cells: Sequence[str], form: str | None = None) -> Times:
    """The times of a column, in ISO 8601 or with day and month around slashes, or in the form of ``strptime``.

    Where both day/month and month/day fit all cells, UserError asks for the form.
    """
    different = dict.fromkeys(cells)
    notes: list[str] = []
    if form:
        found = {cell: _read(cell, lambda text: datetime.strptime(text, form)) for cell in different}
    else:
        found, notes = _guessed(list(different))
    number = {cell: place for place, cell in enumerate(different)}
    places = [number[cell] for cell in cells]
    known = [None if isinstance(time, str) else time for time in found.values()]
    wrong = {number[cell]: time for cell, time in found.items() if isinstance(time, str)}
    bad = {row: wrong[place] for row, place in enumerate(places) if place in wrong} if wrong else {}
    return Times(np.array(known, "M8[s]")[places], bad, notes)


def _guessed(cells: list[str]) -> tuple[dict[str, datetime | str], list[str]]:
    offsets: dict[str, str] = {}
    notes: list[str] = []
    order = _order([cell for cell in cells if _DAY_MONTH.fullmatch(cell)])
    if order:
        notes.append(f"dates are read as {'day/month/year' if order == 'DM' else 'month/day/year'}")
    found = {cell: _read(cell, lambda text: _one(text, order, offsets)) for cell in cells}
    if len(offsets) > 1:
        shown = ", ".join(sorted(offsets))
        raise UserError(
            f"the timestamps have several offsets from UTC ({shown}), as clocks with summer time do; first seen in "
            f"{', '.join(map(repr, offsets.values()))}; write all of them in one zone"
        )
    if offsets and next(iter(offsets)) not in ("Z", "UTC"):
        notes.append(f"the offset {next(iter(offsets))} is left out, and forecasts are in that local time")
    return found, notes


def _read(cell: str, read: Callable[[str], datetime]) -> datetime | str:
    if missing(cell):
        return "the timestamp is empty"
    try:
        time = read(cell)
    except ValueError as error:
        reason = str(error)
        return reason if cell in reason else f"{cell!r} is no time: {reason}"
    if not _EARLIEST <= time.year <= _LATEST:
        return f"{cell!r} is not between the years {_EARLIEST} and {_LATEST}"
    return time.replace(microsecond=0)


def _order(cells: list[str]) -> str:
    """``DM`` or ``MD``, whichever fits all cells with slashes; the empty text where there are none."""
    if not cells:
        return ""
    parts = [(int(found[1]), int(found[2])) for cell in cells if (found := _DAY_MONTH.fullmatch(cell))]
    # A cell that fits neither is bad whatever the others say, and must not decide for them.
    parts = [(one, two) for one, two in parts if min(one, two) <= 12 and max(one, two) <= 31]
    days_first = all(two <= 12 for _, two in parts)
    months_first = all(one <= 12 for one, _ in parts)
    if days_first == months_first:
        both = "could be day/month/year and month/day/year"
        neither = "are day/month/year in some rows and month/day/year in others"
        raise UserError(
            f"dates such as {cells[0]!r} {both if days_first else neither}; say which, for example with "
            "--timestamp-format '%d/%m/%Y'"
        )
    return "DM" if days_first else "MD"


def _one(text: str, order: str, offsets: dict[str, str]) -> datetime:
    if found := _DAY_MONTH.fullmatch(text):
        one, two, year = int(found[1]), int(found[2]), int(found[3])
        day, month = (one, two) if order == "DM" else (two, one)
        hour, minute, second = (int(each or 0) for each in found.groups()[3:])
        return datetime(year, month, day, hour, minute, second)
    if _YEAR.fullmatch(text):
        return datetime(int(text), 1, 1)
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no time such as 2024-01-31 or 2024-01-31 13:00:00; another form can be told with "
            "--timestamp-format"
        )
    if found[7]:
        offsets.setdefault(found[7], text)
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups()[:6])
    if hour == 24 and minute == second == 0:
        return datetime(year, month, day or 1) + timedelta(days=1)
    return datetime(year, month, day or 1, hour, minute, second)


def numbers(cells: Sequence[str], *, decimal_comma: bool = False) -> Numbers:
    """The numbers of a column. Empty cells and words such as NA are missing.

    With ``decimal_comma`` a comma may stand before the fraction, if no cell has a point.
    """
    notes: list[str] = []
    if decimal_comma and any("," in cell for cell in cells) and _all_with_comma(cells):
        cells = [cell.replace(",", ".") for cell in cells]
        notes.append("numbers are read with a decimal comma")
    found = {cell: _number(cell) for cell in dict.fromkeys(cells)}
    wrong = {cell: reason for cell, reason in found.items() if isinstance(reason, str)}
    bad = {row: wrong[cell] for row, cell in enumerate(cells) if cell in wrong} if wrong else {}
    plain = {cell: np.nan if isinstance(number, str) else number for cell, number in found.items()}
    return Numbers(np.array([plain[cell] for cell in cells], float), bad, notes)


def _all_with_comma(cells: Sequence[str]) -> bool:
    return all(_COMMA.fullmatch(cell) for cell in cells if not missing(cell))


def _number(cell: str) -> float | str:
    if _PLAIN.fullmatch(cell):
        value = float(cell)
        return value if abs(value) < 1e300 else f"{cell!r} is too large"
    if missing(cell):
        return np.nan
    if _GROUPED.fullmatch(cell):
        return f"{cell!r} has commas between its digits; write {cell.replace(',', '')}"
    if re.sub(r"[\s$€£¥%]", "", cell) != cell and _PLAIN.fullmatch(re.sub(r"[\s$€£¥%]", "", cell)):
        return f"{cell!r} has signs beside the number; write {re.sub(r'[^0-9.eE+-]', '', cell)}"
    if cell.lower().lstrip("+-") in ("inf", "infinity"):
        return f"{cell!r} is not finite"
    return f"{cell!r} is no number"
