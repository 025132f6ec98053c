"""Calls to an inference server over HTTP: kept connections, patience with a busy server."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from clary.toolkit.errors import PlatformError

_BUSY = 503
_TRIES_WHEN_BUSY = 8


class UnreachableError(PlatformError):
    """No server answered at the address, or it broke off; the text says which and why."""


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    content_type: str
    body: bytes
    retry_after: float | None = None


class HttpClient:
    """Requests to one server, from any number of threads. ``timeout`` is seconds for one answer.

    The address is ``http://host:port``, or ``unix:`` and the path of a socket.
    """

    def __init__(self, url: str, *, timeout: float = 600.0) -> None:
        parts = urlsplit(url)
        if not (parts.scheme == "http" and parts.hostname) and not (parts.scheme == "unix" and parts.path):
            raise ValueError(f"an address like http://127.0.0.1:8080 is needed; got {url!r}")
        self._address, self._timeout = parts, timeout
        self._idle: list[http.client.HTTPConnection] = []

    def get(self, path: str) -> Answer:
        """The answer to a GET; UnreachableError if there is none."""
        return self._send("GET", path, None, {})

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer to a POST of that body to ``/invocations``; UnreachableError if there is none.

        A server that is too busy (503) is asked again after the time that it names, a few times.
        """
        for attempt in range(_TRIES_WHEN_BUSY):
            answer = self._send("POST", "/invocations", body, headers)
            if answer.status != _BUSY or answer.retry_after is None:
                break
            time.sleep(min(answer.retry_after, 5.0) * (0.1 + 0.1 * attempt))
        return answer

    def close(self) -> None:
        """Close the kept connections; a later request opens its own again."""
        while self._idle:
            self._idle.pop().close()

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            while self._idle:
                # The server may have closed a connection that lay idle; a prediction may be asked for twice.
                with suppress(http.client.HTTPException, ConnectionError, IndexError):
                    return self._exchange(self._idle.pop(), method, path, body, headers)
            return self._exchange(self._connection(), method, path, body, headers)
        except (http.client.HTTPException, OSError) as error:
            raise UnreachableError(f"the server at {self._address.geturl()} cannot be reached: {error!r}") from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._address.scheme == "unix":
            return _UnixConnection(self._address.path, self._timeout)
        return http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=self._timeout)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        wait = response.getheader("Retry-After")
        return Answer(
            response.status,
            response.getheader("Content-Type") or "",
            content,
            float(wait) if wait is not None and wait.isdigit() else None,
        )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, for machines where not even the loopback network is up."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
