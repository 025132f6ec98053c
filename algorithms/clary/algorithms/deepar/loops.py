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
def _add(total: Array, row: Array) -> None:
    for b in range(total.shape[0]):
        total[b] += row[b]


@_compiled
def _renewed(new: Array, enter: Array, candidate: Array, forget: Array, earlier: Array, squashed: Array) -> None:
    for b in range(new.shape[0]):
        new[b] = forget[b] * earlier[b] + enter[b] * candidate[b]
        squashed[b] = new[b]


@_compiled
def _mixed(
    kept: Array, output: Array, squashed: Array, before: Array, earlier: Array, new: Array, hidden: Array
) -> None:
    """A cell's hidden value and state, each mixed with a share of the old ones."""
    for b in range(hidden.shape[0]):
        shown = output[b] * squashed[b]
        hidden[b] = shown + kept[b] * (before[b] - shown)
        new[b] = new[b] + kept[b] * (earlier[b] - new[b])


@_compiled
def forward(
    gates_TGB: Array,
    weights_GH: Array,
    first_HB: Array,
    cell_HB: Array,
    kept_THB: Array,
    squashed_THB: Array,
    hidden_THB: Array,
    cells_THB: Array,
) -> None:
    """All steps of these sequences; zoneout keeps the share ``kept_THB`` of the old state.

    The gates come as what the inputs and the bias add up to, and are left as they came out. Where all steps keep the
    same share, T of ``kept_THB`` is 1.
    """
    cells = weights_GH.shape[1]
    product_GB, bits = np.empty_like(gates_TGB[0]), np.empty(gates_TGB.shape[2], np.int32)
    powers = bits.view(np.float32)
    for t in range(gates_TGB.shape[0]):
        gates_GB, kept_HB = gates_TGB[t], kept_THB[min(t, kept_THB.shape[0] - 1)]
        before_HB = hidden_THB[t - 1] if t else first_HB
        earlier_HB = cells_THB[t - 1] if t else cell_HB
        np.dot(weights_GH, before_HB, product_GB)
        for g in range(4 * cells):
            _add(gates_GB[g], product_GB[g])
            if g < 3 * cells:
                _logistic(gates_GB[g], bits, powers)
            else:
                _tangent(gates_GB[g], bits, powers)
        for h in range(cells):
            new, squashed = cells_THB[t, h], squashed_THB[t, h]
            enter, forget, candidate = gates_GB[cells + h], gates_GB[2 * cells + h], gates_GB[3 * cells + h]
            _renewed(new, enter, candidate, forget, earlier_HB[h], squashed)
            _tangent(squashed, bits, powers)
            _mixed(kept_HB[h], gates_GB[h], squashed, before_HB[h], earlier_HB[h], new, hidden_THB[t, h])


@_compiled
def _through_cell(
    kept: Array,
    output: Array,
    enter: Array,
    forget: Array,
    candidate: Array,
    squashed: Array,
    earlier: Array,
    above: Array,
    by_hidden: Array,
    by_cell: Array,
) -> None:
    """The gradients by one cell's gates, written over them, and by its state at the step before."""
    for b in range(kept.shape[0]):
        o, i, f, g, s, rest = output[b], enter[b], forget[b], candidate[b], squashed[b], _ONE - kept[b]
        hidden = by_hidden[b] + above[b]
        passed = hidden * rest
        new = by_cell[b] * rest + passed * o * (_ONE - s * s)
        output[b] = passed * s * (o - o * o)
        enter[b] = new * g * (i - i * i)
        forget[b] = new * earlier[b] * (f - f * f)
        candidate[b] = new * i * (_ONE - g * g)
        by_cell[b] = by_cell[b] * kept[b] + new * f
        by_hidden[b] = hidden * kept[b]


@_compiled
def backward(
    gates_TGB: Array,
    weights_HG: Array,
    cell_HB: Array,
    kept_THB: Array,
    squashed_THB: Array,
    cells_THB: Array,
    above_THB: Array,
    by_hidden_HB: Array,
    by_cell_HB: Array,
) -> None:
    """The gradients by the gates' inputs, which are written over the gates, and by the first state.

    ``above_THB`` are those by the hidden values as later layers see them; ``by_cell_HB`` comes with the gradient by
    the last cells and leaves with that by the first; ``by_hidden_HB`` comes with zeros.
    """
    cells, steps = weights_HG.shape[0], gates_TGB.shape[0]
    product_HB = np.empty_like(by_hidden_HB)
    for back in range(steps):
        t = steps - 1 - back
        gates_GB, kept_HB = gates_TGB[t], kept_THB[min(t, kept_THB.shape[0] - 1)]
        earlier_HB = cells_THB[t - 1] if t else cell_HB
        for h in range(cells):
            _through_cell(
                kept_HB[h],
                gates_GB[h],
                gates_GB[cells + h],
                gates_GB[2 * cells + h],
                gates_GB[3 * cells + h],
                squashed_THB[t, h],
                earlier_HB[h],
                above_THB[t, h],
                by_hidden_HB[h],
                by_cell_HB[h],
            )
        np.dot(weights_HG, gates_GB, product_HB)
        for h in range(cells):
            _add(by_hidden_HB[h], product_HB[h])
