"""The declaration of the linear learner against the managed algorithm's published table."""

from __future__ import annotations

import re

import pytest

from clary.algorithms.linear_learner.spec import CRITERIA, LOSSES, SPEC, Hyperparameters
from clary.toolkit.errors import HyperparameterError

# name: type, low, high, default, auto; an end that is not included is written as a text
PUBLISHED: dict[str, tuple[str, object, object, object, bool]] = {
    "predictor_type": ("categorical", None, None, None, False),
    "num_classes": ("integer", 3, 1000000, None, False),
    "accuracy_top_k": ("integer", 1, 1000000, 3, False),
    "balance_multiclass_weights": ("categorical", None, None, "false", False),
    "beta_1": ("continuous", 0, "1", "auto", True),
    "beta_2": ("continuous", 0, "1", "auto", True),
    "bias_lr_mult": ("continuous", "0", None, "auto", True),
    "bias_wd_mult": ("continuous", 0, None, "auto", True),
    "binary_classifier_model_selection_criteria": ("categorical", None, None, "accuracy", False),
    "early_stopping_patience": ("integer", 1, None, 3, False),
    "early_stopping_tolerance": ("continuous", "0", None, 0.001, False),
    "epochs": ("integer", 1, None, 15, False),
    "f_beta": ("continuous", "0", None, 1.0, False),
    "feature_dim": ("integer", 1, None, "auto", True),
    "huber_delta": ("continuous", "0", None, 1.0, False),
    "init_bias": ("continuous", None, None, 0, False),
    "init_method": ("categorical", None, None, "uniform", False),
    "init_scale": ("continuous", "0", None, 0.07, False),
    "init_sigma": ("continuous", "0", None, 0.01, False),
    "l1": ("continuous", 0, None, "auto", True),
    "learning_rate": ("continuous", "0", None, "auto", True),
    "loss": ("categorical", None, None, "auto", True),
    "loss_insensitivity": ("continuous", "0", None, 0.01, False),
    "lr_scheduler_factor": ("continuous", "0", "1", "auto", True),
    "lr_scheduler_minimum_lr": ("continuous", "0", None, "auto", True),
    "lr_scheduler_step": ("integer", 1, None, "auto", True),
    "margin": ("continuous", "0", None, 1.0, False),
    "mini_batch_size": ("integer", 1, None, 1000, False),
    "momentum": ("continuous", 0, "1", "auto", True),
    "normalize_data": ("categorical", None, None, "true", True),
    "normalize_label": ("categorical", None, None, "auto", True),
    "num_calibration_samples": ("integer", 1, None, "auto", True),
    "num_models": ("integer", 1, None, "auto", True),
    "num_point_for_scaler": ("integer", 1, None, 10000, False),
    "optimizer": ("categorical", None, None, "auto", True),
    "positive_example_weight_mult": ("continuous", "0", None, 1.0, True),
    "quantile": ("continuous", "0", "1", 0.5, False),
    "target_precision": ("continuous", "0", "1", 0.8, False),
    "target_recall": ("continuous", "0", "1", 0.8, False),
    "unbias_data": ("categorical", None, None, "auto", True),
    "unbias_label": ("categorical", None, None, "auto", True),
    "use_bias": ("categorical", None, None, "true", False),
    "use_lr_scheduler": ("categorical", None, None, "true", False),
    "wd": ("continuous", 0, None, "auto", True),
}
CHOICES = {
    "predictor_type": ["binary_classifier", "multiclass_classifier", "regressor"],
    "balance_multiclass_weights": ["true", "false"],
    "binary_classifier_model_selection_criteria": [
        "accuracy",
        "f_beta",
        "precision_at_target_recall",
        "recall_at_target_precision",
        "loss_function",
    ],
    "init_method": ["uniform", "normal"],
    "loss": [
        "auto",
        "logistic",
        "hinge_loss",
        "softmax_loss",
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ],
    "normalize_data": ["auto", "true", "false"],
    "normalize_label": ["auto", "true", "false"],
    "optimizer": ["auto", "sgd", "adam", "rmsprop"],
    "positive_example_weight_mult": ["balanced", "auto"],
    "unbias_data": ["auto", "true", "false"],
    "unbias_label": ["auto", "true", "false"],
    "use_bias": ["true", "false"],
    "use_lr_scheduler": ["true", "false"],
}
BINARY = ("binary_classification_accuracy", "binary_f_1.000", "precision", "recall", "roc_auc_score")
MULTICLASS = (
    *("multiclass_accuracy", "multiclass_top_k_accuracy_3", "dcg"),
    *("macro_f_1.000", "macro_precision", "macro_recall"),
)
# Lines that the managed algorithm prints, by the name of the metric that they carry.
LINES = {
    **{
        f"{channel}:{re.sub('_f_1.000', '_f_beta', name).removesuffix('_3')}": (
            f"#quality_metric: host=algo-1, {channel} {name} <score>=0.123"
        )
        for channel in ("test", "validation", "train")
        for name in (*BINARY, *MULTICLASS)
        if (channel, name) != ("train", "roc_auc_score")
    },
    **{
        f"{channel}:{name}": f"#quality_metric: host=algo-1, {channel} {name} <loss>=0.123"
        for channel in ("test", "validation", "train")
        for name in ("absolute_loss", "mse")
    },
    "validation:rmse": "#quality_metric: host=algo-1, validation rmse <loss>=0.123",
    "test:objective_loss": (
        "#quality_metric: host=algo-1, test binary_classification_cross_entropy_objective <loss>=0.123"
    ),
    "validation:objective_loss": "#quality_metric: host=algo-1, epoch=0, validation mse_objective <loss>=88.19",
    "validation:objective_loss:final": "#quality_metric: host=algo-1, validation mse_objective <loss>=22.94",
    "train:objective_loss": "#quality_metric: host=algo-1, epoch=0, train mse_objective <loss>=0.968532333374",
    "train:objective_loss:final": "#quality_metric: host=algo-1, train mse_objective <loss>=22.94",
    "train:progress": "#progress_metric: host=algo-1, completed 6.666666666666667 % of epochs",
    "train:throughput": "#throughput_metric: host=algo-1, train throughput=29486.5 records/second",
}
# Patterns that users' notebooks and tuning jobs search for.
PATTERNS = {
    "validation:objective_loss": r"#quality_metric: host=\S+, epoch=\S+, validation \S+_objective <loss>=(\S+)",
    "test:binary_f_beta": r"#quality_metric: host=\S+, test binary_f_\S+ <score>=(\S+)",
    "test:multiclass_top_k_accuracy": r"#quality_metric: host=\S+, test multiclass_top_k_accuracy_\S+ <score>=(\S+)",
    "test:macro_f_beta": r"#quality_metric: host=\S+, test macro_f_\S+ <score>=(\S+)",
}


