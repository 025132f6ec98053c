"""The recurrent layer's arithmetic on the processor, compiled: all steps of some sequences without a pause.

Sequences are worked on a block at a time, few enough for a core's cache. What a block keeps lies together, so that
each operation is one loop over plain memory, which the compiler turns into wide instructions. None of the loops
holds the interpreter's lock.

T steps, H cells, G gates (output, input, forget, candidate of each cell), B sequences, N those of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.compilation import compiler

Array = npt.NDArray[Any]

TOGETHER = 64  # sequences in a block
_PIECE = 512  # numbers whose exponents are kept at a time

# e to the x is 2 to the k times a polynomial of what is left, which is at most half of ln 2 (Cody and Waite 1980).
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_LARGEST = np.float32(87.0)  # beyond it the exponential does not fit a float
_ONE, _HALF, _TWO = np.float32(1), np.float32(0.5), np.float32(2)
_P2, _P3, _P4, _P5, _P6 = (np.float32(1 / each) for each in (2, 6, 24, 120, 720))
_SHIFT, _EXCESS = np.int32(23), np.int32(127)  # of the exponent in a float's bits


_compiled = compiler("nsz", "contract", "reassoc")


@_compiled
def _logistic(values: Array, bits: Array, powers: Array) -> None:
    """The logistic function in place; ``bits`` and ``powers`` are one piece of memory, as integers and as floats."""
    for n in range(values.shape[0]):
        x = min(max(-values[n], -_LARGEST), _LARGEST)
        k = np.floor(x * _LOG2_E + _HALF)
        r = x - k * _LN2_HIGH - k * _LN2_LOW
        values[n] = _ONE + r * (_ONE + r * (_P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * _P6)))))
        bits[n] = (np.int32(k) + _EXCESS) << _SHIFT
    for n in range(values.shape[0]):
        values[n] = _ONE / (_ONE + values[n] * powers[n])


@_compiled
def squash(values: Array, cut: int) -> None:
    """The logistic function of the numbers before ``cut`` and the hyperbolic tangent of the others, in place."""
    bits = np.empty(_PIECE, np.int32)
    powers = bits.view(np.float32)
    for n in range(cut, values.shape[0]):
        values[n] = values[n] + values[n]
    for start in range(0, values.shape[0], _PIECE):
        _logistic(values[start : start + _PIECE], bits, powers)
    for n in range(cut, values.shape[0]):
        values[n] = values[n] + values[n] - _ONE


@_compiled
def _renewed(new: Array, enter: Array, candidate: Array, forget: Array, earlier: Array, squashed: Array) -> None:
    for n in range(new.shape[0]):
        new[n] = forget[n] * earlier[n] + enter[n] * candidate[n]
        squashed[n] = new[n]


@_compiled
def _mixed(kept: Array, output: Array, squashed: Array, hidden: Array, earlier: Array, new: Array) -> None:
    """Hidden values and cells, each mixed with a share of the old ones, which they replace."""
    for n in range(kept.shape[0]):
        shown = output[n] * squashed[n]
        hidden[n] = shown + kept[n] * (hidden[n] - shown)
        new[n] = new[n] + kept[n] * (earlier[n] - new[n])
        earlier[n] = new[n]


@_compiled
def _fetch(total_GN: Array, rows_GB: Array, first: int) -> None:
    """Add the columns of a block to the total."""
    for g in range(total_GN.shape[0]):
        total, row = total_GN[g], rows_GB[g][first : first + total_GN.shape[1]]
        for n in range(total.shape[0]):
            total[n] += row[n]


@_compiled
def forward(
    projected_TGB: Array,
    weights_GH: Array,
    hidden_HN: Array,
    cell_HN: Array,
    kept_THB: Array,
    gates_TGN: Array,
    squashed_THN: Array,
    cells_THN: Array,
    hidden_THB: Array,
    first: int,
) -> None:
    """All steps of the block of sequences that begins at ``first``; its hidden values go to ``hidden_THB``.

    Kept for the gradient are the gates as they came out, the new cells squashed, and the cells; where these have T of
    1, they are room for one step. ``hidden_HN`` and ``cell_HN`` come with the state before the first step and leave
    with that behind the last. Zoneout keeps the share ``kept_THB`` of the old state; its T is 1 where all steps keep
    the same.
    """
    cells, count = cell_HN.shape
    kept_HN, size = np.empty_like(cell_HN), cells * count
    for t in range(projected_TGB.shape[0]):
        room = min(t, gates_TGN.shape[0] - 1)
        np.dot(weights_GH, hidden_HN, gates_TGN[room])
        _fetch(gates_TGN[room], projected_TGB[t], first)
        if t == 0 or kept_THB.shape[0] > 1:
            kept_HN[:] = kept_THB[t][:, first : first + count]
        gates, new, squashed = (
            gates_TGN[room].reshape(-1),
            cells_THN[room].reshape(-1),
            squashed_THN[room].reshape(-1),
        )
        squash(gates, 3 * size)
        earlier = cell_HN.reshape(-1)
        _renewed(new, gates[size : 2 * size], gates[3 * size :], gates[2 * size : 3 * size], earlier, squashed)
        squash(squashed, 0)
        _mixed(kept_HN.reshape(-1), gates[:size], squashed, hidden_HN.reshape(-1), earlier, new)
        hidden_THB[t][:, first : first + count] = hidden_HN


@_compiled
def advance(
    projected_TGB: Array,
    weights_GH: Array,
    hidden_HB: Array,
    cell_HB: Array,
    kept_THB: Array,
    hidden_THB: Array,
    last_HB: Array,
) -> None:
    """All steps of all sequences, where no gradient is asked for: nothing is kept.

    ``last_HB`` gets the cells behind the last step.
    """
    cells, sequences = hidden_HB.shape
    for first in range(0, sequences, TOGETHER):
        last = min(first + TOGETHER, sequences)
        hidden_HN, cell_HN = hidden_HB[:, first:last].copy(), cell_HB[:, first:last].copy()
        gates_TGN = np.empty((1, 4 * cells, last - first), np.float32)
        squashed_THN = np.empty((1, cells, last - first), np.float32)
        cells_THN = np.empty_like(squashed_THN)
        forward(
            projected_TGB,
            weights_GH,
            hidden_HN,
            cell_HN,
            kept_THB,
            gates_TGN,
            squashed_THN,
            cells_THN,
            hidden_THB,
            first,
        )
        last_HB[:, first:last] = cell_HN


@_compiled
def _through_cells(
    kept: Array, gates: Array, squashed: Array, earlier: Array, by_hidden: Array, by_cell: Array, slopes: Array
) -> None:
    """The gradients by the inputs of the gates, and by the state at the step before."""
    size = kept.shape[0]
    output, enter, forget = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size]
    candidate = gates[3 * size :]
    slope_o, slope_i, slope_f = slopes[:size], slopes[size : 2 * size], slopes[2 * size : 3 * size]
    slope_g = slopes[3 * size :]
    for n in range(size):
        o, i, f, g, s, rest = output[n], enter[n], forget[n], candidate[n], squashed[n], _ONE - kept[n]
        passed = by_hidden[n] * rest
        new = by_cell[n] * rest + passed * o * (_ONE - s * s)
        slope_o[n] = passed * s * (o - o * o)
        slope_i[n] = new * g * (i - i * i)
        slope_f[n] = new * earlier[n] * (f - f * f)
        slope_g[n] = new * i * (_ONE - g * g)
        by_cell[n] = by_cell[n] * kept[n] + new * f
        by_hidden[n] = by_hidden[n] * kept[n]


@_compiled
def backward(
    gates_TGN: Array,
    weights_GH: Array,
    hidden_HN: Array,
    cell_HN: Array,
    kept_THB: Array,
    squashed_THN: Array,
    cells_THN: Array,
    hidden_THB: Array,
    above_THB: Array,
    by_hidden_HN: Array,
    by_cell_HN: Array,
    slopes_TGB: Array,
    by_weights_GH: Array,
    first: int,
) -> None:
    """The gradients by the projected inputs and by the weights of a block of sequences, in the last two arrays.

    ``hidden_HN`` and ``cell_HN`` are the first state; ``above_THB`` are the gradients by the hidden values as later
    layers see them. ``by_cell_HN`` comes with the gradient by the last cells, ``by_hidden_HN`` with zeros; both leave
    with those by the first state.
    """
    cells, count = cell_HN.shape
    slopes_GN, earlier_HN = np.empty((4 * cells, count), np.float32), np.empty_like(cell_HN)
    kept_HN, product_GH = np.empty_like(cell_HN), np.empty_like(by_weights_GH)
    product_HN, weights_HG = np.empty_like(cell_HN), np.ascontiguousarray(weights_GH.T)
    for back in range(gates_TGN.shape[0]):
        t = gates_TGN.shape[0] - 1 - back
        kept_HN[:] = kept_THB[min(t, kept_THB.shape[0] - 1)][:, first : first + count]
        _fetch(by_hidden_HN, above_THB[t], first)
        earlier_HN[:] = hidden_THB[t - 1][:, first : first + count] if t else hidden_HN
        _through_cells(
            kept_HN.reshape(-1),
            gates_TGN[t].reshape(-1),
            squashed_THN[t].reshape(-1),
            (cells_THN[t - 1] if t else cell_HN).reshape(-1),
            by_hidden_HN.reshape(-1),
            by_cell_HN.reshape(-1),
            slopes_GN.reshape(-1),
        )
        np.dot(weights_HG, slopes_GN, product_HN)
        np.dot(slopes_GN, earlier_HN.T, product_GH)
        _fetch(by_hidden_HN, product_HN, 0)
        _fetch(by_weights_GH, product_GH, 0)
        slopes_TGB[t][:, first : first + count] = slopes_GN
