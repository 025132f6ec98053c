"""What needs no fitting: the last season again, and draws from the past (NPTS). H steps, Q levels.

NPTS is the non-parametric time series forecaster of Amazon Forecast and GluonTS: the past points are the
distribution, and those of the same season and of late count most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task
from clary.forecast.panel import Panel

Array = npt.NDArray[Any]
Forecaster = Callable[[Array, int, Array, Sequence[int]], Array]
_LOOKED_BACK = 1500  # points
_HALF_LIFE = 6  # seasons after which a point counts half
_LONG_SEASON = 4.0  # how much more a point counts that lies in the same place of the long season, too


def seasonal_naive(values: Array, horizon: int, levels: Array, seasons: Sequence[int]) -> Array:
    """The quantiles (H, Q) of the last season repeated, normal around it with the error of doing so in the past.

    A series shorter than a season repeats its last value.
    """
    season = seasons[0] if len(values) > seasons[0] else 1
    values = values[-_LOOKED_BACK:]
    repeated = np.resize(values[-season:], horizon)
    errors = values[season:] - values[:-season]
    spread = float(np.sqrt(np.mean(errors**2))) if len(errors) else abs(float(values[-1])) / 2
    seasons_ahead = np.arange(horizon) // season + 1
    found: Array = repeated[:, None] + spread * np.sqrt(seasons_ahead)[:, None] * ndtri(levels)
    return found


def npts(values: Array, horizon: int, levels: Array, seasons: Sequence[int]) -> Array:
    """The weighted quantiles (H, Q) of the past points in the same place of the season."""
    season = seasons[0] if len(values) >= 2 * seasons[0] else 1
    values = values[-_LOOKED_BACK:]
    ages = np.arange(len(values), 0, -1)  # the last point is one step old
    weights = 0.5 ** (ages / (max(season, 4) * _HALF_LIFE))
    longs = [each for each in seasons[1:2] if len(values) >= 2 * each]
    found = np.empty((horizon, len(levels)))
    order = np.argsort(values, kind="stable")
    for step in range(horizon):
        own = np.where((ages + step) % season == 0, weights, 0.0)
        for long in longs:
            own = np.where((ages + step) % long == 0, _LONG_SEASON * own, own)
        found[step] = _weighted(values[order], own[order], levels)
    return found


def _weighted(values: Array, weights: Array, levels: Array) -> Array:
    """The quantiles of rising values with weights, between the middles of their steps."""
    kept = weights > 0
    middles = np.cumsum(weights[kept]) - weights[kept] / 2
    return np.interp(levels, middles / weights.sum(), values[kept])


class Naive:
    """A candidate that forecasts each series from its points alone, at once."""

    parallel = False

    def __init__(self, name: str, title: str, forecaster: Forecaster) -> None:
        self.name, self.title, self._forecaster = name, title, forecaster

    def run(self, task: Task) -> Outcome:
        """The forecasts at all ends."""
        windows = []
        for number, end in enumerate(task.ends):
            if task.late() and self.name != "seasonal_naive":
                raise LeftOutError("the time did not suffice")
            windows.append(self._forecast(task.panel.until(end), task.horizon, task.levels))
            task.tell(number + 1, len(task.ends) + 1)
        return Outcome(np.stack(windows), self._forecast(task.panel, task.horizon, task.levels), State())

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The same at a later end."""
        return self._forecast(panel, horizon, levels)

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        found = np.full((len(panel), horizon, len(levels)), np.nan)
        wanted = np.array(levels)
        for row, values in enumerate(panel.values):
            if len(values):
                found[row] = self._forecaster(values, horizon, wanted, panel.grid.seasons)
        return found


SEASONAL_NAIVE = Naive("seasonal_naive", "Seasonal naive", seasonal_naive)
NPTS = Naive("npts", "NPTS", npts)
