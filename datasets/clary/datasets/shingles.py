"""Shingles: each row of a series together with those before it, for models that look at one row at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def shingled(series: npt.ArrayLike, size: int) -> npt.NDArray[Any]:
    """The windows of ``size`` consecutive steps as rows, oldest step first: (n, d) becomes (n - size + 1, size * d).

    A series of single numbers (n,) becomes (n - size + 1, size). Row i ends at step i + size - 1 of the series,
    so the score of a row is that of the last step in it. ValueError where ``size`` is not from 1 to n.
    """
    steps = np.asarray(series)
    if steps.ndim not in (1, 2):
        raise ValueError(f"a series has one or two axes, steps and their values; got {steps.ndim}")
    if not 1 <= size <= len(steps):
        raise ValueError(f"size must be from 1 to the {len(steps)} steps of the series; got {size}")
    table = steps.reshape(len(steps), -1)
    windows = np.lib.stride_tricks.sliding_window_view(table, size, axis=0)
    return np.ascontiguousarray(windows.swapaxes(1, 2).reshape(len(windows), size * table.shape[1]))
