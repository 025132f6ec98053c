"""Recurrent layers with zoneout: LSTM layers whose units keep their state at some steps of training.

A layer's whole sequence is one operation to autograd, with its gradient written out (Graves 2013, appendix, for
the LSTM). Step by step, autograd would spend more time on its own records than on the arithmetic.

T steps, I inputs, H cells, G gates (four for each cell), B sequences. Sequences stand last, so that what one
operation touches lies together. Gates stand in the order output, input, forget, candidate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.autograd import Function

from clary.algorithms.deepar import loops
from clary.toolkit.device import cores

Array = npt.NDArray[Any]
Part = TypeVar("Part")
State = list[tuple[Tensor, Tensor]]
"""Of each layer, the hidden values and the cells (H, B)."""


class Recurrent(nn.Module):
    """Several LSTM layers with zoneout (Krueger et al. 2016, arXiv 1606.01305); from the second on, residual.

    In training a unit keeps its hidden value and its cell at a step with probability ``rate``; otherwise it takes
    what that keeps on average, so that answers do not depend on chance.
    """

    def __init__(self, inputs: int, cells: int, layers: int, rate: float) -> None:
        super().__init__()
        self.cells, self._rate = cells, rate
        widths = [inputs] + [cells] * (layers - 1)
        self.from_input = nn.ParameterList(nn.Parameter(torch.empty(4 * cells, width)) for width in widths)
        self.from_hidden = nn.ParameterList(nn.Parameter(torch.empty(4 * cells, cells)) for _ in widths)
        self.bias = nn.ParameterList(nn.Parameter(torch.empty(4 * cells, 1)) for _ in widths)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(cells), 1 / math.sqrt(cells))

    def start(self, sequences: int) -> State:
        """The state before the first step: nothing."""
        nothing = self.bias[0].new_zeros(self.cells, sequences)
        return [(nothing, nothing) for _ in self.bias]

    def forward(self, projected_TGB: Tensor, state: State) -> tuple[Tensor, State]:
        """The last layer's hidden values at each step (T, H, B), and the state behind the last step.

        The inputs come multiplied with the first layer's weights, its bias added.
        """
        following: State = []
        hidden_THB = projected_TGB
        for layer, (hidden_HB, cell_HB) in enumerate(state):
            if layer:
                projected_TGB = project(
                    self.from_input[layer], hidden_THB, self.bias[layer].expand(-1, len(hidden_HB[0]))
                )
            kept = self._kept(projected_TGB)
            out_THB, cell_HB = _sequence(projected_TGB, self.from_hidden[layer], hidden_HB, cell_HB, kept)
            following.append((out_THB[-1], cell_HB))
            hidden_THB = out_THB + hidden_THB if layer else out_THB
        return hidden_THB, following

    def _kept(self, projected_TGB: Tensor) -> Tensor:
        """The share of its old state that each unit keeps at each step (T, H, B), or at all steps where T is 1."""
        sequences = projected_TGB.shape[-1]
        if not (self.training and self._rate):
            return projected_TGB.new_full((1, self.cells, sequences), self._rate)
        # Four numbers of 16 bits are drawn at a time, which takes a fifth of the time of as many float32.
        count = len(projected_TGB) * self.cells * sequences
        drawn = torch.empty(-(-count // 4), dtype=torch.int64, device=projected_TGB.device).random_(-(1 << 63), None)
        keeping = max(1, round(self._rate * (1 << 16)))  # of the 65,536 numbers, from the smallest on
        kept = drawn.view(torch.int16)[:count] <= keeping - 1 - (1 << 15)
        return kept.view(-1, self.cells, sequences).to(projected_TGB.dtype)


def project(weights_GI: Tensor, input_TIB: Tensor, bias_GB: Tensor) -> Tensor:
    """The weights times the input at each step, and the bias added to each (T, G, B)."""
    projected_TGB: Tensor = _Projection.apply(weights_GI, input_TIB, bias_GB)
    return projected_TGB


class _Projection(Function):
    """A product for each step, whose gradient torch alone would find with copies of all that takes part."""

    @staticmethod
    def forward(ctx: Any, weights_GI: Tensor, input_TIB: Tensor, bias_GB: Tensor) -> Tensor:
        ctx.save_for_backward(weights_GI, input_TIB)
        return torch.matmul(weights_GI, input_TIB).add_(bias_GB)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the loss by the weights, the input, where it has one, and the bias."""
        weights_GI, input_TIB = ctx.saved_tensors
        by_weights = torch.bmm(above[0], input_TIB.transpose(1, 2)).sum(dim=0)
        by_input = torch.matmul(weights_GI.t(), above[0]) if ctx.needs_input_grad[1] else None
        return by_weights, by_input, above[0].sum(dim=0)


