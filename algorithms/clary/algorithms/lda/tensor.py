"""A symmetric tensor as a sum of few directions, each taken three times: alternating least squares, started anew.

K dimensions, R directions. One step solves for one of three equal factors with the other two fixed, and puts the
answer in the place of all three; the first steps make the directions orthogonal, as they are where as many topics as
dimensions are looked for (Sharan and Valiant, "Orthogonalized ALS", 2017). In that case a step is one of the tensor
power method for all directions at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clary.algorithms.lda.data import Array

_ORTHOGONAL_STEPS = 5
_LEAST_STEPS = 10  # before a stop is heard


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
    """So many directions whose sum is near the tensor: the best that this restart, counted from 0, has come by.

    It ends where the error of a step is within ``tol`` of the last one's, after ``most`` steps, or on ``stop``.
    """
    if not count:
        return Decomposition(np.empty((len(tensor_KKK), 0)), np.empty(0), 0.0, 0)
    flat = tensor_KKK.reshape(len(tensor_KKK), -1)
    size = float(np.linalg.norm(flat)) or 1.0
    directions_KR = _started(flat, count, restart, rng)
    orthogonal = 0 if restart == 1 or count > len(flat) else _ORTHOGONAL_STEPS
    best, last = Decomposition(directions_KR, np.zeros(count), np.inf, 0), np.inf
    for step in range(most):
        if step < orthogonal:
            directions_KR = np.linalg.qr(directions_KR)[0]
        pulled_KR = flat @ (directions_KR[:, None] * directions_KR).reshape(-1, count)
        alike_RR = directions_KR.T @ directions_KR
        along_R = np.einsum("kr,kr->r", directions_KR, pulled_KR)
        weights_R = np.linalg.pinv(alike_RR**3, hermitian=True) @ along_R
        error = max(0.0, 1 - float(weights_R @ along_R) / size**2) ** 0.5
        if error < best.error:
            best = Decomposition(directions_KR, weights_R, error, step + 1)
        if (step >= orthogonal and abs(last - error) < tol) or (step >= _LEAST_STEPS and stop()):
            break
        last, directions_KR = error, _unit(pulled_KR @ np.linalg.pinv(alike_RR**2, hermitian=True))
    return best


def _started(flat: Array, count: int, restart: int, rng: np.random.Generator) -> Array:
    """Directions to begin with: in two restarts those of a singular value decomposition, then random ones."""
    random_KR = _unit(rng.standard_normal((len(flat), count)))
    if restart < 2:
        leading = np.linalg.eigh(flat @ flat.T)[1][:, ::-1][:, :count]
        random_KR[:, : leading.shape[1]] = leading
    return random_KR


def _unit(directions_KR: Array) -> Array:
    lengths_R = np.linalg.norm(directions_KR, axis=0)
    unit_KR: Array = directions_KR / np.where(lengths_R > 0, lengths_R, 1.0)
    return unit_KR
