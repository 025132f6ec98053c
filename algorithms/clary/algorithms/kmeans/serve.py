"""Serves k-means: the nearest center of each row, and the distance to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clary.algorithms.kmeans.model import Centers
from clary.algorithms.kmeans.spec import SPEC
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.predictor import Columns, TabularPredictor
from clary.toolkit.records import Records

_FARTHEST = float(np.finfo(np.float32).max)


class Predictor(TabularPredictor):
    """Final centers, ready to be asked."""

    spec = SPEC

    def __init__(self, centers: Centers) -> None:
        self._centers = centers
        self._width = centers.centers_KD.shape[1]

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: k-means needs no other."""
        centers = artifact.tensors.get("centers")
        if artifact.algorithm != SPEC.name or centers is None or centers.ndim != 2:
            raise UserError(f"this is a model of {artifact.algorithm}, or it has no centers; k-means cannot load it")
        return cls(Centers(np.ascontiguousarray(centers, dtype=np.float32)))

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model of the managed k-means: ``model_algo-1``, an MXNet array file with the centers (k, D)."""
        found = sorted(folder.glob("model_algo-*"))
        if (folder / MANIFEST).exists() or not found:
            return Artifact.read(folder)
        arrays = list(mxnet_ndarray.decode(found[0].read_bytes(), source=found[0].name).values())
        if len(arrays) != 1 or arrays[0].ndim != 2:
            raise UserError(f"{found[0].name} must hold one array of centers, k rows by feature_dim columns")
        k, width = arrays[0].shape
        return Artifact(
            SPEC.name, {"k": str(k), "feature_dim": str(width)}, {"feature_dim": width}, {"centers": arrays[0]}
        )

    def check(self, records: Records) -> Records:
        """The records, if each row has the width of the training data."""
        return records.expect_width(self._width) if len(records) else records

    def predict(self, request: Records) -> Columns:
        """``closest_cluster`` as a float, ``distance_to_cluster`` as the Euclidean distance."""
        if not len(request):
            return {name: np.empty(0, np.float32) for name in ("closest_cluster", "distance_to_cluster")}
        points_ND = request.dense()
        index_N, squared_N = self._centers.closest(points_ND)
        distance_N = np.sqrt(squared_N)
        if squared_N.dtype != np.float32 and distance_N.max() > _FARTHEST:
            row = request.first_row + int(distance_N.argmax())
            raise DataError("the row is farther from every center than a float32 can say; scale it", row=row)
        return {
            "closest_cluster": index_N.astype(np.float32),
            "distance_to_cluster": distance_N.astype(np.float32, copy=False),
        }
