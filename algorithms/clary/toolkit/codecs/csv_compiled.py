"""Decimal numbers of CSV lines to float32 by compiled code, for large files and where numba is installed.

A number of up to 19 digits becomes a float64 within two units in the last place of what the text says. Where that
leaves two float32 to choose from, or the text is anything but plain numbers, this reader gives up.
"""

from __future__ import annotations

import numpy as np

from clary.toolkit.codecs import lines, optional
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.records import Floats

# So many cells of a file are read otherwise first: to compile takes seconds where it was not done before.
PATIENCE = 8_000_000


def numbers(data: bytes, layout: Layout, first_row: int) -> tuple[Floats, Floats] | None:
    """Lines as features (lines, D) and labels (lines, L); None where this is not the reader for them."""
    if first_row * layout.columns < PATIENCE or len(layout.delimiter) != 1 or not optional.available("numba"):
        return None
    from clary.toolkit.codecs import csv_loop

    rows, delimiter = lines.count(data), ord(layout.delimiter)
    features = np.empty((rows, layout.columns - layout.labels), np.float32)
    labels = np.empty((rows, layout.labels), np.float32)
    # The loop reads beyond the row that it is at, so the last rows get something behind them.
    cut = data.rfind(b"\n", 0, max(len(data) - csv_loop.MARGIN, 0)) + 1
    rest = data[cut:] + bytes(csv_loop.MARGIN)
    row = rows - rest.count(b"\n")
    for text, part, end in ((data, slice(row), cut), (rest, slice(row, rows), len(data) - cut)):
        if csv_loop.read(np.frombuffer(text, np.uint8), delimiter, labels[part], features[part]) != end:
            return None
    return features, labels
