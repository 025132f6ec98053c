"""What goes back over HTTP: an answer, or a refusal in JSON that names the problem and never shows a traceback."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

from clary.toolkit.errors import (
    NotAcceptableError,
    PlatformError,
    TooLargeError,
    UnsupportedMediaError,
    UserError,
)

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

LONGEST = 1000  # characters of a message; with the braces around it an error stays under the platform's 1,024
JSON_TYPE: Header = (b"content-type", b"application/json")
_STATUSES = ((UnsupportedMediaError, 415), (NotAcceptableError, 406), (TooLargeError, 413), (UserError, 400))


class HttpError(Exception):
    """A request that is answered with an HTTP error; the text is the message."""

    def __init__(self, status: int, message: str, headers: Iterable[Header] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, tuple(headers)

    @classmethod
    def of(cls, error: Exception) -> HttpError:
        """The refusal that an error of ours means; one that is no fault of the caller's is told without details."""
        if isinstance(error, HttpError):
            return error
        for family, status in _STATUSES:
            if isinstance(error, family):
                return cls(status, str(error))
        if isinstance(error, PlatformError):
            return cls(500, str(error))
        return cls(500, f"the model failed on this request ({type(error).__name__}); the server's log says more")


def busy(message: str) -> HttpError:
    """The refusal of a server that cannot take this request now and asks the caller to come back in a second."""
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, message, [(b"retry-after", b"1")])


async def respond(send: Send, body: bytes, headers: Iterable[Header] = (), status: int = 200) -> None:
    """Send a whole response; the length is added to the headers."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def respond_json(send: Send, value: Any, status: int = 200) -> None:
    """Send a value as JSON."""
    await respond(send, json.dumps(value).encode(), [JSON_TYPE], status)


async def refuse(send: Send, refusal: HttpError) -> None:
    """Send an error as ``{"error": message}``."""
    body = json.dumps({"error": " ".join(refusal.message.split())[:LONGEST]}).encode()
    await respond(send, body, [JSON_TYPE, *refusal.headers], refusal.status)
