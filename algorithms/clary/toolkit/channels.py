"""A job's input channels: File, FastFile and Pipe mode as one stream of named byte parts, decoded to rows."""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from clary.toolkit import tabular
from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool
from clary.toolkit.tabular import PLAIN, Reading

FIFO_WAIT = 600.0  # seconds for the platform to make the next FIFO
_TICK = 0.2  # seconds between two looks at the stop signal while a FIFO has nothing to read
_MARKERS = ("_SUCCESS",)  # written by other engines beside their data


@dataclass
class ChannelInput:
    """One channel of a job; each call of ``parts`` or ``records`` is one more pass over its data.

    ``place`` is the channel's folder in File and FastFile mode and the path before ``_<pass>`` in Pipe mode.
    ``sharded`` says that every host was given other files; otherwise all hosts see the same.
    """

    name: str
    place: Path
    content_type: MediaType
    mode: str = "File"
    sharded: bool = False
    wrapped: bool = False
    may_be_empty: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    passes: int = 0
    kept: Spool | None = None
    _keeping: bool = False
    _reading: Reading = PLAIN

    def parts(self) -> Iterator[tuple[str, BinaryIO]]:
        """Named byte streams, one after the other, each open until the next is asked for.

        Files come in the order of their paths. Names that begin with a dot and empty marker files
        (``_SUCCESS``) are no data. UserError if there is nothing at all to read.
        """
        number, self.passes = self.passes, self.passes + 1
        raw = self._fifo(number) if self.mode == "Pipe" else self._files()
        if not self.wrapped:
            yield from raw
            return
        from clary.toolkit.codecs import recordio

        for name, stream in raw:
            for index, payload in enumerate(recordio.read(stream, source=name), 1):
                yield f"{name}, object {index}", io.BytesIO(payload)

    def records(self, *, width: int | None = None, reading: Reading = PLAIN) -> Iterator[Records]:
        """Blocks of rows of the next pass, in order; DataError names the file, the row and the reason.

        With ``width``, a row with another number of features is refused. ``reading`` says what is taken beyond
        plain rows. A stop signal ends the pass early.
        """
        if self.kept is not None:
            assert reading == self._reading, "a channel that keeps its rows is read in one way only"
            for block in self.kept:
                yield block if width is None else block.expect_width(width)
            return
        spool = Spool() if self._keeping else None
        wide = reading if width is None else replace(reading, width=width)
        try:
            for name, stream in self.parts():
                for block in tabular.read(stream, self.content_type, source=name, reading=wide):
                    spool = self._added(spool, block)
                    yield block if width is None else block.expect_width(width)
        except StoppedError:
            return
        self.kept, self._reading = spool, reading

    def keep(self) -> None:
        """Keep the rows of the first whole pass for the later ones, which then need not read and decode again.

        In Pipe mode the platform may send other rows in each pass, so nothing is kept.
        """
        self._keeping = self.mode != "Pipe"

    def _added(self, spool: Spool | None, block: Records) -> Spool | None:
        """The spool with the block; none any more where there is no room for it, and then all passes are read."""
        if spool is None:
            return None
        try:
            spool.add(block)
        except PlatformError:
            spool.close()
            self._keeping = False
            return None
        return spool

    def _files(self) -> Iterator[tuple[str, BinaryIO]]:
        paths = self._paths()
        if not paths and not self.may_be_empty:
            raise UserError(f"channel {self.name} has no data: there is no file in {self.place}")
        for path in paths:
            label = path.name if path == self.place else path.relative_to(self.place).as_posix()
            try:
                stream = path.open("rb", buffering=0)
            except OSError as error:
                raise PlatformError(f"channel {self.name}: {label} cannot be opened: {error.strerror}") from error
            with stream:
                yield f"channel {self.name}, file {label}", cast(BinaryIO, stream)

    def _paths(self) -> list[Path]:
        if self.place.is_file():
            return [self.place]
        found = []
        for folder, folders, files in os.walk(self.place, followlinks=True):
            folders[:] = [each for each in folders if not each.startswith(".")]
            found += [Path(folder, each) for each in files if not each.startswith(".") and each not in _MARKERS]
        return sorted(found, key=lambda path: path.relative_to(self.place).parts)

    def _fifo(self, number: int) -> Iterator[tuple[str, BinaryIO]]:
        path = self.place.with_name(f"{self.place.name}_{number}")
        deadline = time.monotonic() + FIFO_WAIT
        while not path.exists():
            if self.stop.wait(_TICK):
                return
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"channel {self.name}: pass {number} was not delivered within {FIFO_WAIT:.0f} seconds ({path})"
                )
        with _opened_fifo(path, self.stop) as stream:
            yield f"channel {self.name}, pass {number}", stream


class StoppedError(Exception):
    """The job was asked to stop during a long wait or work; who reads ``parts`` goes on with what it has."""


@contextmanager
def _opened_fifo(path: Path, stop: threading.Event) -> Iterator[BinaryIO]:
    if not stat.S_ISFIFO(path.stat().st_mode):
        with path.open("rb") as plain:
            yield plain
        return
    # A plain open blocks until a writer comes, and a plain read until bytes come; neither would hear the signal.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield cast(BinaryIO, io.BufferedReader(_Fifo(handle, stop), 1 << 20))
    finally:
        os.close(handle)


class _Fifo(io.RawIOBase):
    """The reading end of a FIFO that waits for bytes and looks at the stop signal meanwhile."""

    def __init__(self, handle: int, stop: threading.Event) -> None:
        import select

        self._handle, self._stop = handle, stop
        self._poll = select.poll()
        self._poll.register(handle, select.POLLIN | select.POLLHUP)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._poll.poll(_TICK * 1000):
            if self._stop.is_set():
                raise StoppedError
        return os.readv(self._handle, [buffer])