def parsed(**given: str) -> Hyperparameters:
    found = SPEC.parse({"predictor_type": "binary_classifier", **given})
    assert isinstance(found, Hyperparameters)
    return found


def refused(**given: str) -> str:
    with pytest.raises(HyperparameterError) as caught:
        SPEC.parse(given)
    return str(caught.value)


def test_the_hyperparameters_are_the_published_ones() -> None:
    described = {each["name"]: each for each in SPEC.describe()["hyperparameters"]}
    assert set(described) == set(PUBLISHED)
    for name, (kind, low, high, default, auto) in PUBLISHED.items():
        found = described[name]
        assert (found["type"], found["default"], found["auto"]) == (kind, default, auto), name
        assert found["values"] == CHOICES.get(name), name
        if kind != "categorical":
            ends = {
                "min": None if low is None else float(str(low)),
                "max": None if high is None else float(str(high)),
            }
            included = {"min_inclusive": isinstance(low, int), "max_inclusive": isinstance(high, int)}
            assert found["range"] == ends | included, name


def test_two_hyperparameters_are_required() -> None:
    required = {each["name"]: each["required"] for each in SPEC.describe()["hyperparameters"] if each["required"]}
    assert required == {"predictor_type": True, "num_classes": "when predictor_type is multiclass_classifier"}


def test_tunable_ranges_are_the_published_ones() -> None:
    tunable = {each["name"]: each["tunable"] for each in SPEC.describe()["hyperparameters"] if each["tunable"]}
    assert tunable == {
        "l1": {"range": [1e-7, 1], "scaling": "Logarithmic"},
        "learning_rate": {"range": [1e-5, 1], "scaling": "Logarithmic"},
        "mini_batch_size": {"range": [100, 5000], "scaling": "Linear"},
        "positive_example_weight_mult": {"range": [1e-5, 1e5], "scaling": "Logarithmic"},
        "use_bias": {"range": ["true", "false"], "scaling": None},
        "wd": {"range": [1e-7, 1], "scaling": "Logarithmic"},
    }


def test_the_metrics_are_the_published_ones() -> None:
    assert {each.name for each in SPEC.metrics} == set(LINES)
    for metric in SPEC.metrics:
        words = metric.line.partition("<")[2]
        smaller = words.startswith("loss>")
        assert metric.goal == ("Minimize" if smaller else "Maximize"), metric.name


@pytest.mark.parametrize("name", sorted(LINES))
def test_a_managed_line_is_read_by_its_own_metric_alone(name: str) -> None:
    found = {each.name: re.search(each.regex, LINES[name]) for each in SPEC.metrics}
    assert [each for each, match in found.items() if match] == [name]


