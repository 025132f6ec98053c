"""Gradient-boosted trees on lags: a model of all series for each of three quantiles, with XGBoost's quantile loss.

Rows weigh as much as their series' spread, so that the sum of the losses is the weighted quantile loss itself. Other
quantiles lie between and beyond the three as those of a normal distribution do.
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

from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task, ordered
from clary.forecast.candidates.lags import FEWEST, Lags, Rows, ahead, drawn
from clary.forecast.panel import Panel

Array = npt.NDArray[Any]
Table = tuple[Array, Array, Array]
FITTED = (0.1, 0.5, 0.9)
_ROWS = 50_000  # for training
_ROUNDS, _PATIENCE = 500, 30
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

    Tables are features (R, F), targets and weights (R). The training ends early when its seconds are over.
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
        train = _matrix(self.train)
        watched = [(_matrix(self.validation, train), "next")] if self.validation else []
        # The clock comes last: the library asks no further callback once one has ended the training.
        early = [xgboost.callback.EarlyStopping(_PATIENCE, save_best=True)] if self.validation else []
        stops = [*early, _timed(stop)]
        parameters = {**_PARAMETERS, "quantile_alpha": self.level, "seed": self.seed}
        booster = xgboost.train(
            parameters, train, num_boost_round=self.rounds, evals=watched, verbose_eval=False, callbacks=stops
        )
        return bytes(booster.save_raw("ubj")), booster.num_boosted_rounds()


class Trees:
    """The candidate."""

    name, title, parallel = "trees", "Gradient-boosted trees", True

    def run(self, task: Task) -> Outcome:
        """Fit before the oldest end with as many rounds as its last window likes best, then to all points."""
        if importlib.util.find_spec("xgboost") is None:
            raise LeftOutError("it needs xgboost: pip install 'clary[xgboost]'")
        begin = task.panel.until(task.ends[0])
        if (begin.lengths >= FEWEST + task.horizon).sum() < max(1, len(begin) // 2):
            raise LeftOutError("most series are too short for lags and a target")
        earlier = begin.until(begin.end - task.horizon)
        validated = earlier.lengths.max(initial=0) >= FEWEST + task.horizon
        if validated:
            rows = ahead(earlier, task.horizon, np.flatnonzero(earlier.lengths >= FEWEST))
            validation = _table(Lags(begin, task.horizon), rows)
            found = _boosted(task, earlier, [_ROUNDS] * 3, validation, _SHARE_OF_SEARCH, 0)
        else:
            found = _boosted(task, begin, [_ROUNDS // 5] * 3, None, _SHARE_OF_SEARCH, 0)
        windows = [_forecast(found, task.panel.until(end), task.horizon, task.levels) for end in task.ends]
        # What was fitted to all but the last windows forecasts better than what had no time to learn.
        try:
            final = _boosted(task, task.panel, [rounds for _, rounds in found], None, 0.8, 3)
            final = [new if new[1] >= _WHOLE * old[1] else old for new, old in zip(final, found, strict=True)]
        except LeftOutError:
            final = found
        files = {f"trees-{level}.ubj": model for level, (model, _) in zip(FITTED, final, strict=True)}
        return Outcome(np.stack(windows), _forecast(final, task.panel, task.horizon, task.levels), State({}, files))

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The forecasts of the same trees on newer lags."""
        models = [(state.files[f"trees-{level}.ubj"], 0) for level in FITTED]
        return _forecast(models, panel, horizon, levels)


def _boosted(
    task: Task, panel: Panel, rounds: Sequence[int], validation: Table | None, share: float, before: int
) -> list[tuple[bytes, int]]:
    """A booster for each of the quantiles, side by side, in that share of the time; ``before`` are fitted already."""
    rows = drawn(panel, task.horizon, _ROWS, np.random.default_rng(task.seed), season=panel.grid.season)
    train = _table(Lags(panel, task.horizon), rows)
    turns = -(-len(FITTED) // len(task.workers))
    seconds = task.left() * share / turns
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
    return [found[number] for number in range(len(works))]


def _timed(stop: float) -> Any:
    """A callback that ends the training when its time is up."""
    import xgboost

    class Timed(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return time.monotonic() >= stop

    return Timed()


def _table(lags: Lags, rows: Rows) -> Table:
    level, spread = lags.scales(rows)
    weight = np.clip(spread / spread.mean(), 0.02, 50.0)
    return lags.table(rows, level, spread), lags.targets(rows, level, spread), weight


def _matrix(table: Table, like: Any = None) -> Any:
    import xgboost

    features, targets, weights = table
    return xgboost.QuantileDMatrix(features, targets, weight=weights, max_bin=_PARAMETERS["max_bin"], ref=like)


def _forecast(models: Sequence[tuple[bytes, int]], panel: Panel, horizon: int, levels: Sequence[float]) -> Array:
    """The quantiles (N, H, Q) behind the panel's end, NaN for series with too few points."""
    import xgboost

    long = np.flatnonzero(panel.lengths >= FEWEST)
    rows, lags = ahead(panel, horizon, long), Lags(panel, horizon)
    level, spread = lags.scales(rows)
    table = lags.table(rows, level, spread)
    columns = []
    for model, _ in models:
        booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(model))
        columns.append(np.asarray(booster.inplace_predict(table), float))
    low, middle, high = ordered(np.stack(columns, axis=1)).T
    distance = ndtri(np.array(levels)) / ndtri(0.9)
    side = np.where(distance < 0, (middle - low)[:, None], (high - middle)[:, None])
    quantiles = level[:, None] + spread[:, None] * (middle[:, None] + distance * side)
    found = np.full((len(panel), horizon, len(levels)), np.nan)
    found[long] = quantiles.reshape(len(long), horizon, -1)
    return ordered(found)


TREES = Trees()
