"""Many linear models trained at once: one matrix product for the scores of all, one for the gradients of all.

B rows, D features, M candidate models, C classes (1 unless multiclass), K = M * C score columns. Candidates share
data and loss and differ in their settings, so a step costs little more than that of one model whose matrix
products are wide enough for the processor. Everything runs on NumPy arrays and on torch tensors alike.

Optimizers: SGD with momentum; Adam (Kingma and Ba, 2015); RMSProp (Tieleman and Hinton, 2012). L2 is part of the
gradient. L1 is a proximal step (Duchi and Singer, 2009) in the metric of the optimizer, so weights become exactly 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from clary.algorithms.linear_learner.loss import Loss

Array = Any  # a NumPy array or a torch tensor
Numbers = npt.NDArray[np.float64]
RMSPROP_DECAY = 0.9
_TINY = 1e-8


@dataclass(frozen=True)
class Settings:
    """What candidates differ in, an array (M,) each.

    The learning rate is multiplied by ``factor`` every ``step`` updates and never falls below ``minimum``;
    ``positive`` is the weight of rows of class 1.
    """

    learning_rate: Numbers
    l1: Numbers
    l2: Numbers
    step: Numbers
    factor: Numbers
    minimum: Numbers
    positive: Numbers

    def __len__(self) -> int:
        return len(self.learning_rate)

    def take(self, numbers: npt.NDArray[np.intp]) -> Settings:
        """The settings of these candidates."""
        return Settings(**{field.name: getattr(self, field.name)[numbers] for field in fields(self)})

    def one(self, number: int) -> dict[str, float]:
        """The settings of one candidate by name."""
        return {field.name: float(getattr(self, field.name)[number]) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The update rule that all candidates share."""

    name: str = "adam"
    momentum: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    bias_rate: float = 1.0
    bias_l2: float = 0.0
    use_bias: bool = True


@dataclass
class Gradient:
    """Sums over rows, which add up over hosts.

    Of slopes times features, of slopes, of row weights under each candidate, and of the first candidate's weighted
    losses.
    """

    weights_KD: Array
    bias_K: Array
    total_M: Array
    loss: Array


