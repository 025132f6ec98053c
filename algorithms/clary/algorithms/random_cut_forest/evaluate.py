"""From scores of labeled rows to metrics: which rows are called anomalies, and how many of them rightly.

N rows. Divisions by zero count as 0: the precision where no row is called an anomaly, the recall where there is none.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

DEVIATIONS = 3.0


def threshold(scores_N: Array) -> float:
    """The score above which a row is an anomaly: three (population) standard deviations above the mean."""
    return float(scores_N.mean() + DEVIATIONS * scores_N.std())


def metrics(scores_N: Array, anomalous_N: Array, asked: tuple[str, ...]) -> dict[str, float]:
    """The metrics by their short names, of rows with these scores that are labeled anomalous or not."""
    called_N = scores_N > threshold(scores_N)
    found: dict[str, float] = {}
    if "precision_recall_fscore" in asked:
        found |= _rates(called_N, anomalous_N)
        found |= {f"normal_{name}": value for name, value in _rates(~called_N, ~anomalous_N).items()}
    if "accuracy" in asked:
        found["accuracy"] = float((called_N == anomalous_N).mean())
    return found


def _rates(called_N: Array, labeled_N: Array) -> dict[str, float]:
    right, called, labeled = (int(each.sum()) for each in (called_N & labeled_N, called_N, labeled_N))
    return {
        "f1": _share(2 * right, called + labeled),
        "precision": _share(right, called),
        "recall": _share(right, labeled),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
