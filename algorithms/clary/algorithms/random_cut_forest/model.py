"""A robust random cut forest: anomaly scores, what each feature adds to them, and rows that come in later.

T trees, S slots for points in each, N rows, D features. The trees are those of Guha, Mishra, Roy and Schrijvers,
"Robust Random Cut Forest Based Anomaly Detection On Streams" (2016). The score is not that paper's displacement, but
that of the open library which some of its authors wrote later: the inverse depth at which a row is expected to lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.random_cut_forest.growth import follow, grow
from clary.algorithms.random_cut_forest.scoring import attribute, score
from clary.algorithms.random_cut_forest.trees import KEPT, Trees, box, depths, part, with_boxes

Array = npt.NDArray[Any]

_FEWEST = 64  # rows that are worth a thread of their own
_AT_ONCE = 4096  # rows of an update whose scores of every tree are held at a time


@dataclass
class Forest:
    """Random cut trees, all over equally many points; ``seen`` is how many rows these are a sample of."""

    trees: Trees
    seen: int

    @classmethod
    def empty(cls, trees: int, slots: int, width: int, seed: int = 0) -> Forest:
        """That many trees without a point, and with room for ``slots`` in each."""
        state_T = np.random.default_rng([seed, 2]).integers(0, 2**64, trees, dtype=np.uint64)
        return cls(with_boxes({"points": np.zeros((trees, slots, width), np.float32), "state": state_T}, 0), 0)

    @classmethod
    def grow(cls, points_TSD: Array, seen: int, *, seed: int = 0, threads: int = 1) -> Forest:
        """A tree over each of these sets of points; the same for a seed, however many threads there are."""
        count, slots, width = points_TSD.shape
        forest = cls.empty(count, slots, width, seed)
        forest.trees.points[:] = points_TSD
        _shared_out(lambda cut: grow(part(forest.trees, cut)), len(points_TSD), threads)
        return cls(forest.trees, seen)

    @classmethod
    def read(cls, tensors: Mapping[str, Array]) -> Forest:
        """The forest that ``tensors`` gave; ValueError says what is wrong with arrays that are none."""
        kept = {}
        for name, (kind, axes) in KEPT.items():
            array = tensors.get(name)
            if array is None or array.dtype != kind or array.ndim != axes:
                raise ValueError(f"{name} must be an array of {np.dtype(kind)} with {axes} axes")
            kept[name] = np.array(array, order="C")
        shape, seen = kept["points"].shape, tensors.get("seen")
        if 0 in shape or any(array.shape != shape[: array.ndim] for array in kept.values()):
            raise ValueError("its arrays do not fit each other")
        if seen is None or seen.shape != (1,) or seen.dtype != np.int64 or seen[0] < shape[1]:
            raise ValueError("seen must be the number of rows that the points were sampled from")
        if not np.isfinite(kept["points"]).all() or kept["feature"].min() < 0 or kept["feature"].max() >= shape[2]:
            raise ValueError("a point is not finite, or a feature is not there")
        if min(kept["mass"].min(), kept["left"].min() + shape[1], kept["right"].min() + shape[1]) < 0:
            raise ValueError("a node or a mass is out of range")
        trees = with_boxes(kept, shape[1])
        if (damaged := box(trees)) >= 0:
            raise ValueError(f"tree {damaged} does not hang together")
        return cls(trees, int(seen[0]))

    def tensors(self) -> dict[str, Array]:
        """The forest as arrays of their own, which the page of this algorithm describes."""
        slots = int(self.trees.size[0])
        kept = {name: getattr(self.trees, name) for name in KEPT}
        cut = {name: (array if array.ndim == 1 else array[:, :slots]).copy() for name, array in kept.items()}
        return {**cut, "seen": np.array([self.seen], np.int64)}

    def with_room(self, slots: int) -> Forest:
        """A copy whose trees have room for that many points; the room fills up with the rows that come next."""
        slots = max(slots, self.trees.points.shape[1])
        kept = {}
        for name in KEPT:
            array = getattr(self.trees, name)
            shape = array.shape[:1] + (slots,) * (array.ndim > 1) + array.shape[2:]
            kept[name] = np.zeros(shape, array.dtype)
            kept[name][tuple(map(slice, array.shape))] = array
        trees = with_boxes(kept, int(self.trees.size[0]))
        if self.trees.size[0]:
            box(trees)
        return Forest(trees, self.seen)

    def scores(self, rows_ND: Array, *, threads: int = 1) -> Array:
        """The score of each row, in float64: the mean over trees; about 1 for ordinary rows, and no upper bound."""
        rows_ND = _plain(rows_ND)
        totals_N = np.zeros(len(rows_ND))
        _shared_out(lambda cut: score(self.trees, rows_ND[cut], totals_N[cut]), len(rows_ND), threads, _FEWEST)
        return totals_N / len(self.trees.root)

    def attributions(self, rows_ND: Array, *, threads: int = 1) -> tuple[Array, Array]:
        """What no feature adds to each row's score (N,), and what each does (N, D): together they are the score.

        A row that the sample holds, and that a tree therefore cannot part from it, is where no feature adds anything.
        """
        rows_ND = _plain(rows_ND)
        base_N, parts_ND = np.zeros(len(rows_ND)), np.zeros(rows_ND.shape)

        def work(cut: slice) -> None:
            attribute(self.trees, rows_ND[cut], base_N[cut], parts_ND[cut])

        _shared_out(work, len(rows_ND), threads, _FEWEST)
        return base_N / len(self.trees.root), parts_ND / len(self.trees.root)

    def update(self, rows_ND: Array, *, memory: float = math.inf, threads: int = 1) -> Array:
        """Take in the rows, in order, and return the score that each had just before; changes this forest.

        Each tree keeps a sample of its own: of all rows so far, or with ``memory`` of roughly the last that many, so
        that it forgets what is long past. The same for a seed, however the rows are cut and many threads there are.
        """
        rows_ND = _plain(rows_ND)
        starts = range(0, len(rows_ND), _AT_ONCE)
        found = [self._take_in(rows_ND[start : start + _AT_ONCE], memory, threads) for start in starts]
        return np.concatenate(found) if found else np.zeros(0)

    def _take_in(self, rows_ND: Array, memory: float, threads: int) -> Array:
        scores_TN = np.zeros((len(self.trees.root), len(rows_ND)))

        def work(cut: slice) -> None:
            follow(part(self.trees, cut), rows_ND, self.seen, memory, scores_TN[cut])

        _shared_out(work, len(scores_TN), threads)
        self.seen += len(rows_ND)
        mean_N: Array = scores_TN.mean(axis=0)
        return mean_N

    def describe(self) -> dict[str, Any]:
        """Figures of the forest's log line, in its order; the depth of a tree is its most cuts in a row."""
        nodes_T = 2 * (self.trees.left != self.trees.right).sum(axis=1) + 1
        depth_T = depths(self.trees)
        return {
            "num_trees": len(nodes_T),
            "num_samples_in_forest": int(self.trees.size.sum()),
            "num_samples_per_tree": int(self.trees.size[0]),
            "sample_dim": self.trees.points.shape[2],
            "shingle_size": 1,
            "trees_num_nodes": nodes_T.tolist(),
            "trees_depth": depth_T.tolist(),
            **_range("num_nodes", nodes_T),
            **_range("tree_depth", depth_T),
            "mem_size": sum(array.nbytes for array in self.trees),
        }


def _range(name: str, of_T: Array) -> dict[str, float]:
    return {f"max_{name}": int(of_T.max()), f"min_{name}": int(of_T.min()), f"avg_{name}": float(of_T.mean())}


def _plain(rows_ND: Array) -> Array:
    """The rows as the compiled loops take them, which are made for one type of array."""
    return np.require(rows_ND, np.float32, ["C", "W"])


def _shared_out(work: Callable[[slice], None], count: int, threads: int, least: int = 1) -> None:
    """Let several threads do the work, each on a stretch of that many things, at least ``least`` of them."""
    parts = min(threads, count // least)
    if parts < 2:
        work(slice(0, count))
        return
    cuts = np.linspace(0, count, parts + 1).astype(int).tolist()
    with ThreadPoolExecutor(parts, "trees") as pool:
        for _ in pool.map(work, [slice(*cut) for cut in pairwise(cuts)]):
            pass
