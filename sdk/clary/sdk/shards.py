"""Rows in memory as files: RecordIO-protobuf in the layout of the classic ``record_set``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from clary.toolkit import media, tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

MANIFEST = ".amazon.manifest"
_ROWS_AT_ONCE = 1 << 16


def write_shards(records: Records, folder: Path, shards: int) -> list[str]:
    """Write the rows, in order, as ``matrix_0.pbr`` and so on; the files' names come back."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"matrix_{number}.pbr" for number in range(shards)]
    for name, (start, stop) in zip(names, _bounds(len(records), shards), strict=True):
        with (folder / name).open("wb") as stream:
            for first in range(start, stop, _ROWS_AT_ONCE):
                rows = records.rows(first, min(first + _ROWS_AT_ONCE, stop))
                tabular.write(stream, rows, MediaType(media.RECORDIO_PROTOBUF))
    return names


def manifest(prefix: str, names: list[str]) -> bytes:
    """The manifest that lists those objects below the prefix, which ends in a slash."""
    return json.dumps([{"prefix": prefix}, *names]).encode()


def _bounds(rows: int, shards: int) -> Iterator[tuple[int, int]]:
    for number in range(shards):
        yield rows * number // shards, rows * (number + 1) // shards
