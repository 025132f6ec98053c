"""A layer's values and gradients are those of its steps one by one, by torch and compiled."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clary.algorithms.deepar import layers
from clary.algorithms.deepar.layers import Recurrent, State


def network(inputs: int, cells: int, count: int, rate: float = 0.0, seed: int = 0) -> Recurrent:
    torch.manual_seed(seed)
    return Recurrent(inputs, cells, count, rate)


def fixed(monkeypatch: pytest.MonkeyPatch, masks: list[Tensor]) -> None:
    """Let the layers draw these masks, one after the other, again and again."""
    drawn = iter(masks * 4)
    monkeypatch.setattr(Recurrent, "_kept", lambda *_: next(drawn))


def one_by_one(layer: Recurrent, projected_TGB: Tensor, state: State, masks: list[Tensor]) -> tuple[Tensor, State]:
    """The layers as their papers have them, by operations whose gradients torch knows."""
    following = []
    inputs_THB = projected_TGB
    for place, (hidden, cell) in enumerate(state):
        if place:
            projected_TGB = layer.from_input[place] @ inputs_THB + layer.bias[place]
        seen = []
        for step, gates in enumerate(projected_TGB):
            output, enter, forget, candidate = (gates + layer.from_hidden[place] @ hidden).chunk(4)
            new = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
            zone = masks[place][min(step, len(masks[place]) - 1)]
            hidden = zone * hidden + (1 - zone) * torch.sigmoid(output) * torch.tanh(new)
            cell = zone * cell + (1 - zone) * new
            seen.append(hidden)
        following.append((hidden, cell))
        inputs_THB = torch.stack(seen) + (inputs_THB if place else 0)
    return inputs_THB, following


def asked(run: object, layer: Recurrent, projected_TGB: Tensor, state: State) -> list[Tensor]:
    """Values, states, and the gradients of a loss in which each of them has another weight."""
    assert callable(run)
    projected = projected_TGB.clone().requires_grad_()
    begun = [(h.clone().requires_grad_(), c.clone().requires_grad_()) for h, c in state]
    hidden_THB, following = run(projected, begun)
    found = [hidden_THB, *(each for pair in following for each in pair)]
    chance = torch.Generator().manual_seed(7)
    loss = sum((torch.randn(each.shape, generator=chance, dtype=each.dtype) * each).sum() for each in found)
    asked_for = [projected, *(each for pair in begun for each in pair), *layer.parameters()]
    grads = torch.autograd.grad(loss, asked_for, allow_unused=True)
    return [each.detach() for each in (*found, *(grad for grad in grads if grad is not None))]


def given_to(
    layer: Recurrent, count: int, steps: int, sequences: int, kind: torch.dtype
) -> tuple[Tensor, State, list[Tensor]]:
    """Inputs, a state to begin with, and masks, drawn or the same at all steps."""
    chance = torch.Generator().manual_seed(steps * 1000 + sequences)
    projected = torch.randn(steps, 4 * layer.cells, sequences, generator=chance, dtype=kind)
    drawn = [torch.randn(2, layer.cells, sequences, generator=chance, dtype=kind) for _ in range(count)]
    masks = [(torch.rand(steps, layer.cells, sequences, generator=chance) < 0.3).to(kind) for _ in range(count)]
    masks[-1] = torch.full((1, layer.cells, sequences), 0.25, dtype=kind)
    return projected, [(h, c) for h, c in drawn], masks


@settings(max_examples=15)
@given(
    count=st.integers(1, 3), cells=st.integers(1, 5), steps=st.integers(1, 4), sequences=st.sampled_from([1, 2, 7])
)
def test_the_written_gradients_are_those_of_the_steps(count: int, cells: int, steps: int, sequences: int) -> None:
    layer = network(3, cells, count).double()
    projected, state, masks = given_to(layer, count, steps, sequences, torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        fixed(patch, masks)
        found = asked(layer, layer, projected, state)
    wanted = asked(lambda *told: one_by_one(layer, *told, masks), layer, projected, state)
    assert len(found) == len(wanted) > 4
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sequences", [1, 63, 64, 65, 200])
@pytest.mark.parametrize(("count", "steps"), [(1, 1), (1, 9), (3, 6)])
def test_the_compiled_layer_is_that_of_torch(
    monkeypatch: pytest.MonkeyPatch, count: int, steps: int, sequences: int
) -> None:
    layer = network(3, 20, count)
    projected, state, masks = given_to(layer, count, steps, sequences, torch.float32)
    fixed(monkeypatch, masks)
    compiled = asked(layer, layer, projected, state)
    monkeypatch.setattr(layers, "_Compiled", layers._Sequence)
    plain = asked(layer, layer, projected, state)
    for one, other in zip(compiled, plain, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-5 * float(other.abs().max()))


def test_inputs_of_any_size_stay_finite() -> None:
    layer = network(3, 4, 2, 0.1)
    projected = torch.tensor([-1e30, -100.0, -87.5, -20.0, 0.0, 20.0, 87.5, 100.0, 1e30]).expand(5, 16, 9)
    found = asked(layer, layer, projected, layer.start(9))
    assert all(bool(each.isfinite().all()) for each in found)


def test_a_number_that_is_none_does_not_pass_unseen() -> None:
    layer = network(3, 4, 1)
    projected = torch.zeros(3, 16, 2)
    projected[1, :, 1] = float("nan")
    hidden_THB, _ = layer(projected, layer.start(2))
    assert bool(hidden_THB[..., 0].isfinite().all())
    assert bool(hidden_THB[1:, :, 1].isnan().any())


def test_without_zoneout_a_layer_is_that_of_torch() -> None:
    inputs, cells, steps, sequences = 3, 6, 8, 70
    layer, peer = network(inputs, cells, 1), torch.nn.LSTM(inputs, cells)
    order = torch.cat(
        [torch.arange(cells) + part * cells for part in (1, 2, 3, 0)]
    )  # input, forget, candidate, output
    with torch.no_grad():
        for theirs, ours in (
            (peer.weight_ih_l0, layer.from_input[0]),
            (peer.weight_hh_l0, layer.from_hidden[0]),
            (peer.bias_ih_l0, layer.bias[0][:, 0]),
        ):
            theirs.copy_(ours[order])
        peer.bias_hh_l0.zero_()
        values_TIB = torch.randn(steps, inputs, sequences)
        hidden_THB, ((hidden_HB, cell_HB),) = layer(
            layer.from_input[0] @ values_TIB + layer.bias[0], layer.start(sequences)
        )
        wanted, (last, cell) = peer(values_TIB.transpose(1, 2))
    torch.testing.assert_close(hidden_THB, wanted.transpose(1, 2), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(hidden_HB, last[0].t(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(cell_HB, cell[0].t(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("split", [1, 3, 6])
def test_a_sequence_in_two_parts_is_the_sequence(split: int) -> None:
    layer = network(3, 5, 2, 0.2).eval()
    projected = torch.randn(7, 20, 3)
    with torch.no_grad():
        whole, last = layer(projected, layer.start(3))
        first, state = layer(projected[:split], layer.start(3))
        second, end = layer(projected[split:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert all(
        torch.equal(one, other)
        for ours, theirs in zip(end, last, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    )


def test_the_given_state_and_inputs_are_left_alone() -> None:
    layer = network(3, 5, 2, 0.2)
    for kind in (torch.float32, torch.float64):
        projected, state, _ = given_to(layer, 2, 4, 70, kind)
        kept = [each.clone() for each in (projected, *state[0], *state[1])]
        asked(layer.to(kind), layer, projected, state)
        assert all(
            torch.equal(one, other) for one, other in zip((projected, *state[0], *state[1]), kept, strict=True)
        )


def test_zoneout_is_drawn_in_training_and_nowhere_else() -> None:
    layer, projected = network(3, 30, 2, 0.3), torch.randn(20, 120, 50)
    first, second = (layer(projected, layer.start(50))[0] for _ in range(2))
    assert not torch.equal(first, second)
    layer.eval()
    first, second = (layer(projected, layer.start(50))[0] for _ in range(2))
    assert torch.equal(first, second)
    drawn = layer.train()._kept(projected)
    assert drawn.shape == (20, 30, 50)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert float(drawn.mean()) == pytest.approx(0.3, abs=0.02)
    assert layer.eval()._kept(projected).unique().tolist() == pytest.approx([0.3])


def test_a_unit_that_is_zoned_out_keeps_hidden_value_and_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = network(3, 4, 1)
    projected, state, _ = given_to(layer, 1, 1, 5, torch.float32)
    mask = torch.zeros(1, 4, 5)
    mask[0, 2] = 1
    fixed(monkeypatch, [mask])
    _, ((hidden_HB, cell_HB),) = layer(projected, state)
    ((before_HB, old_HB),) = state
    torch.testing.assert_close(hidden_HB[2], before_HB[2])
    torch.testing.assert_close(cell_HB[2], old_HB[2])
    assert not torch.isclose(hidden_HB[[0, 1, 3]], before_HB[[0, 1, 3]]).any()


def test_units_that_always_rest_stay_where_they_are() -> None:
    layer = network(3, 4, 1, 1.0)
    projected, state, _ = given_to(layer, 1, 5, 3, torch.float32)
    for mode in (True, False):
        _, ((hidden_HB, cell_HB),) = layer.train(mode)(projected, state)
        torch.testing.assert_close((hidden_HB, cell_HB), state[0])


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The layers on as many threads as the list's last entry says."""
    asked_for = [1]
    pools = {count: ThreadPoolExecutor(count) for count in (1, 3)}
    monkeypatch.setattr(layers, "_threads", lambda: pools[asked_for[-1]])
    yield asked_for
    for pool in pools.values():
        pool.shutdown()


def test_the_number_of_threads_changes_no_bit(threads: list[int]) -> None:
    layer = network(3, 20, 2, 0.1)
    projected, state, _ = given_to(layer, 2, 10, 300, torch.float32)
    found = []
    for count in (1, 3, 3):
        threads.append(count)
        torch.manual_seed(1)
        found.append(asked(layer, layer, projected, state))
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


@pytest.mark.parametrize("sequences", [1, 10, 65, 130])
def test_a_sequence_has_the_same_bits_beside_any_others(sequences: int) -> None:
    layer = network(3, 40, 2, 0.1).eval()
    projected, state, _ = given_to(layer, 2, 12, 130, torch.float32)
    with torch.no_grad():
        whole, _ = layer(projected, state)
        part, _ = layer(projected[..., :sequences], [(h[:, :sequences], c[:, :sequences]) for h, c in state])
    torch.testing.assert_close(part, whole[..., :sequences], rtol=1e-5, atol=1e-6)
