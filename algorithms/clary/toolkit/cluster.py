"""The hosts of a job and their few collective operations, over plain TCP and without torch.

The first host of the list leads: the others connect to it, and it adds and hands out. Sums are formed in the
order of the ranks, so every host gets the same bits. For a few megabytes per step this is as fast as a ring,
and it has nothing to configure. A host that fails says why before it leaves, and the leader passes that on.
"""

from __future__ import annotations

import contextlib
import json
import math
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import PlatformError

PORT = 7070
CONNECT_WAIT = 300.0  # seconds; host names may not resolve at the start of a job
SILENCE = 3600.0  # seconds without a word from a host that is still connected
WATCH = (
    0.002  # seconds; a host that goes to sleep while it waits takes longer to wake than most messages take to come
)
LOOK_UP = 0.1  # seconds between two looks at whether the other hosts are still there
READ_AHEAD = 1 << 16  # bytes
_LENGTH = 4  # bytes that tell the length of a message's line
LONGEST_HEAD = 1 << 16  # bytes of the line before a message's arrays
LONGEST_REASON = 4096  # characters
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
        self.address = rendezvous or (self.hosts[0], PORT)
        self._peers: list[_Peer] = []
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

    @property
    def own_address(self) -> str:
        """The network address of this host as the others see it; the machine's own where there are none."""
        return self._peers[0].own_address if self._peers else "127.0.0.1"

    def sum(self, array: Array) -> Array:
        """The element-wise sum over all hosts, the same on each; all give the same shape and type."""
        return self.sum_all([array])[0]

    def sum_all(self, arrays: Sequence[Array], meanwhile: Callable[[], None] | None = None) -> list[Array]:
        """The sums of several arrays, which travel in one message each way.

        ``meanwhile`` is work that does not need the sums; it is done where a host would wait for the others.
        """
        meanwhile = meanwhile or _nothing
        if self.size == 1:
            meanwhile()
            return list(arrays)
        if not self.leads:
            self._peers[0].send(arrays)
            meanwhile()
            return self._peers[0].receive()
        totals, parts = list(arrays), _parts_of(arrays)
        for peer in self._peers:
            others = peer.receive()
            if _parts_of(others) != parts:
                raise PlatformError(
                    f"host {peer.host} is at another step than this one; do all hosts run one version?"
                )
            totals = [np.add(total, other, out=other) for total, other in zip(totals, others, strict=True)]
        self._give(totals)
        meanwhile()
        return totals

    def broadcast(self, array: Array | None) -> Array:
        """The leader's array, on every host; the others' argument is not looked at."""
        if self.leads:
            assert array is not None
            self._give([array])
            return array
        return self._peers[0].receive()[0]

    def gather(self, array: Array) -> list[Array] | None:
        """Every host's array in the order of ranks on the leader, None elsewhere; shapes may differ."""
        if self.leads:
            return [array, *(peer.receive()[0] for peer in self._peers)]
        self._peers[0].send([array])
        return None

    @contextlib.contextmanager
    def watched(self, lost: Callable[[], None]) -> Iterator[None]:
        """While the block runs, call ``lost`` when another host leaves, once and from another thread.

        For work in which this host waits for the others in a way that is not this class's. :meth:`departed` says
        which host has left.
        """
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done, lost), daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event, lost: Callable[[], None]) -> None:
        while not done.wait(LOOK_UP):
            if any(peer.leaving() for peer in self._peers):
                lost()
                return

    def departed(self, seconds: float = 0.0) -> PlatformError | None:
        """Why a host has left, if one has or does so within that time."""
        deadline = time.monotonic() + seconds
        while self._peers:
            for peer in self._peers:
                if peer.leaving():
                    return peer.last_words()
            if time.monotonic() >= deadline:
                break
            time.sleep(LOOK_UP)
        return None

    def fail(self, reason: str) -> None:
        """Tell the other hosts why this one leaves: the leader tells all, another host tells the leader."""
        for peer in self._peers:
            with contextlib.suppress(PlatformError):
                peer.send_reason(reason)

    def close(self) -> None:
        """Leave; hosts that still wait for this one are told at once."""
        for peer in self._peers:
            peer.close()
        self._peers = []

    def _give(self, arrays: Sequence[Array]) -> None:
        for peer in self._peers:
            peer.send(arrays)

    def _listen(self, exact: bool) -> list[_Peer]:
        host, port = self.address
        deadline = time.monotonic() + CONNECT_WAIT
        found: dict[int, _Peer] = {}
        try:
            listener = socket.create_server((host if exact else "", port), backlog=self.size)
        except OSError as error:
            raise PlatformError(f"the leading host cannot listen on port {port}: {error.strerror}") from error
        with listener:
            while len(found) < self.size - 1:
                listener.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    absent = [h for r, h in enumerate(self.hosts) if r and r not in found]
                    raise PlatformError(
                        f"hosts {', '.join(absent)} did not join within {CONNECT_WAIT:.0f} s"
                    ) from None
                peer = _Peer(connection, "a connecting host")
                rank = self._greeted(peer)
                if rank is None or rank in found:
                    peer.close()
                    continue
                found[rank] = peer
        return [found[rank] for rank in sorted(found)]

    def _greeted(self, peer: _Peer) -> int | None:
        """The rank of a host of this job, or None for a stranger."""
        try:
            name = bytes(peer.receive(most=LONGEST_NAME, seconds=10)[0].tobytes()).decode()
        except (PlatformError, UnicodeDecodeError, IndexError):
            return None
        if name not in self.hosts[1:]:
            return None
        peer.host = name
        return self.hosts.index(name)

    def _connect(self) -> _Peer:
        deadline = time.monotonic() + CONNECT_WAIT
        while True:
            try:
                connection = socket.create_connection(self.address, timeout=10)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    place = "{}:{}".format(*self.address)
                    raise PlatformError(f"the leading host {place} was not reached: {error}") from error
                time.sleep(0.1)
        peer = _Peer(connection, self.hosts[0])
        peer.send([np.frombuffer(self.current.encode(), np.uint8)])
        return peer


