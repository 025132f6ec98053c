"""Decoded rows: features and labels of one batch, dense or sparse, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Records:
    """N rows of D features with L labels each.

    ``features`` is a C-contiguous float32 array (N, D) or a SciPy CSR matrix of float32; ``labels`` is a
    float32 array (N, L), or None where the data has none. ``source`` and ``first_row`` (from 1) say where the
    rows stand in their file or request, for messages.
    """

    features: Floats | csr_matrix
    labels: Floats | None = None
    source: str = ""
    first_row: int = 1

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
        """The rows from ``start`` up to ``stop``, counted from 0; a view where the features are dense."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, features=self.features[start:stop], labels=labels, first_row=self.first_row + start)

    def expect_width(self, width: int, *, name: str = "feature_dim") -> Records:
        """These records, if they have that many features; DataError that gives both sizes otherwise."""
        if self.width != width:
            found = f"{self.width} feature{'' if self.width == 1 else 's'}"
            raise DataError(f"the row has {found}, {name} is {width}", source=self.source, row=self.first_row)
        return self

    @staticmethod
    def join(parts: Sequence[Records]) -> Records:
        """All rows of the parts, in order; the first part says where they came from. All have one width."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        labels = None if first.labels is None else np.concatenate([p.labels for p in parts if p.labels is not None])
        features: Any = [part.features for part in parts]
        if any(part.sparse for part in parts):
            from scipy.sparse import csr_matrix, vstack

            features = csr_matrix(vstack(features, format="csr"), dtype=np.float32)
        else:
            features = np.concatenate(features)
        return Records(features, labels, first.source, first.first_row)
