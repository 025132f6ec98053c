"""Streaming k-means: many centers follow the stream, Lloyd's method merges them at the end.

N points, K centers, D features. The streaming update is MacQueen's running mean ("Some methods for
classification and analysis of multivariate observations", 1967) taken a batch at a time, as in Sculley,
"Web-scale k-means clustering" (2010); the merge is Lloyd's method over the centers weighted by their counts,
started by k-means++ (Arthur and Vassilvitskii, 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = Any  # a float array (N, D), or a SciPy CSR matrix of the same shape

# The expanded square loses digits where the points lie far from the origin. Moving the origin into the data
# costs one more pass over memory, so it is done where the offset dwarfs the spread.
_FAR = 16.0
# Below this, float32 has too few digits left for the differences between squares.
_TINY = 1e-30
# Squares up to here leave float32 room for the products and sums that a look-up forms of them.
_HUGE = 1e37


class Centers:
    """Centers prepared for many look-ups: transposed, with their half squared norms, around a near origin.

    Everything is float32 unless squares are too large or too small for it; then the look-up is in float64.
    """

    def __init__(self, centers_KD: Array) -> None:
        self.centers_KD = centers_KD
        exact_KD = centers_KD.astype(np.float64)
        origin_D = exact_KD.mean(axis=0)
        spread = float(np.square(exact_KD - origin_D).sum(axis=1).mean())
        far = float(origin_D @ origin_D) > _FAR * spread
        self._origin_D = origin_D.astype(np.float32) if far else None
        self._moved_DK = (exact_KD - origin_D.astype(np.float32) if far else exact_KD).T
        self._half_K = 0.5 * np.square(self._moved_DK).sum(axis=0)
        self._tiny = float(self._half_K.max()) < _TINY
        self._ordinary = _TINY <= float(self._half_K.max()) < _HUGE
        with np.errstate(over="ignore"):
            self._quick_DK = np.ascontiguousarray(self._moved_DK, dtype=np.float32)
            self._quick_half_K = self._half_K.astype(np.float32)

    def nearest(self, points_ND: Rows) -> npt.NDArray[np.intp]:
        """Index of the closest center for each point; ties go to the lower index."""
        # |x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2), and |x|^2 is the same for every center.
        with np.errstate(over="ignore", invalid="ignore"):
            if self._origin_D is not None:
                points_ND = _dense(points_ND) - self._origin_D
            gain_NK = points_ND @ self._quick_DK
            np.subtract(gain_NK, self._quick_half_K, out=gain_NK)
        if self._tiny or not np.isfinite(gain_NK).all():
            gain_NK = _dense(points_ND).astype(np.float64) @ self._moved_DK - self._half_K
        index_N: npt.NDArray[np.intp] = gain_NK.argmax(axis=1)
        return index_N

    def closest(self, points_ND: Array) -> tuple[npt.NDArray[np.intp], Array]:
        """What ``nearest`` and ``squared`` return, in one go and with one check: small requests live on this."""
        if self._ordinary:
            with np.errstate(over="ignore", invalid="ignore"):
                moved_ND = points_ND if self._origin_D is None else points_ND - self._origin_D
                gain_NK = moved_ND @ self._quick_DK
                gain_NK -= self._quick_half_K
                index_N: npt.NDArray[np.intp] = gain_NK.argmax(axis=1)
                difference_ND = points_ND - self.centers_KD[index_N]
                squared_N: Array = np.einsum("nd,nd->n", difference_ND, difference_ND)
            # Beside ordinary centers a product overflows only for a point that is farther away than this.
            if squared_N.max() < _HUGE:
                return index_N, squared_N
        index_N = self.nearest(points_ND)
        return index_N, self.squared(points_ND, index_N)

    def squared(self, points_ND: Rows, index_N: npt.NDArray[np.intp]) -> Array:
        """Squared distance of each point to the center of that index, by the difference itself: exact near zero."""
        with np.errstate(over="ignore"):
            difference_ND = _dense(points_ND) - self.centers_KD[index_N]
            squared_N: Array = np.einsum("nd,nd->n", difference_ND, difference_ND)
        if self._tiny or not np.isfinite(squared_N).all():
            exact_ND = _dense(points_ND).astype(np.float64) - self.centers_KD[index_N]
            squared_N = np.einsum("nd,nd->n", exact_ND, exact_ND)
        return squared_N


@dataclass
class Stream:
    """The centers of the streaming phase and how many points each one stands for."""

    centers_KD: Array
    counts_K: Array

    @classmethod
    def start(cls, points_ND: Array, centers: int, method: str, rng: np.random.Generator) -> Stream:
        """That many of the points as centers without weight, picked at random or by k-means++."""
        points_ND = points_ND.astype(np.float64)
        picked_KD = pick(points_ND, np.ones(len(points_ND)), centers, method, rng)
        return cls(picked_KD, np.zeros(len(picked_KD)))

    def gather(self, points_ND: Rows) -> tuple[Array, Array]:
        """Sums (K, D) and counts (K) of the points by their nearest center."""
        index_N = Centers(self.centers_KD.astype(np.float32)).nearest(points_ND)
        return grouped(points_ND, index_N, len(self.centers_KD))

    def follow(self, sums_KD: Array, counts_K: Array, half_life: float = 0) -> None:
        """Move each center to the mean of all points that it stands for, in place.

        With ``half_life``, what was seen earlier counts half after that many points of the stream.
        """
        if half_life > 0:
            self.counts_K *= 0.5 ** (counts_K.sum() / half_life)
        hit_K = counts_K > 0
        total_K = self.counts_K[hit_K] + counts_K[hit_K]
        keep_K = (self.counts_K[hit_K] / total_K)[:, None]
        self.centers_KD[hit_K] = keep_K * self.centers_KD[hit_K] + sums_KD[hit_K] / total_K[:, None]
        self.counts_K += counts_K


def grouped(points_ND: Rows, index_N: npt.NDArray[np.intp], groups: int) -> tuple[Array, Array]:
    """Sum (groups, D) and number (groups) of the points of each group, in float64."""
    counts_K = np.bincount(index_N, minlength=groups).astype(np.float64)
    order_N = np.argsort(index_N, kind="stable")
    hit_K = np.flatnonzero(counts_K)
    starts = np.concatenate([[0], np.cumsum(counts_K[hit_K])[:-1]]).astype(np.intp)
    sums_KD = np.zeros((groups, points_ND.shape[1]))
    sums_KD[hit_K] = np.add.reduceat(_dense(points_ND)[order_N], starts, axis=0, dtype=np.float64)
    return sums_KD, counts_K


def pick(points_ND: Array, weights_N: Array, centers: int, method: str, rng: np.random.Generator) -> Array:
    """That many different points, at random or by k-means++; all of them where there are no more."""
    if centers >= len(points_ND):
        return points_ND.copy()
    if method == "random":
        chance_N = weights_N / weights_N.sum()
        chosen: Array = points_ND[rng.choice(len(points_ND), centers, replace=False, p=chance_N)]
    else:
        chosen = points_ND[_plus_plus(points_ND, weights_N, centers, rng)]
    return chosen


def _plus_plus(points_ND: Array, weights_N: Array, centers: int, rng: np.random.Generator) -> list[int]:
    """Pick points far from each other: each with a chance that grows with its squared distance to the picked ones.

    Of a few candidates the one that lowers the loss most is taken (the greedy form of the 2007 paper).
    """
    points_ND = points_ND - np.average(points_ND, axis=0, weights=weights_N)
    norms_N = np.einsum("nd,nd->n", points_ND, points_ND)
    tries = 2 + int(np.log(centers))
    chosen = [int(rng.choice(len(points_ND), p=weights_N / weights_N.sum()))]
    closest_N = _distances(points_ND, norms_N, chosen)[0]
    while len(chosen) < centers:
        mass_N = closest_N * weights_N
        mass_N[chosen] = 0
        cumulated_N = np.cumsum(mass_N)
        if cumulated_N[-1] <= 0:  # every point lies on a picked one: the rest are duplicates, in order
            rest = np.setdiff1d(np.arange(len(points_ND)), chosen)[: centers - len(chosen)]
            chosen += rest.tolist()
            break
        draws = rng.random(tries) * cumulated_N[-1]
        candidates = np.minimum(np.searchsorted(cumulated_N, draws, side="right"), len(points_ND) - 1).tolist()
        reach_TN = np.minimum(closest_N, _distances(points_ND, norms_N, candidates))
        best = int((reach_TN @ weights_N).argmin())
        chosen.append(candidates[best])
        closest_N = reach_TN[best]
    return chosen


def _distances(points_ND: Array, norms_N: Array, chosen: list[int]) -> Array:
    squared_TN: Array = norms_N - 2 * (points_ND[chosen] @ points_ND.T) + norms_N[chosen][:, None]
    np.maximum(squared_TN, 0, out=squared_TN)
    return squared_TN


@dataclass(frozen=True)
class Clustering:
    """The outcome of one run of Lloyd's method: centers (k, D) and the weighted mean squared distance."""

    centers_KD: Array
    loss: float
    iterations: int


