"""Made-up rows of two classes, as many as are wanted, and CSV files of them.

A plane tells the classes apart, but for noise and for a product of two features that only trees can see.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit import tabular
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor
from clary.toolkit.records import Records

WIDTH = 50
MEASURES = {"linear_learner": "accuracy %", "kmeans": "mean squared distance", "xgboost": "accuracy %"}
DECIMALS = 5
_BLOCK = 50_000
_CSV = MediaType.parse("text/csv")


def two_classes(rows: int, *, seed: int = 0, width: int = WIDTH) -> Records:
    """Rows with 5 decimals and a label of 0 or 1; every seed gives other rows of the same two classes."""
    plane = np.random.default_rng(0).normal(scale=0.3 * (WIDTH / width) ** 0.5, size=width)
    rng = np.random.default_rng([1, seed])
    features = rng.standard_normal((rows, width), dtype=np.float32).round(DECIMALS)
    margin = features @ plane + features[:, 0] * features[:, 1]
    labels = margin + rng.logistic(size=rows) > 0
    return Records(features, labels.astype(np.float32)[:, None])


@cache
def held_out(width: int = WIDTH) -> Records:
    """100,000 rows that are in no file."""
    return two_classes(100_000, seed=2**31, width=width)


def accuracy(predicted: npt.NDArray[Any], width: int = WIDTH) -> float:
    """Percent of the held-out rows that these labels are right for."""
    labels = held_out(width).labels
    assert labels is not None
    return 100 * float(np.mean(predicted == labels[:, 0]))


def quality(predictor: Predictor[Any, Any], width: int = WIDTH) -> float:
    """How well a model of one of ``MEASURES`` does on the held-out rows."""
    answer = predictor.predict(Records(held_out(width).features))
    if "predicted_label" in answer:
        return accuracy(answer["predicted_label"], width)
    if "distance_to_cluster" in answer:
        return float(np.square(answer["distance_to_cluster"], dtype=np.float64).mean())
    return accuracy(answer["score"] >= 0.5, width)


def write_rows(path: Path, rows: int, *, first: int = 0, width: int = WIDTH) -> Path:
    """The file, filled with that many rows; ``first`` is the seed of the first block, so that files can differ."""
    with path.open("wb") as stream:
        for seed, start in enumerate(range(0, rows, _BLOCK), first):
            tabular.write(stream, two_classes(min(_BLOCK, rows - start), seed=seed, width=width), _CSV)
    return path


def write_bytes(path: Path, size: float) -> Path:
    """The file, filled with rows until it has at least that many bytes."""
    with path.open("wb") as stream:
        seeds = count()
        while stream.tell() < size:
            tabular.write(stream, two_classes(_BLOCK, seed=next(seeds)), _CSV)
    return path
