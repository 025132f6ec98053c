"""One loaded model behind HTTP: reads a request, has it answered with its neighbors, sends the answer."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

from clary.container import negotiation
from clary.container.batching import Batcher, Outcome
from clary.container.capacity import Capacity
from clary.container.responses import Header, HttpError, Message, Receive, Scope, Send, refuse
from clary.container.serve_settings import ServeSettings
from clary.toolkit import media
from clary.toolkit.errors import ClaryError, TooLargeError, UnsupportedMediaError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor, Surroundings

ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
LONGEST_ATTRIBUTES = 1024
_MOST_PLANS = 256
_LINES = (media.CSV, media.JSON_LINES)


class _GoneError(Exception):
    """The client closed its connection before its request was complete."""


class _Plan(NamedTuple):
    """What a pair of Content-Type and Accept headers comes to, worked out once."""

    content_type: MediaType
    accept: MediaType
    header: Header
    ends_line: bool
    options: Mapping[str, str] | None


class Endpoint:
    """A loaded model that answers ``POST /invocations``; UserError if it cannot serve under these settings."""

    def __init__(
        self, predictor: Predictor[Any, Any], settings: ServeSettings, capacity: Capacity, executor: Executor
    ) -> None:
        self._predictor = predictor
        self._responses = negotiation.by_default(settings.default_accept, predictor.spec.payloads.responses)
        self._limit, self._batch = settings.payload_limit, settings.batch
        self._capacity = capacity
        self._usual = _usual_options(predictor, settings)
        predictor.place(_surroundings(settings, self._usual or {}))
        self._batcher = Batcher(predictor, executor, settings.executor_threads, self._usual)
        self._plans: dict[tuple[bytes, bytes], _Plan] = {}

    @property
    def running(self) -> int:
        """Requests that the model is working on."""
        return self._batcher.running

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every failure is a JSON error with its status."""
        content_type = accept = encoding = attributes = b""
        held = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                held = int(value)
            elif name == b"accept":
                accept = accept + b"," + value if accept else value
            elif name == ATTRIBUTES:
                attributes = value
            elif name == b"content-encoding":
                encoding = value
        try:
            if held > self._limit:
                raise self._too_large(held)
            self._capacity.enter(held)
        except (ClaryError, HttpError) as error:
            await refuse(send, HttpError.of(error))
            return
        outcome: Outcome
        try:
            plan = self._plans.get((content_type, accept)) or self._plan(content_type, accept)
            headers = [plan.header, *_passed_on(attributes)] if attributes else [plan.header]
            if encoding:
                _expect_plain(encoding)
            message = await receive()
            body = message.get("body", b"")
            if not held or not body or message.get("more_body"):
                body = await self._rest(message, receive, announced=held)
                held = held or len(body)
            outcome = await self._batcher.answer(body, plan.content_type, plan.accept, plan.options)
        except (ClaryError, HttpError) as error:
            outcome = error
        except _GoneError:
            return
        finally:
            self._capacity.leave(held)
        if not isinstance(outcome, bytes):
            await refuse(send, HttpError.of(outcome))
            return
        if plan.ends_line and not outcome.endswith(b"\n"):
            outcome += b"\n"
        headers.append((b"content-length", b"%d" % len(outcome)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": outcome})

    async def _rest(self, message: Message, receive: Receive, *, announced: int) -> bytes:
        """The whole body that begins with the message. One of unknown length is counted as it comes."""
        parts, size, counted = [], 0, 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise _GoneError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._limit:
                    raise self._too_large(size)
                if not announced:
                    self._capacity.hold(len(parts[-1]))
                    counted = size
                if not message.get("more_body"):
                    break
                message = await receive()
            if not size:
                raise UserError("the request has no body; send one record or more")
        except BaseException:
            self._capacity.release(counted)
            raise
        return b"".join(parts)

    def _too_large(self, size: int) -> TooLargeError:
        return TooLargeError(
            f"the body has at least {size} bytes; the limit is {self._limit}: send fewer records at a time"
        )

    def _plan(self, content_type: bytes, accept: bytes) -> _Plan:
        payloads = self._predictor.spec.payloads
        asked = negotiation.request_type(content_type.decode("latin-1"), payloads.requests, payloads.aliases)
        given = negotiation.response_type(accept.decode("latin-1"), self._responses)
        options = self._usual
        if own := self._predictor.options(given):
            options = {**(options or {}), **own}
        if options:
            given = MediaType(given.name, {**given.parameters, **options})
        ends_line = self._batch and given.name in _LINES
        plan = _Plan(asked, given, (b"content-type", given.name.encode()), ends_line, options)
        # Clients send a handful of different pairs; whoever makes up new ones must not fill the memory.
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[content_type, accept] = plan
        return plan


def _surroundings(settings: ServeSettings, options: Mapping[str, str]) -> Surroundings:
    return Surroundings(
        batch=settings.batch, multi_model=settings.multi_model, threads=settings.threads, options=options
    )


def _usual_options(predictor: Predictor[Any, Any], settings: ServeSettings) -> Mapping[str, str] | None:
    """The options that the environment sets for every answer; None where it sets none."""
    declared, given = predictor.spec.payloads.options, settings.environment
    return {option.name: given[option.variable] for option in declared if option.variable in given} or None


def _passed_on(attributes: bytes) -> tuple[Header, ...]:
    """The header that hands the caller's custom attributes back; UserError where they break the contract."""
    if len(attributes) > LONGEST_ATTRIBUTES or not attributes.isascii():
        raise UserError(
            f"X-Amzn-SageMaker-Custom-Attributes must be at most {LONGEST_ATTRIBUTES} visible ASCII characters; "
            f"got {len(attributes)} bytes"
        )
    return ((ATTRIBUTES, attributes),)


def _expect_plain(encoding: bytes) -> None:
    if encoding.strip().lower() != b"identity":
        raise UnsupportedMediaError(
            f"Content-Encoding {encoding.decode('latin-1')!r} is not supported; send the body as it is"
        )