def lloyd(
    points_ND: Array,
    weights_N: Array,
    clusters: int,
    method: str,
    rng: np.random.Generator,
    *,
    most: int,
    tolerance: float,
) -> Clustering:
    """Weighted k-means of the points by Lloyd's method, in float64.

    Stops after ``most`` iterations or when the loss changes by less than ``tolerance`` of itself. A cluster
    that loses all its points restarts at the point that is worst off.
    """
    origin_D = np.average(points_ND, axis=0, weights=weights_N)
    points_ND = points_ND - origin_D
    centers_KD = pick(points_ND, weights_N, clusters, method, rng)
    norms_N = np.einsum("nd,nd->n", points_ND, points_ND)
    total, previous, iteration = weights_N.sum(), np.inf, 0
    while True:
        iteration += 1
        squared_NK = norms_N[:, None] - 2 * (points_ND @ centers_KD.T) + np.square(centers_KD).sum(axis=1)
        index_N = squared_NK.argmin(axis=1)
        closest_N = np.maximum(squared_NK[np.arange(len(points_ND)), index_N], 0)
        loss = float(closest_N @ weights_N / total)
        if iteration > most or previous - loss <= tolerance * loss:
            return Clustering(centers_KD + origin_D, loss, iteration)
        previous = loss
        centers_KD = _means(points_ND, weights_N, index_N, closest_N, centers_KD)


def _means(points_ND: Array, weights_N: Array, index_N: Array, closest_N: Array, centers_KD: Array) -> Array:
    """Weighted mean of each cluster's points; empty clusters move to the points with the largest weighted loss."""
    sums_KD, _ = grouped(points_ND * weights_N[:, None], index_N, len(centers_KD))
    mass_K = np.bincount(index_N, weights=weights_N, minlength=len(centers_KD))
    empty = np.flatnonzero(mass_K == 0)
    mass_K[empty] = 1
    means_KD: Array = sums_KD / mass_K[:, None]
    if len(empty):
        worst = np.argsort(closest_N * weights_N, kind="stable")[::-1][: len(empty)]
        means_KD[empty] = points_ND[worst]
    return means_KD


def _dense(points_ND: Rows) -> Array:
    dense: Array = points_ND if isinstance(points_ND, np.ndarray) else points_ND.toarray()
    return dense
