"""Serves a linear model: the score of each row, its label, and on request what each feature adds to the score.

N rows, D features, C score columns: one for each class of a multiclass classifier, otherwise 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.managed import read_managed_file
from clary.algorithms.linear_learner.spec import BINARY, MULTICLASS, PREDICTOR_TYPES, SPEC
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.codecs.floats import narrow
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.predictor import Columns, TabularPredictor, switched
from clary.toolkit.records import Records

Array = npt.NDArray[Any]

MOST_CONTRIBUTIONS = 2**24  # numbers in one answer; as JSON they are some 200 MB
_LARGEST = float(np.finfo(np.float32).max)


class Predictor(TabularPredictor):
    """Weights and bias in the features' own units, ready to be asked."""

    spec = SPEC

    def __init__(self, weights_CD: Array, bias_C: Array, mean_D: Array, schema: Mapping[str, Any]) -> None:
        self._weights_CD, self._bias_C, self._mean_D = weights_CD, bias_C, mean_D
        self._weights_DC = np.ascontiguousarray(weights_CD.T)
        self._type, self._loss, self._threshold = schema["predictor_type"], schema["loss"], schema.get("threshold")
        self._width = weights_CD.shape[1]

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: one product of matrices needs no other."""
        weights, bias, mean = (artifact.tensors.get(name) for name in ("weights", "bias", "mean"))
        if artifact.algorithm != SPEC.name or weights is None or bias is None or mean is None or weights.ndim != 2:
            raise UserError(
                f"this is a model of {artifact.algorithm}, or it has no weights; linear_learner cannot load it"
            )
        if bias.shape != weights.shape[:1] or mean.shape != weights.shape[1:]:
            raise UserError("this model is damaged: its weights, bias and mean do not fit each other")
        if problem := _problem(artifact.schema, len(weights)):
            raise UserError(f"this model is damaged: {problem}")
        weights_CD, bias_C, mean_D = (each.astype(np.float64) for each in (weights, bias, mean))
        return cls(weights_CD, bias_C, mean_D, artifact.schema)

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model of the managed linear learner: ``model_algo-1``, a zip archive of an MXNet network.

        Its decision threshold is not in the file, so the neutral one is taken: 0.5, or 0 for the hinge loss.
        """
        found = sorted(folder.glob("model_algo-*"))
        if (folder / MANIFEST).exists() or not found:
            return Artifact.read(folder)
        model = read_managed_file(found[0].read_bytes(), source=found[0].name)
        classes, width = model.weights_CD.shape
        given = {"predictor_type": model.predictor_type, "feature_dim": str(width), "loss": model.loss}
        schema = {"feature_dim": width, "predictor_type": model.predictor_type, "num_classes": classes}
        return Artifact(
            SPEC.name,
            {**given, "num_classes": str(classes)} if model.predictor_type == MULTICLASS else given,
            {**schema, "loss": model.loss, "threshold": 0.0 if model.loss == "hinge_loss" else 0.5},
            {"weights": model.weights_CD, "bias": model.bias_C, "mean": np.zeros(width)},
        )

    def check(self, records: Records) -> Records:
        """The records, if each row has the width of the training data."""
        return records.expect_width(self._width) if len(records) else records

    def predict(self, request: Records) -> Columns:
        """``score`` of each row, behind the ``predicted_label`` that a classifier gives it."""
        linear_NC = self.linear(request)
        scores = self.scores(linear_NC)
        if self._type == MULTICLASS:
            return {"predicted_label": linear_NC.argmax(axis=1), "score": scores.astype(np.float32)}
        score_N = scores
        if self._loss != "logistic":
            self._check_size(score_N, request)
        answer = {"score": score_N.astype(np.float32)}
        if self._type == BINARY:
            return {"predicted_label": (score_N >= self._threshold).astype(np.int64), **answer}
        return answer

    def predict_with(self, request: Records, options: Mapping[str, str]) -> Columns:
        """The same with ``base`` and ``contributions`` where the option of that name is true.

        Contributions and base add up to the score before the link: the log-odds of class 1, the margin of
        hinge_loss, the input of the softmax for each class, or a regressor's prediction. TooLargeError where the
        answer would be out of all proportion.
        """
        answer = self.predict(request)
        return {**answer, **self._explain(request)} if switched(options, "contributions") else answer

    def _explain(self, request: Records) -> Columns:
        count = len(request) * self._weights_CD.size
        if count > MOST_CONTRIBUTIONS:
            raise TooLargeError(
                f"the contributions to {len(request)} rows are {count} numbers, and an answer holds at most "
                f"{MOST_CONTRIBUTIONS}; ask for fewer rows at a time"
            )
        apart_ND = self._features(request.dense()) - self._mean_D
        parts_NCD = apart_ND[:, None, :] * self._weights_CD
        base_C = self._bias_C + self._weights_CD @ self._mean_D
        base_NC = np.tile(base_C, (len(request), 1))
        if self._type != MULTICLASS:
            parts_NCD, base_NC = parts_NCD[:, 0], base_NC[:, 0]
        return {"base": narrow(base_NC), "contributions": narrow(parts_NCD)}

    def _features(self, features: Array) -> Array:
        # A request without rows has no width either.
        return features.astype(np.float64) if len(features) else np.empty((0, self._width))

    def scores(self, linear_NC: Array) -> Array:
        """The scores that scores before the link come to: (N,), or (N, C) of a multiclass classifier; in float64."""
        if self._type == MULTICLASS:
            return softmax(linear_NC)
        return logistic(linear_NC[:, 0]) if self._loss == "logistic" else linear_NC[:, 0]

    def linear(self, request: Records) -> Array:
        """The scores before the link (N, C), in float64."""
        features: Any = request.features if request.sparse else self._features(request.dense())
        linear_NC: Array = features @ self._weights_DC
        linear_NC += self._bias_C
        return linear_NC

    def _check_size(self, score_N: Array, request: Records) -> None:
        if len(score_N) and np.abs(score_N).max() > _LARGEST:
            row = request.first_row + int(np.abs(score_N).argmax())
            raise DataError("the score of the row is larger than a float32 can say; scale its features", row=row)


def _problem(schema: Mapping[str, Any], columns: int) -> str:
    """What is wrong with the schema of a model with that many score columns, or nothing."""
    predictor_type = schema.get("predictor_type")
    if predictor_type not in PREDICTOR_TYPES or not isinstance(schema.get("loss"), str):
        return "it does not say its predictor_type and loss"
    if predictor_type == BINARY and not isinstance(schema.get("threshold"), (int, float)):
        return "a binary classifier must have a threshold"
    if (columns > 1) != (predictor_type == MULTICLASS):
        return f"it is a {predictor_type} with {columns} score columns"
    return ""


def logistic(margin_N: Array) -> Array:
    """The probability of class 1 for each log-odds."""
    # Far below zero the power is infinite, and the probability 0 as it should be.
    with np.errstate(over="ignore"):
        probability_N: Array = 1 / (1 + np.exp(-margin_N))
    return probability_N


def softmax(linear_NC: Array) -> Array:
    """The probability of each class for each row."""
    powers_NC = np.exp(linear_NC - linear_NC.max(axis=1, keepdims=True))
    probability_NC: Array = powers_NC / powers_NC.sum(axis=1, keepdims=True)
    return probability_NC
