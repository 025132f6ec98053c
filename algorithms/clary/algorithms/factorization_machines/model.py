"""Factorization machines of second order: a bias, a weight for each feature, and a factor vector for each feature.

N rows, B rows of a batch, D features, U of them touched, K factors, P = K + 1 parameters of a feature: its factors,
and behind them its linear weight. The score of a row x is

    w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j,

and the sum over pairs is half the sum over factors of (sum_i v_if x_i)^2 - sum_i (v_if x_i)^2, so that a row costs
as much as it has values (Rendle, "Factorization Machines", 2010). Training is Adam (Kingma and Ba, 2015), each group
of parameters with a rate and a weight decay of its own. A feature that no row of a batch has moves in no way: neither
its parameters nor their moments, as in the lazy updates of MXNet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from clary.algorithms.factorization_machines.spec import BINARY, Hyperparameters

Array = npt.NDArray[Any]

KEEP_1, KEEP_2, EPS = 0.9, 0.999, 1e-8  # of Adam, as in the paper
_AT_ONCE = 1 << 16  # features whose start is drawn together
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Machine:
    """A trained machine: the bias, the linear weights (D) and the factors (D, K), as float32."""

    bias: float
    linear_D: Array
    factors_DK: Array

    def scores(self, features_ND: Any) -> Array:
        """The score of each row of an array or CSR matrix, in float64; of a classifier the log-odds of class 1."""
        rows = csr_matrix(features_ND).astype(np.float64)
        # Only the features that occur, or a single row would cost as much as the whole machine.
        columns_U, places = np.unique(rows.indices, return_inverse=True)
        rows = csr_matrix((rows.data, places.reshape(-1), rows.indptr), shape=(rows.shape[0], len(columns_U)))
        factors_UK = self.factors_DK[columns_U].astype(np.float64)
        sums_NK = rows @ factors_UK
        pairs_N = np.square(sums_NK).sum(axis=1) - rows.multiply(rows) @ np.square(factors_UK).sum(axis=1)
        scores_N: Array = self.bias + rows @ self.linear_D[columns_U].astype(np.float64) + pairs_N / 2
        return scores_N


@dataclass(frozen=True)
class Adam:
    """The update rule of a job; rates and decays (P) of a feature's parameters, and those of the bias.

    The gradient of an update is multiplied by ``rescale``, or by 1 / rows; weight decay joins it; then it is cut to
    ``most`` in both directions.
    """

    rates_P: Array
    decays_P: Array
    bias_rate: float
    bias_decay: float
    rescale: float | None
    most: float
    eps: float

    @classmethod
    def of(cls, hp: Hyperparameters) -> Adam:
        """The rule that a job asks for."""
        cut = hp.clip_gradient is not None and hp.clip_gradient > 0
        return cls(
            rates_P=np.append(np.full(hp.num_factors, hp.factors_lr), hp.linear_lr),
            decays_P=np.append(np.full(hp.num_factors, hp.factors_wd), hp.linear_wd),
            bias_rate=hp.bias_lr,
            bias_decay=hp.bias_wd,
            rescale=hp.rescale_grad,
            most=hp.clip_gradient if cut and hp.clip_gradient is not None else np.inf,
            # Where it is too small for a float32, nothing would be left of it.
            eps=max(EPS if hp.eps is None else hp.eps, _TINY),
        )

    def share(self, rows: int) -> float:
        """What a gradient summed over so many rows is multiplied with."""
        return 1 / rows if self.rescale is None else self.rescale

    def correction(self, updates: int) -> float:
        """What rates are multiplied with in the update of that number, counted from 1, as moments start at 0."""
        return float((1 - KEEP_2**updates) ** 0.5 / (1 - KEEP_1**updates))

    def moved(self, bias: Array, slope: float, rows: int, updates: int) -> Array:
        """The bias and its two moments (3) after an update with the slope summed over so many rows."""
        value, first, second = bias.tolist()  # plain numbers, with which NumPy takes longer than Python
        pull = slope * self.share(rows) + self.bias_decay * value
        if abs(pull) > self.most:
            pull = math.copysign(self.most, pull)
        first = KEEP_1 * first + (1 - KEEP_1) * pull
        second = KEEP_2 * second + (1 - KEEP_2) * (pull * pull)
        value -= self.bias_rate * self.correction(updates) * first / (math.sqrt(second) + self.eps)
        return np.array([value, first, second])


def start(hp: Hyperparameters, seed: int) -> tuple[float, Array]:
    """The bias, and the parameters (D, P) of all features, that training starts from."""
    bias = float(_drawn(np.random.default_rng([seed, 1]), *hp.start("bias"), (1,))[0])
    weights_DP = np.empty((hp.feature_dim, hp.num_factors + 1), np.float32)
    linear, factors = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3])
    for features in _blocks(hp.feature_dim):
        count = features.stop - features.start
        weights_DP[features, -1] = _drawn(linear, *hp.start("linear"), (count,))
        weights_DP[features, :-1] = _drawn(factors, *hp.start("factors"), (count, hp.num_factors))
    return bias, weights_DP


def _blocks(features: int) -> Iterator[slice]:
    for begin in range(0, features, _AT_ONCE):
        yield slice(begin, min(begin + _AT_ONCE, features))


def _drawn(rng: np.random.Generator, method: str, setting: float, shape: tuple[int, ...]) -> Array:
    if method == "constant":
        return np.full(shape, setting)
    unit = rng.standard_normal(shape) if method == "normal" else rng.uniform(-1, 1, shape)
    return setting * unit


def slopes(scores_B: Array, labels_B: Array, predictor_type: str) -> Array:
    """The derivative of each row's loss with respect to its score.

    The loss is the log loss, or half the squared error.
    """
    if predictor_type == BINARY:
        return probability(scores_B) - labels_B
    return scores_B - labels_B


def probability(scores: Array) -> Array:
    """The probability of class 1 for each log-odds."""
    # Far below zero the power is infinite, and the probability 0 as it should be.
    with np.errstate(over="ignore"):
        found: Array = 1 / (1 + np.exp(-scores))
    return found
