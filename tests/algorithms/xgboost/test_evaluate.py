"""The computed metrics against scikit-learn, in one piece and as sums of parts; folds and the prediction table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from clary.algorithms.xgboost import evaluate
from clary.algorithms.xgboost.evaluate import Scoring
from clary.algorithms.xgboost.spec import OF_LABELS, OF_NUMBERS
from clary.toolkit.cluster import Cluster

Array = npt.NDArray[Any]
OF_ONE_CLASS = ("f1_binary", "precision", "recall")


def oracle(name: str, labels_N: Array, predicted_N: Array, weights_N: Array | None) -> float:
    """What scikit-learn says."""
    more = {"sample_weight": weights_N}
    if name in ("accuracy", "precision_micro", "recall_micro"):
        return float(metrics.accuracy_score(labels_N, predicted_N, **more))
    if name == "balanced_accuracy":
        return float(metrics.balanced_accuracy_score(labels_N, predicted_N, **more))
    kind, _, _ = name.partition("_")
    average = "macro" if name.endswith("_macro") or name == "f1" else "binary"
    score = {"f1": metrics.f1_score, "precision": metrics.precision_score, "recall": metrics.recall_score}[kind]
    return float(score(labels_N, predicted_N, average=average, zero_division=0, **more))


def scored(
    names: list[str], objective: str, classes: int, rows: tuple[Array, Array, Array | None]
) -> dict[str, float]:
    labels_N, predictions, weights_N = rows
    scoring = Scoring(names, objective, classes, labels_N, weights_N, Cluster())
    return scoring.values(scoring.sums(predictions))


@given(seed=st.integers(0, 1000), rows=st.integers(1, 60), weighted=st.booleans())
def test_metrics_of_two_classes_are_scikit_learn_s(seed: int, rows: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    labels_N, predictions = rng.integers(0, 2, rows).astype(np.float32), rng.random(rows).astype(np.float32)
    weights_N = (rng.random(rows) + 0.01).astype(np.float32) if weighted else None
    names = sorted(OF_LABELS)
    found = scored(names, "binary:logistic", 2, (labels_N, predictions, weights_N))
    assert list(found) == names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in found.items():
            expected = oracle(name, labels_N, (predictions > 0.5).astype(int), weights_N)
            assert value == pytest.approx(expected, abs=1e-6), name


@given(seed=st.integers(0, 1000), rows=st.integers(1, 60), classes=st.integers(2, 6))
def test_metrics_of_several_classes_are_scikit_learn_s(seed: int, rows: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(0, classes, rows).astype(np.float32)
    predictions = rng.random((rows, classes)).astype(np.float32)
    names = sorted(OF_LABELS.difference(OF_ONE_CLASS))
    found = scored(names, "multi:softprob", classes, (labels_N, predictions, None))
    same = scored(names, "multi:softmax", classes, (labels_N, predictions.argmax(axis=1).astype(np.float32), None))
    assert found == same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in found.items():
            assert value == pytest.approx(oracle(name, labels_N, predictions.argmax(axis=1), None), abs=1e-6), name


@given(seed=st.integers(0, 1000), rows=st.integers(2, 60), offset=st.sampled_from([0.0, 1e4]), weighted=st.booleans())
def test_metrics_of_numbers_are_scikit_learn_s(seed: int, rows: int, offset: float, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    labels_N = (offset + rng.normal(size=rows)).astype(np.float32)
    predictions = (labels_N + rng.normal(size=rows)).astype(np.float32)
    weights_N = (rng.random(rows) + 0.01).astype(np.float32) if weighted else None
    found = scored(list(OF_NUMBERS), "reg:squarederror", 2, (labels_N, predictions, weights_N))
    exact = labels_N.astype(np.float64), predictions.astype(np.float64)
    squared = metrics.mean_squared_error(*exact, sample_weight=weights_N)
    assert found["mse"] == pytest.approx(squared, rel=1e-6)
    assert found["rmse"] == pytest.approx(np.sqrt(squared), rel=1e-6)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(*exact, sample_weight=weights_N), rel=1e-6)
    assert found["r2"] == pytest.approx(metrics.r2_score(*exact, sample_weight=weights_N), rel=1e-5)


def test_equal_labels_have_all_or_nothing_of_r2() -> None:
    labels_N = np.ones(4, np.float32)
    assert scored(["r2"], "reg:squarederror", 2, (labels_N, labels_N, None)) == {"r2": 1.0}
    assert scored(["r2"], "reg:squarederror", 2, (labels_N, labels_N + 1, None)) == {"r2": 0.0}


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    labels_N, predictions = rng.integers(0, 2, 90).astype(np.float32), rng.random(90).astype(np.float32)
    names = ["accuracy", "f1", "mae", "mse"]
    whole = Scoring(names, "binary:logistic", 2, labels_N, None, Cluster()).sums(predictions)
    parts = [
        Scoring(names, "binary:logistic", 2, labels_N[rows], None, Cluster()).sums(predictions[rows])
        for rows in (slice(0, 20), slice(20, 20), slice(20, 90))
    ]
    assert np.sum(parts, axis=0) == pytest.approx(whole)


def test_classes_are_told_by_a_probability_of_one_half() -> None:
    values = np.array([-1.0, 0.0, 0.4, 0.5, 0.6], np.float32)
    assert evaluate.predicted_classes(values, "binary:logistic").tolist() == [0, 0, 0, 0, 1]
    assert evaluate.predicted_classes(values, "binary:logitraw").tolist() == [0, 0, 1, 1, 1]
    assert evaluate.predicted_classes(np.array([0.0, 2.0]), "multi:softmax").tolist() == [0, 2]


@given(labels=st.lists(st.integers(0, 3), min_size=5, max_size=60), count=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_are_even_over_all_and_over_each_class(labels: list[int], count: int, seed: int) -> None:
    labels_N = np.array(labels)
    fold_N = evaluate.folds(np.arange(len(labels)), labels_N, count, np.random.default_rng(seed))
    for part in (fold_N, *(fold_N[labels_N == label] for label in set(labels))):
        sizes = np.bincount(part, minlength=count)
        assert sizes.max() - sizes.min() <= 1


def test_rows_of_one_query_stay_in_one_fold() -> None:
    units_N = np.repeat(np.arange(12), 5)
    fold_N = evaluate.folds(units_N, None, 3, np.random.default_rng(0))
    assert all(len(set(fold_N[units_N == unit].tolist())) == 1 for unit in range(12))
    assert np.bincount(fold_N).tolist() == [20, 20, 20]


def test_the_prediction_table_holds_label_mean_and_majority() -> None:
    truth_N, values_NR = np.array([1.0, 0.0]), np.array([[0.8, 0.6, 0.4], [0.1, 0.2, 0.6]])
    classes_NR = np.array([[1, 1, 0], [0, 0, 1]])
    table = evaluate.prediction_table(truth_N, classes_NR, values_NR)
    assert table == b"1.000000,0.600000,1.000000\n0.000000,0.300000,0.000000\n"
    assert evaluate.prediction_table(truth_N, None, values_NR) == b"1.000000,0.600000\n0.000000,0.300000\n"


@pytest.mark.parametrize(
    ("objective", "margins", "classes", "chances"),
    [
        ("binary:logistic", [0.0, 2.0], [0, 1], [0.5, 0.880797]),
        ("binary:logitraw", [-2.0], [0], [0.119203]),
        ("binary:hinge", [1.0, -1.0], [1, 0], [1.0, 0.0]),
        ("multi:softmax", [[0.0, 0.0, 1.0]], [2], [0.576117]),
    ],
)
def test_chances_come_from_margins(
    objective: str, margins: list[Any], classes: list[int], chances: list[float]
) -> None:
    found, chance_N = evaluate.likely(np.array(margins), objective)
    assert found.tolist() == classes
    assert chance_N == pytest.approx(chances, abs=1e-6)
