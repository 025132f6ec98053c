"""How good predicted labels are: accuracy and macro F1 of a classifier, mean squared error of a regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.knn.spec import CLASSIFIER
from clary.toolkit.cluster import Cluster

Array = npt.NDArray[Any]


class Tally:
    """Counts of pairs of true and predicted class, or the sum of squared errors, over batches and hosts."""

    def __init__(self, predictor_type: str) -> None:
        self._classes = predictor_type == CLASSIFIER
        self._pairs_P3 = np.empty((0, 3))  # true class, predicted class, how often
        self._squared, self.rows = 0.0, 0

    def update(self, true_N: Array, predicted_N: Array) -> None:
        """Take these rows into account."""
        self.rows += len(true_N)
        if self._classes:
            once_N = np.ones(len(true_N))
            self._add(np.stack([true_N, predicted_N, once_N], axis=1).astype(np.float64))
        else:
            self._squared += float(np.square(predicted_N.astype(np.float64) - true_N).sum())

    def collect(self, cluster: Cluster) -> None:
        """Add up what all hosts have; the leader's scores are then those of all, and ``rows`` is the same on each."""
        squared, rows = cluster.sum(np.array([self._squared, self.rows])).tolist()
        self._squared, self.rows = squared, int(rows)
        gathered = cluster.gather(self._pairs_P3)
        if gathered is not None:
            self._pairs_P3 = np.empty((0, 3))
            self._add(np.concatenate(gathered))

    def scores(self) -> dict[str, float]:
        """``accuracy`` and ``macro_f_1.000``, or ``mse``, of at least one row."""
        if not self._classes:
            return {"mse": self._squared / self.rows}
        true_P, predicted_P, count_P = self._pairs_P3.T
        return {
            "accuracy": float(count_P[true_P == predicted_P].sum() / self.rows),
            "macro_f_1.000": _macro_f1(true_P, predicted_P, count_P),
        }

    def _add(self, pairs_P3: Array) -> None:
        both_P3 = np.concatenate([self._pairs_P3, pairs_P3])
        pairs, place = np.unique(both_P3[:, :2], axis=0, return_inverse=True)
        counts = np.bincount(place.reshape(-1), weights=both_P3[:, 2], minlength=len(pairs))
        self._pairs_P3 = np.column_stack([pairs, counts])


def _macro_f1(true_P: Array, predicted_P: Array, count_P: Array) -> float:
    """The mean F1 of the classes from the lower of 0 and the smallest to the largest; NaN where one never occurs."""
    classes, place = np.unique(np.concatenate([true_P, predicted_P]), return_inverse=True)
    true, predicted = np.split(place.reshape(-1), 2)
    if len(classes) < classes[-1] - min(0.0, classes[0]) + 1:
        return float("nan")
    hits = np.bincount(true, weights=count_P * (true == predicted), minlength=len(classes))
    both = np.bincount(place.reshape(-1), weights=np.tile(count_P, 2), minlength=len(classes))
    return float(np.mean(2 * hits / both))
