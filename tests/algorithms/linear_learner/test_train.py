"""Jobs: each hyperparameter does what it says, the log has its lines, and an interrupted job goes on."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix
from sklearn import metrics as oracle
from sklearn.linear_model import LinearRegression, LogisticRegression

from clary.algorithms.linear_learner import train as training
from clary.algorithms.linear_learner.managed import read_managed_file
from clary.algorithms.linear_learner.spec import LOSSES, MULTICLASS, PREDICTOR_TYPES, REGRESSOR
from clary.algorithms.linear_learner.train import train
from clary.datasets import samples
from clary.toolkit import tabular
from clary.toolkit.channels import ChannelInput
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import DataError, UserError
from linear import LAYOUT, Rows, Trained, channel, job, learned, on_hosts, records

Array = npt.NDArray[Any]
WIDTH = 6
QUICK: dict[str, Any] = {"num_models": 2, "epochs": 6, "mini_batch_size": 40}
BINARY = {**QUICK, "predictor_type": "binary_classifier"}
CLASSES = {**QUICK, "predictor_type": "multiclass_classifier", "num_classes": 3}
NUMBER = {**QUICK, "predictor_type": "regressor"}
# One candidate that learns exactly as it is told.
PLAIN: dict[str, Any] = {
    "num_models": 1,
    "l1": 0,
    "wd": 0,
    "optimizer": "sgd",
    "use_lr_scheduler": False,
    "normalize_data": False,
    "unbias_data": False,
    "normalize_label": False,
    "unbias_label": False,
    "init_scale": 1e-30,
}


@cache
def features(rows: int = 600, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)


@cache
def score(rows: int = 600, seed: int = 0) -> Array:
    """A linear score with noise on it."""
    exact: Array = features(rows, seed) @ np.array([2.0, -1, 0.5, 0, 0, 1])
    exact += np.random.default_rng([seed, 1]).normal(size=rows)
    return exact


def rare(rows: int = 600, seed: int = 0) -> Rows:
    """Rows of which some 15 in 100 are of class 1."""
    return features(rows, seed), (score(rows, seed) > 2.6).astype(np.float32)


def uneven(rows: int = 600, seed: int = 0) -> Rows:
    """Rows of three classes, of which the last is rare."""
    return features(rows, seed), np.digitize(score(rows, seed), [0.0, 4.0]).astype(np.float32)


def numbers(rows: int = 600, seed: int = 0) -> Rows:
    return features(rows, seed), (20 * score(rows, seed) + 300).astype(np.float32)


CHANNELS = {
    "binary_classifier": {"train": rare(), "validation": rare(seed=1), "test": rare(seed=2)},
    "multiclass_classifier": {"train": uneven(), "validation": uneven(seed=1), "test": uneven(seed=2)},
    "regressor": {"train": numbers(), "validation": numbers(seed=1), "test": numbers(seed=2)},
}
SMALL = {"binary_classifier": BINARY, "multiclass_classifier": CLASSES, "regressor": NUMBER}


# What is learned


def test_a_regressor_is_as_good_as_least_squares() -> None:
    data = samples.diabetes()
    labels = data.dense(), data.labels[:, 0] if data.labels is not None else None
    found = learned({"train": labels}, predictor_type="regressor")
    exact = LinearRegression().fit(*labels)
    assert found.last("train:mse") == pytest.approx(np.mean((exact.predict(labels[0]) - labels[1]) ** 2), rel=0.01)


def test_a_classifier_gives_the_probabilities_of_logistic_regression() -> None:
    rows, labels = rare(2000)
    given = {**BINARY, "wd": 0, "l1": 0, "binary_classifier_model_selection_criteria": "loss_function"}
    found = learned({"train": (rows, labels)}, **{**given, "epochs": 40, "early_stopping_patience": 41})
    exact = LogisticRegression(C=np.inf, tol=1e-8).fit(rows, labels)
    np.testing.assert_allclose(found.answers(rows)["score"], exact.predict_proba(rows)[:, 1], atol=0.03)


@pytest.mark.parametrize(
    ("loss", "below", "more"),
    [
        ("quantile_loss", 0.9, {"quantile": 0.9}),
        ("quantile_loss", 0.25, {"quantile": 0.25}),
        ("absolute_loss", 0.5, {}),
        ("eps_insensitive_absolute_loss", 0.5, {"loss_insensitivity": 0.001}),
        ("huber_loss", 0.5, {"huber_delta": 0.001, "learning_rate": 0.5}),
        ("squared_loss", np.exp(-1), {}),
        ("eps_insensitive_squared_loss", np.exp(-1), {"loss_insensitivity": 0.001}),
        ("huber_loss", np.exp(-1), {"huber_delta": 100}),
    ],
)
def test_a_loss_finds_its_statistic(loss: str, below: float, more: dict[str, Any]) -> None:
    """Labels are exponential, and features say nothing: the prediction lies below this share of the labels."""
    labels = np.random.default_rng(5).exponential(10, 2000)
    found = learned({"train": (features(2000), labels)}, **{**NUMBER, "num_models": 8}, loss=loss, **more)
    assert np.mean(found.answers(features(2000))["score"] < labels) == pytest.approx(below, abs=0.03)


@pytest.mark.parametrize("loss", LOSSES["binary_classifier"])
def test_every_loss_tells_two_classes_apart(loss: str) -> None:
    labels = (score() > 0).astype(np.float32)
    found = learned({"train": (features(), labels)}, **BINARY, loss=loss)
    exact = LogisticRegression().fit(features(), labels).score(features(), labels)
    assert found.last("train:binary_classification_accuracy") == pytest.approx(exact, abs=0.01)


def test_a_margin_is_the_loss_of_a_score_of_zero() -> None:
    given = {**BINARY, **PLAIN, "loss": "hinge_loss", "learning_rate": 1e-9, "margin": 2.5, "epochs": 1}
    assert learned({"train": rare()}, **given).last("train:objective_loss") == pytest.approx(2.5)


def test_an_insensitive_loss_is_zero_within_its_width() -> None:
    given = {**NUMBER, "loss": "eps_insensitive_absolute_loss", "loss_insensitivity": 50, "epochs": 1}
    found = learned({"train": numbers(), "test": numbers(seed=2)}, **given)
    assert found.last("test:objective_loss") == 0
    assert found.last("test:absolute_loss") > 0


# Scaling


def changed(rows: Rows, **given: Any) -> Array:
    """The scores of a model of these rows."""
    return learned({"train": rows}, **given).answers(rows[0])["score"]


@pytest.mark.parametrize(
    ("name", "settings", "scale", "shift"),
    [
        ("normalize_data", NUMBER, 50.0, 0.0),
        ("unbias_data", NUMBER, 1.0, 30.0),
        ("normalize_data", BINARY, 50.0, 0.0),
    ],
)
def test_scaled_features_make_the_unit_of_the_rows_unimportant(
    name: str, settings: dict[str, Any], scale: float, shift: float
) -> None:
    labels = CHANNELS[settings["predictor_type"]]["train"][1]
    moved = features() * np.linspace(1, scale, WIDTH, dtype=np.float32) + np.float32(shift)
    for on, same in ((True, True), (False, False)):
        plain, other = (changed((rows, labels), **settings, **{name: on}) for rows in (features(), moved))
        assert np.allclose(plain, other, rtol=0.01, atol=0.01) == same


@pytest.mark.parametrize(("name", "scale", "shift"), [("normalize_label", 100.0, 0.0), ("unbias_label", 1.0, 3000.0)])
def test_scaled_labels_make_the_unit_of_the_label_unimportant(name: str, scale: float, shift: float) -> None:
    labels = score().astype(np.float32)
    for on, same in ((True, True), (False, False)):
        plain = changed((features(), labels), **NUMBER, **{name: on})
        other = changed((features(), labels * np.float32(scale) + np.float32(shift)), **NUMBER, **{name: on})
        assert np.allclose(plain, (other - shift) / scale, rtol=0.01, atol=0.01) == same


def test_a_model_without_a_bias_says_nothing_of_a_row_of_zeros() -> None:
    for given, rows in ((NUMBER, numbers()), (CLASSES, uneven()), (BINARY, rare())):
        assert not learned({"train": rows}, **given, use_bias=False).bias.any()
        assert learned({"train": rows}, **given).bias.any()


def test_means_and_spreads_come_from_as_many_rows_as_asked() -> None:
    found = learned({"train": numbers()}, **NUMBER, num_point_for_scaler=50)
    np.testing.assert_allclose(found.artifact.tensors["mean"], features()[:50].mean(axis=0), rtol=1e-5)
    said = re.findall(r'"(\w+)": (?:null|\[([^\]]*)\])', found.line("Scaling model computed with parameters: "))
    assert [name for name, _ in said] == ["stdev_weight", "stdev_label", "mean_label", "mean_weight"]
    shown = [float(number) for number in dict(said)["mean_label"].split(",")]
    assert shown == [pytest.approx(numbers()[1][:50].mean(), rel=1e-5)]


# Starting values


def test_weights_start_where_the_job_says() -> None:
    wide = np.random.default_rng(0).normal(size=(20, 2000))
    given = {**NUMBER, **PLAIN, "learning_rate": 1e-30, "epochs": 1, "init_bias": 3.5}
    rows = {"train": (wide, np.zeros(20))}
    found = learned(rows, **{**given, "init_scale": 0.2})
    assert np.abs(found.weights).max() == pytest.approx(0.2, rel=0.01)
    assert found.weights.std() == pytest.approx(0.2 / 3**0.5, rel=0.05)
    assert found.bias == pytest.approx(3.5)
    found = learned(rows, **given, init_method="normal", init_sigma=0.3)
    assert found.weights.std() == pytest.approx(0.3, rel=0.05)
    assert np.abs(found.weights).max() > 0.6


def test_another_seed_starts_elsewhere() -> None:
    first, again, other = (learned({"train": rare()}, **BINARY, seed=seed).weights for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).all()


# Steps


def test_one_batch_is_one_step() -> None:
    rows, labels = numbers()
    given = {**NUMBER, **PLAIN, "epochs": 1, "learning_rate": 0.01, "bias_lr_mult": 2}
    found = learned({"train": (rows, labels)}, **{**given, "mini_batch_size": len(rows)})
    np.testing.assert_allclose(
        found.weights[0], 0.01 * 2 * (labels[:, None] * rows).mean(axis=0), rtol=1e-4, atol=1e-4
    )
    assert found.bias == pytest.approx(0.02 * 2 * labels.mean(), rel=1e-4)
    again = learned({"train": (rows, labels)}, **{**given, "mini_batch_size": len(rows) // 10})
    assert abs(again.bias[0]) > 2 * abs(found.bias[0])


def test_a_schedule_ends_learning_and_its_minimum_does_not() -> None:
    given = {**NUMBER, **PLAIN, "use_lr_scheduler": True, "learning_rate": 0.05, "mini_batch_size": 10, "epochs": 3}
    rows = {"train": numbers()}
    free = learned(rows, **{**given, "use_lr_scheduler": False})
    ended = learned(rows, **given, lr_scheduler_step=1, lr_scheduler_factor=0.01)
    late = learned(rows, **given, lr_scheduler_step=1000, lr_scheduler_factor=0.01)
    kept = learned(rows, **given, lr_scheduler_step=1, lr_scheduler_factor=0.01, lr_scheduler_minimum_lr=0.05)
    assert ended.bias[0] < 0.1 * free.bias[0]
    for other in (late, kept):
        np.testing.assert_allclose(other.weights, free.weights)


def test_penalties_make_weights_small() -> None:
    given = {**NUMBER, "epochs": 20}
    free, heavy, none = (learned({"train": numbers()}, **given, **more) for more in ({}, {"wd": 5}, {"l1": 50}))
    assert np.linalg.norm(heavy.weights) < 0.7 * np.linalg.norm(free.weights)
    assert (none.weights == 0).all()


def test_a_step_is_taken_with_the_optimizer_that_is_asked_for() -> None:
    found = [learned({"train": numbers()}, **NUMBER, optimizer=each).weights for each in ("sgd", "adam", "rmsprop")]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not np.allclose(found[one], found[other], rtol=1e-6)
        np.testing.assert_allclose(found[one], found[other], rtol=0.1, atol=2)


# Classes


def test_a_positive_weight_finds_more_of_a_rare_class() -> None:
    rows, labels = rare()
    found = {}
    for weight in ("1", "balanced", "0.1", "20"):
        scores = learned({"train": (rows, labels)}, **BINARY, positive_example_weight_mult=weight).answers(rows)[
            "score"
        ]
        found[weight] = np.mean(scores[labels > 0] > 0.5)
    assert found["0.1"] < found["1"] < found["balanced"] < found["20"]


def test_an_automatic_positive_weight_is_as_good_as_either_end() -> None:
    given = {**BINARY, "num_models": 16, "binary_classifier_model_selection_criteria": "f_beta"}
    rows = {"train": rare(), "validation": rare(seed=1)}
    found = {
        weight: learned(rows, **given, positive_example_weight_mult=weight).last("validation:binary_f_beta")
        for weight in ("1", "balanced", "auto")
    }
    assert found["auto"] >= min(found.values()) - 0.02
    assert 1 <= learned(rows, **given, positive_example_weight_mult="auto").best["positive_example_weight_mult"] < 10


def test_balanced_classes_find_more_of_the_rare_one() -> None:
    rows, labels = uneven()
    recall = {}
    for balanced in (False, True):
        said = learned({"train": (rows, labels)}, **CLASSES, balance_multiclass_weights=balanced).answers(rows)
        recall[balanced] = np.mean(said["predicted_label"][labels == 2] == 2)
    assert recall[True] > recall[False]


def test_top_k_counts_the_best_k_classes() -> None:
    found = [learned({"train": uneven()}, **CLASSES, accuracy_top_k=k) for k in (1, 2, 3)]
    top = [each.last("train:multiclass_top_k_accuracy") for each in found]
    assert top[0] == found[0].last("train:multiclass_accuracy") < top[1] < top[2] == 1


# Selection and threshold


def judged(**given: Any) -> tuple[Trained, Array, Array]:
    """A job with a validation channel, the final model's scores of its rows, and their labels."""
    rows, labels = rare(seed=1)
    found = learned({"train": rare(), "validation": (rows, labels)}, **{**BINARY, **given})
    return found, found.answers(rows)["score"], labels


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
def test_the_best_precision_at_the_target_recall_is_found(target: float) -> None:
    criterion = "precision_at_target_recall"
    found, scores, labels = judged(binary_classifier_model_selection_criteria=criterion, target_recall=target)
    precision, recall, _ = oracle.precision_recall_curve(labels, scores)
    assert found.last("validation:recall") >= target
    assert found.last("validation:precision") == pytest.approx(precision[recall >= target].max())


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
def test_the_best_recall_at_the_target_precision_is_found(target: float) -> None:
    criterion = "recall_at_target_precision"
    found, scores, labels = judged(binary_classifier_model_selection_criteria=criterion, target_precision=target)
    precision, recall, _ = oracle.precision_recall_curve(labels, scores)
    assert found.last("validation:precision") >= target
    assert found.last("validation:recall") == pytest.approx(recall[precision >= target].max())