class _Peer:
    """Another host at the end of a connection. A message is a line of JSON and the arrays' bytes behind it."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        connection.settimeout(SILENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = host
        self._connection = connection
        self._arrivals = selectors.DefaultSelector()
        self._arrivals.register(connection, selectors.EVENT_READ)
        # The connection once more, for who looks at what has come, and neither waits nor takes it.
        self._onlooker = connection.dup()
        self._onlooker.setblocking(False)
        # Messages are read through a buffer, so that a small one costs one system call and not three.
        self._buffer = memoryview(bytearray(READ_AHEAD))
        self._held = self._buffer[:0]
        self._reading = threading.Lock()  # a message is read whole, so that who looks between two sees a beginning

    @property
    def own_address(self) -> str:
        """The address of this end of the connection."""
        return str(self._connection.getsockname()[0])

    def leaving(self) -> bool:
        """Whether the host has left or says why it does; what it has sent stays to be read.

        False while a message is being read, as its reader hears of that himself.
        """
        if not self._reading.acquire(blocking=False):
            return False
        try:
            begun = self._beginning()
        except OSError:
            return True
        finally:
            self._reading.release()
        return begun is not None and (not begun or begun[_LENGTH:] == b"{")  # arrays begin with a list of their types

    def _beginning(self) -> bytes | None:
        """The first bytes of the next message, None if they have not come, nothing if there will be none."""
        begun = bytes(self._held[: _LENGTH + 1])
        if len(begun) > _LENGTH:
            return begun
        try:
            more = self._onlooker.recv(_LENGTH + 1 - len(begun), socket.MSG_PEEK)
        except BlockingIOError:
            return None
        return more and begun + more

    def send(self, arrays: Sequence[Array]) -> None:
        """Hand the arrays over; PlatformError if the host has left."""
        whole = [np.asarray(array, order="C") for array in arrays]
        self._send(_head(_parts_of(whole)), whole)

    def send_reason(self, reason: str) -> None:
        """Say why this host leaves, in place of arrays; PlatformError if the other one has left before."""
        self._send(_framed({"reason": reason[:LONGEST_REASON]}), [])

    def receive(self, *, most: int | None = None, seconds: float = SILENCE) -> list[Array]:
        """The arrays of the next message, each its own to change; PlatformError says why there is none."""
        try:
            with self._reading:
                arrays = self._arrays(most, time.monotonic() + seconds)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise PlatformError(f"host {self.host} has left the job: {error}; see its log") from error
        return arrays

    def last_words(self) -> PlatformError | None:
        """Why the host has left, if it has."""
        try:
            self.receive(seconds=0.5)
        except PlatformError as error:
            return error
        return None

    def close(self) -> None:
        """End the connection."""
        self._arrivals.close()
        self._onlooker.close()
        self._connection.close()

    def _send(self, head: bytes, arrays: Sequence[Array]) -> None:
        parts: list[bytes | memoryview] = [head, *(array.data for array in arrays)]
        small = sum(array.nbytes for array in arrays) < READ_AHEAD
        try:
            for part in [b"".join(parts)] if small else parts:
                self._connection.sendall(part)
        except OSError as error:
            # A host that failed has said why before it left; that is worth more than a broken pipe.
            raise self.last_words() or PlatformError(
                f"host {self.host} has left the job: {error}; see its log"
            ) from error

    def _arrays(self, most: int | None, deadline: float) -> list[Array]:
        (length,) = struct.unpack("<I", self._exactly(_LENGTH, deadline))
        if length > LONGEST_HEAD:
            raise ConnectionError("it does not speak this protocol")
        parts, total = _read_head(bytes(self._exactly(length, deadline)))
        if most is not None and total > most:
            raise ConnectionError("it sent more than its name")
        content = self._exactly(total, deadline)
        return [np.ndarray(shape, dtype, content, start) for dtype, shape, start in parts]

    def _exactly(self, size: int, deadline: float) -> bytearray:
        """So many bytes of the stream."""
        content = bytearray(size)
        rest = memoryview(content)
        while rest:
            if not self._held and len(rest) >= READ_AHEAD:
                count = self._some(rest, deadline)
            else:
                self._held = self._held or self._buffer[: self._some(self._buffer, deadline)]
                count = min(len(rest), len(self._held))
                rest[:count], self._held = self._held[:count], self._held[count:]
            rest = rest[count:]
        return content

    def _some(self, place: memoryview, deadline: float) -> int:
        """The number of bytes, at least one, that have come and are in that place now."""
        asleep = time.monotonic() + WATCH
        while not self._arrivals.select(0):
            now = time.monotonic()
            if now > asleep and not self._arrivals.select(max(0.0, deadline - now)):
                raise TimeoutError("it has been silent for too long")
        count = self._connection.recv_into(place)
        if not count:
            raise ConnectionError("the connection was closed")
        return count


# Every step of a job sends arrays of the same types and shapes, so what their line says is worked out once.

_Parts = tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]


def _parts_of(arrays: Sequence[Array]) -> _Parts:
    return tuple([(array.dtype, array.shape) for array in arrays])


@lru_cache(maxsize=64)
def _head(parts: _Parts) -> bytes:
    return _framed([(dtype.str, shape) for dtype, shape in parts])


def _framed(told: Any) -> bytes:
    head = json.dumps(told).encode()
    # The arrays behind the line begin where the processor likes to find them.
    head += b" " * (-(_LENGTH + len(head)) % 16)
    return struct.pack("<I", len(head)) + head


@lru_cache(maxsize=64)
def _read_head(head: bytes) -> tuple[list[tuple[np.dtype[Any], list[int], int]], int]:
    """Type, shape and place of each array behind that line, and their bytes together."""
    told = json.loads(head)
    if isinstance(told, dict):
        raise PlatformError(told["reason"])
    found, end = [], 0
    for kind, shape in told:
        dtype = np.dtype(kind)
        if dtype.hasobject:
            raise ConnectionError("it sent an array of objects")
        found.append((dtype, shape, end))
        end += math.prod(shape) * dtype.itemsize
    return found, end


def _nothing() -> None:
    pass
