"""The trees of a random cut forest as flat arrays, and the compiled loops that grow and shrink them.

T trees, S slots for points in each, D features. An inner node is a number from 0 to S - 1; a leaf is ``~slot``,
which is negative. Equal points share a leaf: the slot of one of them, whose ``mass`` counts them all; the others have
mass 0. A node that is not in use has ``left == right``. A row with ``row[feature] <= value`` goes left.

Inserting and removing points is that of Guha, Mishra, Roy and Schrijvers, "Robust Random Cut Forest Based Anomaly
Detection On Streams" (2016): the tree that comes out has the same distribution as one that is cut from the top.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clary.algorithms.random_cut_forest.library import compiled

Array = npt.NDArray[Any]

_STEP, _FIRST, _SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_11, _27, _30, _31 = (np.uint64(each) for each in (11, 27, 30, 31))
_UNIT = 2.0**-53


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


@compiled
def uniform(trees: Trees, t: int) -> float:
    """The next number in [0, 1) of the tree's generator: splitmix64, of Steele, Lea and Flood (2014)."""
    trees.state[t] += _STEP
    mixed = trees.state[t]
    mixed = (mixed ^ (mixed >> _30)) * _FIRST
    mixed = (mixed ^ (mixed >> _27)) * _SECOND
    return np.float64((mixed ^ (mixed >> _31)) >> _11) * _UNIT


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
def link(trees: Trees, t: int, above: int, from_left: bool, node: int) -> None:
    """Make the node a child of the one above, or the root where that is -1."""
    if above < 0:
        trees.root[t] = node
    elif from_left:
        trees.left[t, above] = node
    else:
        trees.right[t, above] = node


@compiled
def cut(trees: Trees, t: int, node: int, row: Array, low: Array, high: Array, place: float) -> bool:
    """Give the node a cut between row and box, and say whether the row goes left.

    ``place`` is where the cut lies on what the row would add to the sides of the box, laid end to end.
    """
    chosen, within = 0, 0.0
    for d in range(row.size):
        reach = beyond(row[d], low[d], high[d])
        if reach > 0:
            chosen, within = d, min(place, reach)
            if place < reach:
                break
            place -= reach
    goes_left = bool(row[chosen] < low[chosen])
    start = row[chosen] if goes_left else high[chosen]
    end = low[chosen] if goes_left else row[chosen]
    value = np.float32(np.float64(start) + within)
    trees.feature[t, node] = chosen
    # Rounded to float32 the value may fall on the far end, and would no longer separate the two.
    trees.value[t, node] = start if value >= end else value
    return goes_left


@compiled
def insert(trees: Trees, t: int, slot: int) -> None:
    """Take the point in the slot into the tree; the first one becomes the root."""
    row = trees.points[t, slot]
    trees.mass[t, slot] = 1
    if trees.size[t] == 0:
        trees.root[t] = ~slot
        return
    node, above, from_left, place = trees.root[t], -1, False, 0.0
    low, high = row, row
    while True:
        low = trees.points[t, ~node] if node < 0 else trees.low[t, node]
        high = trees.points[t, ~node] if node < 0 else trees.high[t, node]
        added = outside(row, low, high)
        if added > 0:
            # A random cut of the box that holds both lies between them with the chance added / (added + sides).
            place = uniform(trees, t) * (added + (0.0 if node < 0 else trees.span[t, node]))
            if node < 0 or place < added:
                break
            trees.span[t, node] = join(low, high, row, row, low, high)
        elif node < 0:
            trees.mass[t, ~node] += 1
            trees.mass[t, slot] = 0
            return
        above, from_left = node, row[trees.feature[t, node]] <= trees.value[t, node]
        node = trees.left[t, node] if from_left else trees.right[t, node]
    made = slot
    while trees.left[t, made] != trees.right[t, made]:
        made = (made + 1) % trees.left.shape[1]
    goes_left = cut(trees, t, made, row, low, high, place)
    trees.left[t, made] = ~slot if goes_left else node
    trees.right[t, made] = node if goes_left else ~slot
    trees.span[t, made] = join(low, high, row, row, trees.low[t, made], trees.high[t, made])
    link(trees, t, above, from_left, made)


@compiled
def remove(trees: Trees, t: int, slot: int, path: Array) -> None:
    """Take the point in the slot out of the tree, which holds others too; the slot is free then."""
    row = trees.points[t, slot]
    node, depth = trees.root[t], 0
    while node >= 0:
        path[depth] = node
        depth += 1
        goes_left = row[trees.feature[t, node]] <= trees.value[t, node]
        node = trees.left[t, node] if goes_left else trees.right[t, node]
    above = path[depth - 1] if depth > 0 else -1
    from_left = depth > 0 and trees.left[t, above] == node
    trees.mass[t, ~node] -= 1
    if trees.mass[t, ~node] > 0:
        if ~node == slot:
            heir = equal_point(trees, t, slot)
            trees.mass[t, heir], trees.mass[t, slot] = trees.mass[t, slot], 0
            link(trees, t, above, from_left, ~heir)
        return
    sibling = trees.right[t, above] if from_left else trees.left[t, above]
    further = path[depth - 2] if depth > 1 else -1
    link(trees, t, further, depth > 1 and trees.left[t, further] == above, sibling)
    trees.left[t, above] = trees.right[t, above] = 0
    for level in range(depth - 2, -1, -1):
        if not enclose(trees, t, path[level]):
            break


@compiled
def equal_point(trees: Trees, t: int, slot: int) -> int:
    """Another slot with the same point."""
    for other in range(trees.size[t]):
        if other != slot and trees.mass[t, other] == 0:
            same = True
            for d in range(trees.points.shape[2]):
                same = same and trees.points[t, other, d] == trees.points[t, slot, d]
            if same:
                return other
    return slot


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
def grow(trees: Trees) -> None:
    """Build every tree from the points in its slots, all of which are filled."""
    for t in range(trees.points.shape[0]):
        for slot in range(trees.points.shape[1]):
            insert(trees, t, slot)
            trees.size[t] = slot + 1


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
