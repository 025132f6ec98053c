"""Decoded rows kept for further passes: in memory up to a limit, in a temporary file behind it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import PlatformError
from clary.toolkit.records import Records

IN_MEMORY = 256 << 20  # bytes; rows behind this limit go to the disk, so that memory does not grow with the data
SPARE_DISK = 512 << 20  # bytes that are left free on the disk for everybody else
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _OnDisk:
    """Where the arrays of a block of rows lie in the file, and what else the block says of itself."""

    members: tuple[tuple[str, int, str, tuple[int, ...]], ...]  # name, offset, type, shape
    width: int
    source: str
    first_row: int


class Spool:
    """Blocks of rows in the order in which they were added, to be read any number of times.

    ``rows`` counts them and ``nbytes`` is their size. What does not fit into ``in_memory`` bytes lies in an
    unnamed temporary file, which the system removes with the process at the latest.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self.rows = self.nbytes = 0
        self._limit = in_memory
        self._blocks: list[Records | _OnDisk] = []
        self._file: FileIO | None = None
        self._end = 0

    @property
    def on_disk(self) -> bool:
        """Whether some of the rows lie in a file."""
        return self._file is not None

    def add(self, records: Records) -> None:
        """Keep the rows; PlatformError where neither memory nor disk has room for them."""
        members = _members(records)
        size = sum(array.nbytes for array in members.values())
        self.rows, self.nbytes = self.rows + len(records), self.nbytes + size
        fits = self._file is None and self.nbytes <= self._limit
        self._blocks.append(records if fits else self._stored(records, members, size))

    def __iter__(self) -> Iterator[Records]:
        for block in self._blocks:
            yield block if isinstance(block, Records) else self._loaded(block)

    def close(self) -> None:
        """Forget the rows and give back their memory and disk space."""
        self._blocks = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _stored(self, records: Records, members: dict[str, Array], size: int) -> _OnDisk:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="clary-rows-", buffering=0)  # noqa: SIM115
            # A spool that is just forgotten closes its file too.
            weakref.finalize(self, self._file.close)
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < size + SPARE_DISK:
            raise PlatformError(
                f"the disk under {tempfile.gettempdir()} has {free >> 20} MiB left, too few to keep the rows for "
                "another pass; free some space, or let TMPDIR name a folder on a larger disk"
            )
        places = []
        for name, array in members.items():
            places.append((name, self._end, array.dtype.str, array.shape))
            content = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            self._file.seek(self._end)
            while content:
                written = self._file.write(content)
                content, self._end = content[written:], self._end + written
        return _OnDisk(tuple(places), records.width, records.source, records.first_row)

    def _loaded(self, block: _OnDisk) -> Records:
        assert self._file is not None
        arrays: dict[str, Any] = {}
        for name, offset, kind, shape in block.members:
            arrays[name] = np.empty(shape, np.dtype(kind))
            content = memoryview(arrays[name].reshape(-1).view(np.uint8))
            self._file.seek(offset)
            while content:
                count = self._file.readinto(content)
                if not count:
                    raise PlatformError("the temporary file with the rows was cut by somebody else")
                content = content[count:]
        features = arrays.pop("features", None)
        if features is None:
            from scipy.sparse import csr_matrix

            parts = (arrays.pop("data"), arrays.pop("indices"), arrays.pop("indptr"))
            features = csr_matrix(parts, shape=(len(parts[2]) - 1, block.width), copy=False)
        return Records(features, source=block.source, first_row=block.first_row, **arrays)


def _members(records: Records) -> dict[str, Array]:
    """The arrays that a block of rows is made of, by name."""
    features: Any = records.features
    found = (
        {"data": features.data, "indices": features.indices, "indptr": features.indptr}
        if records.sparse
        else {"features": features}
    )
    for name in ("labels", "weights", "groups"):
        array = getattr(records, name)
        if array is not None:
            found[name] = array
    return found
