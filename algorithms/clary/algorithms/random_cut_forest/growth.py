"""The compiled loops that grow random cut trees, point by point, and let them forget points again.

Inserting and removing points is that of Guha, Mishra, Roy and Schrijvers, "Robust Random Cut Forest Based Anomaly
Detection On Streams" (2016): the tree that comes out has the same distribution as one that is cut from the top.
"""

from __future__ import annotations

import numpy as np

from clary.algorithms.random_cut_forest.library import compiled
from clary.algorithms.random_cut_forest.scoring import add_scores, flat, walks
from clary.algorithms.random_cut_forest.trees import Array, Trees, beyond, enclose, join, outside

_STEP, _FIRST, _SECOND = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_11, _27, _30, _31 = (np.uint64(each) for each in (11, 27, 30, 31))
_UNIT = 2.0**-53


@compiled
def uniform(trees: Trees, t: int) -> float:
    """The next number in [0, 1) of the tree's generator: splitmix64, of Steele, Lea and Flood (2014)."""
    trees.state[t] += _STEP
    mixed = trees.state[t]
    mixed = (mixed ^ (mixed >> _30)) * _FIRST
    mixed = (mixed ^ (mixed >> _27)) * _SECOND
    return np.float64((mixed ^ (mixed >> _31)) >> _11) * _UNIT


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
def grow(trees: Trees) -> None:
    """Build every tree from the points in its slots, all of which are filled."""
    for t in range(trees.points.shape[0]):
        for slot in range(trees.points.shape[1]):
            insert(trees, t, slot)
            trees.size[t] = slot + 1


@compiled
def follow(trees: Trees, rows: Array, seen: int, memory: float, scores: Array) -> None:
    """Score each row in every tree, into ``scores`` (T, N), and then let the tree sample it; an empty tree scores 0.

    A tree that has room takes the row. A full one that was offered ``seen`` rows before takes it with a chance of S
    in the number of rows so far, or in ``memory`` where that is less, for a point that is picked at random.
    """
    count = rows.shape[0]
    path, to = np.empty(trees.points.shape[1], np.int32), walks(count)
    for t in range(trees.points.shape[0]):
        tree, first = flat(trees, t), 0
        while first < count:
            # The tree stays as it is up to the next row that it takes, so all rows till then are scored together.
            taken = next_taken(trees, t, first, count, seen, memory)
            stop = min(taken + 1, count)
            if trees.size[t] > 0:
                add_scores(tree, trees.root[t], trees.size[t], rows[first:stop], to, scores[t, first:stop])
            if taken < count:
                take(trees, t, rows[taken], path)
            first = stop


@compiled
def next_taken(trees: Trees, t: int, first: int, count: int, seen: int, memory: float) -> int:
    """Which of the rows from the first to ``count`` the tree takes next, or ``count`` where it takes none."""
    slots = trees.points.shape[1]
    if trees.size[t] < slots:
        return first
    for n in range(first, count):
        if uniform(trees, t) * min(seen + n + 1.0, memory) < slots:
            return n
    return count


@compiled
def take(trees: Trees, t: int, row: Array, path: Array) -> None:
    """Put the row into the next free slot of the tree, or in place of a point that is picked at random."""
    slots = trees.points.shape[1]
    slot = trees.size[t]
    if slot == slots:
        slot = int(uniform(trees, t) * slots)
        if slots > 1:
            remove(trees, t, slot, path)
        trees.size[t] -= 1
    trees.points[t, slot] = row
    insert(trees, t, slot)
    trees.size[t] += 1
