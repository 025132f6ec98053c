"""Calls an ASGI app without a socket, and shows what it answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from clary.container.responses import Asgi, Message


@dataclass(frozen=True)
class Response:
    """Status, headers with lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def refused(self, status: int) -> str:
        """The message, if this is a JSON error of that status and as the contract says."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/json"
        assert list(self.json) == ["error"]
        assert len(self.body) <= 1024
        assert "Traceback" not in self.json["error"]
        assert self.json["error"]
        message: str = self.json["error"]
        return message


async def ask(
    app: Asgi,
    method: str = "POST",
    path: str = "/invocations",
    body: bytes | Sequence[bytes] = b"",
    *,
    query: str = "",
    cut: bool = False,
    **headers: str,
) -> Response:
    """One request; a list of pieces is sent without a length, as chunked bodies come. ``cut`` ends it midway."""
    pieces = [body] if isinstance(body, bytes) else list(body)
    sent = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    if isinstance(body, bytes) and body and "content_length" not in headers:
        sent.append((b"content-length", str(len(body)).encode()))
    incoming: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": cut or at < len(pieces)}
        for at, piece in enumerate(pieces, 1)
    ]
    incoming.append({"type": "http.disconnect"})
    outgoing: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        outgoing.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": sent,
    }
    await app(scope, receive, send)
    if not outgoing:
        return Response(0, {}, b"")
    start, *parts = outgoing
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    content = b"".join(part["body"] for part in parts)
    assert int(found["content-length"]) == len(content)
    return Response(start["status"], found, content)


def call(app: Asgi, *arguments: Any, **named: Any) -> Response:
    """One request in an event loop of its own."""
    return asyncio.run(ask(app, *arguments, **named))