def _sequence(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM layer over all steps: the hidden values at each, and the last cells.

    The arguments are the projected inputs, the weights of the hidden values, the first state and what zoneout keeps.
    """
    if arguments[0].device.type != "cpu" or arguments[0].dtype != torch.float32:
        found: tuple[Tensor, Tensor] = _Sequence.apply(*arguments)
    elif torch.is_grad_enabled():
        found = _Compiled.apply(*arguments)
    else:
        found = _advanced(*arguments)
    return found


class _Sequence(Function):
    """A layer by operations of torch, on any device; zoneout mixes the old state back in."""

    @staticmethod
    def forward(
        ctx: Any, projected_TGB: Tensor, weights_GH: Tensor, hidden_HB: Tensor, cell_HB: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, width, sequences = projected_TGB.shape
        cells = width // 4
        gates_TGB, zones = projected_TGB.clone(), _by_step(kept, steps)
        squashed_THB = projected_TGB.new_empty(steps, cells, sequences)  # the new cells, before zoneout
        hidden_THB, cells_THB = torch.empty_like(squashed_THB), torch.empty_like(squashed_THB)
        ctx.first = hidden_HB, cell_HB
        for step, gates_GB in enumerate(gates_TGB.unbind()):
            gates_GB.addmm_(weights_GH, hidden_HB)
            gates_GB[: 3 * cells].sigmoid_()
            output_HB, enter_HB, forget_HB, candidate_HB = gates_GB.split(cells)
            new_HB = torch.mul(forget_HB, cell_HB).addcmul_(enter_HB, candidate_HB.tanh_())
            shown_HB = torch.tanh(new_HB, out=squashed_THB[step]).mul(output_HB)
            hidden_HB = torch.lerp(shown_HB, hidden_HB, zones[step], out=hidden_THB[step])
            cell_HB = torch.lerp(new_HB, cell_HB, zones[step], out=cells_THB[step])
        ctx.save_for_backward(gates_TGB, squashed_THB, hidden_THB, cells_THB, weights_GH, kept)
        return hidden_THB, cell_HB.clone()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the loss by the projected inputs, the weights and the first state.

        All that does not depend on the gradient of a later step is worked out for all steps at once.
        """
        above_THB, cell_HB = above
        gates_TGB, squashed_THB, hidden_THB, cells_THB, weights_GH, kept = ctx.saved_tensors
        steps, cells, sequences = squashed_THB.shape
        before_THB = torch.cat([ctx.first[1][None], cells_THB[:-1]])
        gates_T4HB = gates_TGB.view(steps, 4, cells, sequences)
        slopes_T4HB, through_THB = _slopes(gates_T4HB, squashed_THB, before_THB, kept)
        weights_HG, zones, forgets = weights_GH.t().contiguous(), _by_step(kept, steps), gates_T4HB[:, 2].unbind()
        hidden_HB = above_THB[-1]
        for step in reversed(range(steps)):
            slopes_4HB, zone = slopes_T4HB[step], zones[step]
            new_HB = torch.lerp(cell_HB, cell_HB.new_zeros(()), zone).addcmul_(hidden_HB, through_THB[step])
            slopes_4HB[1:].mul_(new_HB)
            slopes_4HB[0].mul_(hidden_HB)
            cell_HB = torch.mul(cell_HB, zone).addcmul_(new_HB, forgets[step])
            from_above = above_THB[step - 1] if step else torch.zeros_like(hidden_HB)
            through_gates_HB = torch.addmm(from_above, weights_HG, slopes_4HB.view(-1, sequences))
            hidden_HB = through_gates_HB.addcmul_(hidden_HB, zone)
        slopes_TGB = slopes_T4HB.view(steps, -1, sequences)
        earlier_THB = torch.cat([ctx.first[0][None], hidden_THB[:-1]])
        weights = torch.einsum("tgb,thb->gh", slopes_TGB, earlier_THB)
        return slopes_TGB, weights, hidden_HB, cell_HB, None


def _slopes(gates_T4HB: Tensor, squashed_THB: Tensor, before_THB: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """How far the hidden value moves with the output gate's input, and the new cell with those of the others.

    Behind it, how far the hidden value moves with the new cell. Zoneout lets a share of it through.
    """
    output, enter, forget, candidate = gates_T4HB.unbind(dim=1)
    slopes_T4HB, passed = torch.empty_like(gates_T4HB), 1 - kept
    torch.mul(squashed_THB * (output - output.square()), passed, out=slopes_T4HB[:, 0])
    torch.mul(candidate, enter - enter.square(), out=slopes_T4HB[:, 1])
    torch.mul(before_THB, forget - forget.square(), out=slopes_T4HB[:, 2])
    torch.mul(enter, 1 - candidate.square(), out=slopes_T4HB[:, 3])
    return slopes_T4HB, output * (1 - squashed_THB.square()) * passed


def _by_step(kept: Tensor, steps: int) -> list[Tensor]:
    return list(kept.unbind()) * (steps // len(kept))


class _Compiled(Function):
    """The same on the processor by compiled loops, some sequences at a time on each core.

    The sequences are always cut into the same blocks, so that the number of cores changes no bit.
    """

    @staticmethod
    def forward(
        ctx: Any, projected_TGB: Tensor, weights_GH: Tensor, hidden_HB: Tensor, cell_HB: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        given = tuple(_array(each) for each in (projected_TGB, weights_GH, hidden_HB, cell_HB, kept))
        projected, weights, first, cell, shares = given
        steps, gates, sequences = projected.shape
        hidden, last = np.empty((steps, *first.shape), np.float32), np.empty_like(cell)

        def run(start: int, end: int) -> tuple[Array, ...]:
            before, earlier = first[:, start:end].copy(), cell[:, start:end].copy()
            came = np.empty((steps, gates, end - start), np.float32)
            squashed, cells = np.empty((2, steps, len(first), end - start), np.float32)
            loops.forward(projected, weights, before, earlier, shares, came, squashed, cells, hidden, start)
            last[:, start:end] = earlier
            return came, squashed, cells

        ctx.rooms = _side_by_side(run, sequences)
        ctx.saved = weights, first, cell, shares, hidden
        return torch.from_numpy(hidden), torch.from_numpy(last)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the loss by the projected inputs, the weights and the first state."""
        by_hidden_values, by_cells = (_array(each) for each in above)
        weights, first, cell, shares, hidden = ctx.saved
        slopes = np.empty((len(hidden), len(weights), first.shape[1]), np.float32)

        def run(start: int, end: int) -> tuple[Array, Array, Array]:
            gates, squashed, cells = ctx.rooms[start // loops.TOGETHER]
            state = first[:, start:end].copy(), cell[:, start:end].copy()
            by_cell, by_weights = by_cells[:, start:end].copy(), np.zeros_like(weights)
            by_hidden = np.zeros_like(by_cell)
            gradients = by_hidden_values, by_hidden, by_cell, slopes, by_weights
            loops.backward(gates, weights, *state, shares, squashed, cells, hidden, *gradients, start)
            return by_weights, by_hidden, by_cell

        parts = _side_by_side(run, first.shape[1])
        by_weights = torch.from_numpy(np.sum([part[0] for part in parts], axis=0))
        by_first = (_joined(part[place] for part in parts) for place in (1, 2))
        return torch.from_numpy(slopes), by_weights, *by_first, None


def _advanced(
    projected_TGB: Tensor, weights_GH: Tensor, hidden_HB: Tensor, cell_HB: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    """The same in this thread, without what a gradient needs."""
    given = tuple(_array(each) for each in (projected_TGB, weights_GH, hidden_HB, cell_HB, kept))
    hidden = np.empty((len(given[0]), *hidden_HB.shape), np.float32)
    last = np.empty(cell_HB.shape, np.float32)
    projected, weights, first, cell, shares = given
    loops.advance(projected, weights, first, cell, shares, hidden, last)
    return torch.from_numpy(hidden), torch.from_numpy(last)


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().contiguous().numpy()
    return array


def _joined(parts: Iterable[Array]) -> Tensor:
    return torch.from_numpy(np.concatenate(list(parts), axis=-1))


def _side_by_side(run: Callable[[int, int], Part], sequences: int) -> list[Part]:
    """What ``run`` returns for each block of the sequences, in order."""
    starts = range(0, sequences, loops.TOGETHER)
    ends = [min(start + loops.TOGETHER, sequences) for start in starts]
    return on_all_cores(run, starts, ends)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: its products are small here, and the sequences keep the other cores busy.

    Threads that wait for each other at every small product are slower than one where other programs run too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_all_cores(run: Callable[..., Part], *arguments: Iterable[Any]) -> list[Part]:
    """What ``run`` returns for each of the arguments, in order; it must not come here again itself."""
    calls = list(zip(*arguments, strict=True))
    return [run(*calls[0])] if len(calls) == 1 else list(_threads().map(lambda call: run(*call), calls))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="recurrent")
