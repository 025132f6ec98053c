"""How scores become anomalies, and the metrics against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from clary.algorithms.random_cut_forest.evaluate import metrics, threshold

ALL = ("accuracy", "precision_recall_fscore")


def test_a_row_is_an_anomaly_above_three_deviations() -> None:
    scores = np.array([1.0] * 99 + [2.0])
    assert threshold(scores) == pytest.approx(1.01 + 3 * np.sqrt(0.99) / 10)
    assert metrics(scores, scores == 2, ALL)["f1"] == 1
    # A score right on the threshold is not above it: all are equal here, and so is their mean.
    assert metrics(np.ones(10), np.ones(10, np.bool_), ALL)["recall"] == 0


def test_metrics_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    rng = np.random.default_rng(0)
    labels = rng.random(2000) < 0.02
    scores = rng.normal(1, 0.1, 2000) + labels * rng.choice([0, 1], 2000)
    called = scores > threshold(scores)
    found = metrics(scores, labels, ALL)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, called)
    for prefix, at in (("normal_", 0), ("", 1)):
        assert found[f"{prefix}precision"] == pytest.approx(precision[at])
        assert found[f"{prefix}recall"] == pytest.approx(recall[at])
        assert found[f"{prefix}f1"] == pytest.approx(f1[at])
    assert found["accuracy"] == accuracy_score(labels, called)


def test_only_what_was_asked_for_is_worked_out() -> None:
    scores, labels = np.array([1.0, 2.0]), np.array([False, True])
    assert set(metrics(scores, labels, ("accuracy",))) == {"accuracy"}
    assert "accuracy" not in metrics(scores, labels, ("precision_recall_fscore",))
