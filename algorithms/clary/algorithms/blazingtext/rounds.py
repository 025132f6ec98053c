"""Epochs over token ids in rounds: pieces shared out among threads, and between rounds what all must agree on.

After a round hosts bring their parameters together, a stop is heard, and a checkpoint is saved. Where a round begins
and what a piece draws follow from the seed alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.blazingtext.devices import PIECE, Device, Piece
from clary.algorithms.blazingtext.spec import Hyperparameters
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job
from clary.toolkit.spec import PROGRESS

Array = npt.NDArray[Any]

ROUND = 16  # pieces
_WORTH_THREADS = 4  # pieces of text from which on it is learned by several threads


class Rounds:
    """The epochs of a job; the device is given each piece, by several threads at once where there is enough text.

    Its matrices are saved and brought together here, and up to date behind every epoch. ``notes`` is a further state
    that a checkpoint keeps, and ``kept`` further arrays. ``speed`` is the mean number of words per second.
    """

    def __init__(
        self, job: Job[Hyperparameters], tokens: Array, words: int, device: Device, *, whole: bool = True
    ) -> None:
        self._job, self._device, self._whole = job, device, whole
        self._matrices = device.matrices
        self.notes: dict[str, float] = {}
        self.kept: dict[str, Array] = {}
        self.epoch = self.round = 0
        self.stopped = self.finished = False
        self.speed = 0.0
        cluster = job.cluster
        shared = not job.channel("train").sharded
        edges = (
            np.linspace(0, len(tokens), cluster.size + 1).astype(np.int64) if shared else np.array([0, len(tokens)])
        )
        place = cluster.rank if shared else 0
        self._start, self._stop = int(edges[place]), int(edges[place + 1])
        own = np.zeros(cluster.size, np.int64)
        own[cluster.rank] = self._stop - self._start
        longest = int(cluster.sum(own).max())
        self._rounds = max(1, -(-longest // (PIECE * ROUND)))
        self._words = float(cluster.sum(np.array([0 if shared and cluster.rank else words], np.float64))[0])
        # One thread gives the same model every time; a small text has no use for more.
        self._threads = min(device.threads, ROUND) if self._stop - self._start >= PIECE * _WORTH_THREADS else 1

    def __iter__(self) -> Iterator[int]:
        """The number of each epoch, from 1, when it is over."""
        self._resume()
        # An empty piece, so that compiling counts as no training.
        self._device.learn(Piece(self._start, self._start, np.uint64(0), 0.0, 0.0))
        epochs = self._job.hyperparameters.epochs
        trained = seconds = 0.0
        with ThreadPoolExecutor(self._threads, "clary-words") as pool:
            while self.epoch < epochs and not (self.stopped or self.finished):
                began, first = time.perf_counter(), self.round
                while self.round < self._rounds and not self.stopped:
                    self._one_round(pool)
                    self._report_round(trained + (self.round - first) / self._rounds, seconds, began)
                seconds += time.perf_counter() - began
                trained += (self.round - first) / self._rounds
                self.speed = self._words * trained / max(seconds, 1e-9)
                self._device.fetch()
                if self.round < self._rounds:
                    break
                self.epoch, self.round = self.epoch + 1, 0
                self._report_epoch(self._words / max(time.perf_counter() - began, 1e-9))
                yield self.epoch
                self.stopped = self._job.stopped(here=self.stopped)
                if self.epoch == epochs or self.finished or self.stopped:
                    self._save()
        if self.stopped and self._job.cluster.leads:
            self._job.log.say(f"stopping early, in epoch {self.epoch + 1} of {epochs}")

    def finish(self) -> None:
        """Let this epoch be the last one."""
        self.finished = True

    def _one_round(self, pool: ThreadPoolExecutor) -> None:
        first = self._start + self.round * PIECE * ROUND
        starts = range(first, min(self._stop, first + PIECE * ROUND), PIECE)
        before = {name: array.copy() for name, array in self._matrices.items()} if self._job.cluster.size > 1 else {}
        list(pool.map(self._device.learn, map(self._piece, starts)))
        finite = self._device.settle()
        if before:
            self._device.fetch()
            self._bring_together(before)
            self._device.place()
        self.round += 1
        if not finite:
            rate = self._job.hyperparameters.learning_rate
            raise UserError(f"the training diverges with learning_rate={rate:g}; give a smaller one")
        self.stopped = self._job.stopped()
        if self._job.checkpoints.due or self.stopped:
            self._save()

    def _piece(self, start: int) -> Piece:
        hp, length = self._job.hyperparameters, max(1, self._stop - self._start)
        done = (self.epoch + (start - self._start) / length) / hp.epochs
        seed = np.random.SeedSequence([self._job.seed, self.epoch, start]).generate_state(1, np.uint64)[0]
        fall = hp.learning_rate / (length * hp.epochs)
        return Piece(start, min(start + PIECE, self._stop), seed, hp.learning_rate * (1 - done), fall)

    def _bring_together(self, before: Mapping[str, Array]) -> None:
        """Add to each row the mean of what the hosts that changed it have changed."""
        for name, old in before.items():
            own = self._matrices[name] - old
            changed = (own != 0).any(axis=1).astype(np.float32)
            moved, hosts = self._job.cluster.sum_all([own, changed])
            self._matrices[name][:] = old + moved / np.maximum(hosts, 1)[:, None]

    def _report_round(self, trained: float, seconds: float, began: float) -> None:
        if not self._job.cluster.leads:
            return
        hp = self._job.hyperparameters
        share = (self.epoch + self.round / self._rounds) / hp.epochs
        speed = self._words * trained / max(seconds + time.perf_counter() - began, 1e-9) / 1e6
        alpha = hp.learning_rate * (1 - share)
        self._job.log.line(
            f"##### Alpha: {alpha:.4f}  Progress: {100 * share:.2f}%  Million Words/sec: {speed:.2f} #####"
        )

    def _report_epoch(self, speed: float) -> None:
        if self._job.cluster.leads:
            self._job.log.say(f"-------------- End of epoch: {self.epoch}")
            self._job.log.metric(PROGRESS.name, 100.0 * self.epoch / self._job.hyperparameters.epochs)
            self._job.log.metric("train:throughput", speed)

    def _save(self) -> None:
        if not (self._job.cluster.leads and self._whole):
            return
        self._device.fetch()
        state = {"epoch": self.epoch, "round": self.round, "finished": self.finished, "notes": self.notes}
        self._job.checkpoints.save({**self._matrices, **self.kept}, state)

    def _resume(self) -> None:
        """Go on behind what the leader saved last; UserError where that belongs to another text."""
        found = self._job.checkpoints.load() if self._job.cluster.leads else None
        state = np.zeros(3) if found is None else np.array([1, found.state["epoch"], found.state["round"]])
        there, self.epoch, self.round = map(int, self._job.cluster.broadcast(state).tolist())
        if not there:
            return
        if found is not None:
            self.finished, self.notes = bool(found.state["finished"]), dict(found.state["notes"])
            for name, array in self._matrices.items():
                if found.arrays[name].shape != array.shape:
                    raise UserError(
                        "the checkpoint folder holds progress on a text with other words; give the same text, or "
                        "empty the folder to start over"
                    )
            self.kept = {name: array for name, array in found.arrays.items() if name not in self._matrices}
            self._job.log.say(f"resuming from a checkpoint, in epoch {self.epoch + 1}")
        for name, array in self._matrices.items():
            array[:] = self._job.cluster.broadcast(None if found is None else found.arrays[name])
        self._device.place()
