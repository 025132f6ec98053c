"""Pipe mode: a thread feeds ``<channel>_0``, ``<channel>_1``, ... with all files of a channel, a pass each."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from clary.toolkit import media
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType

_BLOCK = 1 << 20
_LOOK_AGAIN = 0.005
_LINES = (media.CSV, media.LIBSVM, media.JSON_LINES)
_GZIP = b"\x1f\x8b"


class Feeder:
    """Writes the files, one behind the other with nothing between, into each FIFO that somebody opens."""

    def __init__(self, folder: Path, channel: str, files: Sequence[Path]) -> None:
        self._folder, self._channel, self._files = folder, channel, files
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"clary-feed-{channel}", daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Make the first FIFO and begin to feed; the FIFO exists when this returns."""
        self._make(0)
        self._thread.start()

    def stop(self) -> None:
        """End the feeding; the processes that read have ended by now, so no write can hang."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _fifo(self, number: int) -> Path:
        return self._folder / f"{self._channel}_{number}"

    def _make(self, number: int) -> None:
        if not self._fifo(number).exists():
            os.mkfifo(self._fifo(number))

    def _run(self) -> None:
        number = 0
        try:
            while (pipe := self._opened(number)) is not None:
                self._make(number + 1)
                self._fill(pipe)
                self._fifo(number).unlink()
                number += 1
        except OSError as error:
            self.failure = f"channel {self._channel} could not be fed: {error}"

    def _opened(self, number: int) -> int | None:
        """The FIFO's descriptor once a reader is there, or None when the feeding ends first."""
        while not self._stopped.is_set():
            try:
                pipe = os.open(self._fifo(number), os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nobody reads yet
                    raise
                self._stopped.wait(_LOOK_AGAIN)
            else:
                os.set_blocking(pipe, True)
                return pipe
        return None

    def _fill(self, pipe: int) -> None:
        _widen(pipe)
        try:
            with open(pipe, "wb", buffering=0) as sink:
                for path in self._files:
                    with path.open("rb", buffering=0) as source:
                        while block := source.read(_BLOCK):
                            _write(sink.fileno(), block)
        except BrokenPipeError:
            pass  # The reader has seen enough of this pass.


def _write(pipe: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(pipe, view) :]


def _widen(pipe: int) -> None:
    """Let the pipe hold a block, where the system allows it: far fewer switches between the processes."""
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # A system with a lower limit keeps its own size.
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _BLOCK)


def check_pipeable(channel: str, files: Sequence[Path], content_type: str | None) -> None:
    """Raise UserError if rows of neighboring files would run together: a file of lines without a last newline."""
    if content_type is None or MediaType.parse(content_type).name not in _LINES:
        return
    for path in files[:-1]:
        with path.open("rb") as stream:
            compressed = stream.read(2) == _GZIP
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - 1, 0))
            last = stream.read(1)
        if size and not compressed and last != b"\n":
            raise UserError(
                f"channel {channel}: {path} does not end in a newline, so in Pipe mode its last row would run "
                "into the next file; add the newline or use input mode 'File'"
            )
