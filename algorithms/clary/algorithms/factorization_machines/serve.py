"""Serves factorization machines: the score of each row, and the label of a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clary.algorithms.factorization_machines.managed import read_managed_file
from clary.algorithms.factorization_machines.model import Machine, probability
from clary.algorithms.factorization_machines.spec import BINARY, PREDICTOR_TYPES, SPEC
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.predictor import Columns, TabularPredictor
from clary.toolkit.records import Records
from clary.toolkit.tabular import Reading

_LARGEST = float(np.finfo(np.float32).max)


class Predictor(TabularPredictor):
    """A trained machine, ready to be asked."""

    spec = SPEC

    def __init__(self, machine: Machine, predictor_type: str) -> None:
        self._machine, self._binary = machine, predictor_type == BINARY
        self.reading = Reading(width=len(machine.linear_D))

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: a row costs as much as it has values."""
        bias, linear, factors = (artifact.tensors.get(name) for name in ("w0", "w", "v"))
        if artifact.algorithm != SPEC.name or bias is None or linear is None or factors is None:
            found = f"this is a model of {artifact.algorithm}, or it has no w0, w and v"
            raise UserError(f"{found}; factorization_machines cannot load it")
        if bias.shape != (1,) or factors.ndim != 2 or linear.shape != factors.shape[:1]:
            raise UserError("this model is damaged: its w0, w and v do not fit each other")
        predictor_type = artifact.schema.get("predictor_type")
        if predictor_type not in PREDICTOR_TYPES:
            raise UserError(f"this model is damaged: its predictor_type is {predictor_type!r}")
        return cls(Machine(float(bias[0]), linear, factors), predictor_type)

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model of the managed factorization machines: ``model_algo-1``, a zip archive of an MXNet network."""
        found = sorted(folder.glob("model_algo-*"))
        if (folder / MANIFEST).exists() or not found:
            return Artifact.read(folder)
        machine, predictor_type = read_managed_file(found[0].read_bytes(), source=found[0].name)
        width, factors = machine.factors_DK.shape
        given = {"feature_dim": str(width), "num_factors": str(factors), "predictor_type": predictor_type}
        return Artifact(
            SPEC.name,
            given,
            {"feature_dim": width, "predictor_type": predictor_type},
            {"w0": np.array([machine.bias], np.float32), "w": machine.linear_D, "v": machine.factors_DK},
        )

    def check(self, records: Records) -> Records:
        """The records, if each row has the width of the training data."""
        return records.expect_width(len(self._machine.linear_D)) if len(records) else records

    def predict(self, request: Records) -> Columns:
        """``score`` of each row, and of a classifier ``predicted_label``: 1 where the score is at least 0.5."""
        scores_N = self._machine.scores(request.features) if len(request) else np.empty(0)
        if self._binary:
            score_N = probability(scores_N)
            return {"score": score_N.astype(np.float32), "predicted_label": (score_N >= 0.5).astype(np.int64)}
        if len(scores_N) and np.abs(scores_N).max() > _LARGEST:
            row = request.first_row + int(np.abs(scores_N).argmax())
            raise DataError("the score of the row is larger than a float32 can say; scale its features", row=row)
        return {"score": scores_N.astype(np.float32)}
