"""The scoring rules of the Numenta Anomaly Benchmark (Lavin and Ahmad, 2015), as its version 1.1 applies them.

A detector gives each row of a series a score as the rows come, and calls those an anomaly that reach one threshold,
the same for all series. The first rows of a series are its probation and do not count. In each window around an
anomaly the earliest detection counts, the more the earlier it is; one outside costs, less so right behind a window.
"""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

PROBATION, LONGEST = 0.15, 5000  # share of a series, and rows of which that share is taken at most
# Weights of a false positive and of a missed window; a window found is worth 1.
PROFILES = {"standard": (0.11, 1.0), "reward low FP": (0.22, 1.0), "reward low FN": (0.11, 2.0)}


@dataclass(frozen=True)
class Series:
    """Values in order of time, the rows of each window (first and last), and the scores of the managed forest."""

    name: str
    values: Array
    windows: tuple[tuple[int, int], ...]
    published: Array


def load(folder: Path) -> list[Series]:
    """The series in ``nab-data.zip`` with ``windows.json`` and ``aws-rcf-anomaly-scores.zip`` beside it."""
    windows = json.loads((folder / "windows.json").read_text())
    found = []
    with (
        zipfile.ZipFile(folder / "nab-data.zip") as data,
        zipfile.ZipFile(folder / "aws-rcf-anomaly-scores.zip") as scores,
    ):
        for name in sorted(windows):
            rows = _rows(data, name)
            places = {row["timestamp"]: place for place, row in reversed(list(enumerate(rows)))}
            spans = tuple((places[start[:19]], places[end[:19]]) for start, end in windows[name])
            values = np.array([float(row["value"]) for row in rows], np.float32)
            published = np.array([float(row["anomaly_score"]) for row in _rows(scores, name)])
            found.append(Series(name, values, spans, published))
    return found


def _rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))


def score(
    series: Sequence[Series], scores: Mapping[str, Array], profile: str, threshold: float | None = None
) -> float:
    """The score of the corpus from 0 (nothing found) to 100, at that threshold or at the one that is best for it."""
    costs, miss = PROFILES[profile]
    count = sum(len(each.windows) for each in series)
    rows = sorted(
        ((level, gain, window) for each in series for level, gain, window in _judged(each, scores[each.name], costs)),
        key=lambda row: -row[0],
    )
    found: dict[tuple[str, int] | None, float] = {}
    total = best = -miss * count
    for place, (level, gain, window) in enumerate(rows):
        if threshold is not None and level < threshold:
            break
        before = found.get(window, -miss)
        total += gain if window is None else max(gain - before, 0.0)
        found[window] = max(gain, before)
        # Rows of one score are called together, so only behind the last of them is there a threshold.
        if place + 1 == len(rows) or rows[place + 1][0] < level:
            best = max(best, total)
    return 100 * ((total if threshold is not None else best) + miss * count) / (count * (1 + miss))


def _judged(series: Series, scores_N: Array, costs: float) -> Iterator[tuple[float, float, tuple[str, int] | None]]:
    """Score of each row behind the probation, what calling it is worth, and its window, or None outside of any."""
    length = len(scores_N)
    inside = {row: number for number, (first, last) in enumerate(series.windows) for row in range(first, last + 1)}
    for row in range(int(min(PROBATION * length, PROBATION * LONGEST)), length):
        if (number := inside.get(row)) is not None:
            first, last = series.windows[number]
            gain = _sigmoid(-(last - row + 1) / (last - first + 1)) / _sigmoid(-1.0)
            yield float(scores_N[row]), gain, (series.name, number)
            continue
        past = [(first, last) for first, last in series.windows if last < row]
        behind = (row - past[-1][1]) / (past[-1][1] - past[-1][0]) if past else math.inf
        yield float(scores_N[row]), costs * _sigmoid(behind), None


def _sigmoid(position: float) -> float:
    """Worth of a detection so many widths behind the end of a window: almost 1 a width before it, -1 well behind."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1
