"""Public sets of time series as JSON Lines: what comes before the test, and the histories that it asks about."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DAY, WINDOWS = 24, 7


@dataclass(frozen=True)
class Series:
    """Hourly series: ``train`` to learn from; each of ``test`` ends with ``horizon`` points to be forecast.

    A series is its start and its points, NaN where one is missing.
    """

    name: str
    horizon: int
    train: list[tuple[str, Array]]
    test: list[tuple[str, Array]]

    @property
    def target(self) -> Array:
        """The points to be forecast (N, horizon)."""
        return np.stack([points[-self.horizon :] for _, points in self.test])

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Files of both parts in the folder."""
        paths = folder / "train.json", folder / "test.json"
        for path, part in zip(paths, (self.train, self.test), strict=True):
            with path.open("w", encoding="utf-8") as stream:
                for start, points in part:
                    values = [None if np.isnan(each) else float(each) for each in points]
                    stream.write(json.dumps({"start": start, "target": values}) + "\n")
        return paths

    def before(self) -> Series:
        """The same task one horizon earlier: the last points of the training data are to be forecast."""
        short = [(start, points[: -self.horizon]) for start, points in self.train]
        return Series(self.name, self.horizon, short, self.train)

    def seasonal_naive(self) -> Array:
        """The points of the last day before, again and again (N, horizon); a missing one is its day before's."""
        return np.stack([_again(_filled(points)[: -self.horizon], self.horizon) for _, points in self.test])

    def scaled_error(self, forecast_NT: Array) -> float:
        """MASE: the mean absolute error over that of a day ago within the history, mean over the series."""
        histories = [_filled(points)[: -self.horizon] for _, points in self.test]
        naive_N = np.array([np.abs(each[DAY:] - each[:-DAY]).mean() for each in histories])
        error_N = np.nanmean(np.abs(self.target - forecast_NT), axis=1)
        return float((error_N / naive_N).mean())


def at_hand(folder: Path) -> Iterator[Series]:
    """The sets whose files are in or below the folder; what is not there is said and left out."""
    for load in (m4_hourly, ett_h1, pjm_hourly):
        try:
            yield load(folder)
        except FileNotFoundError as error:
            print(error)


def m4_hourly(folder: Path) -> Series:
    """The hourly series of the M4 competition with its test points; their starts are not published."""
    start, train = "2015-07-01 00:00:00", _rows(folder, "Hourly-train.csv.gz")
    test = {row[0]: _numbers(row[1:]) for row in _rows(folder, "Hourly-test.csv.gz")}
    known = [(row[0], _numbers(row[1:])) for row in train]
    whole = [(start, np.concatenate([points, test[name]])) for name, points in known]
    return Series("m4-hourly", 48, [(start, points) for _, points in known], whole)


def ett_h1(folder: Path) -> Series:
    """Seven columns of one transformer; the last week is forecast day by day."""
    return _rolling("ett-h1", _rows(folder, "ETTh1.csv.gz"))


def pjm_hourly(folder: Path) -> Series:
    """The load of ten zones; the last week is forecast day by day."""
    return _rolling("pjm-hourly", _rows(folder, "pjm-hourly-2014-2018.csv.gz"))


def _rolling(name: str, rows: list[list[str]]) -> Series:
    start, columns = rows[0][0], [_numbers(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    ends = [DAY * back for back in range(WINDOWS)]
    test = [(start, points[: len(points) - end]) for points in columns for end in ends]
    return Series(name, DAY, [(start, points[: -DAY * WINDOWS]) for points in columns], test)


def _rows(folder: Path, name: str) -> list[list[str]]:
    found = sorted(folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{name} is not in or below {folder}; the set is left out")
    return list(csv.reader(io.StringIO(gzip.decompress(found[0].read_bytes()).decode())))[1:]


def _numbers(cells: Any) -> Array:
    """The numbers; empty cells behind the last one are no points, those before it are missing."""
    values = np.array([float(each) if each else np.nan for each in cells])
    return values[: np.flatnonzero(~np.isnan(values))[-1] + 1]


def _filled(points: Array) -> Array:
    filled = points.copy()
    for place in np.flatnonzero(np.isnan(points)):
        filled[place] = filled[place - DAY] if place >= DAY else 0.0
    return filled


def _again(history: Array, horizon: int) -> Array:
    return np.resize(history[-DAY:], horizon)
