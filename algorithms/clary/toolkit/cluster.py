"""The hosts of a job and their few collective operations, over plain TCP and without torch.

The first host of the list leads: the others connect to it, and it adds and hands out. Sums are formed in the
order of the ranks, so every host gets the same bits. For a few megabytes per step this is as fast as a ring,
and it has nothing to configure.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import PlatformError

PORT = 7070
CONNECT_WAIT = 300.0  # seconds; host names may not resolve at the start of a job
SILENCE = 3600.0  # seconds without a word from a host that is still connected
LONGEST_NAME = 1024  # bytes of a host's name; a stranger must not make the leader reserve memory
Array = npt.NDArray[Any]


class Cluster:
    """The hosts of one job. With a single host every operation returns its own argument.

    ``rendezvous`` is the leader's address as ``(host, port)``; without it the leader's name and port 7070.
    """

    def __init__(
        self, hosts: Sequence[str] = ("localhost",), current: str = "", *, rendezvous: tuple[str, int] | None = None
    ) -> None:
        self.hosts = tuple(hosts)
        self.current = current or self.hosts[0]
        self.rank = self.hosts.index(self.current)
        self._address = rendezvous or (self.hosts[0], PORT)
        self._peers: list[socket.socket] = []
        if self.size > 1:
            self._peers = self._listen(bool(rendezvous)) if self.leads else [self._connect()]

    @property
    def size(self) -> int:
        """Number of hosts."""
        return len(self.hosts)

    @property
    def leads(self) -> bool:
        """Whether this host is the first: it writes the model and reports the metrics."""
        return self.rank == 0

    def sum(self, array: Array) -> Array:
        """The element-wise sum over all hosts, the same on each; all give the same shape and type."""
        if self.size == 1:
            return array
        if self.leads:
            total = array.copy()
            for peer, host in zip(self._peers, self.hosts[1:], strict=True):
                other = self._receive(peer, host)
                if other.shape != array.shape or other.dtype != array.dtype:
                    raise PlatformError(
                        f"host {host} is at another step than this one; do all hosts run one version?"
                    )
                total += other
            return self._give(total)
        self._send(self._peers[0], array, self.hosts[0])
        return self._receive(self._peers[0], self.hosts[0])

    def broadcast(self, array: Array | None) -> Array:
        """The leader's array, on every host; the others' argument is not looked at."""
        if self.leads:
            assert array is not None
            return self._give(array)
        return self._receive(self._peers[0], self.hosts[0])

    def gather(self, array: Array) -> list[Array] | None:
        """Every host's array in the order of ranks on the leader, None elsewhere; shapes may differ."""
        if self.leads:
            pairs = zip(self._peers, self.hosts[1:], strict=True)
            return [array, *(self._receive(peer, host) for peer, host in pairs)]
        self._send(self._peers[0], array, self.hosts[0])
        return None

    def close(self) -> None:
        """Leave; hosts that still wait for this one are told at once."""
        for peer in self._peers:
            peer.close()
        self._peers = []

    def _give(self, array: Array) -> Array:
        for peer, host in zip(self._peers, self.hosts[1:], strict=True):
            self._send(peer, array, host)
        return array

    def _listen(self, exact: bool) -> list[socket.socket]:
        host, port = self._address
        deadline = time.monotonic() + CONNECT_WAIT
        found: dict[int, socket.socket] = {}
        try:
            listener = socket.create_server((host if exact else "", port), backlog=self.size)
        except OSError as error:
            raise PlatformError(f"the leading host cannot listen on port {port}: {error.strerror}") from error
        with listener:
            while len(found) < self.size - 1:
                listener.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    peer, _ = listener.accept()
                except TimeoutError:
                    absent = [h for r, h in enumerate(self.hosts) if r and r not in found]
                    raise PlatformError(
                        f"hosts {', '.join(absent)} did not join within {CONNECT_WAIT:.0f} s"
                    ) from None
                self._prepare(peer)
                rank = self._greeted(peer)
                if rank is None or rank in found:
                    peer.close()
                    continue
                found[rank] = peer
        return [found[rank] for rank in sorted(found)]

    def _greeted(self, peer: socket.socket) -> int | None:
        """The rank of a host of this job, or None for a stranger."""
        peer.settimeout(10)
        try:
            hello = self._receive(peer, "a connecting host", most=LONGEST_NAME)
            name = bytes(hello.tobytes()).decode()
        except (PlatformError, UnicodeDecodeError):
            return None
        peer.settimeout(SILENCE)
        return self.hosts.index(name) if name in self.hosts[1:] else None

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + CONNECT_WAIT
        while True:
            try:
                peer = socket.create_connection(self._address, timeout=10)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    place = "{}:{}".format(*self._address)
                    raise PlatformError(f"the leading host {place} was not reached: {error}") from error
                time.sleep(0.1)
        self._prepare(peer)
        self._send(peer, np.frombuffer(self.current.encode(), np.uint8), self.hosts[0])
        return peer

    @staticmethod
    def _prepare(peer: socket.socket) -> None:
        peer.settimeout(SILENCE)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def _send(peer: socket.socket, array: Array, host: str) -> None:
        array = np.asarray(array, order="C")
        head = json.dumps([array.dtype.str, list(array.shape)]).encode()
        try:
            peer.sendall(struct.pack("<I", len(head)) + head)
            peer.sendall(array.reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise PlatformError(f"host {host} has left the job: {error}; see its log") from error

    @staticmethod
    def _receive(peer: socket.socket, host: str, *, most: int | None = None) -> Array:
        def exactly(size: int) -> bytearray:
            content, got = bytearray(size), 0
            while got < size:
                count = peer.recv_into(memoryview(content)[got:])
                if not count:
                    raise ConnectionError("the connection was closed")
                got += count
            return content

        try:
            (length,) = struct.unpack("<I", exactly(4))
            if length > 4096:
                raise ConnectionError("it does not speak this protocol")
            kind, shape = json.loads(exactly(length))
            dtype = np.dtype(kind)
            if dtype.hasobject:
                raise ConnectionError("it sent an array of objects")
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            if most is not None and size > most:
                raise ConnectionError("it sent more than its name")
            return np.frombuffer(exactly(size), dtype).reshape(shape)
        except (OSError, ValueError, TypeError) as error:
            raise PlatformError(f"host {host} has left the job: {error}; see its log") from error
