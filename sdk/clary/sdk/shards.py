"""Data in memory as files: rows in the layout of the classic ``record_set``, RecordIO-protobuf; objects as lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from clary.sdk.inputs import Input
from clary.toolkit import media, tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

MANIFEST = ".amazon.manifest"
_ROWS_AT_ONCE = 1 << 16


def names_of(given: Input, shards: int) -> list[str]:
    """The files that data in memory is written to: ``matrix_0.pbr`` or ``part_0.jsonl``, and so on."""
    stem, extension = ("matrix", "pbr") if given.lines is None else ("part", "jsonl")
    return [f"{stem}_{number}.{extension}" for number in range(shards)]


def write_shards(given: Input, folder: Path, shards: int) -> list[str]:
    """Write data that is in memory, in order, as so many files; the files' names come back."""
    folder.mkdir(parents=True, exist_ok=True)
    names = names_of(given, shards)
    if given.lines is not None:
        for name, (start, stop) in zip(names, _bounds(len(given.lines), shards), strict=True):
            (folder / name).write_bytes(b"".join(given.lines[start:stop]))
    else:
        assert given.records is not None
        _write_rows(given.records, folder, names)
    return names


def _write_rows(records: Records, folder: Path, names: list[str]) -> None:
    for name, (start, stop) in zip(names, _bounds(len(records), len(names)), strict=True):
        with (folder / name).open("wb") as stream:
            for first in range(start, stop, _ROWS_AT_ONCE):
                rows = records.rows(first, min(first + _ROWS_AT_ONCE, stop))
                tabular.write(stream, rows, MediaType(media.RECORDIO_PROTOBUF))


def manifest(prefix: str, names: list[str]) -> bytes:
    """The manifest that lists those objects below the prefix, which ends in a slash."""
    return json.dumps([{"prefix": prefix}, *names]).encode()


def _bounds(rows: int, shards: int) -> Iterator[tuple[int, int]]:
    for number in range(shards):
        yield rows * number // shards, rows * (number + 1) // shards
