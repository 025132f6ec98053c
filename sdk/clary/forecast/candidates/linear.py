"""Linear regression on lags: the next steps of any series from its last seasons, one ridge regression for each step.

All series are measured by their own level and spread within those seasons and share the coefficients, which depend on
the step: a direct forecast, as no step is fed back. The forecast is the mean of regressions that look back one season
and several, which is steadier than a choice among them. N series, R rows, L lags, H steps, Q levels.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task, ordered
from clary.forecast.candidates.lags import Rows
from clary.forecast.panel import Panel

Array = npt.NDArray[Any]
_ROWS = 20_000
_SHRINKAGE = 0.01  # of the lags' variance, which is 1
_SEASONS = (1, 2, 4)  # looked back
_MOST_LAGS = 400
_FLATTEST = 0.01  # of the level: what a series' spread is at least
_FARTHEST = 10.0  # spreads from the level, behind which a value is an outlier
_PART = 5_000  # rows at a time
_FILE = "linear.npz"


@dataclass(frozen=True)
class Line:
    """Coefficients (L, H), and the quantiles (H, Q) of what they leave, both in units of a series' spread."""

    coefficients: Array
    rest: Array

    def forecast(self, panel: Panel) -> Array:
        """The quantiles (N, H, Q) behind the panel's end, NaN for series that are too short."""
        lags = len(self.coefficients)
        found = np.full((len(panel), *self.rest.shape), np.nan)
        rows = [row for row, values in enumerate(panel.values) if len(values) >= lags]
        if rows:
            points, level, spread = _scaled(np.stack([panel.values[row][-lags:] for row in rows]))
            middle = points @ self.coefficients
            found[rows] = level[..., None] + spread[..., None] * (middle[..., None] + self.rest)
        return ordered(found)


class Linear:
    """The candidate."""

    name, title, parallel = "linear", "Linear regression on lags", False

    def run(self, task: Task) -> Outcome:
        """Fit before the oldest end, and once more to all points at the end."""
        begin = task.panel.until(task.ends[0])
        chosen = _lags(begin, task.horizon)
        if not chosen:
            raise LeftOutError("most series are too short for a season, a horizon and some points")
        lines = _all_fitted(task, begin, chosen, 0)
        windows = np.stack([_mean(lines, task.panel.until(end)) for end in task.ends])
        last = _all_fitted(task, task.panel, chosen, len(chosen))
        return Outcome(windows, _mean(last, task.panel), State({}, {_FILE: packed(last)}))

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The forecasts with the same coefficients."""
        return _mean(unpacked(state.files[_FILE]), panel)


def fitted(panel: Panel, horizon: int, levels: Sequence[float]) -> list[Line]:
    """The regressions of a panel, one for each look back; none where its series are too short."""
    return [_fitted(panel, horizon, lags, levels) for lags in _lags(panel, horizon)]


def at(lines: Sequence[Line], panel: Panel, rows: Rows) -> Array:
    """The quantiles (R, Q) of the mean forecast at those places, NaN where no regression reaches so far back."""
    flat = np.concatenate([np.empty(0), *panel.values])
    stops = (np.cumsum(panel.lengths) - panel.lengths)[rows.series] + rows.origins
    found = np.full((len(lines), len(stops), lines[0].rest.shape[1]), np.nan)
    for place, line in enumerate(lines):
        lags = len(line.coefficients)
        known = np.flatnonzero(rows.origins >= lags)
        for part in np.array_split(known, max(1, len(known) // _PART)):
            points, level, spread = _scaled(flat[stops[part][:, None] + np.arange(-lags, 0)])
            steps = rows.steps[part] - 1
            middle = np.einsum("rl,rl->r", points, line.coefficients.T[steps])
            found[place, part] = level + spread * (middle[:, None] + line.rest[steps])
    return _means(found)


def _lags(panel: Panel, horizon: int) -> list[int]:
    """How far back the regressions look: seasons, of the longest one that most series have several times."""
    longest = int(np.median(panel.lengths)) - horizon
    for season in reversed(panel.grid.seasons):
        wanted = [times * max(season, 4) for times in _SEASONS]
        # Half as many rows of each series as it has lags; there are other series, and the shrinkage.
        if found := [lags for lags in wanted if lags <= _MOST_LAGS and longest >= lags + max(2, lags // 2)]:
            return found
    return []


def _all_fitted(task: Task, panel: Panel, chosen: Sequence[int], before: int) -> list[Line]:
    lines = []
    for place, lags in enumerate(chosen, before + 1):
        if task.late():
            raise LeftOutError("the time did not suffice")
        lines.append(_fitted(panel, task.horizon, lags, task.levels))
        task.tell(place, 2 * len(chosen))
    return lines


def _mean(lines: Sequence[Line], panel: Panel) -> Array:
    """The mean of the forecasts of those that look back no further than a series reaches."""
    return _means(np.stack([line.forecast(panel) for line in lines]))


def _means(found: Array) -> Array:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        mean: Array = np.nanmean(found, axis=0)
    return mean


def packed(lines: Sequence[Line]) -> bytes:
    """The lines as arrays in NumPy's own format."""
    stream = io.BytesIO()
    parts: dict[str, Any] = {f"coefficients.{place}": line.coefficients for place, line in enumerate(lines)}
    np.savez(stream, **parts | {f"rest.{place}": line.rest for place, line in enumerate(lines)})
    return stream.getvalue()


def unpacked(content: bytes) -> list[Line]:
    """The lines that were packed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        count = len(kept.files) // 2
        return [Line(kept[f"coefficients.{place}"], kept[f"rest.{place}"]) for place in range(count)]


def _fitted(panel: Panel, horizon: int, lags: int, levels: Sequence[float]) -> Line:
    points_RL, ahead_RH = _rows(panel, horizon, lags)
    gram = points_RL.T @ points_RL
    gram[np.diag_indices(lags)] += _SHRINKAGE * len(points_RL)
    coefficients = np.linalg.solve(gram, points_RL.T @ ahead_RH)
    rest = np.quantile(ahead_RH - points_RL @ coefficients, levels, axis=0).T
    return Line(coefficients, rest)


def _rows(panel: Panel, horizon: int, lags: int) -> tuple[Array, Array]:
    """Scaled lags (R, L) and what came behind them (R, H), at places spread evenly over the series."""
    rooms = panel.lengths - lags - horizon + 1
    total = int(np.maximum(rooms, 0).sum())
    step = max(1, -(-total // _ROWS))
    points, ahead = [], []
    for values, room in zip(panel.values, rooms.tolist(), strict=True):
        if room <= 0:
            continue
        # The latest place of each series is always among them.
        starts = np.arange(room - 1, -1, -step)
        points.append(values[starts[:, None] + np.arange(lags)])
        ahead.append(values[starts[:, None] + lags + np.arange(horizon)])
    scaled, level, spread = _scaled(np.concatenate(points))
    later = np.clip((np.concatenate(ahead) - level) / spread, -_FARTHEST, _FARTHEST)
    return scaled, later


def _scaled(points_RL: Array) -> tuple[Array, Array, Array]:
    """The points by the level and spread of their row, and these (R, 1)."""
    level = points_RL.mean(axis=1, keepdims=True)
    spread = np.maximum(points_RL.std(axis=1, keepdims=True), _FLATTEST * np.abs(level) + 1e-9)
    return (points_RL - level) / spread, level, spread


LINEAR = Linear()
