"""Back-pressure: how many requests, and how many bytes of their bodies, one process holds at a time."""

from __future__ import annotations

from clary.container.responses import busy


class Capacity:
    """Room for requests; what comes above it is told to come back, so that what is inside gets done.

    Used from the event loop alone, hence without locks.
    """

    def __init__(self, requests: int, size: int) -> None:
        self._most_requests, self._most_bytes = requests, size
        self.requests = 0
        self.bytes = 0

    def enter(self, length: int) -> None:
        """Take a place for a request that announces that many bytes; Refusal with 503 where there is none.

        A place is given back with ``leave`` and the number of bytes that were really held.
        """
        if self.requests >= self._most_requests:
            raise busy(f"the server is answering {self.requests} requests, as many as it takes; try again")
        if self.bytes + length > self._most_bytes:
            raise busy(f"the server holds {self.bytes} bytes of requests and takes {self._most_bytes}; try again")
        self.requests += 1

    def hold(self, length: int) -> None:
        """Count bytes of a body that arrived; Refusal with 503 where they are too many."""
        if self.bytes + length > self._most_bytes:
            raise busy(f"the server holds {self.bytes} bytes of requests and takes {self._most_bytes}; try again")
        self.bytes += length

    def leave(self, held: int) -> None:
        """Give back a place and the bytes that its request held."""
        self.requests -= 1
        self.bytes -= held
