"""Lagged values, seasons, the calendar and companions of a target as a table for trees. R rows, F features.

A row is a series, an origin (the number of points known) and a step ahead; all of its values are measured by the
series' own level and spread before the origin, so that one model serves series of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.panel import Panel

Array = npt.NDArray[Any]
_CYCLES = 4  # seasons back whose value at the same place is a feature
_LAST = 3
FEWEST = 4  # points before the first origin


@dataclass(frozen=True)
class Rows:
    """Rows of a panel: places of series, origins (points known), steps ahead from 1 on."""

    series: Array
    origins: Array
    steps: Array

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of all parts."""
        return cls(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.origins for part in parts]),
            np.concatenate([part.steps for part in parts]),
        )


class Lags:
    """The table's columns for a panel."""

    def __init__(self, panel: Panel, horizon: int) -> None:
        self._panel, self._horizon = panel, horizon
        self._seasons = tuple(each for each in panel.grid.seasons[:2] if each > 1)
        self._window = max(8, panel.grid.season, min(horizon, 4 * panel.grid.season))
        self._starts = np.concatenate([[0], np.cumsum(panel.lengths)])[:-1]
        self._flat = np.concatenate([np.empty(0), *panel.values])
        self._sums = np.concatenate([[0.0], np.cumsum(self._flat)])
        self._squares = np.concatenate([[0.0], np.cumsum(self._flat**2)])

    def scales(self, rows: Rows) -> tuple[Array, Array]:
        """Level and spread (R) of each row's series in the window before its origin."""
        mean, deviation = self._moments(rows, self._window)
        # A series that was flat of late still has a size.
        return mean, np.maximum(deviation, 0.05 * np.abs(mean) + 1e-6)

    def table(self, rows: Rows, level: Array, spread: Array) -> Array:
        """The features (R, F), float32, NaN where the past does not reach so far."""
        at = rows.origins + rows.steps - 1  # the place of the target within its series
        columns = [rows.steps / self._horizon]
        for season in self._seasons:
            latest = at - season * (-(-rows.steps // season))
            own = [self._value(rows, latest - season * back) for back in range(_CYCLES)]
            columns += own
            with np.errstate(all="ignore"):
                columns.append(_mean(own))
        columns += [self._value(rows, rows.origins - back) for back in range(1, _LAST + 1)]
        columns += [self._moments(rows, width)[0] for width in (3, self._window, 4 * self._window)]
        table = np.stack([columns[0], *((column - level) / spread for column in columns[1:])], axis=1)
        more = [np.log1p(np.abs(level))[:, None], (spread / (np.abs(level) + 1e-9))[:, None]]
        more += [self._moments(rows, 4 * self._window)[1][:, None] / spread[:, None]]
        more += [self._panel.grid.features(self._panel.first[rows.series] + at)]
        more += self._companions(rows, at)
        return np.concatenate([table, *more], axis=1).astype(np.float32)

    def targets(self, rows: Rows, level: Array, spread: Array) -> Array:
        """The target (R) of each row, scaled."""
        found: Array = (self._value(rows, rows.origins + rows.steps - 1) - level) / spread
        return found

    def _value(self, rows: Rows, place: Array) -> Array:
        inside = place >= 0
        flat = self._starts[rows.series] + np.where(inside, place, 0)
        return np.where(inside, self._flat[flat], np.nan)

    def _moments(self, rows: Rows, width: int) -> tuple[Array, Array]:
        """Mean and deviation of the last points before each origin, as many as there are."""
        stop = self._starts[rows.series] + rows.origins
        start = np.maximum(self._starts[rows.series], stop - width)
        count = np.maximum(stop - start, 1)
        mean = (self._sums[stop] - self._sums[start]) / count
        square = (self._squares[stop] - self._squares[start]) / count
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def _companions(self, rows: Rows, at: Array) -> list[Array]:
        found: list[Array] = []
        related, statics = self._panel.related, self._panel.statics
        if related is not None:
            starts = np.concatenate([[0], np.cumsum([len(each) for each in related.values])])[:-1]
            flat = np.concatenate(related.values)
            for column, known in enumerate(related.known):
                place = at if known else rows.origins - 1
                found.append(flat[starts[rows.series] + place, column][:, None])
        if statics is not None:
            found.append(statics.values[rows.series])
        return found


def drawn(panel: Panel, horizon: int, most: int, rng: np.random.Generator, *, season: int) -> Rows:
    """So many rows of the panel for training, drawn at random; fewer where there are fewer.

    An origin has one season and some points before it, if the series is long enough, and its target is known.
    """
    lengths = panel.lengths
    low = np.minimum(max(FEWEST, season), np.maximum(lengths - horizon, FEWEST))
    room = np.maximum(lengths - low, 0)  # a target may be any point behind the first origin
    total = int(room.sum()) * horizon
    count = min(most, total)
    series = np.searchsorted(np.cumsum(room), rng.integers(0, max(1, room.sum()), count), "right")
    target = low[series] + rng.integers(0, np.maximum(room[series], 1))
    # The origin lies up to the horizon before the target, but not before the series has some points.
    steps = rng.integers(1, np.minimum(horizon, target - low[series] + 1) + 1)
    return Rows(series, target - steps + 1, steps)


def ahead(panel: Panel, horizon: int, series: Sequence[int] | Array) -> Rows:
    """The rows of the forecast behind the panel's end, step by step for each of the series."""
    places = np.repeat(np.asarray(series, np.int64), horizon)
    steps = np.tile(np.arange(1, horizon + 1), len(series))
    return Rows(places, panel.lengths[places], steps)


def _mean(columns: Sequence[Array]) -> Array:
    stacked = np.stack(columns)
    known = ~np.isnan(stacked)
    found: Array = np.where(known, stacked, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return found
