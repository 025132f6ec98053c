"""Serves LDA: the mixture of topics of each document."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clary.algorithms.lda.data import Array, check_counts, sparse
from clary.algorithms.lda.model import mixtures
from clary.algorithms.lda.spec import SPEC
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import UserError
from clary.toolkit.predictor import Columns, Surroundings, TabularPredictor
from clary.toolkit.records import Records


class Predictor(TabularPredictor):
    """Topics, ready to be found in documents."""

    spec = SPEC

    def __init__(self, alpha_K: Array, beta_KV: Array) -> None:
        self._alpha_K, self._threads = alpha_K, 1
        # Words are rows for the compiled loop, and each topic's shares sum up to 1 also where somebody edited them.
        self._topics_VK = np.ascontiguousarray((beta_KV / beta_KV.sum(axis=1, keepdims=True)).T, np.float32)

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: a document costs as much as it has words."""
        if artifact.algorithm != SPEC.name or not {"alpha", "beta"} <= set(artifact.tensors):
            found = f"this is a model of {artifact.algorithm}, or it has no alpha and beta"
            raise UserError(f"{found}; lda cannot load it")
        alpha_K, beta_KV = (artifact.tensors[name].astype(np.float64) for name in ("alpha", "beta"))
        if problem := _problem(alpha_K, beta_KV):
            raise UserError(f"this model is damaged: {problem}")
        return cls(alpha_K, beta_KV)

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model of the managed LDA: ``model_algo-1``, an MXNet array file with alpha and beta, in this order."""
        found = sorted(folder.glob("model_algo-*"))
        if (folder / MANIFEST).exists() or not found:
            return Artifact.read(folder)
        arrays = list(mxnet_ndarray.decode(found[0].read_bytes(), source=found[0].name).values())
        problem = _problem(*arrays) if len(arrays) == 2 else f"it holds {len(arrays)} arrays"
        if problem:
            raise UserError(
                f"{found[0].name} is no model of LDA: {problem}; it should hold alpha (num_topics) and beta "
                "(num_topics, feature_dim), in this order"
            )
        alpha_K, beta_KV = arrays
        topics, width = beta_KV.shape
        given = {"num_topics": str(topics), "feature_dim": str(width), "mini_batch_size": "1"}
        given["alpha0"] = repr(float(alpha_K.sum(dtype=np.float64)))
        return Artifact(SPEC.name, given, {"feature_dim": width}, {"alpha": alpha_K, "beta": beta_KV})

    def place(self, surroundings: Surroundings) -> None:
        """Take as many threads as one request may have."""
        self._threads = surroundings.threads

    def check(self, records: Records) -> Records:
        """The records, if each has the width of the training data, and no count below zero."""
        if len(records):
            check_counts(records.expect_width(len(self._topics_VK)))
        return records

    def predict(self, request: Records) -> Columns:
        """``topic_mixture`` of each document: the shares of topics under which its words are most likely."""
        if not len(request):
            return {"topic_mixture": np.empty((0, len(self._alpha_K)), np.float32)}
        found_NK = mixtures(sparse(request), self._topics_VK, self._alpha_K, threads=self._threads)
        return {"topic_mixture": found_NK}


def _problem(alpha_K: Array, beta_KV: Array) -> str:
    """What is wrong with the arrays of a model, or nothing."""
    if alpha_K.ndim != 1 or beta_KV.ndim != 2 or not beta_KV.size or len(alpha_K) != len(beta_KV):
        return f"alpha has the shape {list(alpha_K.shape)} and beta {list(beta_KV.shape)}"
    for name, array in (("alpha", alpha_K), ("beta", beta_KV)):
        if not np.isfinite(array).all() or array.min() < 0:
            return f"{name} has a number that is negative or not finite"
    if not alpha_K.sum() or not beta_KV.sum(axis=1).all():
        return "alpha or a row of beta is all zero"
    return ""
