"""CSV: numbers separated by commas, one row per line, labels first, no header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from clary.toolkit.codecs import csv_blocks, csv_cells, floats
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.codecs.lines import BLOCK_BYTES, BYTE_ORDER_MARK, Block, blocks, in_order
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

_PLAIN = b"0123456789.,-+eE\n"
_QUOTED = re.compile(rb'(?:^|(?<=,))"([^",\n]*)"(?=,|$)', re.MULTILINE)
_ROWS_AT_ONCE = 4096


def read(
    stream: Readable, *, label_size: int = 1, source: str = "", missing: bool = False, block_bytes: int = BLOCK_BYTES
) -> Iterator[Records]:
    """The rows of a file in order, about ``block_bytes`` of text at a time.

    Blank lines are skipped but counted, so row numbers are line numbers. ``missing`` reads empty cells and
    NaN among the features as NaN. DataError names the row, the column and the reason.
    """
    given = blocks(stream, source=source, size=block_bytes)
    for block in given:
        first = _first_row(block.data, block.first_row)
        if first is not None:
            row, line = first
            columns = len(csv_cells.split(line, source=source, row=row))
            work = partial(_parse, layout=Layout(columns, label_size, missing, source), start=block.first_row)
            for parts in in_order(work, chain([block], given)):
                yield from parts


def _first_row(data: bytes, row: int) -> tuple[int, bytes] | None:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if not csv_cells.blank(data[start:end]):
            return row, data[start:end]
        start, row = end + 1, row + 1
    return None


def _parse(block: Block, *, layout: Layout, start: int) -> list[Records]:
    data = block.data.replace(b"\r\n", b"\n") if b"\r" in block.data else block.data
    if b'"' in data:
        data = _QUOTED.sub(rb"\1", data)
    found = None if b"\r" in data else csv_blocks.parse(data, layout)
    if found is not None:
        features, labels = found
        return [Records(features, labels if layout.labels else None, layout.source, block.first_row)]
    careful = csv_cells.runs(block.data, block.first_row, layout, header=block.first_row == start)
    return [_records(cells, layout, row) for row, cells in careful]


def _records(cells: Floats, layout: Layout, first_row: int) -> Records:
    if not layout.labels:
        return Records(cells, None, layout.source, first_row)
    features = np.ascontiguousarray(cells[:, layout.labels :])
    return Records(features, cells[:, : layout.labels].copy(), layout.source, first_row)


def decode(body: bytes, *, label_size: int = 0, source: str = "", missing: bool = False) -> Records:
    """The rows of a request; DataError if there are none, or names the row, the column and the reason."""
    cells = _quick(body)
    if cells is None:
        return _decode_carefully(body, label_size, source, missing)
    if not label_size:
        return Records(cells, None, source)
    return _records(cells, Layout(cells.shape[1], label_size, missing, source), 1)


def decode_rows(bodies: Sequence[bytes]) -> Records | None:
    """The rows of requests of one row each; None where one is anything but numbers, as many as in the others."""
    text = b"\n".join([body.removesuffix(b"\n") for body in bodies])
    if text.count(b"\n") != len(bodies) - 1 or text.translate(None, _PLAIN):
        return None
    try:
        rows = orjson.loads(b"[[" + text.replace(b"\n", b"],[") + b"]]")
    except orjson.JSONDecodeError:
        return None
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return None
    cells = floats.packed(list(chain.from_iterable(rows)))
    return None if cells is None else Records(cells.reshape(-1, width))


def _quick(body: bytes) -> Floats | None:
    """Rows of numbers as JSON spells them; None for anything else, such as quotes, ``.5`` or no row at all."""
    text = body.replace(b"\r\n", b"\n") if b"\r" in body else body
    if text.translate(None, _PLAIN):
        return None
    # A body may be padded with blank lines at its end; one by one, megabytes of them would take seconds.
    text = text.rstrip(b"\n")
    try:
        if b"\n" in text:
            return floats.matrix(orjson.loads(b"[[" + text.replace(b"\n", b"],[") + b"]]"))
        # Of these characters JSON makes lists of numbers and nothing else, so the types need no second look.
        return floats.packed(orjson.loads(b"[" + text + b"]"))
    except orjson.JSONDecodeError:
        return None


def _decode_carefully(body: bytes, label_size: int, source: str, missing: bool) -> Records:
    body = body.removeprefix(BYTE_ORDER_MARK)
    first = _first_row(body, 1)
    if first is None:
        raise DataError("the request holds no row; send one row of numbers per line", source=source)
    row, line = first
    layout = Layout(len(csv_cells.split(line, source=source, row=row)), label_size, missing, source)
    found = [_records(cells, layout, row) for row, cells in csv_cells.runs(body, 1, layout, header=True)]
    return Records.join(found)


def write(stream: BinaryIO, records: Records) -> None:
    """Write the rows, labels first; every number reads back as the same float32, NaN as an empty cell.

    UserError for an infinite value, which no reader accepts.
    """
    for start in range(0, len(records), _ROWS_AT_ONCE):
        part = records.rows(start, start + _ROWS_AT_ONCE)
        cells = part.dense() if part.labels is None else np.hstack([part.labels, part.dense()])
        if np.isinf(cells).any():
            raise UserError("CSV holds finite numbers only; the records hold an infinite one")
        stream.write(_text(cells, nothing=b""))


def encode(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The answer as rows: values joined by commas, a vector's values as further columns, a newline after each."""
    cells = np.column_stack([np.asarray(column, np.float32) for column in columns.values()])
    return _text(cells, nothing=b"nan") if len(cells) else b""


def _text(cells: Floats, *, nothing: bytes) -> bytes:
    # The JSON writer prints the shortest digits that read back as the same float32, and null for NaN.
    rows = orjson.dumps(np.ascontiguousarray(cells), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2]
    return rows.replace(b"],[", b"\n").replace(b"null", nothing) + b"\n"
