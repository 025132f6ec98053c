"""Processes that this one starts to share its work; when one of them fails, it says why before it leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from clary.toolkit.errors import ClaryError, PlatformError, UserError

LAST_WORDS = 10.0  # seconds for a process to say why it fails, once another has noticed


@dataclass
class _Follower:
    process: BaseProcess
    words: Connection

    def reason(self, before: float, deadline: float) -> tuple[float, Exception] | None:
        """When it failed and why, if that was before that time."""
        if not self.words.poll(max(0.0, deadline - time.monotonic())):
            return None
        try:
            when, error = self.words.recv()
        except (EOFError, OSError):
            self.process.join(LAST_WORDS)
            code = self.process.exitcode
            if not code:
                return None
            end = (
                f"was killed by signal {-code}, perhaps for want of memory" if code < 0 else f"ended with code {code}"
            )
            return 0.0, PlatformError(f"{self.process.name} {end}; see the log")
        return (when, error) if when < before else None


class Followers:
    """Processes that each run ``work`` with arguments of their own, until they end or this one leaves.

    They are spawned, so ``work`` is a function of a module, and everything is pickled. Signals that ask this process
    to stop are not for them, and they never outlive it.
    """

    def __init__(self, work: Callable[..., object], given: Sequence[tuple[Any, ...]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._members: list[_Follower] = []
        self._ending = False
        for number, arguments in enumerate(given, 1):
            own, theirs = context.Pipe()
            process = context.Process(
                target=_follow, args=(theirs, work, arguments), name=f"process {number}", daemon=True
            )
            process.start()
            theirs.close()
            self._members.append(_Follower(process, own))

    def watch(self, lost: Callable[[], None]) -> None:
        """Call ``lost`` from another thread as soon as one of them fails."""
        threading.Thread(target=self._watch, args=(lost,), name="clary-followers", daemon=True).start()

    def reason(self, before: float) -> Exception | None:
        """Why the first of them failed before that time, or None; waits a little for an answer."""
        deadline = time.monotonic() + LAST_WORDS
        found = [reason for each in self._members if (reason := each.reason(before, deadline))]
        return min(found, key=lambda each: each[0])[1] if found else None

    def end(self) -> None:
        """Let none of them go on."""
        self._ending = True
        for each in self._members:
            each.process.kill()
            each.process.join()
            each.words.close()

    def join(self) -> None:
        """Wait until all have done their work; the error of one that fails is raised here."""
        for each in self._members:
            each.process.join()
        error = self.reason(float("inf"))
        if error is not None:
            raise error

    def _watch(self, lost: Callable[[], None]) -> None:
        waiting: dict[Any, BaseProcess] = {each.process.sentinel: each.process for each in self._members}
        while waiting:
            for sentinel in wait(list(waiting)):
                if waiting.pop(sentinel).exitcode and not self._ending:
                    lost()
                    return


def _follow(words: Connection, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, args=(words,), daemon=True).start()
    try:
        work(*arguments)
    except Exception as error:
        with suppress(OSError):
            words.send((time.monotonic(), _plain(error)))
        os._exit(1)


def _leave_with_parent(words: Connection) -> None:
    with suppress(EOFError, OSError):
        words.recv()
    os._exit(1)


def _plain(error: Exception) -> Exception:
    """The error as another process can be told it."""
    if isinstance(error, ClaryError):
        return (UserError if isinstance(error, UserError) else PlatformError)(str(error))
    return RuntimeError("".join(traceback.format_exception(type(error), error, error.__traceback__)))
