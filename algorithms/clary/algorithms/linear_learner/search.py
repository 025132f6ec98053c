"""Which settings the candidate models get, and which of them wins.

The first candidate has the job's own settings. The others are drawn around them: log-uniformly where a setting
was given, over the whole useful range where it is 'auto' (Bergstra and Bengio, "Random Search for Hyper-Parameter
Optimization", 2012).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.model import Settings
from clary.algorithms.linear_learner.spec import Hyperparameters
from clary.toolkit.parameters import AUTO

Array = npt.NDArray[Any]

AUTO_MODELS = 32
AUTO_RATE = {"adam": 0.1, "rmsprop": 0.02, "sgd": 0.1}
AUTO_BIAS_RATE = {"adam": 1.0, "rmsprop": 1.0, "sgd": 10.0}
FALL = 0.03  # what a learning rate on the automatic schedule has fallen to at the last update
OLD_STEP, OLD_FACTOR, MINIMUM_RATE = 100, 0.99, 1e-5  # the managed algorithm's documented defaults of earlier times
NEIGHBORS = 3.0  # how far from a given learning rate the candidates' ones lie, as a factor
FEW_UPDATES = 50  # in an epoch, where the job leaves the batch size open
SMALLEST_BATCH = 16
NOISE = 0.5  # standard errors of a share of rows within which candidates count as equally good


def batch_size(hp: Hyperparameters, rows: int, hosts: int) -> int:
    """Rows per update on each host.

    A job that does not set ``mini_batch_size`` gets its default, or less where the data are so few that an epoch
    would have under fifty updates: with 1,000 rows at a time, 15 epochs over 500 rows were 15 updates.
    """
    if "mini_batch_size" in hp.given:
        return hp.mini_batch_size
    return min(hp.mini_batch_size, max(SMALLEST_BATCH, rows // (FEW_UPDATES * hosts)))


def settings(hp: Hyperparameters, models: int, updates: int, counts_C: Array, rng: np.random.Generator) -> Settings:
    """The settings of so many candidates, for a training of at most so many updates.

    ``counts_C`` are the rows of each class, from which the weight of positive rows follows.
    """
    base = AUTO_RATE[hp.chosen_optimizer]
    rate = hp.learning_rate
    drawn = _log_uniform(rng, base / 30, base * 5, models)
    if not isinstance(rate, str):
        drawn = rate * _log_uniform(rng, 1 / NEIGHBORS, NEIGHBORS, models)
    step, factor = _schedule(hp, models, updates, rng)
    minimum = MINIMUM_RATE if isinstance(hp.lr_scheduler_minimum_lr, str) else hp.lr_scheduler_minimum_lr
    return Settings(
        learning_rate=_led(base if isinstance(rate, str) else rate, drawn),
        l1=_penalty(hp.l1, 1e-6, 1e-3, models, rng),
        l2=_penalty(hp.wd, 1e-6, 1e-2, models, rng),
        step=step,
        factor=factor,
        minimum=np.full(models, minimum if hp.use_lr_scheduler else 0.0),
        positive=_positive(hp, models, counts_C, rng),
    )


def described(at: Settings, number: int, optimizer: str) -> dict[str, Any]:
    """A candidate's settings under the names of the hyperparameters."""
    one = at.one(number)
    return {
        "lr_scheduler_step": int(one["step"]),
        "wd": one["l2"],
        "optimizer": optimizer,
        "lr_scheduler_factor": one["factor"],
        "l1": one["l1"],
        "learning_rate": one["learning_rate"],
        "lr_scheduler_minimum_lr": one["minimum"],
        "positive_example_weight_mult": one["positive"],
    }


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Array:
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def _led(first: float, others: Array) -> Array:
    """The values, the first of which is the job's own."""
    return np.concatenate([[first], others[1:]])


def _penalty(given: float | str, low: float, high: float, models: int, rng: np.random.Generator) -> Array:
    """Strengths of a penalty: half of the candidates have none where the job leaves it open, all where it is 0."""
    drawn, some = _log_uniform(rng, low, high, models), rng.random(models) < 0.5
    if isinstance(given, str):
        return _led(0.0, np.where(some, drawn, 0.0))
    return _led(given, given * _log_uniform(rng, 0.1, 10, models))


