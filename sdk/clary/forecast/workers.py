"""Processes that forecast series for a job, on all cores.

Each is a program of its own, so that a user's script is not run again, as the standard library's processes do.
What goes through their pipes was pickled by this same package a moment ago, on this machine.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from clary.toolkit.errors import PlatformError

READY = "ready"  # what a worker says when its libraries are loaded
_PART = 0.6  # seconds of work that a worker is given at a time
_GRACE = 3.0  # seconds after the deadline before a worker that still computes is ended


class Work(Protocol):
    """What a worker does: it is sent there whole, and ``answer`` is called there."""

    def answer(self) -> Any:
        """What is sent back."""


@dataclass(frozen=True)
class Failed:
    """What a worker sends in place of answers: the reason."""

    reason: str


class Workers:
    """As many worker processes as there are cores, started at the first work."""

    def __init__(self, count: int | None = None) -> None:
        self._count = count or max(
            1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        self._children: list[subprocess.Popen[bytes]] = []
        self._waiting: set[int] = set()

    def __len__(self) -> int:
        return self._count

    def start(self) -> None:
        """Start the processes, so that they load their libraries while something else is done."""
        while len(self._children) < self._count:
            # One thread each: there are as many processes as cores.
            single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
            command = [sys.executable, "-m", "clary.forecast.worker"]
            environment = {**os.environ, **single, "NIXTLA_ID_AS_COL": "1"}
            child = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._children.append(child)
            self._waiting.add(child.pid)

    def ready(self) -> None:
        """Wait until the workers have loaded their libraries; PlatformError where one cannot."""
        self.start()
        for child in self._children:
            if child.pid in self._waiting:
                assert child.stdout is not None
                try:
                    receive(child.stdout)
                except EOFError:
                    raise PlatformError("a worker process of the forecast job could not start") from None
                self._waiting.discard(child.pid)

    def run(
        self,
        works: Sequence[Work],
        done: Callable[[int, Any], bool],
        *,
        deadline: float | None = None,
    ) -> None:
        """Do the works in order; ``done(number, result)`` is called here for each, and False from it stops the rest.

        No work begins behind the deadline (of ``time.monotonic``), and one that takes much longer is given up.
        PlatformError where a work fails or a worker dies.
        """
        self.ready()
        shared = _Shared(len(works), deadline)
        threads = [
            threading.Thread(target=_serve, args=(child, works, shared), daemon=True) for child in self._children
        ]
        for thread in threads:
            thread.start()
        busy = len(threads)
        while busy:
            found = self._next(shared, deadline)
            if found is None:
                return
            number, result = found
            if number < 0:
                busy -= 1
                if isinstance(result, Exception):
                    self.close()
                    raise result
            elif not done(number, result):
                shared.stopped = True

    def _next(self, shared: _Shared, deadline: float | None) -> tuple[int, Any] | None:
        """The next result, or None where the workers had to be ended."""
        left = None if deadline is None else max(0.0, deadline + _GRACE - time.monotonic())
        try:
            return shared.results.get(timeout=left)
        except queue.Empty:
            self.close()
            return None

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()
        self._children.clear()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Shared:
    """What the threads share: the next work, how long one takes, and the results."""

    def __init__(self, count: int, deadline: float | None) -> None:
        self.count, self.deadline = count, deadline
        self.stopped = False
        self.results: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._lock = threading.Lock()
        self._begun = self._seconds = 0.0
        self._next = self._finished = 0

    def take(self) -> range:
        """The numbers of the next works; none where all are given out or time is up."""
        with self._lock:
            if self.stopped or (self.deadline is not None and time.monotonic() >= self.deadline):
                return range(0)
            each = self._seconds / self._finished if self._finished else _PART
            first, count = self._next, max(1, min(100, round(_PART / max(each, 1e-4))))
            self._next = min(self.count, first + count)
            return range(first, self._next)

    def note(self, count: int, seconds: float) -> None:
        """Remember how long so many works took."""
        with self._lock:
            self._finished += count
            self._seconds += seconds


def _serve(child: subprocess.Popen[bytes], works: Sequence[Work], shared: _Shared) -> None:
    """Give a worker parts until there are none, and pass on what it answers; -1 says that this thread ends."""
    failure: Exception | None = None
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        while numbers := shared.take():
            began = time.monotonic()
            send(child.stdin, [works[number] for number in numbers])
            answers = receive(child.stdout)
            if isinstance(answers, Failed):
                failure = PlatformError(f"a worker process failed: {answers.reason}")
                break
            for number, result in zip(numbers, answers, strict=True):
                shared.results.put((number, result))
            shared.note(len(numbers), time.monotonic() - began)
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        failure = PlatformError("a worker process of the forecast job ended early; is there enough memory?")
    shared.results.put((-1, failure))


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message that ``receive`` reads."""
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message; EOFError where the other end is gone."""
    return pickle.load(stream)  # noqa: S301 (our own process wrote it)
