"""Metrics against scikit-learn, thresholds against a search of every cut, histograms against both."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle

from clary.algorithms.linear_learner.evaluate import (
    BinaryTally,
    Calibration,
    Criterion,
    Histograms,
    MulticlassTally,
    RegressionTally,
    Tally,
    area_under_curve,
    calibrate,
    f_score,
    ranks,
)
from clary.algorithms.linear_learner.spec import CRITERIA, SPEC, Hyperparameters

Array = npt.NDArray[Any]

# Few levels, so that scores tie.
LEVELS = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 3.5])


@st.composite
def scored(draw: st.DrawFn, *, least: int = 1) -> tuple[Array, Array]:
    """Scores of some rows, and their labels of 0 and 1."""
    rows = draw(st.integers(least, 30))
    return draw(arrays(np.float64, rows, elements=LEVELS)), draw(arrays(np.int64, rows, elements=st.integers(0, 1)))


@st.composite
def ranked(draw: st.DrawFn) -> tuple[Array, Array]:
    """Scores of some rows for each of several classes, and the classes of the rows."""
    rows, classes = draw(st.integers(1, 30)), draw(st.integers(3, 6))
    scores = draw(arrays(np.float64, (rows, classes), elements=LEVELS))
    return scores, draw(arrays(np.int64, rows, elements=st.integers(0, classes - 1)))


def filled(tally: Tally, scores: Array, labels: Array, cuts: tuple[int, ...] = ()) -> Tally:
    """The tally after these rows, taken in in batches."""
    for start, stop in pairwise([0, *cuts, len(labels)]):
        tally.update(scores[start:stop], labels[start:stop])
    return tally


# Metrics


@given(scored(), st.sampled_from([0.5, 1.0, 2.0]), LEVELS)
def test_binary_metrics_are_those_of_scikit_learn(case: tuple[Array, Array], beta: float, threshold: float) -> None:
    scores, labels = case
    found = filled(BinaryTally(beta, threshold), scores, labels).metrics()
    said = scores >= threshold
    assert found["binary_classification_accuracy"] == pytest.approx(oracle.accuracy_score(labels, said))
    assert found["binary_f_beta"] == pytest.approx(oracle.fbeta_score(labels, said, beta=beta, zero_division=0))
    assert found["precision"] == pytest.approx(oracle.precision_score(labels, said, zero_division=0))
    assert found["recall"] == pytest.approx(oracle.recall_score(labels, said, zero_division=0))
    if 0 < labels.sum() < len(labels):
        assert found["roc_auc_score"] == pytest.approx(oracle.roc_auc_score(labels, scores))
    else:
        assert "roc_auc_score" not in found


@given(ranked(), st.sampled_from([0.5, 1.0, 2.0]))
def test_multiclass_metrics_are_those_of_scikit_learn(case: tuple[Array, Array], beta: float) -> None:
    scores, labels = case
    found = filled(MulticlassTally(scores.shape[1], beta=beta), scores, labels).metrics()
    said = scores.argmax(axis=1)
    assert found["multiclass_accuracy"] == pytest.approx(oracle.accuracy_score(labels, said))
    macro = {"average": "macro", "zero_division": 0}
    assert found["macro_f_beta"] == pytest.approx(oracle.fbeta_score(labels, said, beta=beta, **macro))
    assert found["macro_precision"] == pytest.approx(oracle.precision_score(labels, said, **macro))
    assert found["macro_recall"] == pytest.approx(oracle.recall_score(labels, said, **macro))


def test_ranked_metrics_are_those_of_scikit_learn_where_no_scores_tie() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(400, 7)), rng.integers(0, 7, 400)
    for k in (1, 2, 3, 6):
        found = filled(MulticlassTally(7, top_k=k), scores, labels).metrics()
        assert found["multiclass_top_k_accuracy"] == pytest.approx(oracle.top_k_accuracy_score(labels, scores, k=k))
    assert found["dcg"] == pytest.approx(oracle.dcg_score(np.eye(7)[labels], scores))
    assert found["dcg"] == pytest.approx((1 / np.log2(2 + ranks(scores, labels))).mean())


@given(ranked())
def test_the_first_of_the_ranking_is_the_predicted_label(case: tuple[Array, Array]) -> None:
    scores, labels = case
    found = filled(MulticlassTally(scores.shape[1], top_k=1), scores, labels).metrics()
    assert found["multiclass_top_k_accuracy"] == found["multiclass_accuracy"] <= found["dcg"] <= 1
    assert ((ranks(scores, labels) == 0) == (scores.argmax(axis=1) == labels)).all()
    assert filled(MulticlassTally(scores.shape[1], top_k=99), scores, labels).metrics()[
        "multiclass_top_k_accuracy"
    ] == pytest.approx(1)


def test_among_equal_scores_the_lower_class_comes_first() -> None:
    assert ranks(np.zeros((4, 4)), np.arange(4)).tolist() == [0, 1, 2, 3]


def test_a_score_that_is_no_number_is_never_right() -> None:
    scores = np.array([[np.nan, np.nan, np.nan], [1.0, np.nan, 0.0]])
    assert ranks(scores, np.array([1, 0])).min() > 0


def test_a_million_classes_need_no_matrix_of_them() -> None:
    tally = MulticlassTally(1_000_000)
    assert sum(array.nbytes for array in tally.arrays()) < 25_000_000
    tally.update(np.eye(1, 1_000_000, 999_999), np.array([999_999]))
    assert tally.metrics()["macro_f_beta"] == pytest.approx(1)


@given(arrays(np.float64, 12, elements=st.floats(-1e6, 1e6)), arrays(np.float64, 12, elements=st.floats(-1e6, 1e6)))
def test_regression_metrics_are_those_of_scikit_learn(scores: Array, labels: Array) -> None:
    found = filled(RegressionTally(), scores, labels).metrics()
    assert found["absolute_loss"] == pytest.approx(oracle.mean_absolute_error(labels, scores))
    assert found["mse"] == pytest.approx(oracle.mean_squared_error(labels, scores))
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(labels, scores))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_batches_and_hosts_add_up(kind: str) -> None:
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=90).round(1), rng.integers(0, 2, 90)
    makers: dict[str, Callable[[], Tally]] = {
        "binary": BinaryTally,
        "multiclass": lambda: MulticlassTally(5),
        "regression": RegressionTally,
    }
    make = makers[kind]
    if kind == "multiclass":
        scores, labels = rng.normal(size=(90, 5)), rng.integers(0, 5, 90)
    whole = filled(make(), scores, labels).metrics()
    hosts = [filled(make(), scores[rank::3], labels[rank::3], cuts=(4, 4, 20)) for rank in range(3)]
    messages = iter(zip(*(host.arrays() for host in hosts), strict=True))
    hosts[0].collect(lambda _: list(next(messages)))
    hosts[1].collect(lambda _: None)
    assert hosts[0].metrics() == pytest.approx(whole)
    assert (hosts[0].rows, hosts[1].rows) == (90, 30)


@pytest.mark.parametrize(
    "tally", [BinaryTally(), MulticlassTally(3), RegressionTally()], ids=lambda t: type(t).__name__
)
def test_no_row_has_no_metrics(tally: Tally) -> None:
    with pytest.raises(ValueError, match="no row"):
        tally.metrics()


def test_the_names_of_metrics_are_the_declared_ones() -> None:
    rows = np.array([0, 1])
    found = {
        **filled(BinaryTally(), rows, rows).metrics(),
        **filled(MulticlassTally(3), np.eye(3)[:2], rows).metrics(),
        **filled(RegressionTally(), rows, rows).metrics(),
    }
    declared = {each.name for each in SPEC.metrics}
    assert {f"validation:{name}" for name in found} <= declared


@given(scored(least=2))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(case: tuple[Array, Array]) -> None:
    scores, labels = case
    ones, zeros = scores[labels == 1], scores[labels == 0]
    pairs = (ones[:, None] > zeros).mean() + (ones[:, None] == zeros).mean() / 2 if len(ones) * len(zeros) else None
    assert area_under_curve(scores, labels) == (None if pairs is None else pytest.approx(pairs))


def test_an_f_score_of_nothing_is_zero() -> None:
    assert f_score(np.array(0), np.array(0), np.array(0), 1.0) == 0


# Thresholds


def searched(scores: Array, labels: Array, criterion: Criterion) -> float:
    """The best value over every threshold, from the definitions."""
    values = []
    for threshold in [*scores, scores.max() + 1]:
        tally = filled(BinaryTally(criterion.beta, float(threshold)), scores, labels)
        values.append(judged(tally, criterion))
    return max(values)


def judged(tally: Tally, criterion: Criterion) -> float:
    """The criterion's value for a tally at its threshold, from the definitions."""
    found = tally.metrics()
    precision, recall = found["precision"], found["recall"]
    if criterion.name == "f_beta":
        return found["binary_f_beta"]
    if criterion.name == "precision_at_target_recall":
        return precision if recall >= criterion.target_recall else recall - criterion.target_recall
    if criterion.name == "recall_at_target_precision":
        return recall if precision >= criterion.target_precision else precision - criterion.target_precision
    return found["binary_classification_accuracy"]


