"""Serves a neural topic model: the share of each topic in each document."""

from __future__ import annotations

import numpy as np

from clary.algorithms.ntm.data import sparse
from clary.algorithms.ntm.model import TopicModel
from clary.algorithms.ntm.spec import SPEC
from clary.toolkit.artifact import Artifact
from clary.toolkit.predictor import Columns, TabularPredictor
from clary.toolkit.records import Records

_TOGETHER = 4096  # documents that are encoded at a time


class Predictor(TabularPredictor):
    """A trained network, ready to be asked."""

    spec = SPEC

    def __init__(self, model: TopicModel) -> None:
        self._model = model

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The network on that device."""
        return cls(TopicModel.load(artifact, device))

    def check(self, records: Records) -> Records:
        """The documents, if each has a count of at least 0 for each word; DataError otherwise."""
        if not len(records):
            return records
        return Records(
            sparse(records.expect_width(self._model.hp.feature_dim)),
            source=records.source,
            first_row=records.first_row,
        )

    def predict(self, request: Records) -> Columns:
        """``topic_weights`` of each document, in order; they add up to 1."""
        starts = range(0, len(request), _TOGETHER)
        parts = [self._model.shares(request.rows(start, start + _TOGETHER).features) for start in starts]
        empty = np.empty((0, self._model.hp.num_topics), np.float32)
        return {"topic_weights": np.concatenate([empty, *parts])}
