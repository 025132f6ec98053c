"""A symmetric tensor as a sum of few directions, each taken three times: alternating least squares, started anew.

K dimensions, R directions, P pairs of dimensions. One step solves for one of three equal factors with the other two
fixed, and goes there from all three, or only a part of the way where the whole way would lead away from the tensor.
The first steps make the directions orthogonal, as they are where as many topics as dimensions are looked for (Sharan
and Valiant, "Orthogonalized ALS", 2017). In that case a step is one of the tensor power method for all directions at
once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clary.algorithms.lda.data import Array

_ORTHOGONAL_STEPS = 5
_LEAST_STEPS = 10  # before a stop is heard
_RIDGE = 1e-12  # beside the ones on the diagonal of a Gram matrix, so that directions may become alike
_FARTHER, _NEARER = 1.5, 0.5  # how the share of the way changes after a step that was good, or not
_SHORTEST = 1e-6  # share of the way


@dataclass(frozen=True)
class Decomposition:
    """Unit directions as columns, the weight of each, the relative error of their sum, and the steps it took."""

    directions_KR: Array
    weights_R: Array
    error: float
    steps: int


def decompose(
    tensor_KKK: Array,
    count: int,
    restart: int,
    rng: np.random.Generator,
    *,
    most: int,
    tol: float,
    stop: Callable[[], bool],
) -> Decomposition:
    """So many directions whose sum is near the tensor, where this restart, counted from 0, ends.

    It ends where a step makes the error smaller by less than ``tol``, after ``most`` steps, or on ``stop``.
    """
    if not count:
        return Decomposition(np.empty((len(tensor_KKK), 0)), np.empty(0), 0.0, 0)
    tensor = _Tensor(tensor_KKK)
    at = tensor.fitted(_started(tensor_KKK, count, restart, rng))
    orthogonal = 0 if restart == 1 or count > len(tensor_KKK) else _ORTHOGONAL_STEPS
    share, step, gain = 1.0, 0, np.inf
    while step < most and gain >= tol and share >= _SHORTEST and not (step >= _LEAST_STEPS and stop()):
        step += 1
        if step <= orthogonal:
            at = tensor.fitted(np.linalg.qr(at.solved())[0])
            continue
        found = tensor.fitted(_unit(at.directions_KR + share * (at.solved() - at.directions_KR)))
        if found.error <= at.error:
            at, gain, share = found, at.error - found.error, min(1.0, _FARTHER * share)
        else:
            share *= _NEARER
    return Decomposition(at.directions_KR, at.weights_R, at.error, step)


@dataclass(frozen=True)
class _Fit:
    """Directions, and what the tensor makes of each one taken twice (K, R)."""

    directions_KR: Array
    pulled_KR: Array
    weights_R: Array
    error: float

    def solved(self) -> Array:
        """Where least squares leads with two of the three factors fixed: unit directions, on the same side."""
        alike_RR = self.directions_KR.T @ self.directions_KR
        found_KR = _unit(_least_squares(alike_RR**2, self.pulled_KR.T).T)
        # A direction of negative weight is the opposite one of positive weight.
        sides_R = np.sign(np.einsum("kr,kr->r", found_KR, self.directions_KR))
        return np.asarray(found_KR * np.where(sides_R, sides_R, 1.0))


class _Tensor:
    """Half of a symmetric tensor, which is enough: each pair of two dimensions counts twice."""

    def __init__(self, tensor_KKK: Array) -> None:
        self._one_P, self._other_P = np.triu_indices(len(tensor_KKK))
        twice_P = np.where(self._one_P == self._other_P, 1.0, 2.0)
        self._half_KP = tensor_KKK[:, self._one_P, self._other_P] * twice_P
        self._size = float(np.linalg.norm(tensor_KKK)) or 1.0

    def fitted(self, directions_KR: Array) -> _Fit:
        """The best weights of these directions, and how far their sum is from the tensor, for its size."""
        pulled_KR = self._half_KP @ (directions_KR[self._one_P] * directions_KR[self._other_P])
        along_R = np.einsum("kr,kr->r", directions_KR, pulled_KR)
        weights_R = _least_squares((directions_KR.T @ directions_KR) ** 3, along_R)
        error = max(0.0, 1 - float(weights_R @ along_R) / self._size**2) ** 0.5
        return _Fit(directions_KR, pulled_KR, weights_R, error)


def _least_squares(gram_RR: Array, right_RX: Array) -> Array:
    """What the Gram matrix of unit directions, or a power of its entries, maps to the right side."""
    from scipy.linalg.lapack import dposv  # without the checks of its wrappers, which take longer than it

    found: Array = dposv(gram_RR + _RIDGE * np.eye(len(gram_RR)), right_RX)[1]
    return found


def _started(tensor_KKK: Array, count: int, restart: int, rng: np.random.Generator) -> Array:
    """Directions to begin with: in two restarts those of a singular value decomposition, then random ones."""
    random_KR = _unit(rng.standard_normal((len(tensor_KKK), count)))
    if restart < 2:
        flat = tensor_KKK.reshape(len(tensor_KKK), -1)
        leading = np.linalg.eigh(flat @ flat.T)[1][:, ::-1][:, :count]
        random_KR[:, : leading.shape[1]] = leading
    return random_KR


def _unit(directions_KR: Array) -> Array:
    lengths_R = np.linalg.norm(directions_KR, axis=0)
    unit_KR: Array = directions_KR / np.where(lengths_R > 0, lengths_R, 1.0)
    return unit_KR
