"""The time between two points of a series: which unit a time falls into, the lags and the features of the calendar.

Times are whole units since 1970 (ordinals); the shape of an array of them is any, written ``...``, and K is the
number of features. The lags and the features are those of GluonTS (gluonts.time_feature, Alexandrov et al. 2020).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import UserError

Floats = npt.NDArray[np.float32]
Ordinals = npt.NDArray[np.int64]

_SPELLING = re.compile(r"([1-9][0-9]{0,8})?(M|W|D|H|min|Q|Y|S)")
_SECONDS = {"S": 1, "min": 60, "H": 3600, "D": 86400, "W": 7 * 86400}
# Seasons of each unit: how long one is, how many are looked back, and how far around.
_SEASONS = {
    "S": ((60, 3, 2),),
    "min": ((60, 3, 2),),
    "H": ((24, 7, 1),),
    "D": ((7, 4, 1), (30, 1, 1)),
    "W": ((52, 3, 1), (4, 3, 0)),
    "M": ((12, 3, 1),),
    "Q": ((4, 3, 1),),
    "Y": (),
}
# A finer unit also looks back by the seasons of coarser ones.
_SEASONS_OF = {"S": ("S", "min", "H"), "min": ("min", "H", "D", "W"), "H": ("H", "D", "W"), "D": ("D", "W")}
# Values of the parts of a day that a unit counts, the finest first.
_CLOCK = {"S": (60, 60, 24), "min": (60, 24), "H": (24,)}
_NEAREST, _FARTHEST = 7, 1200
# The calendar repeats itself after 400 years, which are whole weeks, too.
_CYCLE = 146_097


@dataclass(frozen=True)
class Frequency:
    """A unit of time, and how many of them lie between two points of a series."""

    unit: str
    multiple: int = 1

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """The frequency that ``time_freq`` spells, such as ``5min`` or ``D``; UserError if it is none."""
        found = _SPELLING.fullmatch(text)
        if found is None:
            raise UserError(
                "time_freq must be a number of at most nine digits, which may be left out, and one of M, W, D, H, "
                f"min, Q, Y and S, such as '5min' or 'D'; got {text!r}"
            )
        return cls(found[2], int(found[1] or 1))

    def __str__(self) -> str:
        return f"{self.multiple if self.multiple > 1 else ''}{self.unit}"

    def ordinal(self, times: Any) -> Any:
        """The units since 1970 that each time (..., datetime64) falls into; weeks begin on Mondays.

        A time within a unit counts as the unit's beginning. A series goes on in steps of ``multiple`` from there,
        so one of ``5min`` may begin at any minute.
        """
        if self.unit in ("M", "Q", "Y"):
            months = np.asarray(times, "M8[M]").astype(np.int64)
            return months // {"M": 1, "Q": 3, "Y": 12}[self.unit]
        seconds = np.asarray(times, "M8[s]").astype(np.int64)
        # 1970 began on a Thursday, the fourth day of week 0.
        return (seconds + (3 * 86400 if self.unit == "W" else 0)) // _SECONDS[self.unit]

    def lags(self) -> tuple[int, ...]:
        """How many steps back the network looks, rising: 1 to 7, and around the same time of earlier seasons.

        As in GluonTS, which cuts at 1200; but its quotients of floats, which can come out one too low, are whole
        numbers here, and quarters may have a multiple.
        """
        found = set(range(1, _NEAREST + 1))
        for unit in _SEASONS_OF.get(self.unit, (self.unit,)):
            ratio = _SECONDS.get(unit, 1), _SECONDS.get(self.unit, 1) * self.multiple
            for length, count, around in _SEASONS[unit]:
                middles = [number * length * ratio[0] // ratio[1] for number in range(1, count + 1)]
                found.update(middle + off for middle in middles for off in range(-around, around + 1))
        return tuple(sorted(lag for lag in found if 1 <= lag <= _FARTHEST))

    @property
    def width(self) -> int:
        """K, the number of features: none for years."""
        return int(_table(self.unit).shape[1])

    def features(self, ordinals: Ordinals) -> Floats:
        """The calendar's features (..., K) of each unit, from -0.5 at their first value to 0.5 at their last.

        The finest comes first: second of minute, minute of hour, hour of day, day of week, of month, of year. Weeks
        have the day of month of their Sunday and the week of the year; months and quarters the (last) month.
        """
        rest, clock = ordinals, []
        for size in _CLOCK.get(self.unit, ()):
            whole = rest // size
            clock.append(_spread(size).take(rest - whole * size))
            rest = whole
        table = _table(self.unit)
        # Twice as fast as the remainder, and ``take`` five times as fast as an index.
        features = table.take(rest - rest // len(table) * len(table), axis=0)
        for place, values in enumerate(clock):
            features[..., place] = values
        return features


@cache
def _spread(size: int) -> Floats:
    """The numbers from 0 to ``size`` - 1 as features."""
    return _scaled(np.arange(size), size)


def _scaled(values: npt.NDArray[Any], size: int) -> Floats:
    return (values / (size - 1) - 0.5).astype(np.float32)


@cache
def _table(unit: str) -> Floats:
    """The features of each unit of a whole cycle of the calendar.

    Where the unit is finer than a day, those of each day, behind a column of zeros for each part of the day.
    """
    if unit == "Y":
        return np.empty((1, 0), np.float32)
    if unit in ("M", "Q"):
        return np.ascontiguousarray(_spread(12)[{"M": slice(None), "Q": slice(2, None, 3)}[unit], None])
    if unit == "W":
        thursdays = np.arange(0, _CYCLE, 7)
        # The week belongs to the year of its Thursday (ISO 8601).
        return np.stack(
            [_scaled(_day_of_month(thursdays + 3), 31), _scaled(_day_of_year(thursdays) // 7, 53)], axis=-1
        )
    days = np.arange(_CYCLE)
    parts = _scaled((days + 3) % 7, 7), _scaled(_day_of_month(days), 31), _scaled(_day_of_year(days), 366)
    return np.stack([np.zeros(_CYCLE, np.float32)] * len(_CLOCK.get(unit, ())) + list(parts), axis=-1)


def _day_of_month(days: Any) -> Any:
    dates = days.astype("M8[D]")
    return (dates - dates.astype("M8[M]")).astype(np.int64)


def _day_of_year(days: Any) -> Any:
    dates = days.astype("M8[D]")
    return (dates - dates.astype("M8[Y]")).astype(np.int64)
