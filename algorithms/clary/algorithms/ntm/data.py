"""Documents as training wants them: rows of counts other than zero, all of a channel, in memory or in a file.

Every epoch draws documents from anywhere, so they are held. What exceeds a limit lies in a temporary file that is
mapped, which costs no memory of the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from clary.toolkit.channels import ChannelInput
from clary.toolkit.errors import DataError, PlatformError
from clary.toolkit.records import Records
from clary.toolkit.spool import IN_MEMORY

Array = npt.NDArray[Any]
TAKEN_IN_ORDER = 1 << 14  # documents that are looked at together where all are


@dataclass(frozen=True)
class Corpus:
    """N documents over W words: the counts of document n are ``counts[ends[n]:ends[n + 1]]``, of ``words`` there."""

    ends: Array
    words: Array
    counts: Array
    width: int
    sharded: bool = False

    def __len__(self) -> int:
        return len(self.ends) - 1

    @classmethod
    def read(cls, channel: ChannelInput, width: int, *, in_memory: int = IN_MEMORY) -> Corpus:
        """The channel's documents; DataError where a row has another width, or a count below zero."""
        ends, words, counts = [np.zeros(1, np.int64)], _Pile(np.int32, in_memory), _Pile(np.float32, in_memory)
        for block in channel.records(width=width):
            rows = sparse(block)
            ends.append(ends[-1][-1] + rows.indptr[1:].astype(np.int64))
            words.add(rows.indices)
            counts.add(rows.data)
        return cls(np.concatenate(ends), words.whole(), counts.whole(), width, channel.sharded)

    def take(self, numbers: Array) -> csr_matrix:
        """The documents of these numbers, in that order."""
        return self._rows[numbers]

    def blocks(self) -> Iterator[csr_matrix]:
        """All documents in order, some thousands at a time."""
        for start in range(0, len(self), TAKEN_IN_ORDER):
            yield self._rows[start : start + TAKEN_IN_ORDER]

    def frequencies(self) -> Array:
        """How often each word occurs (W), in float64."""
        found_W = np.zeros(self.width)
        for block in self.blocks():
            found_W += np.bincount(block.indices, block.data, self.width)
        return found_W

    @cached_property
    def _rows(self) -> Any:
        return csr_matrix((self.counts, self.words, self.ends), shape=(len(self), self.width), copy=False)


def sparse(records: Records) -> Any:
    """The rows in CSR form, words in order and none without a count; DataError for a count below zero."""
    rows: Any = csr_matrix(records.features, dtype=np.float32)
    negative = np.flatnonzero(rows.data < 0)
    if len(negative):
        row = int(np.searchsorted(rows.indptr, negative[0], side="right")) - 1
        reason = f"a document is made of counts of at least 0; got {rows.data[negative[0]]:g}"
        column = int(rows.indices[negative[0]]) + 1
        raise DataError(reason, source=records.source, row=records.first_row + row, column=column)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


class _Pile:
    """Numbers of one type, put one behind the other, in a file where they exceed a limit."""

    def __init__(self, kind: type[np.generic], limit: int) -> None:
        self._kind, self._limit = np.dtype(kind), limit
        self._held: list[Array] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def add(self, numbers: Array) -> None:
        """Put these behind the others; PlatformError where there is no room for them."""
        own = np.ascontiguousarray(numbers, self._kind)
        self._size += own.nbytes
        self._held.append(own)
        if self._size > self._limit:
            self._write()

    def whole(self) -> Array:
        """All numbers in order."""
        if self._file is None:
            return np.concatenate(self._held) if self._held else np.empty(0, self._kind)
        # The mapping outlives the file's name and handle; the system frees both with the process at the latest.
        found: Array = np.memmap(self._file, self._kind, "r")
        self._file.close()
        return found

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="clary-documents-")  # noqa: SIM115
            for each in self._held:
                self._file.write(each.data)
            self._file.flush()
        except OSError as error:
            raise PlatformError(
                f"the documents do not fit into memory, and {tempfile.gettempdir()} has no room for them "
                f"({error}); free some space, or let TMPDIR name a folder on a larger disk"
            ) from error
        self._held = []
