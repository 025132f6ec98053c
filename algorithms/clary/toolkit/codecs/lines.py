"""Text streams in blocks of whole lines, parsed by a few threads in order and in constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from clary.toolkit import device
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.errors import DataError

if TYPE_CHECKING:
    from concurrent.futures import Future

BLOCK_BYTES = 1 << 20
LONGEST_LINE = 1 << 26
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_NEWLINE = ord("\n")

T = TypeVar("T")


@dataclass(frozen=True)
class Block:
    """Whole lines, each ended by a newline; ``first_row`` is the number of the first line, from 1."""

    data: bytes
    first_row: int

    @cached_property
    def rows(self) -> int:
        """The number of newlines, counted three times as fast as ``bytes`` does."""
        return int(np.count_nonzero(np.frombuffer(self.data, np.uint8) == _NEWLINE))


def blocks(stream: Readable, *, source: str, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The stream in blocks of about ``size`` bytes, cut at newlines.

    A missing last newline is added and a UTF-8 byte order mark left out. DataError where a line is longer
    than 64 MiB: such a file has no rows.
    """
    row, pending, held = 1, list[bytes](), 0
    chunks = iter(lambda: stream.read(size), b"")
    for chunk in _without_mark(chunks):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            data = b"".join([*pending, memoryview(chunk)[:cut]])
            block = Block(data, row)
            yield block
            row += block.rows
            pending, held = [], 0
        pending.append(chunk[cut:])
        held += len(chunk) - cut
        if held > LONGEST_LINE:
            raise DataError(
                f"the line is longer than {LONGEST_LINE} bytes; rows end in a newline", source=source, row=row
            )
    rest = b"".join(pending)
    if rest:
        yield Block(rest + b"\n", row)


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(BYTE_ORDER_MARK):
            break
    return chain([head.removeprefix(BYTE_ORDER_MARK)], chunks) if head else iter(())


def in_order(work: Callable[[Block], T], given: Iterable[Block]) -> Iterator[T]:
    """The results of ``work`` for every block, in order.

    Several blocks are worked on at once by as many threads as there are cores, at most eight; never more
    than two for each thread are in memory. A single block is worked on here, without a thread.
    """
    source = iter(given)
    head = list(islice(source, 2))
    workers = min(8, device.cores())
    if len(head) < 2 or workers < 2:
        yield from map(work, chain(head, source))
        return
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="clary-lines")
    try:
        for block in chain(head, source):
            waiting.append(pool.submit(work, block))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
