"""Multi-model endpoints: models are loaded, listed, asked and unloaded while the server runs.

The platform decides which model goes when memory is short; this server only says that it is (507). Its models
live in one process: with several, each would hold its own and the platform could not tell which it talks to.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from clary.container.app import execution_parameters, wrong_method
from clary.container.capacity import Capacity
from clary.container.endpoint import Endpoint
from clary.container.model import load
from clary.container.responses import HttpError, Receive, Scope, Send, refuse, respond, respond_json
from clary.container.serve_settings import ServeSettings
from clary.toolkit.errors import UserError

PAGE = 100  # models in one answer of ``GET /models``
_LONGEST_ORDER = 64 * 1024
_LOG = logging.getLogger("clary.serve")


@dataclass
class _Resident:
    """A model by name: its folder, the bytes that it is charged with, and its endpoint once it is loaded."""

    url: str
    size: int
    endpoint: Endpoint | None = None


class MultiModelApp:
    """Many models behind ``/models``; healthy without any."""

    def __init__(self, settings: ServeSettings, executor: Executor) -> None:
        self._settings, self._executor = settings, executor
        self._capacity = Capacity(settings.requests_in_flight, settings.bytes_in_flight)
        self._models: dict[str, _Resident] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            await self._route(scope, receive, send)
        except HttpError as refusal:
            await refuse(send, refusal)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        # The path as sent, because a name may hold an escaped slash.
        first, *rest = [unquote(part) for part in scope["raw_path"].decode("ascii").split("/")[1:]]
        match first, *rest:
            case ["ping"]:
                _expect(scope, "GET")
                await respond(send, b"")
            case ["execution-parameters"]:
                _expect(scope, "GET")
                await respond_json(send, execution_parameters(self._settings))
            case ["models"] if method == "POST":
                await self._load(await _order(receive))
                await respond(send, b"")
            case ["models"]:
                _expect(scope, "GET", "POST")
                await respond_json(send, self._page(scope["query_string"].decode("latin-1")))
            case ["models", name] if method == "DELETE":
                await self._unload(name)
                await respond(send, b"")
            case ["models", name]:
                _expect(scope, "GET", "DELETE")
                await respond_json(send, _entry(name, self._resident(name)))
            case ["models", name, "invoke"]:
                _expect(scope, "POST")
                await self._endpoint(name).invoke(scope, receive, send)
            case _:
                raise HttpError(
                    404, f"there is nothing at {scope['path']}; with several models ask /models/<name>/invoke"
                )

    def _page(self, query: str) -> dict[str, Any]:
        """One page of the loaded models by name; the token is the last name of the page before."""
        after = parse_qs(query).get("next_page_token", [""])[0]
        names = sorted(name for name, model in self._models.items() if model.endpoint and name > after)
        page: dict[str, Any] = {"models": [_entry(name, self._models[name]) for name in names[:PAGE]]}
        if len(names) > PAGE:
            page["nextPageToken"] = names[PAGE - 1]
        return page

    def _resident(self, name: str) -> _Resident:
        model = self._models.get(name)
        if model is None or model.endpoint is None:
            raise HttpError(404, f"no model named {name!r} is loaded")
        return model

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self._resident(name).endpoint
        assert endpoint is not None
        return endpoint

    async def _load(self, order: tuple[str, str]) -> None:
        name, url = order
        if name in self._models:
            raise HttpError(409, f"a model named {name!r} is loaded or being loaded; delete it first")
        # The files are charged before they are read, so that two loads at once cannot pass the budget together.
        model = _Resident(url, _size_of_files(Path(url)))
        self._expect_room(model.size)
        self._models[name] = model
        try:
            loop, settings = asyncio.get_running_loop(), self._settings
            loaded = await loop.run_in_executor(self._executor, load, Path(url), settings.algorithm, settings.device)
            self._expect_room(loaded.size - model.size)
            model.size = max(model.size, loaded.size)
            model.endpoint = Endpoint(loaded.predictor, self._settings, self._capacity, self._executor)
        except MemoryError as error:
            raise HttpError(507, f"there is not enough memory to load {name!r}") from error
        except (UserError, HttpError) as error:
            raise HttpError.of(error) from error
        except Exception as error:
            _LOG.exception("model %r could not be loaded", name)
            why = f"model {name!r} could not be loaded ({type(error).__name__}); the server's log says more"
            raise HttpError(500, why) from error
        finally:
            if model.endpoint is None:
                del self._models[name]

    def _expect_room(self, more: int) -> None:
        used, budget = sum(model.size for model in self._models.values()), self._settings.model_memory
        if used + more > budget:
            raise HttpError(
                507,
                f"the model needs {more} bytes; {used} of the budget of {budget} are taken: "
                "unload another model or raise CLARY_MODEL_MEMORY_MB",
            )

    async def _unload(self, name: str) -> None:
        """Forget a model once its running requests are answered; its memory is free when this returns."""
        endpoint = self._endpoint(name)
        del self._models[name]
        while endpoint.running:
            await asyncio.sleep(0.01)
        del endpoint
        gc.collect()


def _entry(name: str, model: _Resident) -> dict[str, str]:
    return {"modelName": name, "modelUrl": model.url}


def _expect(scope: Scope, *allowed: str) -> None:
    if scope["method"] not in allowed:
        raise wrong_method(scope["method"], scope["path"], *allowed)


async def _order(receive: Receive) -> tuple[str, str]:
    """The name and folder of the model to load, from the body of ``POST /models``."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LONGEST_ORDER:
            raise HttpError(413, f"the body of POST /models has more than {_LONGEST_ORDER} bytes")
    try:
        order = json.loads(body)
        name, url = order["model_name"], order["url"]
    except (ValueError, KeyError, TypeError) as error:
        raise HttpError(400, 'the body must be {"model_name": "...", "url": "/folder/of/the/model"}') from error
    if not (isinstance(name, str) and name and isinstance(url, str) and url):
        raise HttpError(400, "model_name and url must be texts that are not empty")
    return name, url


def _size_of_files(folder: Path) -> int:
    if not folder.is_dir():
        raise HttpError(400, f"there is no model folder at {str(folder)!r}")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
