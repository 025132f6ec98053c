"""CSV: numbers separated by commas or another delimiter, one row per line, labels first, no header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
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
_EMPTY = re.compile(rb"(?<![^,\n])(?![^,\n])")
_ROWS_AT_ONCE = 4096


def read(
    stream: Readable,
    *,
    label_size: int = 1,
    source: str = "",
    missing: bool = False,
    delimiter: str | None = ",",
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Records]:
    """The rows of a file in order, about ``block_bytes`` of text at a time.

    Blank lines are skipped but counted, so row numbers are line numbers. ``missing`` reads empty cells and
    NaN among the features as NaN. Without a ``delimiter`` the first row tells it. DataError names the row, the
    column and the reason.
    """
    given = blocks(stream, source=source, size=block_bytes)
    for block in given:
        layout = _layout(block, label_size, missing, delimiter, source)
        if layout is not None:
            for parts in in_order(partial(_parse, layout=layout), chain([block], given)):
                yield from parts


def _layout(block: Block, labels: int, missing: bool, delimiter: str | None, source: str) -> Layout | None:
    """What the first row says of all; None where there is no row."""
    delimiter = delimiter or _guess(block)
    first = _first_row(block, delimiter)
    if first is None:
        return None
    row, line = first
    cells = csv_cells.split(line, delimiter, source=source, row=row)
    csv_cells.refuse_header(cells, source=source, row=row)
    return Layout(len(cells), labels, missing, source, delimiter)


def _guess(block: Block) -> str:
    first = _first_row(block, None)
    return csv_cells.guess(b"" if first is None else first[1].removeprefix(BYTE_ORDER_MARK))


def _first_row(block: Block, delimiter: str | None) -> tuple[int, bytes] | None:
    data, row, start = block.data, block.first_row, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if not csv_cells.blank(data[start:end], delimiter):
            return row, data[start:end]
        start, row = end + 1, row + 1
    return None


def _parse(block: Block, *, layout: Layout) -> list[Records]:
    data = block.data.replace(b"\r\n", b"\n") if b"\r" in block.data else block.data
    if b'"' in data:
        data = _quoted(layout.delimiter).sub(rb"\1", data)
    plain = block if data is block.data else Block(data, block.first_row)
    found = None if b"\r" in data else csv_blocks.parse(plain, layout)
    if found is not None:
        features, labels = found
        return [Records(features, labels if layout.labels else None, layout.source, block.first_row)]
    return [_records(cells, layout, row) for row, cells in csv_cells.runs(block.data, block.first_row, layout)]


@lru_cache(maxsize=8)
def _quoted(delimiter: str) -> re.Pattern[bytes]:
    mark = re.escape(delimiter).encode()
    return re.compile(rb'(?:^|(?<=%b))"([^"%b\n]*)"(?=%b|$)' % (mark, mark, mark), re.MULTILINE)


def _records(cells: Floats, layout: Layout, first_row: int) -> Records:
    if not layout.labels:
        return Records(cells, None, layout.source, first_row)
    features = np.ascontiguousarray(cells[:, layout.labels :])
    return Records(features, cells[:, : layout.labels].copy(), layout.source, first_row)


def decode(
    body: bytes, *, label_size: int = 0, source: str = "", missing: bool = False, delimiter: str | None = ","
) -> Records:
    """The rows of a request; DataError if there are none, or names the row, the column and the reason.

    Without a ``delimiter`` the first row tells it.
    """
    # A text of digits and commas alone has commas for a delimiter.
    cells = _quick(body, delimiter or ",", missing)
    if cells is None and delimiter is None:
        delimiter = _guess(Block(body, 1))
        cells = _quick(body, delimiter, missing)
    if cells is None or (label_size and np.isnan(cells[:, :label_size]).any()):
        return _decode_carefully(body, label_size, missing, delimiter, source)
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


def _quick(body: bytes, delimiter: str, missing: bool) -> Floats | None:
    """Rows of numbers as JSON spells them; None for anything else, such as quotes, ``.5`` or no row at all."""
    text = body.replace(b"\r\n", b"\n") if b"\r" in body else body
    if delimiter != ",":
        text = text.translate(_exchanged(delimiter))
    if text.translate(None, _PLAIN):
        return None
    # A body may be padded with blank lines at its end; one by one, megabytes of them would take seconds.
    text = text.rstrip(b"\n")
    gaps = missing and _EMPTY.search(text) is not None
    if gaps:
        text = _EMPTY.sub(b"null", text)
    try:
        if gaps or b"\n" in text:
            rows = orjson.loads(b"[[" + text.replace(b"\n", b"],[") + b"]]")
            # In a single column an empty line is no row, not a missing number.
            return None if gaps and len(rows[0]) == 1 else floats.matrix(rows, missing=gaps)
        # Of these characters JSON makes lists of numbers and nothing else, so the types need no second look.
        return floats.packed(orjson.loads(b"[" + text + b"]"))
    except orjson.JSONDecodeError:
        return None


@lru_cache(maxsize=8)
def _exchanged(delimiter: str) -> bytes:
    return bytes.maketrans(b"," + delimiter.encode(), delimiter.encode() + b",")


def _decode_carefully(body: bytes, labels: int, missing: bool, delimiter: str | None, source: str) -> Records:
    block = Block(body.removeprefix(BYTE_ORDER_MARK), 1)
    layout = _layout(block, labels, missing, delimiter, source)
    if layout is None:
        raise DataError("the request holds no row; send one row of numbers per line", source=source)
    found = [_records(cells, layout, row) for row, cells in csv_cells.runs(block.data, 1, layout)]
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
    """The answer as rows: values joined by commas, a vector's values as further columns, a newline after each.

    Numbers are float32 in their shortest form, those of an integer array whole.
    """
    count = len(next(iter(columns.values())))
    if not count:
        return b""
    parts = [np.asarray(column).reshape(count, -1) for column in columns.values()]
    if any(part.dtype.kind in "iu" for part in parts):
        parts = [part if part.dtype.kind in "iu" else part.astype(np.float32) for part in parts]
        rows = zip(*(_text(part, nothing=b"nan").splitlines() for part in parts), strict=True)
        return b"".join([b",".join(row) + b"\n" for row in rows])
    return _text(np.hstack(parts).astype(np.float32), nothing=b"nan")


def _text(cells: npt.NDArray[Any], *, nothing: bytes) -> bytes:
    # The JSON writer prints the shortest digits that read back as the same float32, and null for NaN.
    rows = orjson.dumps(np.ascontiguousarray(cells), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2]
    return rows.replace(b"],[", b"\n").replace(b"null", nothing) + b"\n"
