"""Gradient-boosted trees on lags: a model of all series for each of three quantiles, with XGBoost's quantile loss.

The trees begin at the quantiles of the linear regression on lags and learn what it misses: trees cannot go on with a
trend or a level that they have not seen, and a regression can. Rows weigh as much as their series' spread, so that
the sum of the losses is the weighted quantile loss itself. Other quantiles lie between and beyond the three as those
of a normal distribution do.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from clary.forecast.candidates import linear
from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task, ordered
from clary.forecast.candidates.lags import FEWEST, Lags, Rows, ahead, drawn
from clary.forecast.panel import Panel

Array = npt.NDArray[Any]
Table = tuple[Array, Array, Array, Array]
FITTED = (0.1, 0.5, 0.9)
_ROWS = 50_000  # for training
_ROUNDS, _PATIENCE = 500, 30
_MOST_VALIDATED, _SHARE_VALIDATED = 8, 0.15  # windows in which the number of rounds is settled
_LINES = "trees-lines.npz"
_WHOLE = 0.9  # of the rounds that the second fit must come to
_SHARE_OF_SEARCH = 0.5  # of the time: the rest is for the fit to all points, which needs no looks at a validation
_PARAMETERS: Mapping[str, Any] = {
    "tree_method": "hist",
    "objective": "reg:quantileerror",
    "learning_rate": 0.06,
    "max_depth": 6,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "max_bin": 128,
    "verbosity": 0,
    "nthread": 1,  # there is a process for each core
}


@dataclass(frozen=True)
class Boosting:
    """Work for a worker: trees for one quantile, of so many rounds or of those that the validation likes best.

    Tables are features (R, F), targets and weights (R), and the quantiles (R, 3) to begin at. The training ends early
    when its seconds are over.
    """

    level: float
    train: Table
    validation: Table | None
    rounds: int
    seconds: float
    seed: int

    def answer(self) -> tuple[bytes, int]:
        """The booster in the library's own format, and its rounds."""
        import xgboost

        stop = time.monotonic() + self.seconds
        place = FITTED.index(self.level)
        train = _matrix(self.train, place)
        watched = [(_matrix(self.validation, place, train), "next")] if self.validation else []
        # The clock comes last: the library asks no further callback once one has ended the training.
        early = [xgboost.callback.EarlyStopping(_PATIENCE, save_best=True)] if self.validation else []
        stops = [*early, _timed(stop)]
        parameters = {**_PARAMETERS, "quantile_alpha": self.level, "seed": self.seed}
        booster = xgboost.train(
            parameters, train, num_boost_round=self.rounds, evals=watched, verbose_eval=False, callbacks=stops
        )
        return bytes(booster.save_raw("ubj")), booster.num_boosted_rounds()


@dataclass(frozen=True)
class Forest:
    """Regressions, and boosters in the library's own format that begin at their quantiles, with their rounds."""

    lines: Sequence[linear.Line]
    boosters: Sequence[tuple[bytes, int]]

    def forecast(self, panel: Panel, horizon: int, levels: Sequence[float]) -> Array:
        """The quantiles (N, H, Q) behind the panel's end, NaN for series with too few points."""
        import xgboost

        long = np.flatnonzero(panel.lengths >= FEWEST)
        rows, lags = ahead(panel, horizon, long), Lags(panel, horizon)
        level, spread = lags.scales(rows)
        margins = _margins(self.lines, panel, rows, level, spread)
        table = _features(lags, rows, level, spread, margins)
        columns = []
        for (model, _), margin in zip(self.boosters, margins.T, strict=True):
            booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(model))
            columns.append(np.asarray(booster.inplace_predict(table, base_margin=_begun(margin)), float))
        low, middle, high = ordered(np.stack(columns, axis=1)).T
        distance = ndtri(np.array(levels)) / ndtri(0.9)
        side = np.where(distance < 0, (middle - low)[:, None], (high - middle)[:, None])
        quantiles = level[:, None] + spread[:, None] * (middle[:, None] + distance * side)
        found = np.full((len(panel), horizon, len(levels)), np.nan)
        found[long] = quantiles.reshape(len(long), horizon, -1)
        return ordered(found)


