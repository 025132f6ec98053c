"""The likelihoods: what the network's numbers mean, how likely a target is under them, and how samples are drawn.

The network gives ``width`` numbers for each target (its last layer's, any real ones). Targets and losses are in
units of the data, samples over their series' scale, which the network works in. The shape of all is any, ``...``,
or (N, S), S samples for each of N series.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import softplus

from clary.algorithms.deepar.spec import BETA, DETERMINISTIC, GAUSSIAN, NEGATIVE_BINOMIAL, STUDENT_T

Array = npt.NDArray[Any]
_SMALLEST = 1e-6  # of a spread or a shape, so that no density is infinite
_EDGE = 1e-4  # how far from 0 and 1 a target of the beta likelihood is moved, where its density may be infinite
_FEWEST_FREEDOM = 2.0  # degrees of freedom from which on Student's t has a variance


class Noise:
    """The chance in forecasts: a generator for each series, so that it does not matter what comes beside it."""

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self._generators = generators

    def draw(self, law: Callable[..., Array], *parameters: Array) -> Array:
        """Numbers (N, S) of a law of NumPy's generators with these parameters (N, S)."""
        rows = zip(self._generators, *parameters, strict=True)
        return np.stack([law(generator, *own) for generator, *own in rows])


class Likelihood(ABC):
    """One kind of noise."""

    width: ClassVar[int]

    @abstractmethod
    def loss(self, raw: Sequence[Tensor], target: Tensor, scale: Tensor) -> Tensor:
        """The negative log likelihood of each target (...)."""

    @abstractmethod
    def draw(self, raw: Sequence[Array], scale: Array, noise: Noise) -> Array:
        """A sample (N, S) for each of the network's numbers."""


class Gaussian(Likelihood):
    """Mean and standard deviation over the scale (Salinas et al. 2017, equation 3)."""

    width = 2

    def loss(self, raw: Sequence[Tensor], target: Tensor, scale: Tensor) -> Tensor:
        """The negative log density of the normal distribution."""
        spread = softplus(raw[1]) + _SMALLEST
        error = (target / scale - raw[0]) / spread
        return error.square() / 2 + torch.log(spread * scale) + math.log(2 * math.pi) / 2

    def draw(self, raw: Sequence[Array], scale: Array, noise: Noise) -> Array:
        """Normal numbers."""
        return noise.draw(np.random.Generator.normal, raw[0], _softplus(raw[1]) + _SMALLEST)


class StudentT(Likelihood):
    """Center, spread and degrees of freedom, which are more than 2."""

    width = 3

    def loss(self, raw: Sequence[Tensor], target: Tensor, scale: Tensor) -> Tensor:
        """The negative log density of Student's t."""
        spread, freedom = softplus(raw[1]) + _SMALLEST, softplus(raw[2]) + _FEWEST_FREEDOM
        error = (target / scale - raw[0]) / spread
        peak = torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2) - torch.log(math.pi * freedom) / 2
        return (freedom + 1) / 2 * torch.log1p(error.square() / freedom) + torch.log(spread * scale) - peak

    def draw(self, raw: Sequence[Array], scale: Array, noise: Noise) -> Array:
        """Numbers of Student's t, moved and stretched."""
        freedom = _softplus(raw[2]) + _FEWEST_FREEDOM
        drawn = noise.draw(np.random.Generator.standard_t, freedom)
        return raw[0] + (_softplus(raw[1]) + _SMALLEST) * drawn


class NegativeBinomial(Likelihood):
    """Mean over the scale and shape (Salinas et al. 2017, equation 4, with their scaling of both)."""

    width = 2

    def loss(self, raw: Sequence[Tensor], target: Tensor, scale: Tensor) -> Tensor:
        """The negative log probability of the count."""
        mean = (softplus(raw[0]) + _SMALLEST) * scale
        shape = (softplus(raw[1]) + _SMALLEST) / scale.sqrt()
        number, spread = 1 / shape, mean * shape
        ways = torch.lgamma(target + number) - torch.lgamma(number) - torch.lgamma(target + 1)
        return (number + target) * torch.log1p(spread) - target * torch.log(spread) - ways

    def draw(self, raw: Sequence[Array], scale: Array, noise: Noise) -> Array:
        """Counts of Poisson whose mean is a gamma number, over the scale."""
        mean = (_softplus(raw[0]) + _SMALLEST) * scale
        shape = (_softplus(raw[1]) + _SMALLEST) / np.sqrt(scale)
        rate = noise.draw(np.random.Generator.gamma, 1 / shape, mean * shape)
        # Beyond this NumPy's counts do not fit their type; an untrained network may get there.
        return noise.draw(np.random.Generator.poisson, np.minimum(rate, 1e15)) / scale


class Beta(Likelihood):
    """The two shapes of the beta distribution, for targets between 0 and 1."""

    width = 2

    def loss(self, raw: Sequence[Tensor], target: Tensor, scale: Tensor) -> Tensor:
        """The negative log density; targets of 0 and 1 are moved inwards a little."""
        one, other = softplus(raw[0]) + _SMALLEST, softplus(raw[1]) + _SMALLEST
        inside = target.clamp(_EDGE, 1 - _EDGE)
        area = torch.lgamma(one) + torch.lgamma(other) - torch.lgamma(one + other)
        return area - (one - 1) * torch.log(inside) - (other - 1) * torch.log1p(-inside)

    def draw(self, raw: Sequence[Array], scale: Array, noise: Noise) -> Array:
        """Beta numbers, over the scale."""
        one, other = _softplus(raw[0]) + _SMALLEST, _softplus(raw[1]) + _SMALLEST
        return noise.draw(np.random.Generator.beta, one, other) / scale


class Deterministic(Likelihood):
    """One number, the forecast; its error counts as under Laplace's distribution with the scale as its spread."""

    width = 1

    def loss(self, raw: Sequence[Tensor], target: Tensor, scale: Tensor) -> Tensor:
        """The absolute error over the scale, and the logarithm that makes it a likelihood."""
        return (target / scale - raw[0]).abs() + torch.log(2 * scale)

    def draw(self, raw: Sequence[Array], scale: Array, noise: Noise) -> Array:
        """The forecast itself."""
        return raw[0]


LIKELIHOODS: dict[str, Likelihood] = {
    GAUSSIAN: Gaussian(),
    STUDENT_T: StudentT(),
    NEGATIVE_BINOMIAL: NegativeBinomial(),
    BETA: Beta(),
    DETERMINISTIC: Deterministic(),
}


def _softplus(values: Array) -> Array:
    return np.logaddexp(np.float32(0), values)
