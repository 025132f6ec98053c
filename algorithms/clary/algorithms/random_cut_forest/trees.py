"""The trees of a random cut forest as flat arrays, and the boxes around their points.

T trees, S slots for points in each, D features. An inner node is a number from 0 to S - 1; a leaf is ``~slot``,
which is negative. Equal points share a leaf: the slot of one of them, whose ``mass`` counts them all; the others have
mass 0. A node that is not in use has ``left == right``. A row with ``row[feature] <= value`` goes left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clary.algorithms.random_cut_forest.library import compiled

Array = npt.NDArray[Any]

# The arrays that an artifact keeps: name in it, type, number of axes. The others follow from these.
KEPT = {
    "points": (np.float32, 3),
    "left": (np.int32, 2),
    "right": (np.int32, 2),
    "feature": (np.int32, 2),
    "value": (np.float32, 2),
    "mass": (np.int32, 2),
    "root": (np.int32, 1),
    "state": (np.uint64, 1),
}


class Trees(NamedTuple):
    """The arrays of several trees; the boxes and their spans follow from the others."""

    points: Array  # float32 (T, S, D)
    left: Array  # int32 (T, S), as are right, feature and mass
    right: Array
    feature: Array
    value: Array  # float32 (T, S)
    mass: Array
    root: Array  # int32 (T,)
    size: Array  # int32 (T,): how many of the slots are filled, from the first on
    low: Array  # float32 (T, S, D): the smallest box around the points below each inner node
    high: Array
    span: Array  # float64 (T, S): the sum of its sides
    state: Array  # uint64 (T,): of each tree's own generator


def with_boxes(kept: Mapping[str, Array], filled: int) -> Trees:
    """All arrays of trees of which these are given, zeros in the others."""
    points = kept["points"]
    count, slots, _ = points.shape
    made: dict[str, Array] = {
        name: np.zeros(points.shape[:axes], kind) for name, (kind, axes) in KEPT.items() if name not in kept
    }
    made |= {"low": np.zeros_like(points), "high": np.zeros_like(points), "span": np.zeros((count, slots))}
    return Trees(**made, **kept, size=np.full(count, filled, np.int32))


def part(trees: Trees, cut: slice) -> Trees:
    """Those trees, as views."""
    return Trees(*(array[cut] for array in trees))


def depths(trees: Trees) -> Array:
    """The most cuts that lie between root and leaf, of each tree (T,)."""
    count = len(trees.root)
    tree, node, found = np.arange(count), trees.root, np.zeros(count, np.int32)
    while (inner := node >= 0).any():
        tree, node = tree[inner], node[inner]
        found[np.unique(tree)] += 1
        node = np.concatenate([trees.left[tree, node], trees.right[tree, node]])
        tree = np.concatenate([tree, tree])
    return found


@compiled
def beyond(x: float, low: float, high: float) -> float:
    """How far the number lies outside the interval."""
    return max(np.float64(low) - np.float64(x), 0.0) + max(np.float64(x) - np.float64(high), 0.0)


@compiled
def outside(row: Array, low: Array, high: Array) -> float:
    """By how much the sides of a box would grow, all together, if it were to hold the row."""
    total = 0.0
    for d in range(row.size):
        total += beyond(row[d], low[d], high[d])
    return total


@compiled
def join(low: Array, high: Array, other_low: Array, other_high: Array, to_low: Array, to_high: Array) -> float:
    """Make the last box the smallest one that holds the first two, and return the sum of its sides."""
    total = 0.0
    for d in range(low.size):
        least, most = min(low[d], other_low[d]), max(high[d], other_high[d])
        to_low[d], to_high[d] = least, most
        total += np.float64(most) - np.float64(least)
    return total


@compiled
def enclose(trees: Trees, t: int, node: int) -> bool:
    """Make the node's box the smallest one that holds both of its children, and say whether that changed it."""
    one, two = trees.left[t, node], trees.right[t, node]
    total, changed = 0.0, False
    # Element by element: to take a box out of a larger array costs more than these few comparisons.
    for d in range(trees.points.shape[2]):
        one_low = trees.points[t, ~one, d] if one < 0 else trees.low[t, one, d]
        two_low = trees.points[t, ~two, d] if two < 0 else trees.low[t, two, d]
        one_high = trees.points[t, ~one, d] if one < 0 else trees.high[t, one, d]
        two_high = trees.points[t, ~two, d] if two < 0 else trees.high[t, two, d]
        least, most = min(one_low, two_low), max(one_high, two_high)
        changed = changed or least != trees.low[t, node, d] or most != trees.high[t, node, d]
        trees.low[t, node, d], trees.high[t, node, d] = least, most
        total += np.float64(most) - np.float64(least)
    trees.span[t, node] = total
    return changed


@compiled
def box(trees: Trees) -> int:
    """Work out the boxes of trees just read. The number of the first one that is no tree, or -1.

    Every node must be reached once, and every point lie where its coordinates lead: nothing is checked later on.
    """
    slots = trees.points.shape[1]
    order = np.empty(2 * slots, np.int32)
    for t in range(trees.points.shape[0]):
        count = walk(trees, t, order)
        if count == 0:
            return t
        for place in range(count - 1, -1, -1):
            if order[place] >= 0:
                enclose(trees, t, order[place])
            elif trees.mass[t, ~order[place]] == 0:
                return t
        found = np.zeros(slots, np.int32)
        for slot in range(trees.size[t]):
            row, node = trees.points[t, slot], trees.root[t]
            while node >= 0:
                goes_left = row[trees.feature[t, node]] <= trees.value[t, node]
                node = trees.left[t, node] if goes_left else trees.right[t, node]
            if outside(row, trees.points[t, ~node], trees.points[t, ~node]) != 0:
                return t
            found[~node] += 1
        for slot in range(slots):
            if found[slot] != trees.mass[t, slot]:
                return t
    return -1


@compiled
def walk(trees: Trees, t: int, order: Array) -> int:
    """Put the nodes in an order in which parents come first; how many there are, or 0 where it is no tree."""
    slots = trees.points.shape[1]
    met = np.zeros(2 * slots, np.bool_)
    order[0], count, done = trees.root[t], 1, 0
    while done < count:
        node = order[done]
        done += 1
        if node >= trees.size[t] or ~node >= trees.size[t] or met[node + slots]:
            return 0
        met[node + slots] = True
        if node >= 0:
            if count + 2 > 2 * trees.size[t] - 1:
                return 0
            order[count], order[count + 1] = trees.left[t, node], trees.right[t, node]
            count += 2
    return count