@pytest.mark.parametrize("name", sorted(LINES))
def test_a_rendered_line_has_the_managed_form(name: str) -> None:
    theirs = LINES[name]
    objective = re.search(r"(\w+)_objective", theirs)
    places = {**parsed().places, "objective": objective[1] if objective else ""}
    value = re.search(SPEC.metric(name).regex, theirs)
    assert value is not None
    assert SPEC.metric(name).render(float(value[1]), host="algo-1", epoch=0, **places) == theirs


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_official_patterns_read_our_lines(name: str) -> None:
    places = {**parsed(f_beta="0.5", accuracy_top_k="7").places, "objective": "huber"}
    found = re.search(PATTERNS[name], SPEC.metric(name).render(12.5, host="algo-1", epoch=3, **places))
    assert found is not None
    assert float(found[1]) == 12.5


def test_each_metric_says_when_it_is_reported() -> None:
    assert {each.name for each in SPEC.metrics if not each.when} == set()
    assert (
        SPEC.metric("test:mse").when
        == "once at the end, where there is a test channel and predictor_type is regressor"
    )


def test_what_the_managed_sdk_sends_is_taken() -> None:
    values = parsed(
        feature_dim="30",
        mini_batch_size="1000",
        epochs="15",
        use_bias="True",
        num_models="auto",
        positive_example_weight_mult="balanced",
        binary_classifier_model_selection_criteria="f1",
        loss="auto",
        l1="",
        _num_gpus="auto",
        _num_kv_servers="1",
        _kvstore="auto",
        _log_level="info",
        _enable_profiler="false",
        _tuning_objective_metric="",
    ).spell()
    assert values["use_bias"] == "true"
    assert values["l1"] == "auto"
    assert values["positive_example_weight_mult"] == "balanced"
    assert values["binary_classifier_model_selection_criteria"] == "f_beta"


def test_the_old_spellings_of_criteria_are_taken() -> None:
    for old, new in (("f1", "f_beta"), ("cross_entropy_loss", "loss_function")):
        found = parsed(binary_classifier_model_selection_criteria=old)
        assert found.binary_classifier_model_selection_criteria == new in CRITERIA


def test_a_positive_weight_is_a_number_or_a_word() -> None:
    for text, value in (("2.5", 2.5), ("auto", "auto"), ("balanced", "balanced"), ("", 1.0)):
        assert parsed(positive_example_weight_mult=text).positive_example_weight_mult == value
    message = refused(predictor_type="binary_classifier", positive_example_weight_mult="0")
    assert message == "positive_example_weight_mult must be a number above 0 or 'auto' or 'balanced'; got '0'"


def test_each_loss_fits_its_own_predictor_type_alone() -> None:
    for predictor_type, fitting in LOSSES.items():
        given = {"predictor_type": predictor_type, "num_classes": "4"}
        automatic = SPEC.parse(given)
        assert isinstance(automatic, Hyperparameters)
        assert automatic.chosen_loss == fitting[0]
        for loss in (each for losses in LOSSES.values() for each in losses):
            if loss in fitting:
                SPEC.parse({**given, "loss": loss})
            else:
                assert f"loss {loss!r} does not fit predictor_type {predictor_type!r}" in refused(**given, loss=loss)


def test_several_classes_must_be_counted() -> None:
    message = "no value was given for 'num_classes', which must be set when predictor_type is multiclass_classifier"
    assert refused(predictor_type="multiclass_classifier") == message
    for text in ("2", "1000001"):
        message = refused(predictor_type="multiclass_classifier", num_classes=text)
        assert message == f"num_classes must be an integer at least 3 and at most 1000000; got {text!r}"
    assert parsed(num_classes="5").num_classes == 5


def test_every_problem_is_reported_at_once() -> None:
    text = refused(loss="l2", target_recal="0.5", quantile="1", beta_1="1", epochs="0")
    for part in (
        "loss must be one of 'logistic'",
        "did you mean 'target_recall'?",
        "quantile must be a number above 0 and below 1; got '1'",
        "beta_1 must be a number at least 0 and below 1 or 'auto'; got '1'",
        "epochs must be an integer at least 1; got '0'",
        "no value was given for 'predictor_type', which must be set",
    ):
        assert part in text


def test_what_has_no_effect_is_said() -> None:
    assert list(parsed().without_effect()) == []
    found = list(
        parsed(
            optimizer="sgd", beta_1="0.5", use_bias="false", init_bias="2", quantile="0.9", accuracy_top_k="3"
        ).without_effect()
    )
    assert found == [
        "quantile has no effect with loss logistic; it acts with quantile_loss",
        "beta_1 has no effect with optimizer sgd; it acts with adam",
        "init_bias has no effect with use_bias false; it acts with true",
    ]