criteria = st.builds(
    Criterion,
    st.sampled_from(CRITERIA),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([0.3, 0.8, 0.99]),
    st.sampled_from([0.3, 0.8, 0.99]),
)


@given(scored(), criteria)
def test_no_threshold_is_better_than_the_calibrated_one(case: tuple[Array, Array], criterion: Criterion) -> None:
    scores, labels = case
    found = calibrate(scores, labels, criterion)
    assert found.value == pytest.approx(searched(scores, labels, criterion))
    at_threshold = filled(BinaryTally(criterion.beta, found.threshold), scores, labels)
    assert judged(at_threshold, criterion) == pytest.approx(found.value)


@given(scored(), criteria)
def test_a_threshold_is_no_score_so_greater_and_at_least_agree(
    case: tuple[Array, Array], criterion: Criterion
) -> None:
    scores, labels = case
    assert calibrate(scores, labels, criterion).threshold not in scores


@given(scored(), criteria, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_move_the_threshold(
    case: tuple[Array, Array], criterion: Criterion, chance: Any
) -> None:
    scores, labels = case
    order = chance.sample(range(len(labels)), len(labels))
    assert calibrate(scores[order], labels[order], criterion) == calibrate(scores, labels, criterion)


def test_a_threshold_lies_halfway_between_two_scores() -> None:
    assert calibrate(np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1]), Criterion()) == Calibration(0.4, 1.0)


