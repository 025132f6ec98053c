"""Answers concurrent requests together: those that arrive in one turn of the event loop are one prediction.

No timer holds a request back. While the model is busy, requests gather and go together when it is free.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import coroutine
from typing import Any

from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor

Outcome = bytes | Exception

MOST_TOGETHER = 64  # requests in a batch: enough to share the cost of a call, few enough for quick first answers
MOST_TURNS = 3  # of the event loop that a batch gathers; each takes some microseconds
LARGE = 64 * 1024  # bytes of a body that is answered alone, off the event loop
QUICK = 0.002  # seconds that the event loop may spend on a batch; a health check waits no longer than this
_LOG = logging.getLogger("clary.serve")


@dataclass(slots=True)
class Call:
    """A request body, its type, the type of its answer, and the options that it sets, or None.

    Then the outcome, and who waits for it.
    """

    body: bytes
    content_type: MediaType
    accept: MediaType
    options: Mapping[str, str] | None = None
    number: int = 0
    outcome: Outcome | None = None
    waiter: asyncio.Future[None] | None = None


class Batcher:
    """Puts the calls of one model together and runs them on the event loop or, if they take long, off it.

    How long a batch takes is learned for each size. The event loop takes as many calls at a time as it is quick
    with. Where even one is slow, or nothing is known yet, the executor takes all, at most ``threads`` batches at
    a time; and so it does with a large body, alone. What is learned holds for calls with the ``usual`` options;
    one with others is taken by the executor, since an answer may ask for a hundred times the work.
    """

    def __init__(
        self,
        predictor: Predictor[Any, Any],
        executor: Executor,
        threads: int,
        usual: Mapping[str, str] | None = None,
    ) -> None:
        self._predictor, self._executor, self._free = predictor, executor, threads
        self._usual, self._optional = usual, bool(predictor.spec.payloads.options)
        self._small: deque[Call] = deque()
        self._large: deque[Call] = deque()
        self._coming = False
        self._seconds: dict[int, deque[float]] = {}
        self._arrived = 0
        self.running = 0

    async def answer(
        self, body: bytes, content_type: MediaType, accept: MediaType, options: Mapping[str, str] | None = None
    ) -> Outcome:
        """The encoded answer, or the error that takes its place."""
        self._arrived += 1
        self.running += 1
        call = Call(body, content_type, accept, options, self._arrived)
        (self._small if len(body) <= LARGE else self._large).append(call)
        loop = asyncio.get_running_loop()
        try:
            if not self._coming:
                # The first request of a turn answers all that arrive in it, its own among them.
                self._coming = True
                try:
                    await self._gather()
                except BaseException:
                    loop.call_soon(self._flush, loop)
                    raise
                self._flush(loop)
            else:
                # Where the event loop itself answers, that is done within a few turns, and nobody need be woken.
                while self._coming and call.outcome is None:
                    await _turn()
            if call.outcome is None:
                call.waiter = loop.create_future()
                await call.waiter
        finally:
            self.running -= 1
        assert call.outcome is not None
        return call.outcome

    async def _gather(self) -> None:
        """Let the event loop go round once, and again as long as that brings further small requests."""
        before, turns = 0, 0
        while before < len(self._small) < MOST_TOGETHER and turns < MOST_TURNS:
            before, turns = len(self._small), turns + 1
            await _turn()
        if not turns:
            await _turn()

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._coming = False
        small, quick = self._together()
        if quick:
            self._finish(small, *self._timed(small))
            small = []
        while self._free and (calls := self._oldest(small)):
            self._free -= 1
            work = loop.run_in_executor(self._executor, self._timed, calls)
            work.add_done_callback(partial(self._freed, loop, calls))
            small = [] if calls is small else small
        self._small.extendleft(reversed(small))
        if quick and self._small:
            self._schedule(loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._coming:
            self._coming = True
            loop.call_soon(self._flush, loop)

    def _together(self) -> tuple[list[Call], bool]:
        """The small calls to answer next, no longer waiting, and whether the event loop is quick with them."""
        calls = list(islice(self._small, MOST_TOGETHER))
        few = calls
        while not (quick := self._is_quick(few)) and len(few) > 1:
            few = few[: len(few) // 2]
        if quick:
            calls = few
        for _ in calls:
            self._small.popleft()
        return calls, quick

    def _is_quick(self, calls: list[Call]) -> bool:
        """Whether these calls are expected to take the event loop no longer than it can spare.

        The shortest of the last times counts, because a busy machine makes the others longer. Twice the bytes
        are expected to take at most twice as long, so that larger batches are tried as smaller ones are known.
        """
        if self._optional and self._unusual(calls):
            return False
        size = _size_class(calls)
        if known := self._seconds.get(size):
            return min(known) < QUICK
        smaller = self._seconds.get(size - 1)
        return smaller is not None and 2 * min(smaller) < QUICK

    def _unusual(self, calls: list[Call]) -> bool:
        return any(call.options is not self._usual for call in calls)

    def _oldest(self, small: list[Call]) -> list[Call]:
        """What has waited longest for a thread: these small calls, or one large one."""
        if self._large and (not small or self._large[0].number < small[0].number):
            return [self._large.popleft()]
        return small

    def _freed(
        self, loop: asyncio.AbstractEventLoop, calls: list[Call], done: asyncio.Future[tuple[list[Outcome], float]]
    ) -> None:
        self._free += 1
        self._finish(calls, *done.result())
        if self._small or self._large:
            self._schedule(loop)

    def _finish(self, calls: list[Call], outcomes: list[Outcome], seconds: float) -> None:
        if not (self._optional and self._unusual(calls)):
            size = _size_class(calls)
            if size not in self._seconds:
                self._seconds[size] = deque(maxlen=4)
            self._seconds[size].append(seconds)
        for call, outcome in zip(calls, outcomes, strict=True):
            call.outcome = outcome
            if call.waiter is not None and not call.waiter.done():
                call.waiter.set_result(None)

    def _timed(self, calls: list[Call]) -> tuple[list[Outcome], float]:
        started = time.perf_counter()
        outcomes = answer(self._predictor, calls)
        return outcomes, time.perf_counter() - started


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let the event loop go round once."""
    yield


