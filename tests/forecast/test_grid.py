"""Steps of a clock: times go to steps and back, and frequencies are told from the times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.forecast.grid import Grid, frequency, inferred
from clary.toolkit.errors import UserError

SPELLED = {
    "D": "D",
    "daily": "D",
    "15min": "15min",
    "MS": "M",
    "weekly": "W",
    "h": "H",
    "T": "min",
    "2H": "2H",
    "B": "B",
}


@pytest.mark.parametrize(("text", "meant"), SPELLED.items())
def test_a_frequency_may_be_spelled_in_several_ways(text: str, meant: str) -> None:
    assert str(frequency(text)) == meant


@given(
    spelled=st.sampled_from(["Y", "Q", "M", "W", "D", "H", "15min", "2H", "30S"]),
    first=st.integers(-300, 10_000),
    count=st.integers(2, 50),
)
def test_the_times_of_steps_fall_into_these_steps(spelled: str, first: int, count: int) -> None:
    steps = np.arange(first, first + count)
    grid = Grid.of(Grid(frequency(spelled)).times(steps), frequency(spelled))
    times = grid.times(steps)
    assert (grid.steps(times) == steps).all()
    if count > 3:
        assert str(inferred(times, np.zeros(count, int))) == str(frequency(spelled))


def test_ends_of_months_stay_ends_of_months() -> None:
    times = np.array(["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"], "M8[s]")
    grid = Grid.of(times, frequency("M"))
    assert grid.texts(grid.steps(times[-1:]) + np.arange(3)) == ["2024-04-30", "2024-05-31", "2024-06-30"]


def test_weeks_keep_their_day() -> None:
    sundays = np.array(["2024-01-07", "2024-01-14", "2024-01-21"], "M8[s]")
    grid = Grid.of(sundays, frequency("W"))
    assert grid.texts(grid.steps(sundays[-1:]) + 1) == ["2024-01-28"]


def test_trading_days_are_business_days() -> None:
    days = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]")
    weekdays = days[(days.astype(int) + 3) % 7 < 5].astype("M8[s]")
    holidays = np.array([3, 17])
    traded = np.delete(weekdays, holidays)
    assert str(inferred(traded, np.zeros(len(traded), int))) == "B"
    grid = Grid.of(traded, frequency("B"))
    assert grid.texts(grid.steps(weekdays[-1:]) + np.arange(3)) == ["2024-02-29", "2024-03-01", "2024-03-04"]
    assert (np.diff(grid.steps(weekdays)) == 1).all()
    assert (grid.times(grid.steps(weekdays)) == weekdays).all()
    assert grid.steps(np.array(["2024-01-06"], "M8[s]")) == grid.steps(np.array(["2024-01-05"], "M8[s]"))
    assert grid.features(grid.steps(weekdays)).shape == (len(weekdays), 3)


def test_business_days_have_no_multiple() -> None:
    with pytest.raises(UserError, match="--frequency B has no multiple; got '2B'"):
        frequency("2B")


@pytest.mark.parametrize(
    ("text", "seasons"), [("H", (24, 168)), ("D", (7,)), ("B", (5,)), ("M", (12,)), ("Q", (4,)), ("Y", (1,))]
)
def test_seasons_are_those_of_the_calendar(text: str, seasons: tuple[int, ...]) -> None:
    assert Grid(frequency(text)).seasons == seasons


def test_sporadic_days_are_daily() -> None:
    days = np.flatnonzero(np.random.default_rng(0).random(300) < 0.3)
    times = (np.datetime64("2024-01-01") + days).astype("M8[s]")
    assert str(inferred(times, np.zeros(len(times), int))) == "D"


def test_times_at_random_have_no_frequency() -> None:
    times = np.array(["2024-01-01", "2024-01-03", "2024-02-11", "2024-02-12", "2024-05-01"], "M8[s]")
    with pytest.raises(UserError, match="the frequency is not clear"):
        inferred(times, np.zeros(5, int))