def test_the_threshold_is_not_one_half() -> None:
    scores = np.array([0.05, 0.1, 0.2, 0.3, 0.4])
    found = calibrate(scores, np.array([0, 0, 1, 1, 1]), Criterion("f_beta"))
    assert found.threshold == pytest.approx(0.15)
    assert found.value == pytest.approx(1)


def test_adjacent_floats_are_told_apart() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    found = calibrate(np.array([low, high]), np.array([0, 1]), Criterion())
    assert low < found.threshold <= high


def test_rows_of_one_class_are_all_labeled_so() -> None:
    scores = np.array([0.2, 0.7])
    assert calibrate(scores, np.array([1, 1]), Criterion()).threshold < 0.2
    assert calibrate(scores, np.array([0, 0]), Criterion()).threshold > 0.7
    assert calibrate(np.array([1.0]), np.array([0]), Criterion()).threshold > 1
    assert calibrate(np.array([1e308, 1e308]), np.array([0, 0]), Criterion()).threshold > 1e308


def test_a_target_that_cannot_be_met_is_missed_by_as_little_as_can_be() -> None:
    scores, labels = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 1, 0])
    found = calibrate(scores, labels, Criterion("recall_at_target_precision", target_precision=0.9))
    assert found.value == pytest.approx(2 / 3 - 0.9)
    assert found.threshold == pytest.approx(0.15)


