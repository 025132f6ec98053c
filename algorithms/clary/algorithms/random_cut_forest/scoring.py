"""The compiled loops that score rows in random cut trees, and say what each feature adds.

N rows, D features. The score is that of the open library which some of the paper's authors wrote: the mean over what
a random cut may do at each node: part row and box, or not. Formed going down, it is the same as the original's,
which is formed coming up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from clary.algorithms.random_cut_forest.library import compiled
from clary.algorithms.random_cut_forest.trees import Array, Trees, beyond, outside

_BLOCK = 256  # rows that pass through one tree after the other, so that both stay near the processor


class Tree(NamedTuple):
    """One tree as scores need it, points and boxes as flat arrays: every look-up then costs one addition."""

    left: Array
    right: Array
    feature: Array
    value: Array
    mass: Array
    span: Array
    low: Array
    high: Array
    points: Array


@compiled
def flat(trees: Trees, t: int) -> Tree:
    """The tree of that number, as views."""
    return Tree(
        trees.left[t],
        trees.right[t],
        trees.feature[t],
        trees.value[t],
        trees.mass[t],
        trees.span[t],
        trees.low[t].ravel(),
        trees.high[t].ravel(),
        trees.points[t].ravel(),
    )


class Walks(NamedTuple):
    """How far each of N rows has come on its way down one tree, and what it found there."""

    node: Array  # int32 (N,), as waiting is
    depth: Array  # float64 (N,), as are rest and total
    rest: Array  # the chance that no cut has parted row and box yet
    total: Array  # what cuts that part them add to the score
    waiting: Array  # rows that are not at a leaf yet; only the first so many count


@compiled
def walks(count: int) -> Walks:
    """Room for that many rows."""
    numbers, places = np.empty((3, count)), np.empty((2, count), np.int32)
    return Walks(places[0], numbers[0], numbers[1], numbers[2], places[1])


# Indexes are unsigned in what follows: a signed one may count from the end, which costs a comparison each time.


@compiled
def descend(tree: Tree, root: int, rows: Array, to: Walks) -> None:
    """Walk the rows down to their leaves, all of them a level at a time.

    The way of one row is a chain in which each step waits for the one before, and whose turns no processor guesses;
    steps of several rows overlap. A node that holds the row adds nothing, and is not set apart for the same reason.
    """
    width, count = np.uint64(rows.shape[1]), np.uint64(rows.shape[0])
    for place in range(count):
        to.node[place], to.waiting[place] = root, place
        to.depth[place], to.rest[place], to.total[place] = 0.0, 1.0, 0.0
    depth = 0.0
    while root >= 0 and count > 0:
        depth += 1.0
        weight, still = 1.0 / depth, np.uint64(0)
        for place in range(count):
            n = np.uint64(to.waiting[place])
            here = np.uint64(to.node[n])
            added = 0.0
            for d in range(width):
                x = np.float64(rows[n, d])
                below, above = np.float64(tree.low[here * width + d]) - x, x - np.float64(tree.high[here * width + d])
                added += max(max(below, above), 0.0)
            share = to.rest[n] / (added + tree.span[here])
            to.depth[n] = depth
            to.total[n] += added * share * weight
            to.rest[n] = tree.span[here] * share
            goes_left = rows[n, np.uint64(tree.feature[here])] <= tree.value[here]
            # Both are read, so that there is nothing to guess.
            one, two = tree.left[here], tree.right[here]
            to.node[n] = one if goes_left else two
            to.waiting[still] = n
            still += np.uint64(to.node[n] >= 0)
        count = still


@compiled
def add_scores(tree: Tree, root: int, size: int, rows: Array, to: Walks, scores: Array) -> None:
    """Add each row's score in one tree to ``scores`` (N,)."""
    descend(tree, root, rows, to)
    scale = math.log2(size + 1.0)
    for n in range(rows.shape[0]):
        at_leaf = leaf_score(tree, size, ~to.node[n], rows[n], to.depth[n])
        scores[n] += (to.total[n] + to.rest[n] * at_leaf) * scale


@compiled
def leaf_score(tree: Tree, size: int, slot: int, row: Array, depth: float) -> float:
    """The score at a leaf of that depth: lower where the row is the leaf's point, and more so for many."""
    width, here = np.uint64(row.size), np.uint64(slot)
    for d in range(width):
        if row[d] != tree.points[here * width + d]:
            return 1.0 / (depth + 1.0)
    mass = np.float64(tree.mass[here])
    return (1.0 - mass / (2.0 * size)) / (depth + math.log2(mass + 1.0))


@compiled
def tree_attribution(tree: Tree, root: int, size: int, row: Array, parts: Array) -> float:
    """Add the score of one tree to the features that it comes from; what is left comes from none of them.

    At each node the features share what a cut there adds to the score, by how far the row is outside the box in each.
    """
    width = np.uint64(row.size)
    node, depth, rest = root, 0.0, math.log2(size + 1.0)
    while node >= 0:
        here = np.uint64(node)
        low, high = tree.low[here * width : (here + 1) * width], tree.high[here * width : (here + 1) * width]
        added = outside(row, low, high)
        depth += 1.0
        if added > 0:
            whole = added + tree.span[here]
            for d in range(row.size):
                parts[d] += rest * beyond(row[d], low[d], high[d]) / (whole * depth)
            rest *= tree.span[here] / whole
        goes_left = row[np.uint64(tree.feature[here])] <= tree.value[here]
        node = tree.left[here] if goes_left else tree.right[here]
    at_leaf = rest * leaf_score(tree, size, ~node, row, depth)
    here = np.uint64(~node)
    point = tree.points[here * width : (here + 1) * width]
    added = outside(row, point, point)
    if added == 0:
        return at_leaf
    for d in range(row.size):
        parts[d] += at_leaf * beyond(row[d], point[d], point[d]) / added
    return 0.0


@compiled
def score(trees: Trees, rows: Array, scores: Array) -> None:
    """Add each row's score in every tree to ``scores`` (N,)."""
    for start in range(0, rows.shape[0], _BLOCK):
        block, found = rows[start : start + _BLOCK], scores[start : start + _BLOCK]
        to = walks(block.shape[0])
        for t in range(trees.points.shape[0]):
            add_scores(flat(trees, t), trees.root[t], trees.size[t], block, to, found)


@compiled
def attribute(trees: Trees, rows: Array, base: Array, parts: Array) -> None:
    """Add what every feature adds to each row's score to ``parts`` (N, D), and the rest to ``base`` (N,)."""
    for start in range(0, rows.shape[0], _BLOCK):
        for t in range(trees.points.shape[0]):
            tree = flat(trees, t)
            for n in range(start, min(start + _BLOCK, rows.shape[0])):
                base[n] += tree_attribution(tree, trees.root[t], trees.size[t], rows[n], parts[n])
