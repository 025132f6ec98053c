"""All that ``train`` is given: hyperparameters, channels, hosts, log, checkpoints, seed and the stop signal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from clary.toolkit.artifact import Artifact
from clary.toolkit.batches import batches, checked, shared_out
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import UserError
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec

HP = TypeVar("HP")


class Log:
    """The platform's interface to people and to metric extraction: one line at a time, flushed at once.

    ``write`` prints a line behind the time and the level, ``plain`` one without them.
    """

    def __init__(
        self,
        spec: AlgorithmSpec,
        host: str,
        write: Callable[[str], None],
        plain: Callable[[str], None] | None = None,
    ) -> None:
        self._spec, self._host, self._write, self._plain = spec, host, write, plain or write

    def say(self, sentence: str) -> None:
        """Print one plain sentence."""
        self._write(sentence)

    def line(self, text: str) -> None:
        """Print one line in a form that others read, exactly as it is."""
        self._plain(text)

    def metric(self, name: str, value: float, **where: Any) -> None:
        """Report a declared metric; KeyError if the specification does not declare it."""
        self._write(self._spec.metric(name).render(value, host=self._host, **where))


@dataclass
class Job(Generic[HP]):
    """One training run as an algorithm sees it; nothing in here is a path or a content type.

    ``stop`` is set when the platform asks for an early end: finish the current step and return the model so
    far. ``publish`` writes an intermediate model, whole, where the platform picks it up. ``abandon`` ends the process
    as a job that failed; for a thread that sees that the others will never come back.
    """

    hyperparameters: HP
    channels: Mapping[str, ChannelInput]
    cluster: Cluster
    log: Log
    checkpoints: Checkpoints
    seed: int = 0
    device: str = "cpu"
    gpus: int = 0
    memory: int = 2 << 30
    platform: Mapping[str, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    publish: Callable[[Artifact], None] = lambda _artifact: None
    output: Callable[[str, bytes], None] = lambda _name, _content: None
    abandon: Callable[[Exception], None] = lambda _error: None

    def channel(self, name: str) -> ChannelInput:
        """The channel of that name; UserError if the job has none."""
        if name not in self.channels:
            raise UserError(f"channel {name!r} is missing; the job has {', '.join(sorted(self.channels)) or 'none'}")
        return self.channels[name]

    def own_batches(
        self, name: str, rows: int, *, width: int, check: Callable[[Records], object] | None = None
    ) -> Iterator[Records]:
        """This host's batches of a channel, of so many rows: all of its files where each host has others.

        ``check`` looks at rows while they still know their place in a file, and raises DataError.
        """
        channel = self.channel(name)
        parts = batches(checked(channel.records(width=width), check), rows)
        return parts if channel.sharded else shared_out(parts, self.cluster.rank, self.cluster.size)

    def stopped(self, *, here: bool = False) -> bool:
        """Whether any host was asked to stop, or says so with ``here``; every host must ask in the same place.

        The signal may have reached one host and not yet another, and all must go the same way.
        """
        return bool(self.cluster.sum(np.array([here or self.stop.is_set()], np.int64)).any())
