"""Serves k-NN: the label that the k nearest sampled rows give each row, and on request those neighbors.

N rows of a request, K neighbors, T dimensions after reduction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.knn.managed import INDEX, SETTINGS, Settings, adopted
from clary.algorithms.knn.model import Preparation, Projection, majority, mean, padded_width
from clary.algorithms.knn.search import Index, decode
from clary.algorithms.knn.spec import CLASSIFIER, REDUCTIONS, SIGN, SPEC
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.predictor import Columns, TabularPredictor, switched
from clary.toolkit.records import Records

Array = npt.NDArray[Any]


class Predictor(TabularPredictor):
    """A sample with its index, ready to be asked."""

    spec = SPEC

    def __init__(
        self, index: Index, labels_S: Array, settings: Settings, width: int, projection: Projection | None = None
    ) -> None:
        self._index, self._labels_S, self._width, self._k = index, labels_S, width, settings.k
        self._prepare = Preparation(index.width, projection, settings.normalize)
        self._decide = majority if settings.predictor_type == CLASSIFIER else mean

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model; on a GPU, faiss.Flat is searched there, and PlatformError tells where it does not fit."""
        labels, width = artifact.tensors.get("labels"), artifact.schema.get("feature_dim")
        if artifact.algorithm != SPEC.name or labels is None or not {INDEX, SETTINGS} <= artifact.files.keys():
            raise UserError(f"this is a model of {artifact.algorithm}, or it has no index; knn cannot load it")
        settings, index = Settings.read(artifact.files[SETTINGS]), Index(decode(artifact.files[INDEX], INDEX), device)
        if labels.shape != (index.rows,) or not isinstance(width, int) or not 1 <= settings.k <= index.rows:
            raise UserError(
                f"this model is damaged: its index has {index.rows} rows, and there are labels of shape "
                f"{labels.shape}, k = {settings.k} and feature_dim = {width}"
            )
        projection = _projection(artifact, settings, width)
        if index.width < (projection.target if projection else width):
            raise UserError(f"this model is damaged: its index has rows of {index.width} numbers, which is too few")
        return cls(index, np.ascontiguousarray(labels, np.float32), settings, width, projection)

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model of the managed k-NN without dimension reduction: ``model_algo-1``, its labels and its settings."""
        found = sorted(path for path in folder.glob("model_algo-*") if path.suffix not in (".labels", ".json"))
        if (folder / MANIFEST).exists() or not found:
            return Artifact.read(folder)
        return adopted(folder, found[0])

    def check(self, records: Records) -> Records:
        """The records, if each row has the width of the training data."""
        return records.expect_width(self._width) if len(records) else records

    def predict(self, request: Records) -> Columns:
        """``predicted_label`` of each row, in order."""
        return {"predicted_label": self._decide(self._labels_S[self._neighbors(request)[1]])}

    def predict_with(self, request: Records, options: Mapping[str, str]) -> Columns:
        """The same with ``distances`` and ``labels`` of the neighbors, nearest first, where ``verbose`` is true."""
        if not switched(options, "verbose"):
            return self.predict(request)
        near_NK, number_NK = self._neighbors(request)
        labels_NK = self._labels_S[number_NK]
        return {"predicted_label": self._decide(labels_NK), "distances": near_NK, "labels": labels_NK}

    def neighbors(self, request: Records, count: int) -> tuple[Array, Array]:
        """Distances and numbers of that many nearest sampled rows (N, count), nearest first.

        DataError for a row that is too far from the sample for float32.
        """
        if not len(request):
            return np.empty((0, count), np.float32), np.empty((0, count), np.int64)
        near_NK, number_NK = self._index.search(self._prepare(request.features), count)
        finite_NK = np.isfinite(near_NK)
        if np.count_nonzero(finite_NK) < finite_NK.size:
            row = request.first_row + int(finite_NK.all(axis=1).argmin())
            raise DataError("the row is farther from the sample than a float32 can say; scale it", row=row)
        return near_NK, number_NK

    def _neighbors(self, request: Records) -> tuple[Array, Array]:
        return self.neighbors(request, self._k)


def _projection(artifact: Artifact, settings: Settings, width: int) -> Projection | None:
    """The projection of the model, where it has one; UserError where its parts do not fit the width."""
    if settings.reduction is None:
        return None
    kind, target = settings.reduction["type"], settings.reduction.get("target_dim")
    parts = {name: artifact.tensors[name] for name in ("signs", "places") if name in artifact.tensors}
    shapes = {name: part.shape for name, part in parts.items()}
    wanted = {"signs": (width, target)} if kind == SIGN else {"signs": (width,), "places": (target,)}
    if kind not in REDUCTIONS or type(target) is not int or shapes != wanted:
        raise UserError(f"this model is damaged: the parts of its {kind} reduction have shapes {shapes}")
    last = padded_width(max(width, target)) - 1
    if "places" in parts and not 0 <= parts["places"].min() <= parts["places"].max() <= last:
        raise UserError("this model is damaged: its fjlt reduction keeps coordinates that do not exist")
    return Projection(kind, width, target, parts)
