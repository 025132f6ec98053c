"""Serves PCA: the projection of each row onto the components."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clary.algorithms.pca.data import Array
from clary.algorithms.pca.model import project
from clary.algorithms.pca.spec import SPEC
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.codecs.floats import LARGEST, narrow
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.predictor import Columns, TabularPredictor
from clary.toolkit.records import Records


class Predictor(TabularPredictor):
    """Components and mean, ready to be asked."""

    spec = SPEC

    def __init__(self, v_DK: Array, mean_D: Array | None) -> None:
        self._v_DK, self._mean_D = v_DK, mean_D

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: one product of matrices needs no other."""
        v, mean = artifact.tensors.get("v"), artifact.tensors.get("mean")
        if artifact.algorithm != SPEC.name or v is None or v.ndim != 2:
            raise UserError(f"this is a model of {artifact.algorithm}, or it has no components; pca cannot load it")
        if mean is not None and mean.shape != v.shape[:1]:
            raise UserError("this model is damaged: its mean and its components do not fit each other")
        return cls(
            np.ascontiguousarray(v, dtype=np.float64), None if mean is None else mean.astype(np.float64, copy=False)
        )

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model of the managed PCA: ``model_algo-1``, an MXNet array file with ``v``, ``s`` and maybe ``mean``."""
        found = sorted(folder.glob("model_algo-*"))
        if (folder / MANIFEST).exists() or not found:
            return Artifact.read(folder)
        arrays = mxnet_ndarray.decode(found[0].read_bytes(), source=found[0].name)
        if problem := _problem(arrays):
            raise UserError(
                f"{found[0].name} is no model of PCA: {problem}; it should hold v (feature_dim, num_components), "
                "s (num_components) and, where the mean was subtracted, mean (1, feature_dim)"
            )
        width, count = arrays["v"].shape
        given = {"feature_dim": str(width), "num_components": str(count)}
        tensors = {name: array.astype(np.float64) for name, array in arrays.items()}
        if "mean" in tensors:
            tensors["mean"] = tensors["mean"].reshape(width)
        hyperparameters = {**given, "subtract_mean": "true" if "mean" in tensors else "false"}
        return Artifact(SPEC.name, hyperparameters, {"feature_dim": width}, tensors)

    def check(self, records: Records) -> Records:
        """The records, if each row has the width of the training data."""
        return records.expect_width(len(self._v_DK)) if len(records) else records

    def predict(self, request: Records) -> Columns:
        """``projection`` of each row onto the components, from the least to the most significant."""
        if not len(request):
            return {"projection": np.empty((0, self._v_DK.shape[1]), np.float32)}
        along_NK = project(request.features, self._mean_D, self._v_DK)
        if not -LARGEST <= along_NK.min() <= along_NK.max() <= LARGEST:
            row = request.first_row + int(np.abs(along_NK).max(axis=1).argmax())
            raise DataError("a projection of the row is larger than a float32 can say; scale its features", row=row)
        return {"projection": narrow(along_NK)}


def _problem(arrays: dict[str, Array]) -> str:
    """What is wrong with the arrays of a managed model, or nothing."""
    if not {"v", "s"} <= set(arrays) <= {"v", "s", "mean"}:
        return f"it holds {', '.join(sorted(arrays)) or 'nothing'}"
    v, s = arrays["v"], arrays["s"]
    if v.ndim != 2 or s.size != v.shape[1]:
        return f"v has the shape {list(v.shape)} and s has {s.size} numbers"
    if "mean" in arrays and arrays["mean"].size != len(v):
        return f"v has {len(v)} rows and mean has {arrays['mean'].size} numbers"
    return ""