@pytest.mark.parametrize("criterion", ["accuracy", "f_beta", "loss_function"])
def test_the_threshold_is_close_to_the_best_for_these_rows(criterion: str) -> None:
    found, scores, labels = judged(binary_classifier_model_selection_criteria=criterion, f_beta=2)
    if criterion == "f_beta":
        precision, recall, _ = oracle.precision_recall_curve(labels, scores)
        best = (5 * precision * recall / np.maximum(4 * precision + recall, 1e-9)).max()
        assert best - 0.02 <= found.last("validation:binary_f_beta") <= best + 1e-9
    else:
        best = max(np.mean((scores >= cut) == labels) for cut in np.unique(scores))
        assert best - 0.01 <= found.last("validation:binary_classification_accuracy") <= best + 1e-9
    said = found.answers(rare(seed=1)[0])["predicted_label"]
    np.testing.assert_array_equal(said, scores >= found.artifact.schema["threshold"])


def test_recall_counts_for_more_with_a_larger_beta() -> None:
    recall = [
        judged(binary_classifier_model_selection_criteria="f_beta", f_beta=beta)[0].last("validation:recall")
        for beta in (0.2, 1, 5)
    ]
    assert recall[0] < recall[1] < recall[2]


def test_the_loss_chooses_the_candidate_where_the_job_says_so() -> None:
    by_loss, by_accuracy = (
        judged(binary_classifier_model_selection_criteria=name, num_models=16)[0]
        for name in ("loss_function", "accuracy")
    )
    final = by_loss.last("validation:objective_loss:final")
    assert final <= min(by_loss.values("validation:objective_loss")) + 1e-6
    assert final <= by_accuracy.last("validation:objective_loss:final") + 1e-6
    assert "criteria=binary_classification_cross_entropy_objective" in "\n".join(by_loss.lines)
    assert "criteria=sampled_accuracy" in "\n".join(by_accuracy.lines)


