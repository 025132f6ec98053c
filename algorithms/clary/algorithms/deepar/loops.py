"""The recurrent layer's arithmetic on the processor, compiled: all steps of some sequences without a pause.

Loops over sequences are innermost, each over plain rows: what they touch lies together, and the compiler works on
many at a time. None of them holds the interpreter's lock.

T steps, H cells, G gates (output, input, forget, candidate of each cell), B sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]
Loop = TypeVar("Loop", bound=Callable[..., Any])

TOGETHER = 64  # sequences in a share: few enough for a core's cache, enough for its wide registers

# e to the x is 2 to the k times a polynomial of what is left, which is at most half of ln 2 (Cody and Waite 1980).
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_LARGEST = np.float32(87.0)  # beyond it the exponential does not fit a float
_ONE, _HALF, _TWO = np.float32(1), np.float32(0.5), np.float32(2)
_P2, _P3, _P4, _P5, _P6 = (np.float32(1 / each) for each in (2, 6, 24, 120, 720))
_SHIFT, _EXCESS = np.int32(23), np.int32(127)  # of the exponent in a float's bits


def _compiled(loop: Loop) -> Loop:
    """The loop as machine code, made at its first call, or read where an earlier process has left it."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz", "contract", "reassoc"}}
    try:
        made: Loop = njit(cache=True, **options)(loop)
    except RuntimeError:  # there is no folder that one may write to
        made = njit(**options)(loop)
    return made


@_compiled
def _logistic(values: Array, bits: Array, powers: Array) -> None:
    """The logistic function in place; ``bits`` and ``powers`` are one piece of memory, as integers and as floats."""
    for b in range(values.shape[0]):
        x = min(max(-values[b], -_LARGEST), _LARGEST)
        k = np.floor(x * _LOG2_E + _HALF)
        r = x - k * _LN2_HIGH - k * _LN2_LOW
        values[b] = _ONE + r * (_ONE + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6)))))
        bits[b] = (np.int32(k) + _EXCESS) << _SHIFT
    for b in range(values.shape[0]):
        values[b] = _ONE / (_ONE + values[b] * powers[b])


@_compiled
def _tangent(values: Array, bits: Array, powers: Array) -> None:
    """The hyperbolic tangent in place, which is a logistic function, stretched."""
    for b in range(values.shape[0]):
        values[b] = values[b] + values[b]
    _logistic(values, bits, powers)
    for b in range(values.shape[0]):
        values[b] = values[b] + values[b] - _ONE


@_compiled
def _sum(total: Array, one: Array, other: Array) -> None:
    for b in range(total.shape[0]):
        total[b] = one[b] + other[b]


@_compiled
def _renewed(new: Array, enter: Array, candidate: Array, forget: Array, earlier: Array, squashed: Array) -> None:
    for b in range(new.shape[0]):
        new[b] = forget[b] * earlier[b] + enter[b] * candidate[b]
        squashed[b] = new[b]


@_compiled
def _mixed(
    kept: Array, output: Array, squashed: Array, before: Array, earlier: Array, new: Array, hidden: Array
) -> None:
    """A cell's hidden value and state, each mixed with a share of the old ones, which they replace."""
    for b in range(hidden.shape[0]):
        shown = output[b] * squashed[b]
        before[b] = shown + kept[b] * (before[b] - shown)
        hidden[b] = before[b]
        new[b] = new[b] + kept[b] * (earlier[b] - new[b])
        earlier[b] = new[b]


@_compiled
def forward(
    projected_TGB: Array,
    weights_GH: Array,
    hidden_HB: Array,
    cell_HB: Array,
    kept_THB: Array,
    gates_TGB: Array,
    squashed_THB: Array,
    hidden_THB: Array,
    cells_THB: Array,
    start: int,
    end: int,
) -> None:
    """All steps of the sequences from ``start`` to ``end``, from the projected inputs to the last four arrays.

    Those are the gates as they came out, which may be the projected inputs themselves, the new cells squashed, the
    hidden values and the cells. ``hidden_HB`` and ``cell_HB`` are the state before the first step. Zoneout keeps the
    share ``kept_THB`` of the old state; its T is 1 where all steps keep the same.
    """
    cells = weights_GH.shape[1]
    for first in range(start, end, TOGETHER):
        last = min(first + TOGETHER, end)
        before_HB = hidden_HB[:, first:last].copy()
        earlier_HB = cell_HB[:, first:last].copy()
        product_GB, bits = np.empty((4 * cells, last - first), np.float32), np.empty(last - first, np.int32)
        powers = bits.view(np.float32)
        for t in range(projected_TGB.shape[0]):
            gates_GB, kept_HB = gates_TGB[t], kept_THB[min(t, kept_THB.shape[0] - 1)]
            np.dot(weights_GH, before_HB, product_GB)
            for g in range(4 * cells):
                gate = gates_GB[g][first:last]
                _sum(gate, projected_TGB[t, g][first:last], product_GB[g])
                if g < 3 * cells:
                    _logistic(gate, bits, powers)
                else:
                    _tangent(gate, bits, powers)
            for h in range(cells):
                output, enter = gates_GB[h][first:last], gates_GB[cells + h][first:last]
                forget, candidate = gates_GB[2 * cells + h][first:last], gates_GB[3 * cells + h][first:last]
                new, squashed = cells_THB[t, h][first:last], squashed_THB[t, h][first:last]
                _renewed(new, enter, candidate, forget, earlier_HB[h], squashed)
                _tangent(squashed, bits, powers)
                kept, hidden = kept_HB[h][first:last], hidden_THB[t, h][first:last]
                _mixed(kept, output, squashed, before_HB[h], earlier_HB[h], new, hidden)


