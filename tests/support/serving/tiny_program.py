"""The real programs with one more algorithm in the suite: ``tiny`` adds up rows, and misbehaves on request.

A model's schema may hold ``load_seconds`` and ``load_error``; the first number of a row may ask for trouble.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from clary.algorithms import registry
from clary.algorithms.kmeans.spec import SPEC as KMEANS
from clary.container.__main__ import main
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
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
WIDTH = 3
FAIL, REFUSE, DIE, SLEEP = 666.0, 667.0, 999.0, 777.0


class TinyPredictor(TabularPredictor):
    """Adds up the numbers of each row; keeps the size of each batch."""

    spec = SPEC

    def __init__(self, width: int = WIDTH) -> None:
        self.width = width
        self.batches: list[int] = []

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> TinyPredictor:
        time.sleep(artifact.schema.get("load_seconds", 0))
        if artifact.schema.get("load_error"):
            raise RuntimeError("the loader is broken")
        return cls(artifact.schema["feature_dim"])

    def check(self, records: Records) -> Records:
        return records.expect_width(self.width) if len(records) else records

    def predict(self, request: Records) -> Columns:
        rows = request.dense()
        self.batches.append(len(rows))
        if not len(rows):
            return {"total": np.empty(0, np.float32)}
        first = rows[:, 0]
        if (first == FAIL).any():
            raise RuntimeError("secret detail of the model")
        if (first == REFUSE).any():
            raise UserError("the model knows no 667")
        if (first == DIE).any():
            os._exit(9)
        if (first == SLEEP).any():
            time.sleep(float(rows[first == SLEEP, 1].max()))
        return {"total": rows.sum(axis=1, dtype=np.float64).astype(np.float32)}


def write(folder: Path, tensors: Mapping[str, Any] | None = None, **schema: Any) -> Path:
    """Put a model of this algorithm into the folder and return the folder."""
    Artifact("tiny", {}, {"feature_dim": WIDTH, **schema}, tensors or {}).write(folder)
    return folder


@contextmanager
def in_the_suite() -> Iterator[None]:
    """Let the registry know this algorithm too."""
    real_spec, real_predictor = registry.spec, registry.predictor

    def spec(name: str) -> AlgorithmSpec:
        return SPEC if name == "tiny" else real_spec(name)

    def predictor(name: str) -> type[Any]:
        return TinyPredictor if name == "tiny" else real_predictor(name)

    with mock.patch.object(registry, "spec", spec), mock.patch.object(registry, "predictor", predictor):
        yield


if __name__ == "__mp_main__":  # a worker, on systems where workers are not forked
    in_the_suite().__enter__()

if __name__ == "__main__":
    with in_the_suite():
        sys.exit(main())
