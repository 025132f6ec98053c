"""The serving app: three routes, matched by comparing strings, for one model.

``App`` is plain ASGI without a router or middleware, which would cost as much as a small prediction.
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from clary.container.capacity import Capacity
from clary.container.endpoint import Endpoint
from clary.container.responses import HttpError, Receive, Scope, Send, busy, refuse, respond, respond_json
from clary.container.serve_settings import BATCH_PAYLOAD_MB, ServeSettings
from clary.toolkit.predictor import Predictor

_LOG = logging.getLogger("clary.serve")


class App:
    """One model behind ``/ping``, ``/invocations`` and ``/execution-parameters``; healthy once it has its model."""

    def __init__(self, settings: ServeSettings, executor: Executor) -> None:
        self._settings, self._executor = settings, executor
        self._capacity = Capacity(settings.requests_in_flight, settings.bytes_in_flight)
        self._endpoint: Endpoint | None = None

    def install(self, predictor: Predictor[Any, Any]) -> None:
        """Put the loaded model into service; any thread may call this."""
        self._endpoint = Endpoint(predictor, self._settings, self._capacity, self._executor)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["path"] == "/invocations" and scope["method"] == "POST" and self._endpoint is not None:
            await self._endpoint.invoke(scope, receive, send)
            return
        try:
            await self._route(scope, receive, send)
        except HttpError as refusal:
            await refuse(send, refusal)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path == "/invocations":
            if method != "POST":
                raise wrong_method(method, path, "POST")
            raise busy("the model is still being loaded; try again")
        if path == "/ping":
            if method != "GET":
                raise wrong_method(method, path, "GET")
            await respond(send, b"", status=503 if self._endpoint is None else 200)
        elif path == "/execution-parameters":
            if method != "GET":
                raise wrong_method(method, path, "GET")
            await respond_json(send, execution_parameters(self._settings))
        else:
            raise unknown_path(path)


def build(predictor: Predictor[Any, Any], settings: ServeSettings, executor: Executor | None = None) -> App:
    """An app with its model in service, ready to be called by an ASGI server or directly by a test."""
    app = App(settings, executor or ThreadPoolExecutor(settings.executor_threads))
    app.install(predictor)
    return app


def execution_parameters(settings: ServeSettings) -> dict[str, Any]:
    """What batch transform is advised to do; the service refuses more than 100 MB under way at once."""
    megabytes = settings.advised_payload_mb
    return {
        "MaxConcurrentTransforms": max(1, min(settings.workers, BATCH_PAYLOAD_MB // megabytes)),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": megabytes,
    }


def wrong_method(method: str, path: str, *allowed: str) -> HttpError:
    """The refusal of a method that a path does not know."""
    names = ", ".join(allowed)
    return HttpError(405, f"{method} is not allowed on {path}; use {names}", [(b"allow", names.encode())])


def unknown_path(path: str) -> HttpError:
    """The refusal of a path that is none of the contract's."""
    return HttpError(404, f"there is nothing at {path}; the paths are /ping, /invocations and /execution-parameters")
