"""CSR matrices from rows of positions and values, as every sparse format delivers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import optional
from clary.toolkit.errors import DataError
from clary.toolkit.records import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WIDEST = (1 << 31) - 1


def matrix(
    keys: npt.NDArray[Any],
    values: Floats,
    counts: Sequence[int] | npt.NDArray[Any],
    width: int,
    *,
    source: str,
    rows: Sequence[int],
) -> csr_matrix:
    """A float32 CSR matrix with sorted positions; ``counts`` says how many keys each row has, ``rows`` its number.

    DataError names the row of a position that is out of range or occurs twice.
    """
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    if len(keys) and (keys.max() >= width or keys.min() < 0):
        at = int(np.flatnonzero((keys >= width) | (keys < 0))[0])
        reason = f"position {keys[at]} is outside 0 to {width - 1}; positions count from 0"
        raise DataError(reason, source=source, row=rows[_owner(ends, at)])
    keys = keys.astype(np.int32)
    # Whether two neighbors belong to one row.
    inside = np.ones(max(len(keys) - 1, 0), np.bool_)
    inside[ends[(ends > 0) & (ends < len(keys))] - 1] = False
    if (inside & (keys[1:] <= keys[:-1])).any():
        order = np.lexsort((keys, np.repeat(np.arange(len(counts)), counts)))
        keys, values = keys[order], values[order]
        twice = np.flatnonzero(inside & (keys[1:] == keys[:-1]))
        if len(twice):
            at = int(twice[0])
            raise DataError(f"position {keys[at]} occurs twice", source=source, row=rows[_owner(ends, at)])
    scipy = optional.load("scipy.sparse", purpose="reading sparse rows")
    found = scipy.csr_matrix((values, keys, ends), shape=(len(counts), width), dtype=np.float32)
    found.has_sorted_indices = True
    return found


def _owner(ends: npt.NDArray[np.int64], at: int) -> int:
    """The row, from 0, of the key with that number."""
    return int(np.searchsorted(ends, at, side="right")) - 1
