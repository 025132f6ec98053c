"""The smallest honest job of an algorithm, which the exam trains and the demo shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clary.toolkit.records import Records

Files = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A job on real or generated rows that trains in five seconds, and the score it must reach.

    ``channels`` maps a channel's name to a function that returns its rows, so that nothing is loaded before
    it is asked for. ``metric`` must end at or beyond ``reach`` in the direction of its goal. ``longer`` holds
    hyperparameters that, put over the others, keep the same job busy for a minute or more: a job to interrupt.

    An algorithm whose data are not rows of numbers gives them as bytes instead: ``files`` maps a channel's
    name to a function from a content type to the channel's files by path, and ``request`` makes, for a
    content type and a range of record numbers, a request body that holds those records, at most ``at_once``.
    """

    title: str
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Callable[[], Records]] = field(default_factory=dict)
    metric: str
    reach: float
    longer: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Callable[[str], Files]] = field(default_factory=dict)
    request: Callable[[str, range], bytes] | None = None
    at_once: int = 1000
