"""Back-pressure: how many requests, and how many bytes of their bodies, one process holds at a time."""

from __future__ import annotations

from clary.container.responses import busy


class Capacity:
    """Room for requests; what comes above it is told to come back, so that what is inside gets done.

    Used from the event loop alone, hence without locks.
    """

    __slots__ = ("_most_bytes", "_most_requests", "bytes", "requests")

    def __init__(self, requests: int, size: int) -> None:
        self._most_requests, self._most_bytes = requests, size
        self.requests = 0
        self.bytes = 0

    def enter(self, size: int) -> None:
        """Take a place, and room for that many bytes; HttpError with 503 where there is none."""
        if self.requests >= self._most_requests:
            raise busy(f"the server is answering {self.requests} requests, as many as it takes at once; try again")
        self.hold(size)
        self.requests += 1

    def hold(self, size: int) -> None:
        """Take room for further bytes; HttpError with 503 where there is none."""
        if self.bytes + size > self._most_bytes:
            raise busy(f"the server holds {self.bytes} of the {self._most_bytes} bytes that it takes; try again")
        self.bytes += size

    def release(self, size: int) -> None:
        """Give room for bytes back."""
        self.bytes -= size

    def leave(self, size: int) -> None:
        """Give the place back, and room for all the bytes that were taken with it."""
        self.requests -= 1
        self.bytes -= size
