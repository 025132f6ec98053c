"""Decoded rows: features, labels, weights and groups of one batch, and where they came from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float32]
Order = npt.NDArray[np.integer[Any]]
_PER_ROW = ("labels", "weights", "groups")


@dataclass(frozen=True)
class Records:
    """N rows of D features with L labels each.

    ``features`` is a C-contiguous float32 array (N, D) or a SciPy CSR matrix of float32; ``labels`` is a
    float32 array (N, L), ``weights`` float32 (N,) how much each row counts and ``groups`` int64 (N,) the query
    that each row belongs to; each is None where the data has none. ``source`` and ``first_row`` (from 1) say
    where the rows stand in their file or request, for messages.
    """

    features: Floats | csr_matrix
    labels: Floats | None = None
    source: str = ""
    first_row: int = 1
    weights: Floats | None = None
    groups: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.features.shape[0])

    @property
    def width(self) -> int:
        """Number of features in each row."""
        return int(self.features.shape[1])

    @property
    def sparse(self) -> bool:
        """Whether the features are a CSR matrix."""
        return not isinstance(self.features, np.ndarray)

    def dense(self) -> Floats:
        """The features as a float32 array (N, D), without a copy where they are one already."""
        if isinstance(self.features, np.ndarray):
            return self.features
        return np.ascontiguousarray(self.features.toarray(), dtype=np.float32)

    def rows(self, start: int, stop: int) -> Records:
        """The rows from ``start`` up to ``stop``, counted from 0; views of the same numbers."""
        first = min(start, len(self))
        return replace(self._chosen(slice(first, max(first, min(stop, len(self))))), first_row=self.first_row + start)

    def take(self, order: Order) -> Records:
        """A copy of the rows with these numbers, counted from 0, in that order; ``first_row`` stays."""
        return self._chosen(order)

    def _chosen(self, rows: slice | Order) -> Records:
        chosen: dict[str, Any] = {
            name: array[rows] for name in _PER_ROW if (array := getattr(self, name)) is not None
        }
        if self.sparse and isinstance(rows, slice):
            return replace(self, features=_cut(self.features, rows), **chosen)
        return replace(self, features=self.features[rows], **chosen)

    def expect_width(self, width: int, *, name: str = "feature_dim") -> Records:
        """These records, if they have that many features; DataError that gives both sizes otherwise."""
        if self.width != width:
            found = f"{self.width} feature{'' if self.width == 1 else 's'}"
            raise DataError(f"the row has {found}, {name} is {width}", source=self.source, row=self.first_row)
        return self

    def expect_label(self, hint: str = "") -> Floats:
        """The labels (N,), if each row has one; DataError that names the first row, and gives the hint, otherwise."""
        if self.labels is None or self.labels.shape[1] != 1:
            found = "none" if self.labels is None or not self.labels.shape[1] else str(self.labels.shape[1])
            reason = f"each row needs one label; found {found}" + (f". {hint}" if hint else "")
            raise DataError(reason, source=self.source, row=self.first_row)
        labels_N: Floats = self.labels[:, 0]
        return labels_N

    @staticmethod
    def join(parts: Sequence[Records]) -> Records:
        """All rows of the parts, in order; the first part says where they came from. All have one width."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        features: Any = [part.features for part in parts]
        if all(part.sparse for part in parts):
            features = _stacked(features)
        elif any(part.sparse for part in parts):
            from scipy.sparse import csr_matrix, vstack

            features = csr_matrix(vstack(features, format="csr"), dtype=np.float32)
        else:
            features = np.concatenate(features)
        per_row = {name: _joined([getattr(part, name) for part in parts]) for name in _PER_ROW}
        return replace(first, features=features, **per_row)


def _joined(arrays: list[Any]) -> Any:
    return None if arrays[0] is None else np.concatenate([array for array in arrays if array is not None])


def _cut(rows_ND: Any, rows: slice) -> csr_matrix:
    """The rows of that range, which share their values with the whole."""
    ends = rows_ND.indptr[rows.start : rows.stop + 1]
    inside = slice(ends[0], ends[-1])
    return _matrix(rows_ND.data[inside], rows_ND.indices[inside], ends - ends[0], rows_ND.shape[1])


def _stacked(parts: Sequence[Any]) -> csr_matrix:
    """The rows of all parts, which have one width."""
    from scipy.sparse import csr_matrix

    (width,) = {part.shape[1] for part in parts}
    data, indices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "indices"))
    ends = np.cumsum(np.concatenate([[0], *[np.diff(part.indptr) for part in parts]], dtype=np.int64))
    return csr_matrix((data, indices, ends), shape=(len(ends) - 1, width), dtype=np.float32)


def _matrix(data: Floats, indices: Any, ends: Any, width: int) -> csr_matrix:
    """A CSR matrix of these arrays as they are.

    SciPy's own way to one looks at them all, which takes longer than a small batch takes to learn from.
    """
    made: Any = copy.copy(_empty(len(ends) - 1, width))
    made.data, made.indices, made.indptr = data, indices, ends
    return made


@lru_cache(maxsize=4)
def _empty(rows: int, width: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    return csr_matrix((rows, width), dtype=np.float32)
