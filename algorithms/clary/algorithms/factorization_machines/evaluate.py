"""Metrics from scores and labels, as sums that add up over batches and over hosts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.factorization_machines.spec import BINARY

Array = npt.NDArray[Any]
SUMS = 6  # numbers that the metrics of either predictor type follow from


def sums(scores_B: Array, labels_B: Array, predictor_type: str) -> Array:
    """What rows add to the sums: the number of rows first, then what their predictor type needs."""
    if predictor_type == BINARY:
        said_B, there_B = scores_B >= 0, labels_B > 0
        wrong_B = np.where(there_B, -scores_B, scores_B)
        # log(1 + e^z), without the overflow of e^z.
        lost_B = np.maximum(wrong_B, 0) + np.log1p(np.exp(-np.abs(wrong_B)))
        counts = [np.count_nonzero(each) for each in (said_B == there_B, said_B & there_B, said_B, there_B)]
        return np.array([len(scores_B), lost_B.sum(), *counts], np.float64)
    errors_B = scores_B - labels_B
    return np.array([len(scores_B), np.square(errors_B).sum(), np.abs(errors_B).sum(), 0, 0, 0], np.float64)


def metrics(sums_: Array, predictor_type: str) -> dict[str, float]:
    """The metrics by their short names, in the order in which they are reported; ValueError without rows.

    A row is labeled 1 where its probability is at least 0.5. F1 is 0 where no row is labeled 1 or of class 1.
    """
    if not sums_[0]:
        raise ValueError("there is no row to measure")
    if predictor_type == BINARY:
        rows, lost, right, hit, said, there = sums_.tolist()
        return {
            "binary_classification_accuracy": right / rows,
            "binary_classification_cross_entropy": lost / rows,
            "binary_f_beta": 2 * hit / (said + there) if said + there else 0.0,
        }
    rows, squared, absolute = sums_[:3].tolist()
    return {"rmse": (squared / rows) ** 0.5, "mse": squared / rows, "absolute_loss": absolute / rows}
