"""The metrics against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as peer

from clary.algorithms.factorization_machines import evaluate
from clary.algorithms.factorization_machines.model import probability


def test_a_regressors_metrics_are_those_of_the_peer() -> None:
    rng = np.random.default_rng(0)
    scores_N, labels_N = rng.normal(size=(2, 500))
    parts = [evaluate.sums(scores_N[part], labels_N[part], "regressor") for part in (slice(0, 123), slice(123, 500))]
    squared = peer.mean_squared_error(labels_N, scores_N)
    expected = {"rmse": squared**0.5, "mse": squared, "absolute_loss": peer.mean_absolute_error(labels_N, scores_N)}
    assert evaluate.metrics(np.sum(parts, axis=0), "regressor") == pytest.approx(expected)


def test_a_classifiers_metrics_are_those_of_the_peer() -> None:
    rng = np.random.default_rng(1)
    scores_N, labels_N = 3 * rng.normal(size=500), (rng.random(500) < 0.4).astype(np.float64)
    scores_N[:5] = 0  # a probability of exactly 0.5 is labeled 1
    found = evaluate.metrics(evaluate.sums(scores_N, labels_N, "binary_classifier"), "binary_classifier")
    said_N = probability(scores_N) >= 0.5
    assert found == pytest.approx(
        {
            "binary_classification_accuracy": peer.accuracy_score(labels_N, said_N),
            "binary_classification_cross_entropy": peer.log_loss(labels_N, probability(scores_N)),
            "binary_f_beta": peer.f1_score(labels_N, said_N),
        }
    )


def test_sure_mistakes_have_a_finite_loss() -> None:
    sums = evaluate.sums(np.array([1e5, -1e5]), np.array([0.0, 1.0]), "binary_classifier")
    assert evaluate.metrics(sums, "binary_classifier")["binary_classification_cross_entropy"] == pytest.approx(1e5)


def test_f1_of_no_positive_row_is_zero() -> None:
    sums = evaluate.sums(np.array([-1.0]), np.array([0.0]), "binary_classifier")
    assert evaluate.metrics(sums, "binary_classifier")["binary_f_beta"] == 0


def test_without_rows_there_is_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="no row"):
        evaluate.metrics(np.zeros(evaluate.SUMS), "regressor")