def _schedule(hp: Hyperparameters, models: int, updates: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Steps and factors; an automatic schedule falls smoothly to a share of the rate by the last update."""
    falls = _led(FALL, _log_uniform(rng, 0.01, 1, models))
    if not hp.use_lr_scheduler:
        return np.ones(models), np.ones(models)
    if isinstance(hp.lr_scheduler_step, str) and isinstance(hp.lr_scheduler_factor, str):
        return np.ones(models), falls ** (1 / max(1, updates))
    step = OLD_STEP if isinstance(hp.lr_scheduler_step, str) else hp.lr_scheduler_step
    factor = OLD_FACTOR if isinstance(hp.lr_scheduler_factor, str) else hp.lr_scheduler_factor
    return np.full(models, float(step)), _led(factor, factor ** _log_uniform(rng, 0.5, 2, models))


def _positive(hp: Hyperparameters, models: int, counts_C: Array, rng: np.random.Generator) -> Array:
    """Weights of rows of class 1; 'auto' looks between equal rows and equal classes."""
    given = hp.positive_example_weight_mult
    if not isinstance(given, str):
        return np.full(models, float(given))
    balanced = float(counts_C[0]) / float(counts_C[1]) if len(counts_C) == 2 and counts_C.all() else 1.0
    return np.full(models, balanced) if given != AUTO else _led(balanced, balanced ** rng.random(models))


@dataclass(frozen=True)
class Contender:
    """A candidate after some epoch: its value (more is better), its loss and its weights."""

    value: float
    loss: float
    epoch: int
    number: int
    weights_CD: Array
    bias_C: Array


class Contest:
    """The best candidates of all epochs so far.

    Where values are shares of so many ``rows``, differences below half a standard error are chance; among those, the
    lower loss wins. So all contenders are kept that may still win.
    """

    def __init__(self) -> None:
        self.contenders: list[Contender] = []

    def enter(
        self, epoch: int, value_M: Array, loss_M: Array, weights_MCD: Array, bias_MC: Array, rows: int | None
    ) -> None:
        """Let the candidates of an epoch take part; those that diverged stay out."""
        for number in np.flatnonzero(np.isfinite(value_M) & np.isfinite(loss_M)).tolist():
            value, loss = float(value_M[number]), float(loss_M[number])
            if not any(each.value >= value and each.loss <= loss for each in self.contenders):
                weights_CD, bias_C = weights_MCD[number].copy(), bias_MC[number].copy()
                self.contenders.append(Contender(value, loss, epoch, number, weights_CD, bias_C))
        if self.contenders:
            least = self._least(rows)
            self.contenders = [
                each
                for each in self.contenders
                if each.value >= least
                and not any(
                    (other.value, -other.loss) > (each.value, -each.loss) and other.loss <= each.loss
                    for other in self.contenders
                )
            ]

    @property
    def winner(self) -> Contender | None:
        """The contender with the lowest loss; none where every candidate diverged."""
        return min(self.contenders, key=lambda each: each.loss, default=None)

    def arrays(self) -> dict[str, Array]:
        """All contenders as arrays, for a checkpoint."""
        if not self.contenders:
            return {}
        numbers = [[each.value, each.loss, each.epoch, each.number] for each in self.contenders]
        return {
            "contest.numbers": np.array(numbers),
            "contest.weights": np.stack([each.weights_CD for each in self.contenders]),
            "contest.bias": np.stack([each.bias_C for each in self.contenders]),
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Take back what ``arrays`` gave."""
        if "contest.numbers" in arrays:
            rows = zip(arrays["contest.numbers"], arrays["contest.weights"], arrays["contest.bias"], strict=True)
            self.contenders = [
                Contender(float(value), float(loss), int(epoch), int(number), weights_CD, bias_C)
                for (value, loss, epoch, number), weights_CD, bias_C in rows
            ]

    def _least(self, rows: int | None) -> float:
        best = max(each.value for each in self.contenders)
        if rows is None or not 0 <= best <= 1:
            return best
        return best - NOISE * float(np.sqrt(max(best * (1 - best), 1 / rows) / rows))