def test_the_threshold_comes_from_as_many_rows_as_asked() -> None:
    """The first rows of the validation channel are all of class 1, so from them alone everything is."""
    rows, labels = rare(seed=1)
    order = np.argsort(-labels, kind="stable")
    channels = {"train": rare(), "validation": (rows[order], labels[order])}
    few = learned(channels, **BINARY, num_calibration_samples=30).answers(rows[order])["predicted_label"]
    whole = learned(channels, **BINARY).answers(rows[order])["predicted_label"]
    assert few[:30].all()
    assert few.sum() > 1.5 * whole.sum()


def test_early_stopping_looks_at_the_best_candidate() -> None:
    """With one candidate that is the one whose loss is reported, with more it is one that is better or the same."""
    for models, better in ((1, False), (8, True)):
        given = {**NUMBER, "num_models": models, "learning_rate": 0.01}
        found = learned({"train": numbers(), "validation": numbers(seed=1)}, **given)
        seen = [float(value) for value in re.findall(r"criteria=mse_objective, value=(\S+)", "\n".join(found.lines))]
        first = found.values("validation:objective_loss")
        assert len(seen) == len(first)
        assert all(best <= own for best, own in zip(seen, first, strict=True))
        assert (seen != first) == better


def test_more_candidates_find_a_better_one() -> None:
    given = {**NUMBER, "learning_rate": 1e-4, "epochs": 3}
    rows = {"train": numbers(), "validation": numbers(seed=1)}
    one, many = (learned(rows, **{**given, "num_models": count}) for count in (1, 24))
    assert one.best["learning_rate"] == 1e-4 < many.best["learning_rate"]
    assert many.last("validation:mse") < one.last("validation:mse")
    assert many.last("validation:objective_loss:final") < many.last("validation:objective_loss"), "that of the first"


