"""A forecast job: every candidate backtested, calibrated and scored, the best chosen, and its forecast.

W windows, N series, H steps, Q levels.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from clary.forecast import calibration, ensemble
from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task
from clary.forecast.candidates.suite import CANDIDATES
from clary.forecast.clock import Clock
from clary.forecast.columns import Columns
from clary.forecast.findings import Findings
from clary.forecast.panel import Panel
from clary.forecast.scores import Scores, naive_errors, scored
from clary.forecast.settings import Settings
from clary.forecast.workers import Workers
from clary.toolkit.errors import PlatformError, UserError

Array = npt.NDArray[Any]
FALLBACK = "seasonal_naive"
# A single candidate is chosen in place of the ensemble if it is better by that share and so many standard errors.
_CLEARLY, _SURELY = 0.03, 1.0
_MOST_WINDOWS = 8
_FEWEST = 2  # points before a series' first backtest


@dataclass(frozen=True)
class Entry:
    """A line of the leaderboard; ``left_out`` says why there are no scores, ``weight`` is that in the forecast."""

    name: str
    title: str
    seconds: float
    scores: Scores | None = None
    left_out: str = ""
    weight: float = 0.0


class Watcher(Protocol):
    """Who is told how a job goes on."""

    def begin(self, name: str, title: str) -> None:
        """A candidate begins."""

    def tell(self, done: int, of: int) -> None:
        """So much of its work is done."""

    def end(self, entry: Entry) -> None:
        """It has been scored, or left out."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, name: str, title: str) -> None:
        """Nothing."""

    def tell(self, done: int, of: int) -> None:
        """Nothing."""

    def end(self, entry: Entry) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Result:
    """All that a job found. ``backtests`` (W, N, H, Q) and ``forecasts`` (N, H, Q) are calibrated, by candidate.

    ``ends`` are the ends (W) of the backtests' histories, ``actual`` (W, N, H) is what came behind them. ``factors``
    are those of the calibration and ``states`` what is kept, of the candidates that the chosen one is made of.
    """

    settings: Settings
    columns: Columns
    panel: Panel
    findings: Findings
    entries: Sequence[Entry]
    chosen: str
    ends: Sequence[int]
    actual: Array
    backtests: Mapping[str, Array]
    forecasts: Mapping[str, Array]
    factors: Mapping[str, Array]
    weights: Mapping[str, float]
    states: Mapping[str, State]
    seconds: float = 0.0
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def entry(self) -> Entry:
        """The leaderboard's line of the chosen one."""
        return next(each for each in self.entries if each.name == self.chosen)

    @property
    def forecast(self) -> Array:
        """The forecast (N, H, Q) of the chosen one."""
        return self.forecasts[self.chosen]


def run(
    panel: Panel,
    columns: Columns,
    settings: Settings,
    findings: Findings,
    clock: Clock,
    watcher: Watcher,
    workers: Workers,
) -> Result:
    """The result of trying all candidates of the settings; UserError where series are too short for a backtest."""
    ends = backtest_ends(panel, settings)
    levels = settings.levels
    actual = np.stack([panel.actual(end, settings.horizon) for end in ends])
    naive = naive_errors(panel, ends)
    raw: dict[str, Outcome] = {}
    entries: list[Entry] = []
    names = list(dict.fromkeys([FALLBACK, *settings.models]))
    bounded = _bounds(panel)
    for place, name in enumerate(names):
        candidate = CANDIDATES[name]
        watcher.begin(name, candidate.title)
        if candidate.parallel:
            workers.ready()
        began = time.monotonic()
        task = Task(
            panel, ends, settings.horizon, levels, workers, clock.share(names[place:]), settings.seed, watcher.tell
        )
        try:
            raw[name] = _whole(candidate.run(task), raw.get(FALLBACK), bounded)
        except (LeftOutError, PlatformError) as reason:
            entries.append(Entry(name, candidate.title, time.monotonic() - began, left_out=str(reason)))
            watcher.end(entries[-1])
            continue
        backtest = calibration.crossed(actual, raw[name].windows, levels)
        scores = scored(actual, backtest, levels, settings.quantiles, naive)
        entries.append(Entry(name, candidate.title, time.monotonic() - began, scores))
        watcher.end(entries[-1])
    return _judged(panel, columns, settings, findings, clock, entries, raw, ends, actual, naive)


