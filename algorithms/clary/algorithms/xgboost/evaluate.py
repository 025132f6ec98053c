"""The metrics that the library does not have, from sums over the rows that add up over hosts; and cross-validation.

N rows, C classes, R repetitions. Each row counts with its weight, as in the library's own metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.spec import OF_LABELS, OF_NUMBERS, Hyperparameters, larger_is_better
from clary.toolkit.cluster import Cluster

Array = npt.NDArray[Any]
Scores = dict[str, dict[str, float]]  # set, metric, value


def predicted_classes(predictions: Array, objective: str) -> npt.NDArray[np.int64]:
    """The class of each row: the likeliest of several, else 1 above a probability of 0.5, which is a margin of 0."""
    if predictions.ndim == 2:
        likeliest: npt.NDArray[np.int64] = np.argmax(predictions, axis=1)
        return likeliest
    if objective == "multi:softmax":
        return predictions.astype(np.int64)
    return (predictions > (0.0 if objective == "binary:logitraw" else 0.5)).astype(np.int64)


@dataclass(frozen=True)
class Classes:
    """Weights of the rows by class: right ones, those that have the class, and those predicted to have it."""

    right_C: Array
    labeled_C: Array
    predicted_C: Array

    def accuracy(self) -> float:
        """Share of the weight that is labeled right."""
        return _share(self.right_C.sum(), self.labeled_C.sum())

    def precision(self) -> Array:
        """Share of what was predicted to be of each class that is (C); 0 where nothing was."""
        return _shares(self.right_C, self.predicted_C)

    def recall(self) -> Array:
        """Share of each class that was found (C); 0 where there is none of it."""
        return _shares(self.right_C, self.labeled_C)

    def f1(self) -> Array:
        """Harmonic mean of precision and recall of each class (C)."""
        return _shares(2 * self.right_C, self.labeled_C + self.predicted_C)

    def macro(self, of_C: Array) -> float:
        """The mean over the classes that occur, as a label or as a prediction."""
        return _mean(of_C[(self.labeled_C > 0) | (self.predicted_C > 0)])


_OF_CLASSES: dict[str, Callable[[Classes], float]] = {
    "accuracy": lambda c: c.accuracy(),
    "balanced_accuracy": lambda c: _mean(c.recall()[c.labeled_C > 0]),
    "f1": lambda c: c.macro(c.f1()),
    "f1_binary": lambda c: float(c.f1()[1]),
    "f1_macro": lambda c: c.macro(c.f1()),
    "precision": lambda c: float(c.precision()[1]),
    "precision_macro": lambda c: c.macro(c.precision()),
    "precision_micro": lambda c: c.accuracy(),
    "recall": lambda c: float(c.recall()[1]),
    "recall_macro": lambda c: c.macro(c.recall()),
    "recall_micro": lambda c: c.accuracy(),
}


class Scoring:
    """The computed metrics of one set of rows: ``sums`` of this host's predictions, then ``values`` of all hosts'.

    Making one sums the labels over all hosts.
    """

    def __init__(
        self,
        names: Iterable[str],
        objective: str,
        classes: int,
        labels_N: Array,
        weights_N: Array | None,
        cluster: Cluster,
    ) -> None:
        self.names = tuple(names)
        self._of_labels = any(name in OF_LABELS for name in self.names)
        self._of_numbers = any(name in OF_NUMBERS for name in self.names)
        self._objective, self._classes = objective, classes
        self._labels_N = labels_N.astype(np.float64)
        self._weights_N = np.ones(len(labels_N)) if weights_N is None else weights_N.astype(np.float64)
        own = np.array([self._weights_N.sum(), self._weights_N @ self._labels_N])
        self._weight, total = cluster.sum(own).tolist()
        spread = self._weights_N @ np.square(self._labels_N - _share(total, self._weight))
        # Taken around the mean in a second step, so that a large mean does not eat the digits.
        self._spread = float(cluster.sum(np.array([spread]))[0])

    def sums(self, predictions: Array) -> Array:
        """What the metrics are made of, float64, to be added up over the hosts."""
        parts = []
        if self._of_labels:
            parts += self._counts(predicted_classes(predictions, self._objective))
        if self._of_numbers:
            off_N = predictions.astype(np.float64) - self._labels_N
            parts.append(np.array([self._weights_N @ np.square(off_N), self._weights_N @ np.abs(off_N)]))
        return np.concatenate(parts)

    def values(self, sums: Array) -> dict[str, float]:
        """The metrics by name, in the order in which they were asked for."""
        size = self._classes
        classes = Classes(sums[:size], sums[size : 2 * size], sums[2 * size : 3 * size])
        squared, absolute = sums[-2:].tolist() if self._of_numbers else (0.0, 0.0)
        return {
            name: _OF_CLASSES[name](classes) if name in OF_LABELS else self._number(name, squared, absolute)
            for name in self.names
        }

    def _counts(self, predicted_N: npt.NDArray[np.int64]) -> list[Array]:
        labels_N, size = self._labels_N.astype(np.int64), self._classes
        right_N = self._weights_N * (labels_N == predicted_N)
        pairs: Sequence[tuple[Array, Array]] = (
            (labels_N, right_N),
            (labels_N, self._weights_N),
            (predicted_N, self._weights_N),
        )
        # Of no rows the count would be one of integers.
        return [np.bincount(index_N, weights_N, minlength=size).astype(np.float64) for index_N, weights_N in pairs]

    def _number(self, name: str, squared: float, absolute: float) -> float:
        if name == "mae":
            return _share(absolute, self._weight)
        if name == "r2":
            # Where all labels are the same, scikit-learn's way out: all or nothing.
            return 1 - squared / self._spread if self._spread else float(squared == 0)
        mean = _share(squared, self._weight)
        return float(np.sqrt(mean)) if name == "rmse" else mean


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else 0.0


def _shares(part_C: Array, whole_C: Array) -> Array:
    return np.divide(part_C, whole_C, out=np.zeros(len(part_C)), where=whole_C > 0)


@dataclass(frozen=True)
class Watched:
    """A set of rows that is scored after each round; the first one is learned from."""

    name: str
    matrix: xgboost.DMatrix
    scoring: Scoring | None


@dataclass
class Patience:
    """Early stopping: the best round so far by one metric of the validation rows."""

    metric: str
    rounds: int
    best: float | None = None
    best_round: int = 0
    model: bytes = b""

    @classmethod
    def asked(cls, hp: Hyperparameters, watched: Sequence[Watched]) -> Patience | None:
        """What the job asked for, or None where it is off."""
        if not hp.early_stopping_rounds or not hp.metrics or len(watched) < 2:
            return None
        tuned = (hp.tuning_objective_metric or "").partition(":")[2]
        return cls(tuned or (hp.eval_metric or ())[-1], hp.early_stopping_rounds)

    def improved(self, scores: Scores, number: int) -> bool:
        """Whether the round is the best so far; a metric without a value never is, unless it is the first."""
        value = scores["validation"][self.metric]
        if self.best is not None and not np.isnan(self.best):
            better = value > self.best if larger_is_better(self.metric) else value < self.best
            if not better:
                return False
        self.best, self.best_round = value, number
        return True


def folds(
    units_N: npt.NDArray[np.int64], strata_N: Array | None, count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The number of each row's fold. Rows of one unit stay together, and each of the strata is spread evenly."""
    _, first_U, unit_N = np.unique(units_N, return_index=True, return_inverse=True)
    order_U = rng.permutation(len(first_U))
    if strata_N is not None:
        order_U = order_U[np.argsort(strata_N[first_U][order_U], kind="stable")]
    fold_U = np.empty(len(first_U), np.int64)
    fold_U[order_U] = np.arange(len(first_U)) % count
    return fold_U[unit_N]


def likely(margins: Array, objective: str) -> tuple[Array, Array]:
    """The class of each row (N), and the probability of class 1 of two or of that class of several (N)."""
    if margins.ndim == 2:
        shares_NC = np.exp(margins - margins.max(axis=1, keepdims=True))
        shares_NC /= shares_NC.sum(axis=1, keepdims=True)
        return margins.argmax(axis=1), shares_NC.max(axis=1)
    labels_N = (margins > 0).astype(np.int64)
    if objective == "binary:hinge":
        return labels_N, labels_N.astype(np.float64)
    return labels_N, 1 / (1 + np.exp(-margins.astype(np.float64)))


def prediction_table(truth_N: Array, classes_NR: Array | None, values_NR: Array) -> bytes:
    """CSV without a header: the label and the mean of the values, and the most frequent class behind it."""
    columns = [truth_N, values_NR.mean(axis=1)]
    if classes_NR is not None:
        columns.append(np.array([np.bincount(row.astype(np.int64)).argmax() for row in classes_NR]))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return b"".join(",".join(f"{value:f}" for value in row).encode() + b"\n" for row in rows)
