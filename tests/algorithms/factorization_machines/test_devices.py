"""The compiled loops and torch against NumPy in float64, and against torch's own gradients and Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import settings as quick
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.algorithms.factorization_machines import devices
from clary.algorithms.factorization_machines.data import Batch
from clary.algorithms.factorization_machines.devices import Card, Device, Processor
from clary.algorithms.factorization_machines.model import Adam
from factorization import records, settings

Array = npt.NDArray[Any]
FEATURES, FACTORS = 12, 3


def rule(**given: Any) -> Adam:
    rates = {"factors_lr": 0.03, "linear_lr": 0.05, "factors_wd": 0.02, "linear_wd": 0.1}
    return Adam.of(settings(**{"feature_dim": FEATURES, "num_factors": FACTORS, **rates, **given}))


def rows(count: int, seed: int) -> csr_matrix:
    """Sparse rows that leave some features out altogether."""
    rng = np.random.default_rng(seed)
    there = rng.random((count, FEATURES)) < 0.3
    there[:, seed % FEATURES] = False
    return csr_matrix(np.where(there, rng.normal(size=there.shape), 0))


def weights(seed: int = 0, factors: int = FACTORS) -> Array:
    return np.random.default_rng(seed).normal(scale=0.5, size=(FEATURES, factors + 1)).astype(np.float32)


def stepped(device: Device, adam: Adam, batches: int = 4, count: int = 40) -> Array:
    """The parameters after a few steps of a regressor whose bias stays at 0.3."""
    for number in range(1, batches + 1):
        batch = Batch.of(records(rows(count, number), np.random.default_rng(number).normal(size=count)))
        slopes_B = device.scores(batch, 0.3) - batch.labels_B
        columns_U, gradient_UP = device.gradient(slopes_B)
        assert device.move(columns_U, gradient_UP, adam.share(count), adam.correction(number))
    found = device.state()["weights"].copy()
    device.close()
    return found


def by_hand(start_DP: Array, adam: Adam, batches: int = 4, count: int = 40) -> Array:
    """The same in float64, from the formulas alone; features that a batch lacks stay where they are."""
    weights_DP = start_DP.astype(np.float64)
    first_DP, second_DP = np.zeros_like(weights_DP), np.zeros_like(weights_DP)
    for number in range(1, batches + 1):
        x_BD = rows(count, number).toarray().astype(np.float32).astype(np.float64)
        labels_B = np.random.default_rng(number).normal(size=count).astype(np.float32)
        factors_DK, linear_D = weights_DP[:, :-1], weights_DP[:, -1]
        sums_BK = x_BD @ factors_DK
        pairs_B = (np.square(sums_BK) - np.square(x_BD) @ np.square(factors_DK)).sum(axis=1) / 2
        slopes_B = 0.3 + x_BD @ linear_D + pairs_B - labels_B
        own_DK = (np.square(x_BD).T @ slopes_B)[:, None] * factors_DK
        gradient_DP = np.hstack([x_BD.T @ (slopes_B[:, None] * sums_BK) - own_DK, (x_BD.T @ slopes_B)[:, None]])
        pull_DP = np.clip(gradient_DP * adam.share(count) + adam.decays_P * weights_DP, -adam.most, adam.most)
        there_D1 = (x_BD != 0).any(axis=0)[:, None]
        first_DP = np.where(there_D1, 0.9 * first_DP + 0.1 * pull_DP, first_DP)
        second_DP = np.where(there_D1, 0.999 * second_DP + 0.001 * pull_DP**2, second_DP)
        step_DP = adam.correction(number) * adam.rates_P * first_DP / (np.sqrt(second_DP) + adam.eps)
        weights_DP = np.where(there_D1, weights_DP - step_DP, weights_DP)
    return weights_DP


CASES: dict[str, dict[str, Any]] = {
    "usual": {},
    "without decay": {"factors_wd": 0, "linear_wd": 0},
    "clipped": {"clip_gradient": 0.05},
    "rescaled": {"rescale_grad": 0.5},
    "another eps": {"eps": 0.1},
    "a group at rest": {"linear_lr": 0},
}


@pytest.mark.parametrize("case", CASES)
def test_the_loops_do_what_the_formulas_say(case: str) -> None:
    adam = rule(**CASES[case])
    assert stepped(Processor(weights(), adam), adam) == pytest.approx(by_hand(weights(), adam), rel=1e-3, abs=2e-5)


@quick(max_examples=20)
@given(factors=st.integers(1, 70), count=st.integers(1, 40), seed=st.integers(0, 20))
def test_any_number_of_factors_is_computed(factors: int, count: int, seed: int) -> None:
    adam, start_DP = rule(num_factors=factors), weights(seed, factors) / np.float32(factors**0.5)
    found = stepped(Processor(start_DP, adam), adam, batches=2, count=count)
    assert found == pytest.approx(by_hand(start_DP, adam, batches=2, count=count), rel=1e-3, abs=2e-4)


@pytest.mark.parametrize("case", CASES)
def test_torch_does_what_the_formulas_say(case: str) -> None:
    adam = rule(**CASES[case])
    found = stepped(Card(weights(), adam, place="cpu"), adam)
    assert found == pytest.approx(by_hand(weights(), adam), rel=1e-3, abs=2e-5)


def test_dense_rows_follow_torch_and_its_adam() -> None:
    adam = rule(factors_lr=0.05, linear_lr=0.05, factors_wd=0.01, linear_wd=0.01)
    device, rng = Processor(weights(), adam), np.random.default_rng(0)
    free = torch.tensor(weights(), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.05, weight_decay=0.01)
    for number in range(1, 6):
        x_BD, labels_B = rng.normal(size=(30, FEATURES)).astype(np.float32), rng.normal(size=30)
        batch = Batch.of(records(x_BD, labels_B))
        columns_U, gradient_UP = device.gradient(device.scores(batch, 0.0) - batch.labels_B)
        assert device.move(columns_U, gradient_UP, 1 / 30, adam.correction(number))
        optimizer.zero_grad()
        x, labels = torch.tensor(x_BD, dtype=torch.float64), torch.tensor(batch.labels_B)
        factors, linear = free[:, :-1], free[:, -1]
        scores = x @ linear + ((x @ factors).square() - x.square() @ factors.square()).sum(dim=1) / 2
        (0.5 * (scores - labels).square().mean()).backward()
        optimizer.step()
    device.close()
    assert device.state()["weights"] == pytest.approx(free.detach().numpy(), rel=1e-3, abs=1e-4)


@quick(max_examples=30)
@given(count=st.integers(1, 60), threads=st.integers(1, 5), seed=st.integers(0, 50))
def test_the_number_of_threads_changes_nothing(count: int, threads: int, seed: int) -> None:
    adam, found = rule(), []
    for cores, worth in ((1, 1 << 18), (threads, 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(devices, "cores", lambda cores=cores: cores)
            patch.setattr(devices, "_WORTH_A_THREAD", worth)
            found.append(stepped(Processor(weights(seed), adam), adam, count=count))
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize("kind", [Processor, Card])
def test_a_batch_without_rows_has_a_gradient_of_no_features(kind: type[Device]) -> None:
    device = Processor(weights(), rule()) if kind is Processor else Card(weights(), rule(), place="cpu")
    assert len(device.scores(Batch.of(None), 0.3)) == 0
    columns_U, gradient_UP = device.gradient(np.empty(0))
    assert (len(columns_U), tuple(gradient_UP.shape)) == (0, (0, FACTORS + 1))
    device.close()


@pytest.mark.parametrize("kind", [Processor, Card])
def test_a_stored_zero_is_as_good_as_none(kind: type[Device]) -> None:
    stored = csr_matrix((np.array([2.0, 0.0, 1.0]), np.array([1, 4, 7]), np.array([0, 3])), shape=(1, FEATURES))
    device = Processor(weights(), rule()) if kind is Processor else Card(weights(), rule(), place="cpu")
    device.scores(Batch.of(records(stored, [1.0])), 0.0)
    assert sorted(device.gradient(np.ones(1))[0].tolist()) == [1, 7]
    device.close()


@pytest.mark.parametrize("kind", [Processor, Card])
def test_a_gradient_that_float32_cannot_square_changes_nothing(kind: type[Device]) -> None:
    device = Processor(weights(), rule()) if kind is Processor else Card(weights(), rule(), place="cpu")
    device.scores(Batch.of(records(rows(5, 1), np.zeros(5))), 0.0)
    columns_U, gradient_UP = device.gradient(np.full(5, 1e25))
    assert not device.move(columns_U, gradient_UP, 1.0, 1.0)
    assert np.array_equal(device.state()["weights"], weights())
    device.close()


@pytest.mark.parametrize("kind", [Processor, Card])
def test_a_device_goes_on_from_the_state_of_another(kind: type[Device]) -> None:
    adam = rule()
    first = Processor(weights(), adam)
    stepped(first, adam)
    state = {name: array.copy() for name, array in first.state().items()}
    second = Processor(weights(), adam, state) if kind is Processor else Card(weights(), adam, state, place="cpu")
    assert all(np.array_equal(second.state()[name], array) for name, array in state.items())
    assert stepped(second, adam) == pytest.approx(
        stepped(Processor(weights(), adam, state), adam), rel=1e-4, abs=1e-5
    )
