"""What every candidate of a job is given, and what it gives back. W windows, N series, H steps, Q levels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from clary.forecast.panel import Panel
from clary.forecast.workers import Workers

Array = npt.NDArray[Any]


class LeftOutError(Exception):
    """The candidate does not fit this job; the text says why, for the leaderboard."""


@dataclass(frozen=True)
class Task:
    """A panel to forecast, and the earlier ends (W, the oldest first) at which it is forecast for comparison.

    ``deadline`` is a time of ``time.monotonic``; ``tell(done, of)`` shows progress.
    """

    panel: Panel
    ends: Sequence[int]
    horizon: int
    levels: tuple[float, ...]
    workers: Workers
    deadline: float | None = None
    seed: int = 0
    tell: Callable[[int, int], None] = lambda _done, _of: None

    def late(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def left(self) -> float:
        """Seconds until the deadline."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()


@dataclass(frozen=True)
class State:
    """All that a candidate must keep to forecast again: JSON values, arrays, and files in formats of their own."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The forecasts at the earlier ends (W, N, H, Q) and at the panel's end (N, H, Q), and how to make them again.

    NaN where a series cannot be forecast, as where it has no points yet.
    """

    windows: Array
    final: Array
    state: State


class Candidate(Protocol):
    """A way to forecast; ``parallel`` says whether it needs the workers."""

    name: str
    title: str
    parallel: bool

    def run(self, task: Task) -> Outcome:
        """Fit and forecast; LeftOutError where the candidate does not apply or the time does not do."""

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """The forecasts (N, H, Q) behind the panel's end from a state, without fitting."""


def ordered(forecast: Array) -> Array:
    """The forecast with quantiles that do not cross."""
    found: Array = np.sort(forecast, axis=-1)
    return found
