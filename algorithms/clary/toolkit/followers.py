"""Processes that this one starts to share its work; when one of them fails, it says why before it leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from clary.toolkit.errors import ClaryError, PlatformError, UserError

LAST_WORDS = 10.0  # seconds for a process to say why it fails, once another has noticed


@dataclass
class _Follower:
    process: BaseProcess
    words: Connection

    def error(self) -> Exception | None:
        """Why it failed, or None where it did not; it has spoken, or is gone."""
        try:
            told: Exception = self.words.recv()
        except (EOFError, OSError):
            self.process.join(LAST_WORDS)
            return self._ended(self.process.exitcode or 0)
        return told

    def _ended(self, code: int) -> PlatformError | None:
        if not code:
            return None
        end = f"was killed by signal {-code}, perhaps for want of memory" if code < 0 else f"ended with code {code}"
        return PlatformError(f"{self.process.name} {end}; see the log")


class Followers:
    """Processes that each run ``work`` with arguments of their own, until they end or this one leaves.

    They are spawned, so ``work`` is a function of a module, and everything is pickled. Signals that ask this process
    to stop are not for them, and they never outlive it.
    """

    def __init__(self, work: Callable[..., object], given: Sequence[tuple[Any, ...]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._members: list[_Follower] = []
        self._ending = False
        try:
            for number, arguments in enumerate(given, 1):
                self._start(context, number, work, arguments)
        except BaseException:
            self.end()
            raise

    def watch(self, lost: Callable[[], None]) -> None:
        """Call ``lost`` from another thread as soon as one of them fails."""
        threading.Thread(target=self._watch, args=(lost,), name="clary-followers", daemon=True).start()

    def errors(self) -> Iterator[Exception]:
        """Why some of them failed, as they say so; ends when all are gone, or none has spoken for a while."""
        waiting: dict[Any, _Follower] = {each.words: each for each in self._members}
        while waiting and (spoken := wait(list(waiting), LAST_WORDS)):
            for words in spoken:
                error = waiting.pop(words).error()
                if error is not None:
                    yield error

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
        for error in self.errors():
            raise error

    def _start(
        self, context: SpawnContext, number: int, work: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        own, theirs = context.Pipe()
        process = context.Process(
            target=_follow, args=(theirs, work, arguments), name=f"process {number}", daemon=True
        )
        process.start()
        theirs.close()
        self._members.append(_Follower(process, own))

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
            words.send(_plain(error))
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
