"""The loops of training, compiled by Numba: scores of rows, gradients of features, steps of Adam.

B rows in a batch, U features that the batch touches, D features, K factors, P = K + 1 parameters of a feature: its
factors, and behind them its linear weight. ``state`` holds 3 P numbers of each feature, one feature behind the other:
its parameters, and the two moments of Adam. All arrays are flat, and of one type whatever was read. Each loop works
on a range of rows or of features and writes to its own part of the result, so ranges may run side by side, and how
they are cut changes nothing. None of them holds the interpreter's lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.lanes import (
    WIDE,
    compiled,
    cut,
    fetch,
    load,
    root,
    spread,
    store,
    total,
)

Array = npt.NDArray[Any]

# Typed, because a plain number would widen everything that it meets to float64.
_AHEAD = 8
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@compiled
def turned(
    ends_B: Array,
    columns: Array,
    values: Array,
    place_D: Array,
    places: Array,
    columns_U: Array,
    ends_U: Array,
    rows: Array,
    turned_values: Array,
) -> int:
    """The number of features that rows in CSR form touch; the last four arrays get the rows of each.

    ``columns_U`` holds the features in the order of their first value, and ``rows`` and ``turned_values`` those of
    feature u from ``ends_U[u]`` to ``ends_U[u + 1]``, rows in order. A zero touches nothing. ``place_D`` is -1
    everywhere, before and after; ``places`` has room for a number of each value.
    """
    touched = 0
    for at in range(len(values)):
        fetch(place_D, columns[min(at + _AHEAD, len(values) - 1)])
        places[at] = -1
        if values[at] != _ZERO:
            column = columns[at]
            # Without a branch, because nobody can tell which features are new.
            new = place_D[column] < 0
            place = touched if new else place_D[column]
            count = 0 if new else ends_U[place]
            touched += new
            place_D[column] = place
            places[at] = place
            columns_U[place] = column
            ends_U[place] = count + 1
    total = 0
    for place in range(touched):
        total += ends_U[place]
        ends_U[place] = total
        place_D[columns_U[place]] = -1
    ends_U[touched] = total
    # From the last row to the first, which moves each end down to the beginning of its feature.
    for row in range(len(ends_B) - 2, -1, -1):
        for at in range(ends_B[row], ends_B[row + 1]):
            place = places[at]
            if place >= 0:
                ends_U[place] -= 1
                rows[ends_U[place]] = row
                turned_values[ends_U[place]] = values[at]
    return touched


@compiled
def score(
    start: int,
    stop: int,
    ends_B: Array,
    columns: Array,
    values: Array,
    bias: float,
    factors: int,
    state: Array,
    sums_BK: Array,
    scores_B: Array,
) -> None:
    """Fill the scores of the rows from ``start`` to ``stop``, and the sums of their factors times values."""
    size = 3 * (factors + 1)
    for row in range(start, stop):
        begin, end = ends_B[row], ends_B[row + 1]
        linear, pairs = bias, 0.0
        for at in range(begin, end):
            ahead = columns[min(at + _AHEAD, len(columns) - 1)] * size
            for line in range(0, factors + WIDE, WIDE):
                fetch(state, ahead + line)
        for at in range(begin, end):
            linear += values[at] * state[columns[at] * size + factors]
        for first in range(0, factors, WIDE):
            left = factors - first
            sums = squares = spread(_ZERO)
            for at in range(begin, end):
                part = spread(values[at]) * load(state, columns[at] * size + first, left)
                sums += part
                squares += part * part
            store(sums_BK, row * factors + first, left, sums)
            pairs += total(sums * sums - squares)
        scores_B[row] = linear + 0.5 * pairs


@compiled
def slope(
    start: int,
    stop: int,
    columns_U: Array,
    ends_U: Array,
    rows: Array,
    values: Array,
    slopes_B: Array,
    factors: int,
    sums_BK: Array,
    state: Array,
    gradient_UP: Array,
) -> None:
    """Fill the gradients of the touched features from ``start`` to ``stop``, summed over the batch's rows."""
    size = factors + 1
    for place in range(start, stop):
        begin, end = ends_U[place], ends_U[place + 1]
        linear, own = _ZERO, _ZERO
        ahead = columns_U[min(place + _AHEAD, len(columns_U) - 1)] * 3 * size
        for line in range(0, factors + WIDE, WIDE):
            fetch(state, ahead + line)
        for at in range(begin, end):
            pull = np.float32(slopes_B[rows[at]]) * values[at]
            linear += pull
            own += pull * values[at]
        for first in range(0, factors, WIDE):
            left = factors - first
            gradient = spread(-own) * load(state, columns_U[place] * 3 * size + first, left)
            for at in range(begin, end):
                pull = np.float32(slopes_B[rows[at]]) * values[at]
                gradient += spread(pull) * load(sums_BK, rows[at] * factors + first, left)
            store(gradient_UP, place * size + first, left, gradient)
        gradient_UP[place * size + factors] = linear


@compiled
def squared(numbers: Array, share: float) -> float:
    """The sum of the squares of all numbers times ``share``, in float32; infinite or none where it is too large."""
    squares = spread(_ZERO)
    for first in range(0, len(numbers), WIDE):
        part = load(numbers, first, len(numbers) - first)
        squares += part * part
    return float(np.float32(share) * np.float32(share) * np.float32(total(squares)))


@compiled
def move(
    start: int,
    stop: int,
    columns_U: Array,
    gradient_UP: Array,
    state: Array,
    rates_P: Array,
    decays_P: Array,
    correction: float,
    share: float,
    most: float,
    eps: float,
    keep_1: float,
    keep_2: float,
) -> None:
    """Take a step of Adam for the touched features from ``start`` to ``stop``, in float32."""
    size = len(rates_P)
    rates, decays = np.empty(size, np.float32), np.empty(size, np.float32)
    for at in range(size):
        rates[at], decays[at] = np.float32(rates_P[at] * correction), np.float32(decays_P[at])
    part, top, least = spread(np.float32(share)), spread(np.float32(most)), spread(np.float32(eps))
    kept_1, kept_2, one = spread(np.float32(keep_1)), spread(np.float32(keep_2)), spread(_ONE)
    new_1, new_2 = one - kept_1, one - kept_2
    for place in range(start, stop):
        ahead = columns_U[min(place + _AHEAD, len(columns_U) - 1)] * 3 * size
        for line in range(0, 3 * size + WIDE, WIDE):
            fetch(state, ahead + line)
        for at in range(0, size, WIDE):
            left = size - at
            weight_at = columns_U[place] * 3 * size + at
            first_at, second_at = weight_at + size, weight_at + 2 * size
            weight = load(state, weight_at, left)
            pull = load(gradient_UP, place * size + at, left) * part + load(decays, at, left) * weight
            pull = cut(pull, top)
            first = kept_1 * load(state, first_at, left) + new_1 * pull
            second = kept_2 * load(state, second_at, left) + new_2 * pull * pull
            store(state, first_at, left, first)
            store(state, second_at, left, second)
            store(state, weight_at, left, weight - load(rates, at, left) * first / (root(second) + least))
