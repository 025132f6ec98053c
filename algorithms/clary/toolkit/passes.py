"""Passes over a channel for algorithms without gradients: batches, hosts, resume, stop, progress, in one place."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.batches import batches, checked, shared_out, shuffled
from clary.toolkit.checkpoint import Arrays
from clary.toolkit.job import Job
from clary.toolkit.records import Records
from clary.toolkit.spec import PROGRESS, THROUGHPUT

SHUFFLE_BYTES = 64 << 20  # of dense float32 rows; bounds the memory of the shuffle
_FIRST_ROWS = 1000  # from which the size of sparse rows is told
_SPARSE_VALUE = 8  # bytes of a value and its position


@dataclass
class Step:
    """One batch on every host; ``records`` is None on a host whose data has run out before the others'."""

    epoch: int
    number: int
    records: Records | None
    _job: Job[Any]
    _flags: Callable[[], npt.NDArray[np.int64]]
    _read_on: Callable[[], None]
    agreed: npt.NDArray[np.int64] | None = None

    def sum(self, *arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The sums of the arrays over all hosts, the same on each; at most once in a step.

        What the passes must agree on travels in the same message, so that a step waits for the network once, and
        the rows of a later step are read meanwhile.
        """
        *summed, self.agreed = self._job.cluster.sum_all([*arrays, self._flags()], self._read_on)
        return summed


@dataclass
class Passes:
    """``epochs`` passes over the train channel, the same number of steps on every host.

    ``arrays`` returns what must be saved for the algorithm to go on later. What the leader returns is saved; every
    host is asked at the same step, so that they may bring together what each has found. ``resume`` hands it back, and
    the passes read on behind it. ``check`` looks at rows as they are read, while they still know their place in a
    file, and raises DataError for those that cannot be learned from. Rows are shuffled within a window, seeded by
    job and epoch, where ``shuffle`` is true; its size counts all of ``width``, or with ``sparse`` as many values as
    the first rows have other than zero. After the last step, ``rows`` is the number of rows read by all hosts, and
    ``stopped`` says whether the platform ended the job early.
    """

    job: Job[Any]
    epochs: int
    batch_size: int
    width: int
    arrays: Callable[[], Arrays]
    check: Callable[[Records], object] | None = None
    shuffle: bool = True
    sparse: bool = False
    epoch: int = 0
    step: int = 0
    rows: int = 0
    stopped: bool = False
    finished: bool = False
    _saving: bool = False

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps; what the body of the loop did is saved before the next one is taken."""
        for steps in self.by_epoch():
            yield from steps

    def by_epoch(self) -> Iterator[Iterator[Step]]:
        """Yield the steps of each epoch in turn.

        What the body of the loop does behind the steps belongs to the epoch: it is saved with it. The body may
        call ``finish``; it should look at ``stopped`` first.
        """
        if self.epochs > 1:
            self.job.channel("train").keep()
        while self.epoch < self.epochs and not (self.stopped or self.finished):
            began, before = time.perf_counter(), self.rows
            yield self._one_pass()
            if not self.stopped:
                self._report(self.rows - before, time.perf_counter() - began)
            self._save()
        if self.stopped:
            self.job.log.say(f"stopping early, after {self.rows} rows of {self.epochs} epochs")

    def finish(self) -> None:
        """Let this epoch be the last one; every host must call it in the same epoch."""
        self.finished = True

    def resume(self) -> Arrays:
        """What the leader saved last, on every host; the passes go on behind it. Empty where nothing was saved.

        One host is asked because another may have been killed a moment before it saved the same step.
        """
        kept = self.job.checkpoints.load() if self.job.cluster.leads else None
        note = {} if kept is None else {"names": sorted(kept.arrays), "state": dict(kept.state)}
        own = np.frombuffer(json.dumps(note).encode(), np.uint8)
        note = json.loads(self.job.cluster.broadcast(own).tobytes())
        if not note:
            return {}
        self.epoch, self.step, self.rows = (int(note["state"][name]) for name in ("epoch", "step", "rows"))
        self.finished = bool(note["state"]["finished"])
        self.job.log.say(f"resuming from a checkpoint, after {self.rows} rows")
        return {name: self.job.cluster.broadcast(kept.arrays[name] if kept else None) for name in note["names"]}

    def _one_pass(self) -> Iterator[Step]:
        supply = self._supply()
        for _ in range(self.step):  # read again and left alone: this job resumes behind them
            next(supply)
        # The batch of this step, the next one, whose rows the hosts agree on, and one that is read ahead.
        queue = deque([next(supply), next(supply)])
        total, stop, _, saving = self.job.cluster.sum(self._flags(queue[0])).tolist()
        self._saving = bool(saving)
        # A job that is stopped before its first batch still takes that one, so that there is a model to leave.
        while total and not (stop and self.rows):
            records, following = queue.popleft(), queue[0]
            flags, read_on = partial(self._flags, following), partial(_read_on, queue, supply)
            step = Step(self.epoch, self.step, records, self.job, flags, read_on)
            yield step
            self.step, self.rows = self.step + 1, self.rows + total
            if step.agreed is None:
                step.sum()
            assert step.agreed is not None
            total, stop, save, _ = step.agreed.tolist()
            if save and total:
                self._save()
        self.stopped = bool(stop)
        if not self.stopped:
            self.epoch, self.step = self.epoch + 1, 0

    def _flags(self, records: Records | None) -> npt.NDArray[np.int64]:
        """What hosts agree on before a batch: its rows, whether to stop or save before it, whether to save at all."""
        count, checkpoints = 0 if records is None else len(records), self.job.checkpoints
        leads, stop = self.job.cluster.leads, self.job.stop.is_set()
        return np.array([count, stop, leads and checkpoints.due, leads and checkpoints.kept], np.int64)

    def _supply(self) -> Iterator[Records | None]:
        """This host's batches of one pass, then None for as long as other hosts have some."""
        channel, cluster = self.job.channel("train"), self.job.cluster
        rng = np.random.default_rng([self.job.seed, self.epoch, cluster.rank if channel.sharded else 0])
        rows, size = checked(channel.records(width=self.width), self.check), 4 * self.width
        if self.sparse:
            rows, size = _with_size(rows)
        window = max(self.batch_size, SHUFFLE_BYTES // size)
        parts = batches(shuffled(rows, rng, rows=window) if self.shuffle else rows, self.batch_size)
        yield from parts if channel.sharded else shared_out(parts, cluster.rank, cluster.size)
        while True:
            yield None

    def _save(self) -> None:
        if not self._saving:
            return
        arrays = self.arrays()
        if self.job.cluster.leads:
            state = {"epoch": self.epoch, "step": self.step, "rows": self.rows, "finished": self.finished}
            self.job.checkpoints.save(arrays, state)

    def _report(self, rows: int, seconds: float) -> None:
        if self.job.cluster.leads:
            self.job.log.metric(PROGRESS.name, 100.0 * self.epoch / self.epochs)
            self.job.log.metric(THROUGHPUT.name, rows / max(seconds, 1e-9))


def _with_size(blocks: Iterator[Records]) -> tuple[Iterator[Records], int]:
    """The same rows, and the bytes of a sparse one, as the first have them: at least a value and its position."""
    held: list[Records] = []
    while sum(map(len, held)) < _FIRST_ROWS and (block := next(blocks, None)) is not None:
        held.append(block)
    if not held:
        return blocks, _SPARSE_VALUE
    head = Records.join(held).rows(0, _FIRST_ROWS)
    features: Any = head.features
    values = int(np.count_nonzero(features.data if head.sparse else features))
    return chain(held, blocks), _SPARSE_VALUE * max(1, values // max(1, len(head)))


def _read_on(queue: deque[Records | None], supply: Iterator[Records | None]) -> None:
    queue.append(next(supply))
