"""Decimal numbers of CSV lines to float32 by compiled code, for large files and where numba is installed.

A number of up to 19 digits becomes a float64 within two units in the last place of what the text says. Where that
leaves two float32 to choose from, or the text is anything but plain numbers, this reader gives up.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import cache
from threading import Lock, Thread
from typing import Any

import numpy as np

from clary.toolkit.codecs import optional
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.codecs.lines import Block
from clary.toolkit.records import Floats

# Of a file with more cells than this, the rest is read by compiled code, once it is loaded: that takes a second, and
# some more where it must be compiled first.
PATIENCE = 2_000_000
_LOADING = Lock()


def numbers(block: Block, layout: Layout) -> tuple[Floats, Floats] | None:
    """Lines as features (lines, D) and labels (lines, L); None where this is not the reader for them, or not yet."""
    if block.first_row * layout.columns < PATIENCE or len(layout.delimiter) != 1 or not optional.available("numba"):
        return None
    with _LOADING:
        loop = loaded()
    return fill(loop.result(), block, layout) if loop.done() else None


@cache
def loaded() -> Future[Any]:
    """The module of the compiled loop, which a thread loads while others read on."""
    future: Future[Any] = Future()

    def load() -> None:
        try:
            from clary.toolkit.codecs import csv_loop

            csv_loop.warm()
            future.set_result(csv_loop)
        except BaseException as error:
            future.set_exception(error)

    Thread(target=load, name="clary-numba").start()
    return future


def fill(loop: Any, block: Block, layout: Layout) -> tuple[Floats, Floats] | None:
    """What the compiled ``loop`` makes of the lines."""
    data, delimiter = block.data, ord(layout.delimiter)
    features = np.empty((block.rows, layout.columns - layout.labels), np.float32)
    labels = np.empty((block.rows, layout.labels), np.float32)
    # The loop reads beyond the row that it is at, so the last rows get something behind them.
    cut = data.rfind(b"\n", 0, max(len(data) - loop.MARGIN, 0)) + 1
    rest = data[cut:] + bytes(loop.MARGIN)
    row = block.rows - rest.count(b"\n")
    for text, part, end in ((data, slice(row), cut), (rest, slice(row, None), len(data) - cut)):
        if loop.read(np.frombuffer(text, np.uint8), delimiter, labels[part], features[part]) != end:
            return None
    return features, labels