def answer(predictor: Predictor[Any, Any], calls: Sequence[Call]) -> list[Outcome]:
    """The outcome of each call, predicted together; a call that cannot be read does not touch its neighbors.

    Calls with different options are predicted apart. Where the joint prediction fails, each call is predicted
    alone, so that only the one at fault fails.
    """
    if len(calls) == 1:
        return [_alone(predictor, calls[0])]
    if predictor.spec.payloads.options and any(call.options != calls[0].options for call in calls):
        return _apart(predictor, calls)
    try:
        return _as_one(predictor, calls) or _joined(predictor, calls)
    except Exception:
        return [_alone(predictor, call) for call in calls]


def _apart(predictor: Predictor[Any, Any], calls: Sequence[Call]) -> list[Outcome]:
    """The outcome of each call; those with the same options are predicted together."""
    groups: defaultdict[frozenset[tuple[str, str]], list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        groups[frozenset((call.options or {}).items())].append(index)
    outcomes: dict[int, Outcome] = {}
    for group in groups.values():
        outcomes.update(zip(group, answer(predictor, [calls[index] for index in group]), strict=True))
    return [outcomes[index] for index in range(len(calls))]


def _as_one(predictor: Predictor[Any, Any], calls: Sequence[Call]) -> list[Outcome]:
    """The outcomes of alike calls of one record each, read at once; none where they are not of that kind."""
    content_type = calls[0].content_type
    if any(call.content_type is not content_type for call in calls):
        return []
    request = predictor.decode_together([call.body for call in calls], content_type)
    return [] if request is None else _answered(predictor, request, [1] * len(calls), calls)


def _joined(predictor: Predictor[Any, Any], calls: Sequence[Call]) -> list[Outcome]:
    """The outcomes of calls that are read one by one, and predicted together as far as they can be read."""
    outcomes: list[Any] = [_attempt(predictor.decode, call.body, call.content_type) for call in calls]
    good = [index for index, request in enumerate(outcomes) if not isinstance(request, Exception)]
    if good:
        requests = [outcomes[index] for index in good]
        counts = [predictor.count(request) for request in requests]
        answered = _answered(predictor, predictor.join(requests), counts, [calls[index] for index in good])
        for index, outcome in zip(good, answered, strict=True):
            outcomes[index] = outcome
    return outcomes


def _answered(
    predictor: Predictor[Any, Any], request: Any, counts: Sequence[int], calls: Sequence[Call]
) -> list[Outcome]:
    """The encoded answers to a request that was put together from calls with so many records each."""
    answer = _predicted(predictor, request, calls[0].options)
    accept = calls[0].accept
    if all(call.accept is accept for call in calls):
        return [part for part, _ in zip(predictor.encode_parts(answer, counts, accept), calls, strict=True)]
    parts = zip(predictor.split(answer, counts), calls, strict=True)
    return [_attempt(predictor.encode, part, call.accept) for part, call in parts]


def _alone(predictor: Predictor[Any, Any], call: Call) -> Outcome:
    outcome: Outcome = _attempt(_whole, predictor, call)
    return outcome


def _whole(predictor: Predictor[Any, Any], call: Call) -> bytes:
    request = predictor.decode(call.body, call.content_type)
    return predictor.encode(_predicted(predictor, request, call.options), call.accept)


def _predicted(predictor: Predictor[Any, Any], request: Any, options: Mapping[str, str] | None) -> Any:
    return predictor.predict(request) if options is None else predictor.predict_with(request, options)


def _attempt(step: Callable[..., Any], *arguments: Any) -> Any:
    """What the step returns, or the error that it raises; one that is not the request's fault is logged."""
    try:
        return step(*arguments)
    except Exception as error:
        if not isinstance(error, UserError):
            _LOG.exception("a request failed")
        return error


def _size_class(calls: Sequence[Call]) -> int:
    """Calls whose bodies add up to less than twice as many bytes are expected to take about as long."""
    return sum(len(call.body) for call in calls).bit_length()
