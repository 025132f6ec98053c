"""Lags and calendar features: a frozen table, GluonTS's own, and the calendar of the standard library."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.deepar.frequency import Frequency
from clary.toolkit.errors import UserError


def around(off: int, *middles: int) -> list[int]:
    return [middle + each for middle in middles for each in range(-off, off + 1)]


LAGS = {
    "S": around(2, 60, 120, 180),
    "min": around(2, 60, 120, 180),
    "5min": [*around(2, 12, 24, 36), *around(1, 288, 576, 864, 1152)],
    "H": [*around(1, 24, 48, 72, 96, 120, 144, 168, 336, 504, 672, 720)],
    "2H": [*around(1, 12, 24, 36, 48, 60, 72, 84, 168, 252, 336, 360), 336, 672, 1008],
    "D": [*around(1, 7, 14, 21, 28, 30), 28, 56, 84, *around(1, 364, 728, 1092)],
    "W": [4, 8, 12, *around(1, 52, 104, 156)],
    "M": around(1, 12, 24, 36),
    "Q": around(1, 4, 8, 12),
    "Y": [],
}
# The Saturday before the last Monday of a leap year, at a quarter to two in the afternoon and eleven seconds.
TIME = "2024-12-28 13:45:11"
MINUTE, HOUR, WEEKDAY, MONTHDAY, YEARDAY = 45 / 59 - 0.5, 13 / 23 - 0.5, 5 / 6 - 0.5, 27 / 30 - 0.5, 362 / 365 - 0.5
FEATURES = {
    "S": [11 / 59 - 0.5, MINUTE, HOUR, WEEKDAY, MONTHDAY, YEARDAY],
    "5min": [MINUTE, HOUR, WEEKDAY, MONTHDAY, YEARDAY],
    "2H": [HOUR, WEEKDAY, MONTHDAY, YEARDAY],
    "D": [WEEKDAY, MONTHDAY, YEARDAY],
    "W": [28 / 30 - 0.5, 51 / 52 - 0.5],
    "M": [0.5],
    "Q": [0.5],
    "Y": [],
}
FREQUENCIES = ("S", "30S", "min", "5min", "15min", "H", "2H", "6H", "D", "3D", "W", "2W", "M", "2M", "Q", "Y")
# Times that lie on no grid; the last one's week belongs to the next year.
STARTS = ("1899-12-31 23:59:59", "1970-01-01 00:00:00", "2011-02-28 13:07:09", "2024-12-30 00:00:01")
STEPS = 5000


def time(text: str) -> np.datetime64:
    return np.datetime64(text, "s")


def calendar(frequency: str, start: str, steps: int = STEPS) -> npt.NDArray[Any]:
    """Features of the first steps of a series."""
    found = Frequency.parse(frequency)
    return found.features(found.ordinal(time(start)) + found.multiple * np.arange(steps))


@pytest.mark.parametrize("text", LAGS)
def test_lags_are_those_of_the_seasons(text: str) -> None:
    assert list(Frequency.parse(text).lags()) == sorted({1, 2, 3, 4, 5, 6, 7, *LAGS[text]})


@pytest.mark.parametrize("text", [*FREQUENCIES, "10min", "30min", "3H", "4H", "8H", "12H"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_lags_are_those_of_gluonts(text: str) -> None:
    gluonts = pytest.importorskip("gluonts.time_feature")
    assert list(Frequency.parse(text).lags()) == gluonts.get_lags_for_frequency(text)


@pytest.mark.parametrize("text", FEATURES)
def test_features_of_one_time(text: str) -> None:
    assert calendar(text, TIME, 1)[0].tolist() == np.array(FEATURES[text], np.float32).tolist()


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("text", FREQUENCIES)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_features_are_those_of_gluonts(text: str, start: str) -> None:
    gluonts = pytest.importorskip("gluonts.time_feature")
    pandas = pytest.importorskip("pandas")
    index = pandas.period_range(pandas.Period(start, freq=text), periods=STEPS, freq=text)
    wanted = [feature(index) for feature in gluonts.time_features_from_frequency_str(text)]
    found = calendar(text, start)
    assert found.shape == (STEPS, len(wanted))
    assert found.dtype == np.float32
    assert found.T.tolist() == np.array(wanted, np.float32).tolist()


@given(st.datetimes(), st.integers(0, 10_000))
def test_days_hours_and_weeks_are_those_of_the_calendar(start: datetime, step: int) -> None:
    try:
        then = start + timedelta(hours=step)
    except OverflowError:
        then, step = start, 0
    hour = Frequency("H")
    found = hour.features(np.array([[hour.ordinal(np.datetime64(start, "s")) + step]]))
    parts = (then.hour, 24), (then.weekday(), 7), (then.day - 1, 31), (then.timetuple().tm_yday - 1, 366)
    assert found.shape == (1, 1, 4)
    assert found[0, 0].tolist() == [np.float32(value / (size - 1) - 0.5) for value, size in parts]
    week = Frequency("W")
    found = week.features(np.array([week.ordinal(np.datetime64(then, "s"))]))
    assert found[0, 1] == np.float32((then.isocalendar()[1] - 1) / 52 - 0.5)


@given(st.sampled_from(["S", "min", "H", "D", "W", "M", "Q", "Y"]), st.datetimes(), st.integers(0, 400 * 86400))
def test_later_times_are_never_of_an_earlier_unit(unit: str, start: datetime, seconds: int) -> None:
    frequency, first = Frequency(unit), np.datetime64(start, "s")
    both = frequency.ordinal(np.array([first, first + np.timedelta64(seconds, "s")]))
    assert both[0] <= both[1]
    assert np.abs(frequency.features(both)).max(initial=0) <= 0.5


def test_a_time_within_a_unit_counts_as_its_beginning() -> None:
    times = np.array(["2024-05-01T00:00:00", "2024-05-01T23:59:59"], "M8[s]")
    for unit in ("D", "M", "Q", "Y"):
        assert len(set(Frequency(unit).ordinal(times).tolist())) == 1
    assert np.diff(Frequency("H").ordinal(times)).tolist() == [23]


def test_weeks_begin_on_mondays() -> None:
    days = np.arange("2024-12-30", "2025-01-13", dtype="M8[D]")
    assert np.diff(Frequency("W").ordinal(days)).tolist() == [0] * 6 + [1] + [0] * 6


def test_steps_count_in_the_unit_from_the_start() -> None:
    """A series of every five minutes keeps its minutes, although it began between the fives."""
    minutes = np.round((calendar("5min", "2024-01-01 00:03:00", 3)[:, 0] + 0.5) * 59)
    assert minutes.tolist() == [3, 8, 13]


@pytest.mark.parametrize("text", ["5min", "D", "12H", "999999999S"])
def test_a_frequency_is_written_as_it_was_read(text: str) -> None:
    assert str(Frequency.parse(text)) == text
    assert Frequency.parse(f"1{text}" if text[0].isalpha() else text) == Frequency.parse(text)


@pytest.mark.parametrize("text", ["", "h", "0H", "-1H", "1.5H", "B", "5 min", "5T", "W-MON", "1000000000S", "H\n"])
def test_anything_else_is_no_frequency(text: str) -> None:
    with pytest.raises(UserError, match="time_freq must be a number"):
        Frequency.parse(text)
