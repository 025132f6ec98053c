"""The smallest honest job of an algorithm, which the exam trains and the demo shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clary.toolkit.records import Records


@dataclass(frozen=True, kw_only=True)
class Example:
    """A job on real or generated rows that trains in five seconds, and the score it must reach.

    ``channels`` maps a channel's name to a function that returns its rows, so that nothing is loaded before
    it is asked for. ``metric`` must end at or beyond ``reach`` in the direction of its goal.
    """

    title: str
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Callable[[], Records]]
    metric: str
    reach: float
