"""The suite works offline: a connection to anything but this machine is an error, wherever it is tried."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any, NoReturn


class NetworkUsedError(AssertionError):
    """A test tried to leave this machine."""


def is_here(address: object) -> bool:
    """Whether a socket address lies on this machine: a path, the loopback network, or its usual names."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0]).partition("%")[0]
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _refuse(what: object) -> NoReturn:
    raise NetworkUsedError(f"the test suite works offline; something tried to reach {what!r}")


def forbid(monkeypatch: Any = None) -> None:
    """Refuse connections and name look-ups that leave this machine, and forget the cloud's settings.

    With pytest's ``monkeypatch`` for the length of a test; without it for the rest of the process.
    """
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        connect(self, address) if is_here(address) else _refuse(address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        return connect_ex(self, address) if is_here(address) else _refuse(address)

    def guarded_resolve(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve(host, port, *rest, **named) if name is None or is_here((name, port)) else _refuse(host)

    put = setattr if monkeypatch is None else monkeypatch.setattr
    put(socket.socket, "connect", guarded_connect)
    put(socket.socket, "connect_ex", guarded_connect_ex)
    put(socket, "getaddrinfo", guarded_resolve)
    for name in [name for name in os.environ if name.startswith(("AWS_", "SAGEMAKER_", "CLARY_"))]:
        if monkeypatch is None:
            del os.environ[name]
        else:
            monkeypatch.delenv(name)