def test_a_job_of_a_tuning_job_has_one_candidate() -> None:
    given = {"predictor_type": "regressor", "num_models": 5, "learning_rate": 0.03, "epochs": 2}
    platform = {"_tuning_objective_metric": "validation:mse"}
    found = learned({"train": numbers()}, platform=platform, **given)
    assert "this is a job of a tuning job, so num_models is 1" in found.lines
    assert found.best["learning_rate"] == 0.03


def test_candidates_must_fit_into_memory() -> None:
    found = learned({"train": numbers()}, predictor_type="regressor", epochs=1, memory=64 * WIDTH * 3)
    assert "num_models is 3 and not 32, so that the candidates fit into memory" in found.lines


# Epochs


def test_training_ends_when_patience_does() -> None:
    given = {**NUMBER, "epochs": 30, "early_stopping_tolerance": 10, "early_stopping_patience": 4}
    found = learned({"train": numbers()}, **given)
    assert len(found.values("train:progress")) == 5
    assert found.line("Epoch 4: no improvement") == " for 4 epochs; training ends early"
    assert [line for line in found.lines if "Loss" in line] == [
        "Epoch 0: Loss improved. Updating best model",
        *(f"Epoch {number}: Loss has not improved for {number} epochs." for number in range(1, 5)),
    ]


