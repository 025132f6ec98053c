"""Fast parsing of CSV blocks to float32: whole numbers by NumPy, decimal ones by compiled code or by Arrow.

All give up (None) on whatever they do not understand, which is then read cell by cell.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import csv_compiled, optional
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.codecs.lines import Block
from clary.toolkit.records import Floats

# Small enough that the passes over a piece stay in the processor's cache.
_PIECE = 1 << 16
_NEWLINE, _ZERO = b"\n0"
_MOST_DIGITS, _DIGITS_OF_INT16 = 9, 4

Split = tuple[Floats, Floats]


def parse(block: Block, layout: Layout) -> Split | None:
    """Lines as features (lines, D) and labels (lines, L); None where anything is unusual, such as a blank line."""
    decimal = block.data.find(b".", 0, _PIECE) >= 0
    found = csv_compiled.numbers(block, layout) if decimal else whole_numbers(block.data, layout)
    return found or numbers(block.data, layout)


def whole_numbers(data: bytes, layout: Layout) -> Split | None:
    """Cells of one to nine digits and nothing else, such as pixels or counts."""
    rows = data.count(b"\n")
    features = np.empty((rows, layout.columns - layout.labels), np.float32)
    labels = np.empty((rows, layout.labels), np.float32)
    start = row = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PIECE) + 1 or data.find(b"\n", start) + 1
        cells = _whole_numbers(np.frombuffer(data, np.uint8, end - start, start), layout)
        if cells is None:
            return None
        features[row : row + len(cells)] = cells[:, layout.labels :]
        labels[row : row + len(cells)] = cells[:, : layout.labels]
        start, row = end, row + len(cells)
    return features, labels


def _whole_numbers(text: npt.NDArray[np.uint8], layout: Layout) -> npt.NDArray[Any] | None:
    columns = layout.columns
    digits = text - np.uint8(_ZERO)
    inside = digits <= 9
    others = len(text) - np.count_nonzero(inside)
    rows = np.flatnonzero(text == _NEWLINE)
    if others != len(rows) * columns or others != len(rows) + np.count_nonzero(text == ord(layout.delimiter)):
        return None
    ends = np.flatnonzero(~inside)
    regular = np.array_equal(ends[columns - 1 :: columns], rows)
    if not regular or not inside[0] or not (inside[1:] | inside[:-1]).all():
        return None
    values = _values(digits, inside)
    return None if values is None else values.take(ends - 1).reshape(-1, columns)


def _values(digits: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> npt.NDArray[Any] | None:
    """For each byte, the number that would end there; None where any is longer than nine digits.

    One pass over all bytes for each decimal place is far faster than a look at each number.
    """
    # For each place, where so many bytes before a byte and all between belong to the same number.
    reach = []
    within = inside[1:] & inside[:-1]
    while within.any():
        reach.append(within)
        if len(reach) == _MOST_DIGITS:
            return None
        within = within[1:] & inside[: -len(reach) - 1]
    kind: type[np.signedinteger[Any]] = np.int16 if len(reach) < _DIGITS_OF_INT16 else np.int32
    places = (digits * inside).astype(kind)
    values = places.copy()
    for place, within in enumerate(reach, 1):
        values[place:] += np.multiply(places[:-place], kind(10**place)) * within
    return values


def numbers(data: bytes, layout: Layout) -> Split | None:
    """Cells of any finite numbers, or missing ones where the layout allows them."""
    arrow = optional.load("pyarrow", purpose="reading CSV files")
    csv = optional.load("pyarrow.csv", purpose="reading CSV files")
    parsing, converting, names = _options(layout.columns, layout.missing, layout.delimiter)
    reading = csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1)
    try:
        table = csv.read_csv(arrow.BufferReader(data), reading, parsing, converting).combine_chunks()
    except arrow.ArrowInvalid:
        return None
    if table.num_rows != data.count(b"\n"):
        return None
    (batch,) = table.to_batches()
    features = _matrix(batch, names[layout.labels :], layout)
    labels = _matrix(batch, names[: layout.labels], layout)
    wrong = np.isinf(features).any() if layout.missing else not np.isfinite(features).all()
    return None if wrong or not np.isfinite(labels).all() else (features, labels)


def _matrix(batch: Any, names: list[str], layout: Layout) -> Floats:
    if not names:
        return np.empty((batch.num_rows, 0), np.float32)
    part = batch if len(names) == layout.columns else batch.select(names)
    found: Floats = part.to_tensor(null_to_nan=layout.missing).to_numpy()
    return found


@lru_cache(maxsize=8)
def _options(columns: int, missing: bool, delimiter: str) -> tuple[Any, Any, list[str]]:
    arrow = optional.load("pyarrow", purpose="reading CSV files")
    csv = optional.load("pyarrow.csv", purpose="reading CSV files")
    names = [str(column) for column in range(columns)]
    kinds = dict.fromkeys(names, arrow.float32())
    converting = csv.ConvertOptions(column_types=kinds, null_values=[""] if missing else [], check_utf8=False)
    parsing = csv.ParseOptions(delimiter=delimiter, quote_char=False, newlines_in_values=False)
    return parsing, converting, names
