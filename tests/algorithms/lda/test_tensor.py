"""The decomposition of tensors whose directions are known."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.algorithms.lda.tensor import Decomposition, decompose
from dirichlet import Array


def cubes(directions_KR: Array, weights_R: Array) -> Array:
    return np.asarray(np.einsum("r,ir,jr,kr->ijk", weights_R, directions_KR, directions_KR, directions_KR))


def found(tensor_KKK: Array, count: int, restart: int = 0, most: int = 500, tol: float = 1e-12) -> Decomposition:
    rng = np.random.default_rng(restart)
    return decompose(tensor_KKK, count, restart, rng, most=most, tol=tol, stop=lambda: False)


def parted(directions_KR: Array, wanted_KR: Array) -> Array:
    """How far each wanted direction is from the nearest one, whatever its sign."""
    return np.asarray(1 - np.abs(wanted_KR.T @ directions_KR).max(axis=1))


@given(st.integers(1, 8), st.integers(0, 3), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_orthogonal_directions_are_found_from_any_start(count: int, restart: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted_KR = np.linalg.qr(rng.normal(size=(8, count)))[0]
    tensor_KKK = cubes(wanted_KR, rng.uniform(1, 5, count))
    best = min((found(tensor_KKK, count, restart + more) for more in range(3)), key=lambda each: each.error)
    assert best.error < 1e-5
    assert parted(best.directions_KR, wanted_KR).max() < 1e-6
    assert cubes(best.directions_KR, best.weights_R) == pytest.approx(tensor_KKK, abs=1e-4)


def test_more_directions_than_dimensions_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    wanted_KR = rng.normal(size=(9, 10))
    wanted_KR /= np.linalg.norm(wanted_KR, axis=0)
    tensor_KKK = cubes(wanted_KR, np.ones(10))
    best = min((found(tensor_KKK, 10, restart, most=1000) for restart in range(3, 6)), key=lambda each: each.error)
    assert best.error < 1e-3
    assert parted(best.directions_KR, wanted_KR).max() < 1e-3


def test_the_error_is_that_of_the_sum() -> None:
    tensor_KKK = np.random.default_rng(0).normal(size=(5, 5, 5))
    tensor_KKK = np.sum([tensor_KKK.transpose(order) for order in permutations(range(3))], axis=0)
    best = found(tensor_KKK, 4)
    missed = np.linalg.norm(tensor_KKK - cubes(best.directions_KR, best.weights_R)) / np.linalg.norm(tensor_KKK)
    assert best.error == pytest.approx(missed, rel=1e-6)


def test_iterations_and_tolerance_end_a_restart() -> None:
    rng = np.random.default_rng(4)
    tensor_KKK = cubes(rng.normal(size=(6, 9)), np.ones(9))
    assert found(tensor_KKK, 9, most=7, tol=1e-300).steps <= 7
    loose, tight = found(tensor_KKK, 9, tol=1e-2), found(tensor_KKK, 9, tol=1e-9)
    assert loose.steps < tight.steps
    assert tight.error < loose.error


def test_a_stop_is_heard_after_a_few_steps() -> None:
    rng = np.random.default_rng(4)
    tensor_KKK = cubes(rng.normal(size=(6, 9)), np.ones(9))
    best = decompose(tensor_KKK, 9, 0, rng, most=10**9, tol=1e-300, stop=lambda: True)
    assert 0 < best.steps <= 11


def test_what_is_nothing_has_no_directions() -> None:
    assert found(np.zeros((0, 0, 0)), 0).weights_R.size == 0
    assert found(np.zeros((3, 3, 3)), 2).error == 1
