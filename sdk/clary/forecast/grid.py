"""The steps of a job's clock: which step a time falls into, when a step is, and how long the seasons are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.deepar.frequency import Frequency
from clary.forecast import weekdays
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
_DAY = 86400
_SECONDS = {"S": 1, "min": 60, "H": 3600, "D": _DAY, "W": 7 * _DAY}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_ALIASES = {
    **dict.fromkeys(("T", "MIN", "MINUTE", "MINUTES", "MINUTELY"), "min"),
    **dict.fromkeys(("h", "HOUR", "HOURS", "HOURLY"), "H"),
    **dict.fromkeys(("b", "BD", "BUSINESS", "WEEKDAYS", "BDAY"), weekdays.UNIT),
    **dict.fromkeys(("d", "DAY", "DAYS", "DAILY"), "D"),
    **dict.fromkeys(("w", "WEEK", "WEEKS", "WEEKLY"), "W"),
    **dict.fromkeys(("MS", "ME", "MONTH", "MONTHS", "MONTHLY"), "M"),
    **dict.fromkeys(("q", "QS", "QE", "QUARTER", "QUARTERS", "QUARTERLY"), "Q"),
    **dict.fromkeys(("y", "A", "YS", "YE", "YEAR", "YEARS", "YEARLY", "ANNUAL"), "Y"),
    **dict.fromkeys(("s", "SEC", "SECOND", "SECONDS"), "S"),
}
_SPELLED = re.compile(r"([1-9][0-9]{0,5})?\s*([A-Za-z]+)")
# Seasons in seconds, for units that have a fixed length; and in steps for those of the calendar.
_CYCLES = {
    "S": (60, 3600),
    "min": (3600, _DAY, 7 * _DAY),
    "H": (_DAY, 7 * _DAY),
    "D": (7 * _DAY,),
    "W": (364 * _DAY,),
}
_LONGEST_SEASON = 2016
_SPORADIC_SHARE = 0.1  # of single steps, in sporadic demand with enough rows
_FEWEST_SPORADIC = 20  # distances
_SHARE = 0.6  # of the distances that must agree before a frequency is inferred


def frequency(text: str) -> Frequency:
    """The frequency that a person spells, such as ``D``, ``15min``, ``weekly`` or ``MS``; UserError if it is none."""
    found = _SPELLED.fullmatch(text.strip())
    unit = found[2] if found else ""
    known = (
        unit
        if unit in ("min", weekdays.UNIT, *_SECONDS, *_MONTHS)
        else _ALIASES.get(unit, _ALIASES.get(unit.upper(), ""))
    )
    if not known:
        raise UserError(
            "--frequency must be a number, which may be left out, and one of Y, Q, M, W, D, B (business days), H, "
            f"min and S, such as D or 15min; got {text!r}"
        )
    if known == weekdays.UNIT:
        if found and found[1] not in (None, "1"):
            raise UserError(f"--frequency B has no multiple; got {text!r}")
        return weekdays.Weekdays()
    return Frequency(known, int(found[1] or 1) if found else 1)


@dataclass(frozen=True)
class Grid:
    """Steps of a frequency. Step 0 begins ``phase`` units after 1970; its time is ``anchor`` seconds later.

    With ``month_end`` the time of a step is the last day of its month, quarter or year.
    """

    frequency: Frequency
    phase: int = 0
    anchor: int = 0
    month_end: bool = False

    @classmethod
    def of(cls, times: Array, freq: Frequency) -> Grid:
        """The grid of that frequency on which most of the times lie."""
        ordinals = freq.ordinal(times)
        phase = _most(ordinals % freq.multiple)
        plain = cls(freq, phase)
        starts = plain._starts(ordinals)
        offsets = (times.astype("M8[s]") - starts).astype(np.int64)
        if freq.unit in _MONTHS and _are_month_ends(times, freq):
            return cls(freq, phase, 0, month_end=True)
        return cls(freq, phase, _most(offsets))

    def steps(self, times: Array) -> Array:
        """The step that each time falls into."""
        found: Array = (self.frequency.ordinal(times) - self.phase) // self.frequency.multiple
        return found

    def times(self, steps: Any) -> Array:
        """The time of each step."""
        ordinals = np.asarray(steps, np.int64) * self.frequency.multiple + self.phase
        if self.month_end:
            return self._starts(ordinals + self.frequency.multiple) - np.timedelta64(_DAY, "s")
        found: Array = self._starts(ordinals) + np.timedelta64(self.anchor, "s")
        return found

    def texts(self, steps: Any) -> list[str]:
        """The times as a CSV holds them: days alone where the frequency is of days or longer."""
        times = self.times(steps)
        daily = self.frequency.unit in (*_MONTHS, "D", "W", weekdays.UNIT) and self.anchor % _DAY == 0
        unit = "D" if daily else "s"
        return [str(each).replace("T", " ") for each in np.datetime_as_string(times.astype(f"M8[{unit}]"))]

    def features(self, steps: Array) -> Array:
        """The calendar's features of each step (..., K)."""
        return self.frequency.features(np.asarray(steps, np.int64) * self.frequency.multiple + self.phase)

    @property
    def seasons(self) -> tuple[int, ...]:
        """How many steps the seasons have, the shortest first; 1 alone where there is none."""
        unit, multiple = self.frequency.unit, self.frequency.multiple
        if unit == weekdays.UNIT:
            return (5,)
        if unit in _MONTHS:
            months = _MONTHS[unit] * multiple
            return (12 // months,) if months < 12 and 12 % months == 0 else (1,)
        length = _SECONDS[unit] * multiple
        found = [cycle // length for cycle in _CYCLES[unit] if cycle % length == 0 and cycle > length]
        if unit == "min" and len(found) > 1 and found[0] < 12:
            found = found[1:]  # a quarter of an hour has no season within the hour
        return tuple(each for each in found if each <= _LONGEST_SEASON) or (1,)

    @property
    def season(self) -> int:
        """The shortest season, by which errors are scaled and the seasonal naive forecast repeats."""
        return self.seasons[0]

    def _starts(self, ordinals: Array) -> Array:
        unit = self.frequency.unit
        if unit in _MONTHS:
            months: Array = (ordinals * _MONTHS[unit]).astype("M8[M]").astype("M8[s]")
            return months
        if unit == weekdays.UNIT:
            return weekdays.days(ordinals).astype("M8[D]").astype("M8[s]")
        # Weeks begin on Mondays, and 1970 on a Thursday.
        seconds = ordinals * _SECONDS[unit] - (3 * _DAY if unit == "W" else 0)
        found: Array = seconds.astype("M8[s]")
        return found


def inferred(times: Array, series: Array) -> Frequency:
    """The frequency that most distances between neighbors of a series have; UserError where none has a majority."""
    order = np.lexsort((times, series))
    gaps = np.diff(times[order].astype("M8[s]")).astype(np.int64)
    gaps = gaps[(np.diff(series[order]) == 0) & (gaps > 0)]
    if not len(gaps):
        raise UserError("the frequency cannot be inferred from series of one point each; give --frequency")
    if weekdays.are_weekdays(times, gaps):
        return weekdays.Weekdays()
    found = _of_gap(_most(gaps))
    share = _agreeing(gaps, found).mean()
    if share >= _SHARE:
        return found
    if _is_sporadic(gaps):
        return _of_gap(int(gaps.min()))
    raise UserError(
        f"the frequency is not clear: only {share:.0%} of the neighbors are {found} apart; give --frequency, to "
        "which times are then aligned"
    )


def _is_sporadic(gaps: Array) -> bool:
    """Whether the distances are whole steps of the shortest one, as where something is sold on some days only."""
    single = float((gaps == gaps.min()).mean())
    return len(gaps) >= _FEWEST_SPORADIC and single >= _SPORADIC_SHARE and bool((gaps % gaps.min() == 0).all())


def _of_gap(gap: int) -> Frequency:
    days = gap / _DAY
    for unit, low, high in (("M", 28, 31), ("Q", 89, 92), ("Y", 365, 366)):
        if low <= days <= high and not (unit == "M" and gap == 28 * _DAY):
            return Frequency(unit)
    for unit in ("W", "D", "H", "min"):
        if gap % _SECONDS[unit] == 0:
            return Frequency(unit, gap // _SECONDS[unit])
    return Frequency("S", gap)


def _agreeing(gaps: Array, freq: Frequency) -> Array:
    """Which distances are one step of the frequency."""
    if freq.unit in _MONTHS:
        days = {"M": (28, 31), "Q": (89, 92), "Y": (365, 366)}[freq.unit]
        within: Array = (gaps >= days[0] * _DAY) & (gaps <= days[1] * _DAY)
        return within
    # Weekends and holidays part trading days, which are daily all the same.
    daily = freq.unit == "D" and freq.multiple == 1
    found: Array = (gaps == _SECONDS[freq.unit] * freq.multiple) | (daily & (gaps % _DAY == 0) & (gaps <= 4 * _DAY))
    return found


def _are_month_ends(times: Array, freq: Frequency) -> bool:
    following = times.astype("M8[D]") + 1
    ends = following == following.astype("M8[M]").astype("M8[D]")
    last = _MONTHS[freq.unit] - 1
    months = times.astype("M8[M]").astype(np.int64) % _MONTHS[freq.unit]
    return bool((ends & (months == last)).mean() > _SHARE)


def _most(values: Array | Sequence[int]) -> int:
    """The most frequent value, the smallest of several."""
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
