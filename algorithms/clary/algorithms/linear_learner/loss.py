"""The losses of the linear learner and their slopes, for many candidate models at once.

B rows, M candidates, C classes. Every function takes NumPy arrays or torch tensors and gives back the same kind.
Scores of a binary classifier or a regressor are (B, M), those of a multiclass classifier (B, M, C); labels are (B,),
class numbers as integers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace

Array = Any  # a NumPy array or a torch tensor


class Loss(ABC):
    """A loss of one row: its value and its derivative with respect to the score.

    ``objective`` is its name in log lines. Where labels are divided by their spread, the loss in the labels' own
    units is ``spread ** power`` times the loss of the divided ones.
    """

    objective: ClassVar[str]
    power: ClassVar[int] = 0

    @abstractmethod
    def value(self, scores: Array, labels: Array) -> Array:
        """The loss of each row under each candidate, (B, M)."""

    @abstractmethod
    def slope(self, scores: Array, labels: Array) -> Array:
        """The derivative with respect to each score, shaped like the scores."""


class Logistic(Loss):
    """-log of the probability of the right one of two classes; the score is the log-odds of class 1."""

    objective = "binary_classification_cross_entropy"

    def value(self, scores: Array, labels: Array) -> Array:
        """Log loss, exact also where the probability rounds to 0 or 1."""
        xp = array_namespace(scores)
        # log(1 + e^-|z|) lies in (0, log 2], where log needs no log1p; the rest of the loss is linear.
        wrong = scores * (1 - 2 * labels[:, None])
        return xp.log(1 + xp.exp(-xp.abs(wrong))) + _positive(wrong)

    def slope(self, scores: Array, labels: Array) -> Array:
        """Probability of class 1, less the label."""
        slopes = probability(scores)
        slopes -= labels[:, None]
        return slopes


@dataclass(frozen=True)
class Hinge(Loss):
    """The distance by which the score falls short of ``margin`` on the right side of 0."""

    margin: float
    objective = "hinge"

    def value(self, scores: Array, labels: Array) -> Array:
        """max(0, margin - s * score), s = 1 or -1."""
        return _positive(self.margin - (2 * labels[:, None] - 1) * scores)

    def slope(self, scores: Array, labels: Array) -> Array:
        """-s where the score falls short, 0 elsewhere."""
        side = 2 * labels[:, None] - 1
        return -side * _number(side * scores < self.margin, scores)


class Softmax(Loss):
    """-log of the probability of the right one of C classes."""

    objective = "multiclass_cross_entropy"

    def value(self, scores: Array, labels: Array) -> Array:
        """Log of the sum of exponentials, less the score of the right class."""
        xp = array_namespace(scores)
        top = xp.max(scores, axis=-1, keepdims=True)
        total = xp.log(xp.sum(xp.exp(scores - top), axis=-1)) + top[..., 0]
        return total - scores[xp.arange(scores.shape[0]), :, labels]

    def slope(self, scores: Array, labels: Array) -> Array:
        """Probabilities, less 1 for the right class."""
        slopes = probabilities(scores)
        slopes[array_namespace(scores).arange(scores.shape[0]), :, labels] -= 1
        return slopes


class Squared(Loss):
    """The squared error."""

    objective, power = "mse", 2

    def value(self, scores: Array, labels: Array) -> Array:
        """(score - label)^2."""
        return (scores - labels[:, None]) ** 2

    def slope(self, scores: Array, labels: Array) -> Array:
        """2 (score - label)."""
        return 2 * (scores - labels[:, None])


class Absolute(Loss):
    """The absolute error."""

    objective, power = "absolute", 1

    def value(self, scores: Array, labels: Array) -> Array:
        """|score - label|."""
        return abs(scores - labels[:, None])

    def slope(self, scores: Array, labels: Array) -> Array:
        """The sign of the error."""
        return array_namespace(scores).sign(scores - labels[:, None])


@dataclass(frozen=True)
class InsensitiveSquared(Loss):
    """The square of what the absolute error has over ``width``."""

    width: float
    objective, power = "eps_insensitive_squared", 2

    def value(self, scores: Array, labels: Array) -> Array:
        """max(0, |error| - width)^2."""
        return _beyond(scores - labels[:, None], self.width) ** 2

    def slope(self, scores: Array, labels: Array) -> Array:
        """Twice what the error has over the width, with its sign."""
        return 2 * _beyond(scores - labels[:, None], self.width)


@dataclass(frozen=True)
class InsensitiveAbsolute(Loss):
    """What the absolute error has over ``width``."""

    width: float
    objective, power = "eps_insensitive_absolute", 1

    def value(self, scores: Array, labels: Array) -> Array:
        """max(0, |error| - width)."""
        return abs(_beyond(scores - labels[:, None], self.width))

    def slope(self, scores: Array, labels: Array) -> Array:
        """The sign of the error where it is larger than the width, 0 elsewhere."""
        return array_namespace(scores).sign(_beyond(scores - labels[:, None], self.width))


@dataclass(frozen=True)
class Quantile(Loss):
    """The loss whose best prediction lies below the label with probability ``below``.

    Koenker and Bassett, "Regression Quantiles" (1978), at the level 1 - ``below``: the managed guide counts from
    the other end than most texts do.
    """

    below: float
    objective, power = "quantile", 1

    def value(self, scores: Array, labels: Array) -> Array:
        """(1 - below) * error of a prediction that is too low, below * error of one that is too high."""
        over = scores - labels[:, None]
        return _positive(over) - (1 - self.below) * over

    def slope(self, scores: Array, labels: Array) -> Array:
        """``below`` where the prediction is too high, ``below - 1`` elsewhere."""
        return _number(scores > labels[:, None], scores) - (1 - self.below)


@dataclass(frozen=True)
class Huber(Loss):
    """Quadratic up to an error of ``delta``, linear behind it (Huber, 1964)."""

    delta: float
    objective, power = "huber", 2

    def value(self, scores: Array, labels: Array) -> Array:
        """error^2 / 2, or delta * (|error| - delta / 2)."""
        error = abs(scores - labels[:, None])
        cut = array_namespace(scores).clip(error, 0, self.delta)
        return cut * (error - cut / 2)

    def slope(self, scores: Array, labels: Array) -> Array:
        """The error, cut at delta."""
        return array_namespace(scores).clip(scores - labels[:, None], -self.delta, self.delta)


def probability(scores: Array) -> Array:
    """1 / (1 + e^-score), without a warning where the exponential is too large and the probability 0."""
    with np.errstate(over="ignore"):
        result = array_namespace(scores).exp(-scores)
    result += 1
    # Four passes over memory and no more: this is the longest part of a training step.
    return 1 / result


def probabilities(scores: Array) -> Array:
    """The exponentials of the scores along the last axis, divided by their sum; without overflow."""
    xp = array_namespace(scores)
    shares = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    shares /= xp.sum(shares, axis=-1, keepdims=True)
    return shares


def _positive(values: Array) -> Array:
    """The values, and 0 in place of negative ones.

    Not by a choice between two arrays, which costs the processor a wrong guess at every other number.
    """
    return (values + abs(values)) / 2


def _number(truth: Array, like: Array) -> Array:
    """1 and 0 in the type of the other array."""
    return array_namespace(like).astype(truth, like.dtype)


def _beyond(error: Array, width: float) -> Array:
    """The error moved towards 0 by the width; 0 within it."""
    return error - array_namespace(error).clip(error, -width, width)
