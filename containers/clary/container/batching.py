"""Answers concurrent requests together: those that arrive in one turn of the event loop are one prediction.

No timer holds a request back. While the model is busy, requests gather and go together when it is free.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor

Outcome = bytes | Exception

MOST_TOGETHER = 64  # requests in a batch: enough to share the cost of a call, few enough for quick first answers
LARGE = 64 * 1024  # bytes of a body that is answered alone, off the event loop
QUICK = 0.002  # seconds that the event loop may spend on a batch; a health check waits no longer than this
_LOG = logging.getLogger("clary.serve")


@dataclass(slots=True)
class Call:
    """A request body, its type, the type of its answer, and where the outcome is awaited."""

    body: bytes
    content_type: MediaType
    accept: MediaType
    outcome: asyncio.Future[Outcome]


class Batcher:
    """Puts the calls of one model together and runs them on the event loop or, if they take long, off it.

    How long a batch takes is learned for each size: the first of a size, and every one that is expected to be
    slow, runs in the executor, at most ``threads`` at a time.
    """

    def __init__(self, predictor: Predictor[Any, Any], executor: Executor, threads: int) -> None:
        self._predictor, self._executor, self._free = predictor, executor, threads
        self._waiting: list[Call] = []
        self._scheduled = False
        self._seconds: dict[int, float] = {}
        self.running = 0

    def submit(self, body: bytes, content_type: MediaType, accept: MediaType) -> asyncio.Future[Outcome]:
        """A future of the encoded answer, or of the error that takes its place; call it on the event loop."""
        loop = asyncio.get_running_loop()
        call = Call(body, content_type, accept, loop.create_future())
        self.running += 1
        self._waiting.append(call)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush, loop)
        return call.outcome

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        calls = self._next()
        size = sum(len(call.body) for call in calls)
        if self._seconds.get(size.bit_length(), QUICK) < QUICK and size <= LARGE:
            self._finish(calls, *self._timed(calls))
        elif self._free:
            self._free -= 1
            work = loop.run_in_executor(self._executor, self._timed, calls)
            work.add_done_callback(lambda done: self._freed(loop, calls, done))
        else:
            self._waiting[:0] = calls
            return
        if self._waiting:
            self._scheduled = True
            loop.call_soon(self._flush, loop)

    def _next(self) -> list[Call]:
        """The next calls to answer together: small ones in a row, or one large one."""
        calls = self._waiting[:MOST_TOGETHER]
        size = 0
        for index, call in enumerate(calls):
            size += len(call.body)
            if size > LARGE:
                calls = calls[: max(1, index)]
                break
        del self._waiting[: len(calls)]
        return calls

    def _freed(
        self,
        loop: asyncio.AbstractEventLoop,
        calls: Sequence[Call],
        done: asyncio.Future[tuple[Sequence[Outcome], float]],
    ) -> None:
        self._free += 1
        self._finish(calls, *done.result())
        if self._waiting and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush, loop)

    def _finish(self, calls: Sequence[Call], outcomes: Sequence[Outcome], seconds: float) -> None:
        self.running -= len(calls)
        bucket = sum(len(call.body) for call in calls).bit_length()
        known = self._seconds.get(bucket, seconds)
        # Believe a faster time at once and a slower one by and by: a slow one may have waited for its turn.
        self._seconds[bucket] = seconds if seconds < known else known + (seconds - known) / 8
        for call, outcome in zip(calls, outcomes, strict=True):
            if not call.outcome.done():
                call.outcome.set_result(outcome)

    def _timed(self, calls: Sequence[Call]) -> tuple[Sequence[Outcome], float]:
        started = time.perf_counter()
        outcomes = answer(self._predictor, calls)
        return outcomes, time.perf_counter() - started


def answer(predictor: Predictor[Any, Any], calls: Sequence[Call]) -> Sequence[Outcome]:
    """The outcome of each call, predicted together; a call that cannot be read does not touch its neighbors.

    Where the joint prediction fails, each call is predicted alone, so that only the one at fault fails.
    """
    if len(calls) == 1:
        return [_alone(predictor, calls[0])]
    outcomes: list[Any] = [_attempt(predictor.decode, call.body, call.content_type) for call in calls]
    good = [index for index, request in enumerate(outcomes) if not isinstance(request, Exception)]
    try:
        requests = [outcomes[index] for index in good]
        joined = predictor.predict(predictor.join(requests)) if requests else None
        answers = predictor.split(joined, [predictor.count(request) for request in requests]) if requests else []
    except Exception:
        return [_alone(predictor, call) for call in calls]
    for index, each in zip(good, answers, strict=True):
        outcomes[index] = _attempt(predictor.encode, each, calls[index].accept)
    return outcomes


def _alone(predictor: Predictor[Any, Any], call: Call) -> Outcome:
    try:
        request = predictor.decode(call.body, call.content_type)
        return predictor.encode(predictor.predict(request), call.accept)
    except Exception as error:
        return _told(error)


def _attempt(step: Any, *arguments: Any) -> Any:
    """What the step returns, or the error that it raises."""
    try:
        return step(*arguments)
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> Exception:
    """The error; one that is no fault of the request's has its traceback in the log."""
    if not isinstance(error, UserError):
        _LOG.exception("a request failed", exc_info=error)
    return error