def test_a_patience_above_epochs_turns_early_stopping_off() -> None:
    given = {**NUMBER, "epochs": 7, "early_stopping_tolerance": 10, "early_stopping_patience": 8}
    found = learned({"train": numbers()}, **given)
    assert found.values("train:progress") == pytest.approx([100 * (number + 1) / 7 for number in range(7)])


def test_a_tolerance_is_a_share_of_the_best_value() -> None:
    given = {**NUMBER, "epochs": 40, "early_stopping_patience": 1, "learning_rate": 1e-4, "num_models": 1}
    progress = [
        learned({"train": numbers()}, **given, early_stopping_tolerance=share).values("train:progress")
        for share in (1e-9, 0.002, 0.5)
    ]
    assert 40 == len(progress[0]) > len(progress[1]) > len(progress[2]) == 2


# Channels and labels


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_the_log_has_the_lines_of_the_contract(predictor_type: str) -> None:
    given = SMALL[predictor_type]
    found = learned(CHANNELS[predictor_type], **given)
    for epoch in range(len(found.values("train:progress"))):
        for start in (
            f"#quality_metric: host=localhost, epoch={epoch}, train ",
            f"#quality_metric: host=localhost, epoch={epoch}, validation ",
            f"#early_stopping_criteria_metric: host=localhost, epoch={epoch}, criteria=",
            f"Epoch {epoch}: Loss ",
        ):
            assert found.line(start)
    assert found.values("train:throughput")
    assert set(found.best) >= {"lr_scheduler_step", "wd", "optimizer", "l1", "learning_rate"}
    for line in found.lines:
        for kind, name, value in re.findall(r"^#(\w+)_score \(localhost\) : \('(\w+)', (\S+)\)$", line):
            if name != "rmse" or kind != "test":
                assert found.last(f"{kind}:{name}") == float(value)
    assert len([line for line in found.lines if line.startswith("#test_score (localhost) : ('")]) >= 3
    assert found.last("validation:objective_loss:final") > 0
    assert found.last("test:objective_loss") > 0
    assert not found.values("train:objective_loss:final")


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_training_rows_stand_in_for_validation_rows(predictor_type: str) -> None:
    found = learned({"train": CHANNELS[predictor_type]["train"]}, **SMALL[predictor_type])
    assert "Test data is not provided." in found.lines
    assert found.last("train:objective_loss:final") > 0
    assert not found.values("validation:objective_loss")
    assert not found.values("test:objective_loss")


