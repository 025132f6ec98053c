"""Gradient-boosted trees on lags: one model of all series, with the quantile loss of the XGBoost library.

Rows weigh as much as their series' spread, so that the sum of the losses is the weighted quantile loss itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task, ordered
from clary.forecast.candidates.lags import FEWEST, Lags, Rows, ahead, drawn
from clary.forecast.panel import Panel

Array = npt.NDArray[Any]
_ROWS = 80_000  # for training
_ROUNDS, _PATIENCE = 400, 25
_SHARE_OF_SEARCH = 0.55  # of the time: the rest is for the fit to all points, which needs no looks at a validation
_FILE = "trees.ubj"
_PARAMETERS: Mapping[str, Any] = {
    "tree_method": "hist",
    "objective": "reg:quantileerror",
    "learning_rate": 0.08,
    "max_depth": 6,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "max_bin": 128,
    "verbosity": 0,
}


class Trees:
    """The candidate."""

    name, title = "trees", "Gradient-boosted trees"

    def run(self, task: Task) -> Outcome:
        """Fit before the oldest end with as many rounds as its last window likes best, then to all points."""
        if importlib.util.find_spec("xgboost") is None:
            raise LeftOutError("it needs xgboost: pip install 'clary[xgboost]'")
        if task.left() < 3:
            raise LeftOutError("the time did not suffice")
        begin = task.panel.until(task.ends[0])
        if (begin.lengths >= FEWEST + task.horizon).sum() < max(1, len(begin) // 2):
            raise LeftOutError("most series are too short for lags and a target")
        searching = task.left() * _SHARE_OF_SEARCH
        booster, rounds = _searched(task, begin, searching)
        windows = np.stack([_forecast(booster, task.panel.until(end), task.horizon) for end in task.ends])
        final, _ = _boosted(task, task.panel, rounds, None, task.left() - 1)
        found = _forecast(final, task.panel, task.horizon)
        return Outcome(windows, found, State({"rounds": rounds}, {_FILE: bytes(final.save_raw("ubj"))}))

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The forecasts of the same trees on newer lags."""
        import xgboost

        return _forecast(xgboost.Booster(model_file=bytearray(state.files[_FILE])), panel, horizon)


def _searched(task: Task, begin: Panel, seconds: float) -> tuple[Any, int]:
    """A model fitted before the oldest end less a horizon, and the rounds that were best for that horizon."""
    earlier = begin.until(begin.end - task.horizon)
    if earlier.lengths.max(initial=0) < FEWEST + task.horizon:
        return _boosted(task, begin, _ROUNDS // 4, None, seconds)
    validation = ahead(earlier, task.horizon, np.flatnonzero(earlier.lengths >= FEWEST))
    return _boosted(task, earlier, _ROUNDS, (begin, validation), seconds)


def _boosted(
    task: Task, panel: Panel, rounds: int, validation: tuple[Panel, Rows] | None, seconds: float
) -> tuple[Any, int]:
    """A booster of so many rounds, or of those that the validation likes best; fewer where the time is up."""
    import time

    import xgboost

    rng = np.random.default_rng(task.seed)
    rows = drawn(panel, task.horizon, _ROWS, rng, season=panel.grid.season)
    train = _matrix(Lags(panel, task.horizon), rows)
    parameters = {**_PARAMETERS, "quantile_alpha": list(task.levels), "seed": task.seed}
    stop = time.monotonic() + seconds
    watched = [(_matrix(Lags(validation[0], task.horizon), validation[1], train), "next")] if validation else []
    stops = [xgboost.callback.EarlyStopping(_PATIENCE, save_best=True)] if validation else []
    booster = xgboost.train(
        parameters, train, rounds, evals=watched, verbose_eval=False, callbacks=[*stops, _timed(task, stop, rounds)]
    )
    return booster, booster.num_boosted_rounds()


def _timed(task: Task, stop: float, rounds: int) -> Any:
    """A callback that tells the rounds, and ends the training when its time is up."""
    import time

    import xgboost

    class Timed(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            task.tell(epoch + 1, rounds)
            return time.monotonic() >= stop

    return Timed()


def _matrix(lags: Lags, rows: Rows, like: Any = None) -> Any:
    import xgboost

    level, spread = lags.scales(rows)
    weight = spread / spread.mean()
    return xgboost.QuantileDMatrix(
        lags.table(rows, level, spread),
        lags.targets(rows, level, spread),
        weight=np.clip(weight, 0.02, 50.0),
        max_bin=_PARAMETERS["max_bin"],
        ref=like,
    )


def _forecast(booster: Any, panel: Panel, horizon: int) -> Array:
    """The quantiles (N, H, Q) behind the panel's end, NaN for series with too few points."""
    long = np.flatnonzero(panel.lengths >= FEWEST)
    rows, lags = ahead(panel, horizon, long), Lags(panel, horizon)
    level, spread = lags.scales(rows)
    scaled = booster.inplace_predict(lags.table(rows, level, spread))
    scaled = np.asarray(scaled, float).reshape(len(rows.steps), -1)
    quantiles = level[:, None] + spread[:, None] * scaled
    found = np.full((len(panel), horizon, quantiles.shape[1]), np.nan)
    found[long] = quantiles.reshape(len(long), horizon, -1)
    return ordered(found)


TREES = Trees()
