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
    owner = np.repeat(np.arange(len(counts)), counts)
    outside = np.flatnonzero((keys >= width) | (keys < 0))
    if len(outside):
        at = outside[0]
        reason = f"position {keys[at]} is outside 0 to {width - 1}; positions count from 0"
        raise DataError(reason, source=source, row=rows[owner[at]])
    keys = keys.astype(np.int32)
    inside = owner[1:] == owner[:-1]
    if (inside & (keys[1:] <= keys[:-1])).any():
        order = np.lexsort((keys, owner))
        keys, values = keys[order], values[order]
        twice = np.flatnonzero(inside & (keys[1:] == keys[:-1]))
        if len(twice):
            at = twice[0]
            raise DataError(f"position {keys[at]} occurs twice", source=source, row=rows[owner[at]])
    scipy = optional.load("scipy.sparse", purpose="reading sparse rows")
    found = scipy.csr_matrix((values, keys, ends), shape=(len(counts), width), dtype=np.float32)
    found.has_sorted_indices = True
    return found
