"""The loops of training, compiled by Numba: scores of rows, gradients of features, steps of Adam.

B rows in a batch, U features that the batch touches, D features, K factors, P = K + 1 parameters of a feature: its
factors, and behind them its linear weight. Each loop works on a range of rows or of features and writes to its own
part of the result, so ranges may run side by side, and how they are cut changes nothing. None of them holds the
interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]
Loop = TypeVar("Loop", bound=Callable[..., Any])

# Typed, because a plain number would widen everything that it meets to float64.
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


def _compiled(loop: Loop) -> Loop:
    """The loop as machine code, made at its first call, or read where an earlier process has left it."""
    # Sums may be formed in another order and rounded once, which the processor's wide registers need; infinite and
    # undefined numbers keep their meaning.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "nsz", "contract"}}
    try:
        made: Loop = njit(cache=True, **options)(loop)
    except RuntimeError:  # there is no folder that one may write to
        made = njit(**options)(loop)
    return made


@_compiled
def turned(
    ends_B: Array,
    columns: Array,
    values: Array,
    place_D: Array,
    columns_U: Array,
    ends_U: Array,
    rows: Array,
    turned_values: Array,
) -> int:
    """The number of features that rows in CSR form touch; the last four arrays get the rows of each.

    ``columns_U`` holds the features in the order of their first value, and ``rows`` and ``turned_values`` those of
    feature u from ``ends_U[u]`` to ``ends_U[u + 1]``, rows in order. A zero touches nothing. ``place_D`` is -1
    everywhere, before and after.
    """
    touched, count = 0, 0
    for at in range(len(values)):
        if values[at] != _ZERO:
            column = columns[at]
            if place_D[column] < 0:
                place_D[column] = touched
                columns_U[touched] = column
                ends_U[touched + 1] = 0
                touched += 1
            ends_U[place_D[column] + 1] += 1
            count += 1
    ends_U[0] = 0
    for place in range(touched):
        ends_U[place + 1] += ends_U[place]
    # From the last row to the first, which moves each end down to the beginning of its feature.
    for row in range(len(ends_B) - 2, -1, -1):
        for at in range(ends_B[row], ends_B[row + 1]):
            if values[at] != _ZERO:
                place = place_D[columns[at]] + 1
                ends_U[place] -= 1
                rows[ends_U[place]] = row
                turned_values[ends_U[place]] = values[at]
    for place in range(touched):
        ends_U[place] = ends_U[place + 1]
        place_D[columns_U[place]] = -1
    ends_U[touched] = count
    return touched


@_compiled
def score(
    start: int,
    stop: int,
    ends_B: Array,
    columns: Array,
    values: Array,
    bias: float,
    weights_DP: Array,
    sums_BK: Array,
    scores_B: Array,
) -> None:
    """Fill the scores of the rows from ``start`` to ``stop``, and the sums of their factors times values."""
    factors = sums_BK.shape[1]
    squares = np.empty(factors, np.float32)
    for row in range(start, stop):
        sums, linear = sums_BK[row], bias
        sums[:] = _ZERO
        squares[:] = _ZERO
        for at in range(ends_B[row], ends_B[row + 1]):
            value, weights = values[at], weights_DP[columns[at]]
            linear += value * weights[factors]
            for factor in range(factors):
                part = value * weights[factor]
                sums[factor] += part
                squares[factor] += part * part
        pairs = 0.0
        for factor in range(factors):
            pairs += sums[factor] * sums[factor] - squares[factor]
        scores_B[row] = linear + 0.5 * pairs


@_compiled
def slope(
    start: int,
    stop: int,
    columns_U: Array,
    ends_U: Array,
    rows: Array,
    values: Array,
    slopes_B: Array,
    sums_BK: Array,
    weights_DP: Array,
    gradient_UP: Array,
) -> None:
    """Fill the gradients of the touched features from ``start`` to ``stop``, summed over the batch's rows."""
    factors = sums_BK.shape[1]
    for place in range(start, stop):
        gradient, weights = gradient_UP[place], weights_DP[columns_U[place]]
        gradient[:] = _ZERO
        linear, own = _ZERO, _ZERO
        for at in range(ends_U[place], ends_U[place + 1]):
            sums, value = sums_BK[rows[at]], values[at]
            pull = slopes_B[rows[at]] * value
            linear += pull
            own += pull * value
            for factor in range(factors):
                gradient[factor] += pull * sums[factor]
        for factor in range(factors):
            gradient[factor] -= own * weights[factor]
        gradient[factors] = linear


@_compiled
def move(
    start: int,
    stop: int,
    columns_U: Array,
    gradient_UP: Array,
    weights_DP: Array,
    first_DP: Array,
    second_DP: Array,
    rates_P: Array,
    decays_P: Array,
    share: float,
    most: float,
    eps: float,
    keep_1: float,
    keep_2: float,
) -> None:
    """Take a step of Adam for the touched features from ``start`` to ``stop``; all numbers are float32."""
    for place in range(start, stop):
        column = columns_U[place]
        gradient, weights = gradient_UP[place], weights_DP[column]
        first, second = first_DP[column], second_DP[column]
        for each in range(len(gradient)):
            pull = gradient[each] * share + decays_P[each] * weights[each]
            # Not by min and max, which would lose a number that is none.
            if pull > most:
                pull = most
            if pull < -most:
                pull = -most
            first[each] = keep_1 * first[each] + (_ONE - keep_1) * pull
            second[each] = keep_2 * second[each] + (_ONE - keep_2) * pull * pull
            weights[each] -= rates_P[each] * first[each] / (np.sqrt(second[each]) + eps)