def backtest_ends(panel: Panel, settings: Settings) -> list[int]:
    """The ends of the backtests' histories, the oldest first, a horizon apart; UserError where there is no room.

    At the oldest, half of the series must have a season and some points. Few series are compared in more windows.
    """
    few = 3 if len(panel) >= 100 else 5 if len(panel) >= 20 else _MOST_WINDOWS
    # What is forecast may lie anywhere in the longest season, so all of it is looked at if it is not too long.
    wanted = settings.windows or max(few, min(_MOST_WINDOWS, -(-panel.grid.seasons[-1] // settings.horizon)))
    lengths = panel.lengths
    for count in range(wanted, 0, -1):
        least = min(panel.grid.season + 2, 2 * settings.horizon + 2) if count > 1 else _FEWEST
        if np.median(lengths - count * settings.horizon) >= max(_FEWEST, least):
            return [panel.end - settings.horizon * back for back in range(count, 0, -1)]
    raise UserError(
        f"the series are too short to compare forecasts of {settings.horizon} steps: half of them have "
        f"{int(np.median(lengths))} points or fewer, and {settings.horizon + _FEWEST} are needed; choose a shorter "
        "horizon"
    )


def _whole(outcome: Outcome, fallback: Outcome | None, bounded: bool) -> Outcome:
    """The outcome with the fallback where a series could not be forecast, and not below zero where no point is."""
    windows, final = outcome.windows, outcome.final
    if fallback is not None:
        windows = np.where(np.isfinite(windows), windows, fallback.windows)
        final = np.where(np.isfinite(final), final, fallback.final)
    if bounded:
        windows, final = np.maximum(windows, 0.0), np.maximum(final, 0.0)
    return Outcome(np.sort(windows, axis=-1), np.sort(final, axis=-1), outcome.state)


def _bounds(panel: Panel) -> bool:
    """Whether no point is below zero, so that no forecast should be."""
    return all(values.min() >= 0 for values in panel.values if len(values))


def _judged(
    panel: Panel,
    columns: Columns,
    settings: Settings,
    findings: Findings,
    clock: Clock,
    entries: list[Entry],
    raw: Mapping[str, Outcome],
    ends: Sequence[int],
    actual: Array,
    naive: Array,
) -> Result:
    """The ensemble beside the candidates, the best of all, and what it takes to forecast with it again."""
    levels = settings.levels
    bounded = _bounds(panel)
    tried = [name for name in raw if name in settings.models] or list(raw)
    backtests = {name: calibration.crossed(actual, raw[name].windows, levels) for name in raw}
    factors = {name: calibration.factors(actual, raw[name].windows, levels) for name in raw}
    forecasts = {name: calibration.scaled(raw[name].final, levels, factors[name]) for name in raw}
    # Where no series can be forecast yet there is nothing to compare.
    seen = np.where(np.isnan(backtests[FALLBACK]).any(axis=-1), np.nan, actual)
    mixed: dict[str, float] = {}
    if len(tried) > 1:
        began = time.monotonic()
        chosen = {name: backtests[name] for name in tried}
        mixed = ensemble.weights(seen, chosen, levels)
        blend = ensemble.crossed(seen, chosen, levels)
        backtests[ensemble.NAME] = calibration.crossed(actual, blend, levels)
        factors[ensemble.NAME] = calibration.factors(actual, blend, levels)
        final = ensemble.combined(forecasts, mixed)
        forecasts[ensemble.NAME] = calibration.scaled(final, levels, factors[ensemble.NAME])
        scores = scored(actual, backtests[ensemble.NAME], levels, settings.quantiles, naive)
        entries = [*entries, Entry(ensemble.NAME, ensemble.TITLE, time.monotonic() - began, scores)]
    if bounded:
        forecasts = {name: np.maximum(each, 0.0) for name, each in forecasts.items()}
        backtests = {name: np.maximum(each, 0.0) for name, each in backtests.items()}
    best = _best(actual, {name: backtests[name] for name in (*tried, *([ensemble.NAME] if mixed else []))}, levels)
    weights = {name: weight for name, weight in mixed.items() if weight} if best == ensemble.NAME else {best: 1.0}
    entries = sorted((replace(each, weight=weights.get(each.name, 0.0)) for each in entries), key=_rank)
    return Result(
        settings=settings,
        columns=columns,
        panel=panel,
        findings=findings,
        entries=entries,
        chosen=best,
        ends=ends,
        actual=actual,
        backtests=backtests,
        forecasts=forecasts,
        factors={name: factors[name] for name in dict.fromkeys([*weights, best])},
        weights=weights,
        states={name: raw[name].state for name in weights},
        seconds=clock.elapsed,
    )


def _best(actual: Array, backtests: Mapping[str, Array], levels: Sequence[float]) -> str:
    """The ensemble, unless a candidate alone is clearly better: what is mixed depends less on chance."""
    lost = {name: ensemble.lost_in(actual, each, levels) for name, each in backtests.items()}
    first = min(lost, key=lambda name: float(lost[name].sum()))
    if ensemble.NAME not in lost:
        return first
    mixed = lost[ensemble.NAME]
    clearly = lost[first].sum() < (1 - _CLEARLY) * mixed.sum()
    return first if clearly and ensemble.behind(mixed, lost[first]) > _SURELY else ensemble.NAME


def _rank(entry: Entry) -> float:
    return entry.scores.loss if entry.scores else float("inf")
