"""Fast parsing of CSV blocks to float32: whole numbers by NumPy, everything else by Arrow.

Both give up (None) on whatever they do not understand, which is then read cell by cell.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from clary.toolkit.codecs import optional
from clary.toolkit.records import Floats

# Small enough that the passes over a piece stay in the processor's cache.
_PIECE = 1 << 16
_COMMA, _NEWLINE, _ZERO = b",\n0"
_MOST_DIGITS = 9


def parse(data: bytes, columns: int, *, missing: bool) -> Floats | None:
    """Lines as an array (lines, columns); None where anything is unusual, such as a blank line."""
    found = whole_numbers(data, columns)
    if found is None:
        found = numbers(data, columns, missing=missing)
    return found if found is not None and len(found) == data.count(b"\n") else None


def whole_numbers(data: bytes, columns: int) -> Floats | None:
    """Cells of one to nine digits and nothing else, such as pixels or counts, as an array (lines, columns)."""
    pieces, start = [], 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PIECE) + 1 or data.find(b"\n", start) + 1
        piece = _whole_numbers(np.frombuffer(data, np.uint8, end - start, start), columns)
        if piece is None:
            return None
        pieces.append(piece)
        start = end
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _whole_numbers(text: np.ndarray[Any, np.dtype[np.uint8]], columns: int) -> Floats | None:
    digits = text - np.uint8(_ZERO)
    separates = text < _ZERO
    ends = np.flatnonzero(separates)
    if len(ends) % columns or (digits > 9).sum() != len(ends):
        return None
    separators = text[ends].reshape(-1, columns)
    if not ((separators[:, :-1] == _COMMA).all() and (separators[:, -1] == _NEWLINE).all()):
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    longest = lengths.max()
    if lengths.min() < 1 or longest > _MOST_DIGITS:
        return None
    values = digits.take(ends - 1).astype(np.int32)
    for place in range(1, longest):
        # Below a cell's first digit stand other cells' digits (or, in the first cell, the piece's end).
        digit = digits.take(ends - 1 - place, mode="wrap") * (lengths > place)
        values += digit * np.int32(10**place)
    return values.astype(np.float32).reshape(-1, columns)


def numbers(data: bytes, columns: int, *, missing: bool) -> Floats | None:
    """Cells of any finite numbers as an array (lines that are not blank, columns)."""
    arrow = optional.load("pyarrow", purpose="reading CSV files")
    csv = optional.load("pyarrow.csv", purpose="reading CSV files")
    reading, converting = _options(columns, missing)
    reading.block_size = len(data) + 1
    try:
        table = csv.read_csv(arrow.BufferReader(data), reading, _parsing(), converting)
    except arrow.ArrowInvalid:
        return None
    batches = table.combine_chunks().to_batches()
    if not batches:
        return None
    found: Floats = batches[0].to_tensor(null_to_nan=missing).to_numpy()
    return found if _usable(found, missing=missing) else None


def _usable(found: Floats, *, missing: bool) -> bool:
    return not np.isinf(found).any() if missing else bool(np.isfinite(found).all())


@lru_cache(maxsize=1)
def _parsing() -> Any:
    csv = optional.load("pyarrow.csv", purpose="reading CSV files")
    return csv.ParseOptions(quote_char=False, newlines_in_values=False)


@lru_cache(maxsize=8)
def _conversion(columns: int, missing: bool) -> tuple[list[str], Any]:
    arrow = optional.load("pyarrow", purpose="reading CSV files")
    csv = optional.load("pyarrow.csv", purpose="reading CSV files")
    names = [str(column) for column in range(columns)]
    kinds = dict.fromkeys(names, arrow.float32())
    return names, csv.ConvertOptions(column_types=kinds, null_values=[""] if missing else [], check_utf8=False)


def _options(columns: int, missing: bool) -> tuple[Any, Any]:
    csv = optional.load("pyarrow.csv", purpose="reading CSV files")
    names, converting = _conversion(columns, missing)
    return csv.ReadOptions(use_threads=False, column_names=names), converting
