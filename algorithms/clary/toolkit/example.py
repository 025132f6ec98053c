"""The smallest honest job of an algorithm, which the exam trains and the demo shows; and its variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clary.toolkit.records import Records

Files = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A small job: all its hyperparameters, and the data that it trains on.

    ``channels`` maps a channel's name to a function that returns its rows, so that nothing is loaded before
    it is asked for. Rows come in an order that means nothing; those of an algorithm that takes missing values are
    dense, with NaN where there is none.

    An algorithm whose data are not rows of numbers gives them as bytes instead: ``files`` maps a channel's
    name to a function from a content type to the channel's files by path, and ``request`` makes, for a
    content type and a range of record numbers, a request body that holds those records, at most ``at_once``.
    """

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Callable[[], Records]] = field(default_factory=dict)
    files: Mapping[str, Callable[[str], Files]] = field(default_factory=dict)
    request: Callable[[str, range], bytes] | None = None
    at_once: int = 1000


@dataclass(frozen=True, kw_only=True)
class Example(Variant):
    """A job on real or generated data that trains in five seconds, and the score it must reach.

    ``metric`` must end at or beyond ``reach`` in the direction of its goal. ``longer`` holds hyperparameters
    that, put over the others, keep the same job busy for a minute or more: a job to interrupt. ``fixed`` names
    hyperparameters that belong to the data, such as the kind of task, so that they stay where the exam draws others.

    ``agreement`` is how much the metric of several hosts may differ from that of one, in relation to it.
    ``variants`` are further jobs, each as small, for what one job cannot show: another task, no validation
    channel, another objective. Every declared metric is reported by the example or by one of them.
    """

    title: str
    metric: str
    reach: float
    agreement: float = 0.05
    longer: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    variants: Mapping[str, Variant] = field(default_factory=dict)
