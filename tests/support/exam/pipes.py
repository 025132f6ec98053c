"""Feeds a channel's FIFOs as the platform does in Pipe mode: one for each pass, the next when one was taken."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


class Feeder:
    """Writes the same bytes into ``<place>_0``, ``<place>_1``, ... until it is closed.

    ``pause`` is the time after each chunk, ``late`` how long the first FIFO lets wait, both in seconds.
    ``delivered`` is set when the first chunk has gone into the FIFO.
    """

    def __init__(self, place: Path, chunks: Sequence[bytes], *, pause: float = 0.0, late: float = 0.0) -> None:
        self._place, self._chunks, self._pause, self._late = place, chunks, pause, late
        self._closed = threading.Event()
        self.fed, self.delivered = 0, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        self._closed.wait(self._late)
        while not self._closed.is_set():
            path = self._place.with_name(f"{self._place.name}_{self.fed}")
            os.mkfifo(path)
            handle = self._opened(path)
            if handle is None:
                return
            self.fed += 1
            with contextlib.suppress(BrokenPipeError):
                self._write(handle)
            os.close(handle)

    def _opened(self, path: Path) -> int | None:
        """The writing end once somebody reads, or None when nobody came before the end."""
        while not self._closed.is_set():
            with contextlib.suppress(OSError):
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.005)
        return None

    def _write(self, handle: int) -> None:
        for chunk in self._chunks:
            rest = memoryview(chunk)
            while rest and not self._closed.is_set():
                try:
                    rest = rest[os.write(handle, rest) :]
                except BlockingIOError:
                    time.sleep(0.001)
            self.delivered.set()
            self._closed.wait(self._pause)


@contextlib.contextmanager
def feeding(folder: Path, channels: dict[str, bytes]) -> Iterator[None]:
    """Feed several channels at once, each pass in one piece."""
    with contextlib.ExitStack() as stack:
        for name, content in channels.items():
            stack.enter_context(Feeder(folder / name, [content]))
        yield
