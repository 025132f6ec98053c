"""Python numbers and float64 arrays to float32, with what does not fit told apart from what does."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.records import Floats

# The largest number that still rounds to a finite float32; from 2**128 - 2**103 on it is infinity.
LARGEST = math.nextafter(2.0**128 - 2.0**103, 0)
TOO_LARGE = "is too large for a 32-bit float"

_NUMBERS = frozenset((int, float))
_NUMBERS_OR_NONE = _NUMBERS | {type(None)}


def row(values: Sequence[Any]) -> Floats | None:
    """One row of finite Python numbers as an array (1, D); None where any is something else or too large."""
    if not values or not _NUMBERS.issuperset(map(type, values)):
        return None
    return packed(values)


def packed(values: Sequence[float]) -> Floats | None:
    """One row of finite Python numbers as an array (1, D); None where there is none, or one is too large.

    For a short row this takes half the time of ``np.array`` and a look for numbers that became infinite.
    """
    try:
        content = struct.pack(f"={len(values)}f", *values)
    except OverflowError:
        return None
    return np.ndarray((1, len(values)), np.float32, bytearray(content)) if values else None


def matrix(rows: Sequence[Sequence[Any]], *, missing: bool = False) -> Floats | None:
    """Rows of finite Python numbers as an array (N, D); None where they are ragged or any is something else.

    Where some may be ``missing``, None among the numbers is NaN.
    """
    width = len(rows[0])
    if not width or any(len(each) != width for each in rows):
        return None
    kinds = _NUMBERS_OR_NONE if missing else _NUMBERS
    if not all(kinds.issuperset(map(type, each)) for each in rows):
        return None
    wide = np.array(rows, np.float64)
    return None if (np.abs(wide) > LARGEST).any() else narrow(wide)


def fits(value: float) -> bool:
    """Whether the number is finite as float32 too."""
    return -LARGEST <= value <= LARGEST


def narrow(values: npt.NDArray[Any]) -> Floats:
    """The values as float32; those beyond its range become infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)
