"""Models of one series alone, from statsforecast: what a worker process computes, and the candidates that ask for it.

A model is searched and fitted once at the oldest of the ends that are compared, and its parameters hold for the later
ones; the last fit, at the end of the series, keeps the form that was found. H steps, Q levels, W ends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task
from clary.forecast.candidates.models import MODELS, Model
from clary.forecast.candidates.regressors import effects
from clary.forecast.panel import Panel
from clary.forecast.workers import Workers

Array = npt.NDArray[Any]
_SPORADIC = 0.2  # share of zeros from which on a panel is one of sporadic demand


@dataclass(frozen=True)
class Work:
    """A series for a worker: forecast it behind each of ``ends`` (numbers of points), fitting as ``state`` says.

    With a state nothing is fitted; without one, all but the last end are compared, and the last is what is wanted.
    ``features`` (T + H, K) are those of the series' steps and of the steps ahead, for a model that can use them.
    """

    model: str
    values: Array
    ends: tuple[int, ...]
    horizon: int
    levels: tuple[float, ...]
    seasons: tuple[int, ...]
    state: Mapping[str, Any] | None = None
    features: Array | None = None

    def answer(self) -> tuple[Array, Mapping[str, Any] | None]:
        """The forecasts (W, H, Q) and the state of the last fit; NaN and none where the model fails on the series."""
        model = MODELS[self.model](self.seasons, self.levels)
        found = np.full((len(self.ends), self.horizon, len(self.levels)), np.nan)
        begin = int(self.state["begin"]) if self.state else max(0, self.ends[-1] - model.reach)
        state, searched = self.state, None
        for place, end in enumerate(self.ends):
            start = min(begin, max(0, end - 1))
            values, last = self.values[start:end], place == len(self.ends) - 1
            if len(values) < model.fewest:
                continue
            try:
                if self.state is None and (searched is None or last):
                    by = self._effects(model, values, start)
                    searched = model.fit(values - self._explained(by, start, len(values)), searched)
                    state = {**searched, "begin": begin, "effects": by}
                assert state is not None
                explained = self._explained(state["effects"], start, len(values) + self.horizon)
                rest = model.forecast(state, values - explained[: len(values)], self.horizon)
                found[place] = rest + explained[len(values) :, None]
            except Exception:  # noqa: S112 (a library that fails on one series of a thousand must not end the job)
                continue
        return np.where(np.isfinite(found).all(axis=(1, 2), keepdims=True), found, np.nan), state

    def _effects(self, model: Model, values: Array, start: int) -> list[float]:
        """The effect of one unit of each feature, as a state keeps it."""
        if self.features is None:
            return []
        period = model.period(values)
        return [float(each) for each in effects(values, self.features[start : start + len(values)], period)]

    def _explained(self, by: Sequence[float], start: int, count: int) -> Array:
        """What the features explain of so many steps from ``start`` on."""
        if self.features is None:
            return np.zeros(count)
        explained: Array = self.features[start : start + count] @ np.array(by)
        return explained


class Statistical:
    """A candidate whose series are forecast by the workers, one by one."""

    parallel = True

    def __init__(self, name: str, title: str) -> None:
        self.name, self.title = name, title

    def run(self, task: Task) -> Outcome:
        """Fit and forecast all series; LeftOutError where that takes longer than there is time."""
        _check(self.name, task.panel)
        panel, levels = task.panel, task.levels
        works = [
            Work(
                self.name,
                values,
                tuple(max(0, end - int(panel.first[row])) for end in [*task.ends, panel.end]),
                task.horizon,
                levels,
                panel.grid.seasons,
                features=self._features(panel, row),
            )
            for row, values in enumerate(panel.values)
        ]
        found = np.full((len(task.ends) + 1, len(panel), task.horizon, len(levels)), np.nan)
        states: list[Any] = [None] * len(works)
        # In another order than given, so that the first tell how long the others take.
        order = np.random.default_rng(0).permutation(len(works))
        counted, began = [0], time.monotonic()

        def done(number: int, result: tuple[Array, Any]) -> bool:
            row = int(order[number])
            found[:, row], states[row] = result
            counted[0] += 1
            task.tell(counted[0], len(works))
            return _on_time(task, counted[0], len(works), time.monotonic() - began)

        task.workers.run([works[row] for row in order], done, deadline=task.deadline)
        if counted[0] < len(works):
            spent = time.monotonic() - began
            about = f"about {spent * len(works) / counted[0]:.0f} s" if counted[0] else "longer"
            raise LeftOutError(f"it would have taken {about}, and was given up after {spent:.0f} s")
        return Outcome(found[:-1], found[-1], State({"series": states}))

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The forecasts with the parameters of the fit, applied to the newer points."""
        found = np.full((len(panel), horizon, len(levels)), np.nan)
        seasons, own = panel.grid.seasons, state.settings["series"]
        rows = [row for row in range(len(panel)) if own[row] is not None]
        works = [
            Work(
                self.name,
                panel.values[row],
                (len(panel.values[row]),),
                horizon,
                levels,
                seasons,
                own[row],
                self._features(panel, row),
            )
            for row in rows
        ]

        def done(number: int, result: tuple[Array, Any]) -> bool:
            found[rows[number]] = result[0][-1]
            return True

        with Workers() as workers:
            workers.run(works, done)
        return found

    def _features(self, panel: Panel, row: int) -> Array | None:
        """The features of a series that are known ahead, where the model uses them and there are some."""
        related = panel.related
        if related is None or not MODELS[self.name].regresses or not any(related.known):
            return None
        known: Array = related.values[row][:, list(related.known)]
        return known


def _check(name: str, panel: Panel) -> None:
    """LeftOutError where the model has nothing to say about such series."""
    if name == "mstl" and len(panel.grid.seasons) < 2:
        raise LeftOutError("it is for series with two seasons, such as days and weeks of hours")
    if name == "intermittent":
        together = np.concatenate(panel.values)
        share = float((together == 0).mean())
        if share < _SPORADIC or together.min() < 0:
            raise LeftOutError(f"it is for sporadic demand, and {share:.0%} of the values are zero")


def _on_time(task: Task, done: int, of: int, seconds: float) -> bool:
    """Whether to go on: the rest still fits, as far as the work so far tells."""
    if task.deadline is None or done < max(4, of // 50):
        return True
    return seconds / done * (of - done) <= 1.2 * max(0.0, task.left()) + 1.0
