"""The sample, the projection and the vote of k-NN. N rows, D features, T dimensions after reduction, K neighbors.

Sampling is Vitter's algorithm R ("Random sampling with a reservoir", 1985). The sign projection is Achlioptas's
("Database-friendly random projections", 2003). The fast transform is that of Ailon and Chazelle ("The fast
Johnson-Lindenstrauss transform", 2009): random signs, a Walsh-Hadamard transform, then a few of its coordinates;
the last step is the plain choice of coordinates of Ailon and Liberty (2009) and Tropp (2011) in place of a sparse
random matrix, which is cheaper and as good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.knn.spec import SIGN

Array = npt.NDArray[Any]
Rows = Any  # a float32 array (N, D), or a SciPy CSR matrix of the same shape

# Butterflies of this many inputs at a time are small matrix products, which memory and BLAS like best.
_RADIX = 64
# NumPy draws without replacement from fewer things than this.
_COUNTABLE = 10**9
# Up to so many labels, counting them one by one takes less time than a dozen calls of NumPy.
_COUNTED = 64
# Numbers transformed together: they stay in the cache of a core from the first butterfly to the last.
_TOGETHER = 1 << 18


class Reservoir:
    """A sample without replacement of rows as they come by: after each, all seen so far had the same chance.

    ``prepare`` turns chosen rows into the float32 rows of that width which are kept; what is not chosen costs
    nothing more. As long as there is room for all rows they stand in the order in which they came.
    """

    def __init__(
        self, size: int, width: int, rng: np.random.Generator, prepare: Callable[[Rows], Array] = np.asarray
    ) -> None:
        self.seen = 0
        self._size, self._rng, self._prepare = size, rng, prepare
        self._rows_SD = np.empty((0, width), np.float32)
        self._labels_S = np.empty(0, np.float32)

    def add(self, rows_ND: Rows, labels_N: Array) -> None:
        """See these rows, in order; the outcome does not depend on how the stream is cut."""
        number_N, slot_N = self._placed(rows_ND.shape[0])
        self._make_room(min(self.seen, self._size))
        if len(number_N):
            self._rows_SD[slot_N] = self._prepare(rows_ND[number_N])
            self._labels_S[slot_N] = labels_N[number_N]

    def __len__(self) -> int:
        return min(self.seen, self._size)

    def take(self) -> tuple[Array, Array]:
        """The rows (S, D) and labels (S); the reservoir is empty behind it, so that they are not kept twice."""
        rows_SD, labels_S = self._rows_SD[: len(self)], self._labels_S[: len(self)]
        # Not views of what is handed out, which would keep it alive.
        self._rows_SD, self._labels_S = np.empty((0, rows_SD.shape[1]), np.float32), np.empty(0, np.float32)
        self.seen = 0
        return rows_SD, labels_S

    def _placed(self, count: int) -> tuple[Array, Array]:
        """Numbers of the new rows that are kept, and their slots; of two for one slot only the later."""
        time_N = np.arange(self.seen, self.seen + count)
        late_N = time_N[time_N >= self._size]
        slot_N = time_N.copy()
        slot_N[count - len(late_N) :] = (self._rng.random(len(late_N)) * (late_N + 1)).astype(np.int64)
        self.seen += count
        number_N = np.flatnonzero(slot_N < self._size)
        kept_N, last_N = np.unique(slot_N[number_N][::-1], return_index=True)
        return number_N[::-1][last_N], kept_N

    def _make_room(self, rows: int) -> None:
        room, width = self._rows_SD.shape
        if rows > room:
            # Memory that nothing is written to costs nothing, so doubling is cheap; never beyond the sample.
            size = min(self._size, max(rows, 2 * room))
            rows_SD, labels_S = np.empty((size, width), np.float32), np.empty(size, np.float32)
            rows_SD[:room], labels_S[:room] = self._rows_SD, self._labels_S
            self._rows_SD, self._labels_S = rows_SD, labels_S


def shares(seen_H: Array, size: int, rng: np.random.Generator) -> Array:
    """How many rows each host gives to a sample of that size over all hosts, who have seen so many (H).

    The counts are drawn as they fall when the sample is taken from all rows at once.
    """
    total = int(seen_H.sum())
    if total <= size:
        return seen_H.copy()
    if total >= _COUNTABLE:
        # Of so many rows a draw with replacement hardly takes one twice; a host cannot give more than it has seen.
        return np.minimum(rng.multinomial(size, seen_H / total), seen_H)
    drawn_H: Array = rng.multivariate_hypergeometric(seen_H, size, method="marginals")
    return drawn_H


@dataclass(frozen=True)
class Projection:
    """A random linear map from ``width`` features to ``target`` dimensions that keeps distances in expectation.

    ``parts`` is all there is to it: the ``signs`` (D, T) as int8, or for fjlt the ``signs`` (D) and the ``places``
    (T) of the coordinates that are kept.
    """

    kind: str
    width: int
    target: int
    parts: Mapping[str, Array]

    @classmethod
    def draw(cls, kind: str, width: int, target: int, rng: np.random.Generator) -> Projection:
        """The projection that the generator comes to."""
        shape = (width, target) if kind == SIGN else (width,)
        parts = {"signs": rng.integers(0, 2, shape, np.int8) * np.int8(2) - np.int8(1)}
        if kind != SIGN:
            parts["places"] = np.sort(rng.permutation(padded_width(max(width, target)))[:target])
        return cls(kind, width, target, parts)

    def prepared(self) -> Callable[[Rows], Array]:
        """The map, with its factors laid out for many calls: dense or sparse rows (N, D) to dense ones (N, T)."""
        scale = np.float32(self.target**-0.5)
        signs = self.parts["signs"] * scale
        if self.kind == SIGN:
            return lambda rows_ND: np.asarray(rows_ND @ signs, np.float32)
        places_T, width = self.parts["places"], padded_width(max(self.width, self.target))

        def transform(rows_ND: Rows) -> Array:
            kept_NT = np.empty((rows_ND.shape[0], self.target), np.float32)
            step = max(1, _TOGETHER // width)
            for start in range(0, len(kept_NT), step):
                part = rows_ND[start : start + step]
                part = part if isinstance(part, np.ndarray) else part.toarray()
                wide_NP = np.zeros((len(part), width), np.float32)
                np.multiply(part, signs, out=wide_NP[:, : self.width])
                kept_NT[start : start + step] = walsh_hadamard(wide_NP)[:, places_T]
            return kept_NT

        return transform


def padded_width(width: int) -> int:
    """The smallest power of two that is not below the width."""
    return 1 << (width - 1).bit_length()


def walsh_hadamard(rows_NP: Array) -> Array:
    """The Walsh-Hadamard transform of each row, not scaled; P is a power of two.

    O(P log P) for a row: each round of butterflies is one product with a small Hadamard matrix.
    """
    rows, width = rows_NP.shape
    stride = 1
    while stride < width:
        radix = min(_RADIX, width // stride)
        if stride == 1:
            rows_NP = rows_NP.reshape(-1, radix) @ _hadamard(radix)
        else:
            rows_NP = np.matmul(_hadamard(radix), rows_NP.reshape(-1, radix, stride))
        stride *= radix
    return rows_NP.reshape(rows, width)


@cache
def _hadamard(size: int) -> Array:
    matrix: Array = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def unit_rows(rows_ND: Array) -> Array:
    """The rows, brought to length 1; a row of zeros stays as it is."""
    # In float64, so that neither tiny nor huge rows lose their squares.
    length_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND, dtype=np.float64))
    length_N[length_N == 0] = 1
    unit_ND: Array = (rows_ND / length_N[:, None]).astype(np.float32)
    return unit_ND


class Preparation:
    """How rows of the data become rows of the index: projected, brought to length 1, zeros behind them.

    ``width`` is that of the index; the zeros change neither distances nor products.
    """

    def __init__(self, width: int, projection: Projection | None, unit: bool) -> None:
        self.width, self._unit = width, unit
        self._project = projection.prepared() if projection else None

    def __call__(self, rows_ND: Rows) -> Array:
        """The rows (N, width) as contiguous float32; dense ones to which nothing need be done are not copied."""
        if self._project:
            rows_ND = self._project(rows_ND)
        elif not isinstance(rows_ND, np.ndarray):
            rows_ND = rows_ND.toarray()
        if self._unit:
            rows_ND = unit_rows(rows_ND)
        if rows_ND.shape[1] < self.width:
            rows_ND = np.pad(rows_ND, ((0, 0), (0, self.width - rows_ND.shape[1])))
        return np.ascontiguousarray(rows_ND, np.float32)


def majority(labels_NK: Array) -> Array:
    """The most frequent label of each row (N); of several that are as frequent, the smallest."""
    if labels_NK.size <= _COUNTED:
        return np.array([_most_frequent(labels) for labels in labels_NK.tolist()], labels_NK.dtype)
    sorted_NK = np.sort(labels_NK, axis=1)
    place_K = np.arange(sorted_NK.shape[1])
    begins_NK = np.ones(sorted_NK.shape, bool)
    np.not_equal(sorted_NK[:, 1:], sorted_NK[:, :-1], out=begins_NK[:, 1:])
    run_NK = place_K - np.maximum.accumulate(np.where(begins_NK, place_K, 0), axis=1)
    # The first of the longest runs is that of the smallest label.
    label_N: Array = sorted_NK[np.arange(len(sorted_NK)), run_NK.argmax(axis=1)]
    return label_N


def _most_frequent(labels: list[float]) -> float:
    """The same of one row."""
    if len(set(labels)) == 1:
        return labels[0]
    counts = Counter(labels)
    most = max(counts.values())
    return min(label for label, count in counts.items() if count == most)


def mean(labels_NK: Array) -> Array:
    """The mean label of each row (N), as float32."""
    mean_N: Array = (np.add.reduce(labels_NK, axis=1, dtype=np.float64) / labels_NK.shape[1]).astype(np.float32)
    return mean_N