class Trees:
    """The candidate."""

    name, title, parallel = "trees", "Gradient-boosted trees", True

    def run(self, task: Task) -> Outcome:
        """Fit before the oldest end with as many rounds as its last windows like best, then to all points."""
        if importlib.util.find_spec("xgboost") is None:
            raise LeftOutError("it needs xgboost: pip install 'clary[xgboost]'")
        begin = task.panel.until(task.ends[0])
        if (begin.lengths >= FEWEST + task.horizon).sum() < max(1, len(begin) // 2):
            raise LeftOutError("most series are too short for lags and a target")
        forest = self._searched(task, begin)
        windows = [forest.forecast(task.panel.until(end), task.horizon, task.levels) for end in task.ends]
        # What was fitted to all but the last windows forecasts better than what had no time to learn.
        try:
            last = _boosted(task, task.panel, [rounds for _, rounds in forest.boosters], None, 0.8, 3)
            short = any(new[1] < _WHOLE * old[1] for new, old in zip(last.boosters, forest.boosters, strict=True))
            last = forest if short else last
        except LeftOutError:
            last = forest
        files = {f"trees-{level}.ubj": model for level, (model, _) in zip(FITTED, last.boosters, strict=True)}
        state = State({}, {**files, _LINES: linear.packed(last.lines)})
        return Outcome(np.stack(windows), last.forecast(task.panel, task.horizon, task.levels), state)

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The forecasts of the same trees on newer lags."""
        boosters = [(state.files[f"trees-{level}.ubj"], 0) for level in FITTED]
        return Forest(linear.unpacked(state.files[_LINES]), boosters).forecast(panel, horizon, levels)

    def _searched(self, task: Task, begin: Panel) -> Forest:
        """The forest before the oldest end, whose rounds are settled in the last windows before it."""
        horizon = task.horizon
        shortest = np.sort(begin.lengths)[-max(1, len(begin) // 2)] - FEWEST - horizon
        count = int(np.clip(_SHARE_VALIDATED * shortest // horizon, 1, _MOST_VALIDATED))
        ends = [begin.end - horizon * back for back in range(count, 0, -1)]
        earlier = begin.until(ends[0])
        if earlier.lengths.max(initial=0) < FEWEST + horizon:
            return _boosted(task, begin, [_ROUNDS // 5] * 3, None, _SHARE_OF_SEARCH, 0)
        windows = [begin.until(end) for end in ends]
        parts = [ahead(window, horizon, np.flatnonzero(window.lengths >= FEWEST)) for window in windows]
        return _boosted(task, earlier, [_ROUNDS] * 3, (begin, Rows.joined(parts)), _SHARE_OF_SEARCH, 0)


def _boosted(
    task: Task,
    panel: Panel,
    rounds: Sequence[int],
    validated: tuple[Panel, Rows] | None,
    share: float,
    before: int,
) -> Forest:
    """A booster for each of the quantiles, side by side, in that share of the time; ``before`` are fitted already."""
    began = time.monotonic()
    lines = linear.fitted(panel, task.horizon, FITTED)
    rows = drawn(panel, task.horizon, _ROWS, np.random.default_rng(task.seed), season=panel.grid.season)
    train = _table(lines, panel, rows, task.horizon)
    validation = _table(lines, *validated, task.horizon) if validated else None
    turns = -(-len(FITTED) // len(task.workers))
    seconds = (task.left() * share - (time.monotonic() - began)) / turns
    if seconds < 1:
        raise LeftOutError("the time did not suffice")
    works = [
        Boosting(level, train, validation, count, seconds, task.seed)
        for level, count in zip(FITTED, rounds, strict=True)
    ]
    found: dict[int, tuple[bytes, int]] = {}

    def done(number: int, result: tuple[bytes, int]) -> bool:
        found[number] = result
        task.tell(before + len(found), 2 * len(FITTED))
        return True

    task.workers.run(works, done, deadline=task.deadline)
    if len(found) < len(works):
        raise LeftOutError("the time did not suffice")
    return Forest(lines, [found[number] for number in range(len(works))])


def _timed(stop: float) -> Any:
    """A callback that ends the training when its time is up."""
    import xgboost

    class Timed(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return time.monotonic() >= stop

    return Timed()


def _table(lines: Sequence[linear.Line], panel: Panel, rows: Rows, horizon: int) -> Table:
    lags = Lags(panel, horizon)
    level, spread = lags.scales(rows)
    weight = np.clip(spread / spread.mean(), 0.02, 50.0)
    margins = _margins(lines, panel, rows, level, spread)
    return _features(lags, rows, level, spread, margins), lags.targets(rows, level, spread), weight, margins


def _margins(lines: Sequence[linear.Line], panel: Panel, rows: Rows, level: Array, spread: Array) -> Array:
    """What the regressions say, scaled (R, 3); NaN where they say nothing."""
    if not lines:
        return np.full((len(level), len(FITTED)), np.nan)
    found: Array = (linear.at(lines, panel, rows) - level[:, None]) / spread[:, None]
    return found


def _begun(margin: Array) -> Array:
    """Where the trees begin; without a regression, at the series' level."""
    return np.nan_to_num(margin).astype(np.float32)


def _features(lags: Lags, rows: Rows, level: Array, spread: Array, margins: Array) -> Array:
    table = lags.table(rows, level, spread)
    return np.concatenate([table, margins.astype(np.float32)], axis=1)


def _matrix(table: Table, place: int, like: Any = None) -> Any:
    import xgboost

    features, targets, weights, margins = table
    begun, bins = _begun(margins[:, place]), _PARAMETERS["max_bin"]
    return xgboost.QuantileDMatrix(features, targets, weight=weights, base_margin=begun, max_bin=bins, ref=like)


TREES = Trees()