def test_a_loss_is_reported_in_units_of_the_label() -> None:
    found = learned(CHANNELS[REGRESSOR], **NUMBER)
    for name in ("test:mse", "validation:mse"):
        channel_ = name.split(":")[0]
        rows, labels = CHANNELS[REGRESSOR][channel_]
        exact = np.mean((found.answers(rows)["score"] - labels) ** 2)
        assert found.last(name) == pytest.approx(exact, rel=1e-5)
    assert found.last("test:objective_loss") == pytest.approx(found.last("test:mse"))
    assert found.last("validation:objective_loss") > 100 * found.last("train:objective_loss"), "normalized labels"


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_rows_of_another_width_are_refused(name: str) -> None:
    rows, labels = rare()
    channels = {**CHANNELS["binary_classifier"], name: (rows[:, 1:], labels)}
    expected = f"channel {name}, file rows, row 1: the row has 5 features, feature_dim is 6"
    with pytest.raises(DataError, match=expected):
        learned(channels, **BINARY, feature_dim=6)
    if name != "train":
        with pytest.raises(DataError, match=expected):
            learned(channels, **BINARY)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_bad_label_is_refused_in_every_channel(name: str) -> None:
    rows, labels = rare()
    bad = np.where(np.arange(len(labels)) == 9, 2, labels)
    with pytest.raises(DataError, match=f"channel {name}, file rows, row 10: the label must be 0 or 1"):
        learned({**CHANNELS["binary_classifier"], name: (rows, bad)}, **BINARY)


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_sparse_rows_give_the_model_of_dense_ones(predictor_type: str) -> None:
    """Where both are shifted; by itself the linear learner leaves sparse rows where they are."""
    kept = features() * (np.random.default_rng(3).random(features().shape) < 0.3)
    labels = CHANNELS[predictor_type]["train"][1]
    given = {**SMALL[predictor_type], "unbias_data": True}
    dense, sparse = (learned({"train": (stored, labels)}, **given) for stored in (kept, csr_matrix(kept)))
    np.testing.assert_allclose(sparse.weights, dense.weights, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(sparse.bias, dense.bias, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_the_managed_file_holds_the_same_model(predictor_type: str) -> None:
    found = learned(CHANNELS[predictor_type], **SMALL[predictor_type])
    managed = read_managed_file(found.artifact.files["model_algo-1"], source="model_algo-1")
    assert managed.predictor_type == predictor_type
    np.testing.assert_allclose(managed.weights_CD, found.weights, rtol=1e-6)
    np.testing.assert_allclose(managed.bias_C, found.bias, rtol=1e-6)


def test_what_has_no_effect_is_said() -> None:
    found = learned({"train": rare()}, **BINARY, quantile=0.9)
    assert "quantile has no effect with loss logistic; it acts with quantile_loss" in found.lines


def test_classes_of_which_there_is_no_row_are_never_said() -> None:
    given = {**CLASSES, "num_classes": 5, "balance_multiclass_weights": True}
    found = learned({"train": uneven()}, **given)
    assert set(found.answers(features())["predicted_label"].tolist()) <= {0, 1, 2}
    assert found.answers(features())["score"].shape == (600, 5)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_rows_of_one_class_are_learned(label: float) -> None:
    rows = features()
    for weight in ("1", "balanced", "auto"):
        given = {**BINARY, "positive_example_weight_mult": weight}
        found = learned({"train": (rows, np.full(len(rows), label))}, **given)
        assert (found.answers(rows)["predicted_label"] == label).all()
        assert not any("roc_auc_score" in line for line in found.lines)


def test_one_row_is_enough() -> None:
    for predictor_type, given in SMALL.items():
        rows, labels = CHANNELS[predictor_type]["train"]
        found = learned({"train": (rows[:1], labels[:1])}, **given)
        name = "predicted_label" if predictor_type != REGRESSOR else "score"
        assert found.answers(rows[:1])[name] == pytest.approx(labels[0], rel=0.1)


# Divergence


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_a_job_that_diverges_is_the_users_to_mend(predictor_type: str) -> None:
    given = {**SMALL[predictor_type], "optimizer": "sgd", "learning_rate": 1e38, "epochs": 40}
    with pytest.raises(UserError, match=r"no candidate came to a finite loss: .* lower learning_rate"):
        learned(CHANNELS[predictor_type], **given)


def test_candidates_that_diverge_do_not_end_the_training_of_the_others() -> None:
    """Of these rates, one third of the job's own to three times as much, the larger ones diverge."""
    given = {"optimizer": "sgd", "learning_rate": 0.3, "num_models": 16, "epochs": 12, "mini_batch_size": 20}
    found = learned({"train": numbers()}, predictor_type="regressor", **given)
    assert found.best["learning_rate"] < 0.3
    assert found.last("train:mse") < 500
    assert not any("value=nan" in line for line in found.lines)


# Interruption


class Killed(BaseException):
    """What a process dies of in these tests."""


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
@pytest.mark.parametrize(
    ("line", "every"), [("epoch=0, train ", 0.0), ("epoch=3, train ", 3600.0), ("Best model found", 3600.0)]
)
def test_a_job_that_was_killed_goes_on_to_the_same_model(
    predictor_type: str, line: str, every: float, tmp_path: Path
) -> None:
    """Within an epoch, where there is time for checkpoints, and otherwise behind the last whole one."""

    def die(text: str) -> None:
        if line in text:
            raise Killed

    given = {**SMALL[predictor_type], "early_stopping_patience": 20}
    whole = learned(CHANNELS[predictor_type], **given)
    with pytest.raises(Killed):
        learned(CHANNELS[predictor_type], **given, kept=tmp_path, every=every, watch=die)
    resumed = learned(CHANNELS[predictor_type], **given, kept=tmp_path)
    assert any(each.startswith("resuming from a checkpoint") for each in resumed.lines)
    for name, tensor in whole.artifact.tensors.items():
        np.testing.assert_array_equal(resumed.artifact.tensors[name], tensor)
    assert resumed.artifact.schema == whole.artifact.schema
    assert resumed.best == whole.best


def test_patience_goes_on_behind_a_checkpoint(tmp_path: Path) -> None:
    def die(text: str) -> None:
        if "epoch=2, train " in text:
            raise Killed

    given = {**NUMBER, "epochs": 30, "early_stopping_tolerance": 10, "early_stopping_patience": 4}
    with pytest.raises(Killed):
        learned({"train": numbers()}, **given, kept=tmp_path, watch=die)
    resumed = learned({"train": numbers()}, **given, kept=tmp_path)
    assert resumed.line("Epoch 4: no improvement") == " for 4 epochs; training ends early"


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_a_stopped_job_leaves_its_model_so_far(predictor_type: str) -> None:
    def stop(text: str) -> None:
        if "epoch=2, train " in text:
            made.stop.set()

    channels = {name: channel(name, rows) for name, rows in CHANNELS[predictor_type].items()}
    made, lines = job(channels, watch=stop, **{**SMALL[predictor_type], "epochs": 10**6})
    found = Trained(train(made), lines)
    assert found.best
    assert not found.values("test:objective_loss"), "there is no time left to measure"
    if predictor_type == "binary_classifier":
        assert found.artifact.schema["threshold"] != 0.5


def piped(rows: Rows, passes: int, folder: Path) -> ChannelInput:
    """A validation channel that is delivered that many times, and then falls silent."""
    content = io.BytesIO()
    tabular.write(content, records(*rows), LAYOUT)
    for number in range(passes):
        (folder / f"validation_{number}").write_bytes(content.getvalue())
    return ChannelInput("validation", folder / "validation", LAYOUT, mode="Pipe")


@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_a_stop_while_a_pipe_is_silent_leaves_what_earlier_epochs_found(predictor_type: str, tmp_path: Path) -> None:
    def stop(text: str) -> None:
        if text.startswith("Epoch 1: Loss"):
            made.stop.set()
            validation.stop.set()

    rows = CHANNELS[predictor_type]
    validation = piped(rows["validation"], 2, tmp_path)
    channels = {"train": channel("train", rows["train"]), "validation": validation}
    made, lines = job(channels, watch=stop, **{**SMALL[predictor_type], "epochs": 10**6})
    found = Trained(train(made), lines)
    whole = learned({name: rows[name] for name in channels}, **{**SMALL[predictor_type], "epochs": 10**6})
    assert found.values("validation:objective_loss") == whole.values("validation:objective_loss")[:2]
    if predictor_type == "binary_classifier":
        assert "stopped before the threshold could be calibrated; it is 0.5" in found.lines


def test_a_stop_before_anything_was_measured_is_named(tmp_path: Path) -> None:
    validation = piped(rare(), 0, tmp_path)
    made, _ = job({"train": channel("train", rare()), "validation": validation}, **BINARY)
    made.stop.set()
    validation.stop.set()
    with pytest.raises(UserError, match="stopped before its candidates could be measured, so it leaves no model"):
        train(made)


# Several hosts


@pytest.mark.parametrize("sharded", [False, True], ids=["replicated", "sharded"])
@pytest.mark.parametrize("predictor_type", PREDICTOR_TYPES)
def test_hosts_come_to_one_model_and_to_what_one_host_comes_to(predictor_type: str, sharded: bool) -> None:
    given = {**SMALL[predictor_type], "num_calibration_samples": 10_000}

    def work(cluster: Cluster) -> Trained:
        own = {}
        for name, (rows, labels) in CHANNELS[predictor_type].items():
            part = slice(cluster.rank, None, 2) if sharded else slice(None)
            own[name] = channel(name, (rows[part], labels[part]), sharded=sharded)
        made, lines = job(own, cluster=cluster, **given)
        return Trained(train(made), lines)

    first, second = on_hosts(2, work)
    assert first.artifact.schema == second.artifact.schema
    for name, tensor in first.artifact.tensors.items():
        np.testing.assert_array_equal(second.artifact.tensors[name], tensor)
    alone = learned(CHANNELS[predictor_type], **{**given, "mini_batch_size": 2 * given["mini_batch_size"]})
    for metric in ("test:objective_loss", "validation:objective_loss:final"):
        # Shards are shuffled by themselves, so their batches hold other rows.
        assert first.last(metric) == pytest.approx(alone.last(metric), rel=0.2 if sharded else 1e-3)
        assert not second.values(metric), "the leader speaks for all"
    rows, labels = CHANNELS[predictor_type]["test"]
    answers = first.answers(rows)
    if predictor_type == REGRESSOR:
        assert first.last("test:mse") == pytest.approx(np.mean((answers["score"] - labels) ** 2), rel=1e-5)
    else:
        name = "multiclass_accuracy" if predictor_type == MULTICLASS else "binary_classification_accuracy"
        assert first.last(f"test:{name}") == pytest.approx(np.mean(answers["predicted_label"] == labels))


def test_a_sample_of_training_rows_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without validation rows the first so many training rows are looked at, on all hosts together."""
    monkeypatch.setattr(training, "SAMPLE", 101)
    monkeypatch.setattr(training, "AT_ONCE", 10)

    def seen(cluster: Cluster | None, sharded: bool) -> int:
        made, _ = job({"train": channel("train", numbers(), sharded=sharded)}, cluster=cluster, **NUMBER)
        return sum(map(len, training.rows_of(made, "train", WIDTH, most=training.SAMPLE)))

    assert seen(None, False) == 101
    assert sum(on_hosts(2, lambda cluster: seen(cluster, False))) == 101
    assert on_hosts(2, lambda cluster: seen(cluster, True)) == [51, 51]
