"""The files of a managed k-NN model: the faiss index, its labels, and what a prediction needs to know beside them.

``model_algo-1`` is the index, ``model_algo-1.labels`` the label of each of its rows as bare float32 numbers, and
``model_algo-1.json`` the rest. A user may edit ``k`` and ``predictor_type`` there to change the predictions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.knn.search import decode
from clary.algorithms.knn.spec import COSINE, FLAT, HNSW, INNER_PRODUCT, IVF_FLAT, IVF_PQ, L2, PREDICTOR_TYPES, SPEC
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError

INDEX, LABELS, SETTINGS = "model_algo-1", "model_algo-1.labels", "model_algo-1.json"
_VERSION = "1.0"
_TYPES = {"IndexIVFFlat": IVF_FLAT, "IndexIVFPQ": IVF_PQ, "IndexHNSWFlat": HNSW}


@dataclass(frozen=True)
class Settings:
    """What a prediction needs to know; ``reduction`` holds type, seed, input_dim and target_dim, or is None."""

    k: int
    predictor_type: str
    normalize: bool = False
    reduction: dict[str, Any] | None = None

    def spell(self) -> bytes:
        """The file that ``read`` reads back."""
        content = {
            "k": self.k,
            "predictor_type": self.predictor_type,
            "dimension_reduction": self.reduction,
            "normalize": self.normalize,
            "version": _VERSION,
        }
        return json.dumps(content, indent=2).encode() + b"\n"

    @classmethod
    def read(cls, content: bytes, name: str = SETTINGS) -> Settings:
        """The settings in the file; UserError names the entry that cannot be."""
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{name} cannot be read as JSON: {error}") from error
        if not isinstance(found, dict):
            raise UserError(f"{name} must hold a JSON object; got {type(found).__name__}")
        k, kind, reduction = (found.get(key) for key in ("k", "predictor_type", "dimension_reduction"))
        if type(k) is not int or k < 1:
            raise UserError(f"{name}: k must be an integer at least 1; got {json.dumps(k)}")
        if kind not in PREDICTOR_TYPES:
            raise UserError(
                f"{name}: predictor_type must be one of {', '.join(PREDICTOR_TYPES)}; got {json.dumps(kind)}"
            )
        if reduction is not None and not (isinstance(reduction, dict) and isinstance(reduction.get("type"), str)):
            raise UserError(f"{name}: dimension_reduction must be null or an object with a type")
        return cls(k, kind, bool(found.get("normalize")), reduction)


def adopted(folder: Path, index: Path) -> Artifact:
    """The managed model in the folder as one of ours; UserError for one with a reduction, or with a part missing.

    How the managed algorithm draws its projections is not published, so a request could not be projected alike.
    """
    missing = [name for name in (f"{index.name}.labels", f"{index.name}.json") if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} has {index.name} but no {' and no '.join(missing)}, so the model cannot be served")
    settings = Settings.read((folder / f"{index.name}.json").read_bytes(), f"{index.name}.json")
    if settings.reduction and settings.reduction["type"] not in ("", "none", "None"):
        raise UserError(
            f"{index.name} has a dimension reduction of type {settings.reduction['type']}, whose random numbers only "
            "the managed algorithm knows; train it again here, or without dimension_reduction_type"
        )
    content, labels = index.read_bytes(), (folder / f"{index.name}.labels").read_bytes()
    if len(labels) % 4:
        raise UserError(f"{index.name}.labels must hold float32 numbers of 4 bytes each; it has {len(labels)} bytes")
    found = decode(content, index.name)
    plain = Settings(settings.k, settings.predictor_type, settings.normalize)
    metric = COSINE if plain.normalize else L2 if found.metric_type == 1 else INNER_PRODUCT
    hyperparameters = {
        "feature_dim": str(found.d),
        "k": str(plain.k),
        "predictor_type": plain.predictor_type,
        "sample_size": str(found.ntotal),
        "index_metric": metric,
        "index_type": _TYPES.get(type(found).__name__, FLAT),
    }
    tensors = {"labels": np.frombuffer(labels, "<f4")}
    return Artifact(
        SPEC.name,
        hyperparameters,
        {"feature_dim": int(found.d)},
        tensors,
        {INDEX: content, LABELS: labels, SETTINGS: plain.spell()},
    )
