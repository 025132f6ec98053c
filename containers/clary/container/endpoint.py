"""One loaded model behind HTTP: reads a request, has it answered with its neighbors, sends the answer."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any, NamedTuple

from clary.container import negotiation
from clary.container.batching import Batcher
from clary.container.capacity import Capacity
from clary.container.responses import Header, Receive, Refusal, Scope, Send, refuse
from clary.container.serve_settings import ServeSettings
from clary.toolkit import media
from clary.toolkit.errors import TooLargeError, UnsupportedMediaError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor

ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
LONGEST_ATTRIBUTES = 1024
_MOST_PLANS = 256
_LINES = (media.CSV, media.JSON_LINES)


class _Plan(NamedTuple):
    """What a pair of Content-Type and Accept headers comes to, worked out once."""

    content_type: MediaType
    accept: MediaType
    header: Header
    ends_line: bool


class Endpoint:
    """A loaded model that answers ``POST /invocations``."""

    def __init__(
        self, predictor: Predictor[Any, Any], settings: ServeSettings, capacity: Capacity, executor: Executor
    ) -> None:
        self._payloads = predictor.spec.payloads
        self._settings, self._capacity = settings, capacity
        self._batcher = Batcher(predictor, executor, settings.executor_threads)
        self._plans: dict[tuple[bytes, bytes], _Plan] = {}

    @property
    def running(self) -> int:
        """Requests that the model is working on."""
        return self._batcher.running

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every failure is a JSON error with its status."""
        content_type = accept = encoding = b""
        attributes: bytes | None = None
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = int(value)
            elif name == b"accept":
                accept = accept + b"," + value if accept else value
            elif name == ATTRIBUTES:
                attributes = value
            elif name == b"content-encoding":
                encoding = value
        held = 0
        try:
            self._capacity.enter(length)
        except Refusal as refusal:
            await refuse(send, refusal)
            return
        try:
            plan = self._plans.get((content_type, accept)) or self._plan(content_type, accept)
            if length > self._settings.payload_limit or encoding or attributes is not None:
                self._check(length, encoding, attributes)
            message = await receive()
            body = message.get("body")
            if body is None:
                return
            ...
        finally:
            self._capacity.leave(held)
