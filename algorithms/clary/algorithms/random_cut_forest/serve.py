"""Serves a random cut forest: the anomaly score of each row, and on request what each feature adds to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clary.algorithms.random_cut_forest.model import Forest
from clary.algorithms.random_cut_forest.spec import SPEC
from clary.toolkit.artifact import Artifact
from clary.toolkit.codecs.floats import narrow
from clary.toolkit.errors import TooLargeError, UserError
from clary.toolkit.predictor import Columns, Surroundings, TabularPredictor, switched
from clary.toolkit.records import Records

MOST_CONTRIBUTIONS = 2**24  # numbers in one answer; as JSON they are some 200 MB


class Predictor(TabularPredictor):
    """A forest, ready to be asked."""

    spec = SPEC

    def __init__(self, forest: Forest) -> None:
        self._forest, self._threads = forest, 1
        self._width = int(forest.trees.points.shape[2])

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: trees are walked, and no GPU does that well."""
        if artifact.algorithm != SPEC.name:
            raise UserError(f"this is a model of {artifact.algorithm}; random_cut_forest cannot load it")
        try:
            predictor = cls(Forest.read(artifact.tensors))
        except ValueError as error:
            raise UserError(f"this model is damaged: {error}") from error
        # The loops are compiled now, or read from their cache, so that the first caller does not wait for it.
        predictor.predict_with(Records(np.zeros((1, predictor._width), np.float32)), {"contributions": "true"})
        return predictor

    def place(self, surroundings: Surroundings) -> None:
        """Learn how many cores a request may use."""
        self._threads = surroundings.threads

    def check(self, records: Records) -> Records:
        """The records, if each row has the width of the training data."""
        return records.expect_width(self._width) if len(records) else records

    def predict(self, request: Records) -> Columns:
        """``score`` of each row, in order."""
        if not len(request):
            return {"score": np.empty(0, np.float32)}
        return {"score": narrow(self._forest.scores(request.dense(), threads=self._threads))}

    def predict_with(self, request: Records, options: Mapping[str, str]) -> Columns:
        """The same with ``base`` and ``contributions``, which add up to the score, where the option is true.

        TooLargeError where the answer would be out of all proportion.
        """
        answer = self.predict(request)
        return {**answer, **self._explained(request)} if switched(options, "contributions") else answer

    def _explained(self, request: Records) -> Columns:
        count = len(request) * self._width
        if count > MOST_CONTRIBUTIONS:
            raise TooLargeError(
                f"the contributions to {len(request)} rows are {count} numbers, and an answer holds at most "
                f"{MOST_CONTRIBUTIONS}; ask for fewer rows at a time"
            )
        rows_ND = request.dense() if len(request) else np.empty((0, self._width), np.float32)
        base_N, parts_ND = self._forest.attributions(rows_ND, threads=self._threads)
        return {"base": narrow(base_N), "contributions": narrow(parts_ND)}