@_compiled
def _through_cell(
    kept: Array,
    o_gate: Array,
    i_gate: Array,
    f_gate: Array,
    g_gate: Array,
    squashed: Array,
    earlier: Array,
    above: Array,
    by_hidden: Array,
    by_cell: Array,
    slope_o: Array,
    slope_i: Array,
    slope_f: Array,
    slope_g: Array,
) -> None:
    """The gradients by the inputs of one cell's gates, and by its state at the step before."""
    for b in range(kept.shape[0]):
        o, i, f, g, s, rest = o_gate[b], i_gate[b], f_gate[b], g_gate[b], squashed[b], _ONE - kept[b]
        hidden = by_hidden[b] + above[b]
        passed = hidden * rest
        new = by_cell[b] * rest + passed * o * (_ONE - s * s)
        slope_o[b] = passed * s * (o - o * o)
        slope_i[b] = new * g * (i - i * i)
        slope_f[b] = new * earlier[b] * (f - f * f)
        slope_g[b] = new * i * (_ONE - g * g)
        by_cell[b] = by_cell[b] * kept[b] + new * f
        by_hidden[b] = hidden * kept[b]


@_compiled
def backward(
    gates_TGB: Array,
    weights_GH: Array,
    hidden_HB: Array,
    cell_HB: Array,
    kept_THB: Array,
    squashed_THB: Array,
    hidden_THB: Array,
    cells_THB: Array,
    above_THB: Array,
    by_hidden_HB: Array,
    by_cell_HB: Array,
    slopes_TGB: Array,
    by_weights_GH: Array,
    first: int,
    last: int,
) -> None:
    """The gradients by the projected inputs and by the weights of at most ``TOGETHER`` sequences, in the last arrays.

    ``hidden_HB`` and ``cell_HB`` are the first state; ``above_THB`` are the gradients by the hidden values as later
    layers see them. ``by_cell_HB`` comes with the gradient by the last cells, ``by_hidden_HB`` with zeros; both leave
    with those by the first state, and hold these sequences alone.
    """
    cells, steps = weights_GH.shape[1], gates_TGB.shape[0]
    slopes_GB, earlier_HB = np.empty((4 * cells, last - first), np.float32), np.empty_like(by_hidden_HB)
    product_HB, product_GH = np.empty_like(by_hidden_HB), np.empty_like(by_weights_GH)
    weights_HG = np.ascontiguousarray(weights_GH.T)
    for back in range(steps):
        t = steps - 1 - back
        gates_GB, kept_HB = gates_TGB[t], kept_THB[min(t, kept_THB.shape[0] - 1)]
        before_HB, old_HB = (hidden_THB[t - 1], cells_THB[t - 1]) if t else (hidden_HB, cell_HB)
        for h in range(cells):
            _through_cell(
                kept_HB[h][first:last],
                gates_GB[h][first:last],
                gates_GB[cells + h][first:last],
                gates_GB[2 * cells + h][first:last],
                gates_GB[3 * cells + h][first:last],
                squashed_THB[t, h][first:last],
                old_HB[h][first:last],
                above_THB[t, h][first:last],
                by_hidden_HB[h],
                by_cell_HB[h],
                slopes_GB[h],
                slopes_GB[cells + h],
                slopes_GB[2 * cells + h],
                slopes_GB[3 * cells + h],
            )
            earlier_HB[h] = before_HB[h][first:last]
        np.dot(weights_HG, slopes_GB, product_HB)
        np.dot(slopes_GB, earlier_HB.T, product_GH)
        for h in range(cells):
            _sum(by_hidden_HB[h], by_hidden_HB[h], product_HB[h])
        for g in range(4 * cells):
            slopes_TGB[t, g][first:last] = slopes_GB[g]
            _sum(by_weights_GH[g], by_weights_GH[g], product_GH[g])