class Candidates:
    """M models at one point of their training.

    ``shift_D`` is taken off every row without touching the rows, so that sparse ones stay sparse.
    """

    def __init__(
        self,
        loss: Loss,
        settings: Settings,
        optimizer: Optimizer,
        weights_KD: Array,
        bias_K: Array,
        shift_D: Array | None = None,
    ) -> None:
        self.loss, self.settings, self.optimizer, self.shift_D = loss, settings, optimizer, shift_D
        self.weights_KD, self.bias_K = weights_KD, bias_K
        self.classes = weights_KD.shape[0] // len(settings)
        self.updates = 0
        self._for_weights = _Moments(optimizer, weights_KD)
        self._for_bias = _Moments(optimizer, bias_K)
        self._positive_M = None if (settings.positive == 1).all() else self.placed(settings.positive)
        self._ones_M = self.placed(np.ones(len(settings)))
        self._columns_MC = self.placed(np.zeros((len(settings), self.classes)))
        self.forget()

    def scores(self, features_BD: Array, averaged: bool = False) -> Array:
        """The score of each row under each candidate: (B, M), or (B, M, C) with several classes.

        ``averaged`` scores by the mean of the weights since ``forget`` (Polyak and Juditsky, 1992), which is free of
        the noise that the last few batches left in the weights.
        """
        weights_KD, bias_K = self.mean() if averaged else (self.weights_KD, self.bias_K)
        scores_BK = features_BD @ weights_KD.T
        scores_BK += bias_K if self.shift_D is None else bias_K - weights_KD @ self.shift_D
        return scores_BK if self.classes == 1 else scores_BK.reshape(-1, len(self.settings), self.classes)

    def gradient(
        self, features_BD: Array, transposed_DB: Array, labels_B: Array, weights_B: Array | None
    ) -> Gradient:
        """The gradient of the loss, summed over the rows; ``weights_B`` are row weights common to all candidates."""
        scores = self.scores(features_BD)
        slopes = self.loss.slope(scores, labels_B)
        lost_B = self.loss.value(scores[:, :1], labels_B)[:, 0]
        weights_BM = self._weights(labels_B, weights_B)
        if weights_BM is not None:
            slopes = slopes * (weights_BM if self.classes == 1 else weights_BM[..., None])
            lost_B = lost_B * weights_BM[:, 0]
            total_M = weights_BM.sum(axis=0) + 0 * self._ones_M
        else:
            total_M = self._ones_M * len(labels_B)
        slopes_BK = slopes.reshape(len(labels_B), -1)
        bias_K = slopes_BK.sum(axis=0)
        weights_KD = (transposed_DB @ slopes_BK).T
        if self.shift_D is not None:
            weights_KD = weights_KD - bias_K[:, None] * self.shift_D
        return Gradient(weights_KD, bias_K, total_M, lost_B.sum())

    def no_gradient(self) -> Gradient:
        """The gradient of no rows."""
        return Gradient(0 * self.weights_KD, 0 * self.bias_K, 0 * self._ones_M, 0 * self._ones_M[0])

    def mean(self) -> tuple[Array, Array]:
        """The mean of weights and bias over the updates since ``forget``; what they are now, if there was none."""
        if not self._taken:
            return self.weights_KD, self.bias_K
        return self._sum_KD / self._taken, self._sum_K / self._taken

    def forget(self) -> None:
        """Begin a new mean."""
        self._sum_KD, self._sum_K, self._taken = 0 * self.weights_KD, 0 * self.bias_K, 0

    def update(self, gradient: Gradient) -> None:
        """Take one step along the mean gradient."""
        rule, at = self.optimizer, self.settings
        self.updates += 1
        rate_M = at.learning_rate * at.factor ** (self.updates // at.step)
        rate_M = np.maximum(rate_M, np.minimum(at.minimum, at.learning_rate))
        rate_K = self._columns(rate_M)
        share_M = 1 / gradient.total_M
        share_K = share_M if self.classes == 1 else (share_M[:, None] + 0 * self._columns_MC).reshape(-1)
        slope_KD = gradient.weights_KD * share_K[:, None]
        if at.l2.any():
            slope_KD += self._columns(at.l2)[:, None] * self.weights_KD
        direction_KD = self._for_weights.direction(slope_KD, self.updates)
        direction_KD *= rate_K[:, None]
        self.weights_KD -= direction_KD
        if at.l1.any():
            self._shrink(self._columns(rate_M * at.l1)[:, None] * self._for_weights.metric())
        if rule.use_bias:
            slope_K = gradient.bias_K * share_K
            if rule.bias_l2:
                slope_K += self._columns(at.l2 * rule.bias_l2) * self.bias_K
            self.bias_K -= rule.bias_rate * rate_K * self._for_bias.direction(slope_K, self.updates)
        self._sum_KD += self.weights_KD
        self._sum_K += self.bias_K
        self._taken += 1

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything that ``restore`` needs to go on from here, as NumPy arrays."""
        arrays = {
            "weights": self.weights_KD,
            "bias": self.bias_K,
            "sum.weights": self._sum_KD,
            "sum.bias": self._sum_K,
        }
        arrays |= {f"weights.{name}": array for name, array in self._for_weights.arrays.items()}
        arrays |= {f"bias.{name}": array for name, array in self._for_bias.arrays.items()}
        found = {name: to_numpy(array) for name, array in arrays.items()}
        return found | {"updates": np.array([self.updates, self._taken])}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to where ``state`` was taken."""
        self.updates, self._taken = state["updates"].tolist()
        self.weights_KD, self.bias_K = (self.placed(state[name]) for name in ("weights", "bias"))
        self._sum_KD, self._sum_K = (self.placed(state[name]) for name in ("sum.weights", "sum.bias"))
        for moments, prefix in ((self._for_weights, "weights."), (self._for_bias, "bias.")):
            moments.arrays = {name: self.placed(state[prefix + name]) for name in moments.arrays}

    def _weights(self, labels_B: Array, weights_B: Array | None) -> Array | None:
        if self._positive_M is None:
            return None if weights_B is None else weights_B[:, None]
        weights_BM = 1 + (self._positive_M - 1) * labels_B[:, None]
        return weights_BM if weights_B is None else weights_BM * weights_B[:, None]

    def _shrink(self, by_KD: Array) -> None:
        xp = array_namespace(self.weights_KD)
        size_KD = xp.abs(self.weights_KD) - by_KD
        self.weights_KD = xp.sign(self.weights_KD) * ((size_KD + xp.abs(size_KD)) / 2)

    def _columns(self, values_M: Numbers) -> Array:
        """A value for each candidate as one for each score column."""
        return self.placed(values_M.repeat(self.classes))

    def placed(self, values: npt.NDArray[Any]) -> Array:
        """The numbers in the type and on the device of the weights."""
        if isinstance(self.weights_KD, np.ndarray):
            return values.astype(np.float32)
        xp = array_namespace(self.weights_KD)
        return xp.asarray(values, dtype=xp.float32, device=self.weights_KD.device)


class _Moments:
    """What an optimizer remembers of earlier slopes, and the direction that follows from it."""

    def __init__(self, rule: Optimizer, like: Array) -> None:
        self._rule = rule
        names = {"adam": ("first", "second"), "rmsprop": ("second",), "sgd": ("first",) if rule.momentum else ()}
        self.arrays: dict[str, Array] = {}
        for name in names[rule.name]:
            self.arrays[name] = 0 * like
        self._scale: Array = 1.0

    def direction(self, slope: Array, updates: int) -> Array:
        """Where to go, to be multiplied by the learning rate; ``slope`` may be overwritten."""
        rule = self._rule
        if rule.name == "sgd":
            if not rule.momentum:
                return slope
            self.arrays["first"] *= rule.momentum
            self.arrays["first"] += slope
            return 1 * self.arrays["first"]
        decay = rule.beta_2 if rule.name == "adam" else RMSPROP_DECAY
        second = self.arrays["second"]
        second *= decay
        second += (1 - decay) * slope * slope
        correction = 1 - decay**updates if rule.name == "adam" else 1.0
        self._scale = (second / correction) ** 0.5 + _TINY
        if rule.name == "rmsprop":
            return slope / self._scale
        first = self.arrays["first"]
        first *= rule.beta_1
        first += (1 - rule.beta_1) * slope
        return first / (self._scale * (1 - rule.beta_1**updates))

    def metric(self) -> Array:
        """How far a slope of 1 moves each weight, for a learning rate of 1."""
        return 1 / self._scale


def to_numpy(array: Array) -> npt.NDArray[Any]:
    """The array on the host."""
    return np.asarray(array) if isinstance(array, (np.ndarray, np.generic)) else np.asarray(array.cpu())
