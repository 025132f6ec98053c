"""Business days: a frequency whose steps go from Friday to Monday."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.deepar.frequency import Floats, Frequency, Ordinals

Array = npt.NDArray[Any]
UNIT = "B"
_TO_MONDAY = 3  # days from the Monday before 1970 to its first day, a Thursday
_DAY = 86400
_FEWEST = 10  # distances, and two weeks, from which weekends that are never there are told from chance
_NEXT_DAY = 0.5  # share of the distances that are one day


@dataclass(frozen=True)
class Weekdays(Frequency):
    """Days from Monday to Friday; a Saturday or Sunday counts as the Friday before it."""

    unit: str = UNIT

    def ordinal(self, times: Any) -> Any:
        """The business days since the Monday before 1970."""
        days = np.asarray(times, "M8[D]").astype(np.int64) + _TO_MONDAY
        return days // 7 * 5 + np.minimum(days % 7, 4)

    def features(self, ordinals: Ordinals) -> Floats:
        """The calendar's features (..., K) of these days."""
        return Frequency("D").features(days(ordinals))


def days(ordinals: Any) -> Array:
    """The days since 1970 of these business days."""
    found: Array = ordinals // 5 * 7 + ordinals % 5 - _TO_MONDAY
    return found


def are_weekdays(times: Array, gaps: Array) -> bool:
    """Whether times, with these distances in seconds within the series, are of every day but those of weekends."""
    if len(gaps) < _FEWEST or (gaps % _DAY).any() or (gaps == _DAY).mean() < _NEXT_DAY:
        return False
    dates = times.astype("M8[D]").astype(np.int64) + _TO_MONDAY
    return bool((dates % 7 < 5).all() and np.ptp(dates) >= 14)
