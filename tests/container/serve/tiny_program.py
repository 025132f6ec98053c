"""The real ``serve`` program with one more algorithm: sums rows, and misbehaves on request.

A model's schema may hold ``load_seconds`` and ``load_error``; the first number of a row may ask for trouble.
"""

import os
import sys
import time
from dataclasses import replace

import numpy as np

from clary.algorithms import registry
from clary.algorithms.kmeans.spec import SPEC as KMEANS
from clary.container.__main__ import main
from clary.toolkit.artifact import Artifact
from clary.toolkit.predictor import Columns, TabularPredictor
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec, Field

SPEC = replace(
    KMEANS,
    name="tiny",
    repository="tiny",
    class_name="Tiny",
    payloads=replace(KMEANS.payloads, fields=(Field(name="total", doc="Sum of the row."),)),
)
FAIL, SLEEP, DIE = 666.0, 777.0, 999.0


class TinyPredictor(TabularPredictor):
    """Adds up the numbers of each row."""

    spec = SPEC

    def __init__(self, width: int) -> None:
        self.width = width
        self.batches: list[int] = []

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> "TinyPredictor":
        time.sleep(artifact.schema.get("load_seconds", 0))
        if artifact.schema.get("load_error"):
            raise RuntimeError("the loader is broken")
        return cls(artifact.schema["feature_dim"])

    def check(self, records: Records) -> Records:
        return records.expect_width(self.width) if len(records) else records

    def predict(self, request: Records) -> Columns:
        rows = request.dense()
        self.batches.append(len(rows))
        first = rows[:, 0] if len(rows) else rows[:0].ravel()
        if (first == FAIL).any():
            raise RuntimeError("secret detail of the model")
        if (first == DIE).any():
            os._exit(9)
        if (first == SLEEP).any():
            time.sleep(rows[first == SLEEP, 1].max())
        return {"total": rows.sum(axis=1, dtype=np.float64).astype(np.float32)}


def spec(name: str) -> AlgorithmSpec:
    return SPEC if name == "tiny" else real_spec(name)


def predictor(name: str) -> type[TabularPredictor]:
    return TinyPredictor if name == "tiny" else real_predictor(name)  # type: ignore[return-value]


if __name__ == "__main__":
    real_spec, real_predictor = registry.spec, registry.predictor
    registry.spec, registry.predictor = spec, predictor  # type: ignore[assignment]
    sys.exit(main())