def test_of_equal_cuts_the_one_that_finds_more_is_taken() -> None:
    # Labeling no row 1 is as accurate as labeling two rows 1, and helps nobody.
    found = calibrate(np.array([0.9, 0.8, 0.2, 0.1]), np.array([0, 1, 0, 0]), Criterion())
    assert found == Calibration(0.5, 0.75)
    found = calibrate(
        np.array([0.9, 0.8, 0.2, 0.1]),
        np.array([1, 1, 0, 1]),
        Criterion("precision_at_target_recall", target_recall=0.3),
    )
    assert found == Calibration(0.5, 1.0)


def test_no_row_has_no_threshold() -> None:
    with pytest.raises(ValueError, match="no row"):
        calibrate(np.empty(0), np.empty(0), Criterion())
    with pytest.raises(ValueError, match="no row"):
        Histograms(3).best(Criterion())


def test_the_criterion_is_that_of_the_job() -> None:
    given_ = {
        "predictor_type": "binary_classifier",
        "binary_classifier_model_selection_criteria": "f1",
        "f_beta": "2",
    }
    hp = SPEC.parse({**given_, "target_recall": "0.6", "target_precision": "0.7"})
    assert isinstance(hp, Hyperparameters)
    assert Criterion.of(hp) == Criterion("f_beta", 2.0, 0.6, 0.7)


# Many candidates at once


@pytest.mark.parametrize("name", CRITERIA)
def test_histograms_agree_with_the_exact_calibration_of_each_candidate(name: str) -> None:
    rng, criterion = np.random.default_rng(1), Criterion(name)
    labels = rng.random(3000) < 0.3
    margins = rng.normal(size=(3000, 5)) * [0.2, 0.5, 1, 5, 20] + labels[:, None] * [0.4, 0.5, 2, 10, 30]
    histograms = Histograms(5)
    for start in range(0, 3000, 700):
        histograms.update(margins[start : start + 700].astype(np.float32), labels[start : start + 700])
    values, thresholds = histograms.best(criterion)
    for candidate in range(5):
        scores = margins[:, candidate]
        exact = calibrate(scores, labels, criterion)
        assert values[candidate] == pytest.approx(exact.value, abs=0.005)
        at_threshold = filled(BinaryTally(threshold=float(thresholds[candidate])), scores, labels)
        assert judged(at_threshold, criterion) == pytest.approx(values[candidate], abs=0.005)


@given(scored(), criteria)
def test_histograms_of_margins_apart_from_each_other_are_exact(
    case: tuple[Array, Array], criterion: Criterion
) -> None:
    scores, labels = case
    histograms = Histograms(2)
    histograms.update(np.stack([scores, -scores], axis=1), labels)
    values, thresholds = histograms.best(criterion)
    for own, value, threshold in zip((scores, -scores), values, thresholds, strict=True):
        assert value == calibrate(own, labels, criterion).value
        at_threshold = filled(BinaryTally(criterion.beta, float(threshold)), own, labels)
        assert judged(at_threshold, criterion) == pytest.approx(value)


def test_histograms_of_hosts_add_up() -> None:
    rng = np.random.default_rng(2)
    margins, labels = rng.normal(size=(500, 4)), rng.integers(0, 2, 500)
    whole, one, other = Histograms(4), Histograms(4), Histograms(4)
    whole.update(margins, labels)
    one.update(margins[:200], labels[:200])
    other.update(margins[200:], labels[200:])
    assert (one.counts + other.counts == whole.counts).all()


def test_a_candidate_that_diverged_does_no_harm() -> None:
    histograms = Histograms(2)
    margins = np.array([[1, np.nan], [-1, np.inf], [2, -np.inf]], np.float32)
    histograms.update(margins, np.array([1, 0, 1]))
    values, thresholds = histograms.best(Criterion())
    assert values[0] == pytest.approx(1)
    assert np.isfinite(thresholds).all()
