"""Estimators: hyperparameters in all their names, channels in all their forms, refusals before anything starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

from clary.runner.metrics import Metrics
from clary.sdk import PCA, Estimator, KMeans, LinearLearner, RecordSet, TrainingInput, XGBoost
from clary.sdk.backend import Plan, Resources
from clary.sdk.generation import render_estimators
from clary.sdk.local import LocalBackend
from clary.toolkit.errors import HyperparameterError, UserError

ROWS = np.arange(6.0).reshape(3, 2)


class Handle:
    """A job that is over before it began."""

    resources = Resources()

    def __init__(self, plan: Plan) -> None:
        self.name, self.algorithm, self.hyperparameters = plan.name, plan.spec.name, plan.hyperparameters

    def wait(self, timeout: float | None) -> str:
        return "Completed"

    def metrics(self) -> Metrics:
        return Metrics()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing should ask for {name}")


class Recorder(LocalBackend):
    """Keeps the plan of the job instead of running it."""

    plan: Plan

    def train(self, plan: Plan) -> Any:
        self.plan = plan
        return Handle(plan)


def planned(*arguments: Any, data: Any = ROWS, **settings: Any) -> Plan:
    recorder = Recorder()
    KMeans(*arguments, backend=recorder, **settings).fit(train=data, logs=False)
    return recorder.plan


def test_set_hyperparameters_are_sent_and_measured_ones_are_filled_in() -> None:
    plan = planned(k=3, epochs=2, eval_metrics=["msd", "ssd"], init_method="kmeans++")
    assert plan.hyperparameters == {
        "k": "3",
        "epochs": "2",
        "eval_metrics": '["msd", "ssd"]',
        "init_method": "kmeans++",
        "feature_dim": "2",
    }


def test_a_given_measure_is_left_alone() -> None:
    assert planned(k=3, feature_dim=9).hyperparameters["feature_dim"] == "9"


@pytest.mark.parametrize(("rows", "hosts", "batch"), [(7, 1, "7"), (7, 2, "3"), (1, 2, "1"), (5000, 2, "500")])
def test_a_batch_that_nobody_set_is_that_of_the_classic_sdk(rows: int, hosts: int, batch: str) -> None:
    recorder = Recorder()
    model = PCA(num_components=1, instance_count=hosts, backend=recorder)
    model.fit(train=np.ones((rows, 2), np.float32), logs=False)
    assert recorder.plan.hyperparameters["mini_batch_size"] == batch
    model.fit(train=np.ones((rows, 2), np.float32), mini_batch_size=4, logs=False)
    assert recorder.plan.hyperparameters["mini_batch_size"] == "4"


def test_a_batch_of_a_file_is_that_of_the_classic_sdk(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2\n3,4\n")
    recorder = Recorder()
    PCA(num_components=1, backend=recorder).fit(train=tmp_path / "rows.csv", logs=False)
    assert recorder.plan.hyperparameters["mini_batch_size"] == "500"


def test_numbers_of_numpy_are_numbers() -> None:
    assert planned(k=np.int64(3), local_lloyd_tol=np.float64(0.5)).hyperparameters["k"] == "3"


@pytest.mark.parametrize("content", ["1,2\n3,4\n", "1,2"])
def test_the_width_of_a_file_is_read_from_its_first_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    assert planned(k=1, data=tmp_path / "rows.csv").hyperparameters["feature_dim"] == "2"


def test_a_file_that_cannot_be_read_is_refused_with_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"rows\.csv, row 1"):
        planned(k=1, data=tmp_path / "rows.csv")


def test_the_classic_class_works_by_position_and_by_its_old_names() -> None:
    plan = planned(
        "arn:aws:iam::1:role/r",
        1,
        "ml.m5.large",
        4,
        max_iterations=7,
        tol=0.01,
        num_trials=2,
        local_init_method="random",
        center_factor=5,
        half_life_time_size=10,
    )
    assert plan.hyperparameters == {
        "k": "4",
        "local_lloyd_max_iter": "7",
        "local_lloyd_tol": "0.01",
        "local_lloyd_num_trials": "2",
        "local_lloyd_init_method": "random",
        "extra_center_factor": "5",
        "half_life_time_size": "10",
        "feature_dim": "2",
    }
    assert (plan.resources.role, plan.resources.instance_type) == ("arn:aws:iam::1:role/r", "ml.m5.large")


def test_record_sets_and_a_batch_size_are_taken_by_fit() -> None:
    recorder = Recorder()
    made = KMeans(k=2, backend=recorder)
    train, test = made.record_set(ROWS), made.record_set(ROWS, labels=[0, 1, 0], channel="test")
    assert isinstance(train, RecordSet)
    made.fit([train, test], mini_batch_size=100, logs=False)
    assert list(recorder.plan.inputs) == ["train", "test"]
    assert recorder.plan.hyperparameters["mini_batch_size"] == "100"
    made.fit(train, 100, logs=False)
    made.fit({"train": ROWS, "test": ROWS}, logs=False)
    assert list(recorder.plan.inputs) == ["train", "test"]


def test_the_generic_estimator_is_the_same_job() -> None:
    recorder = Recorder()
    made = Estimator("kmeans", hyperparameters={"k": 3}, backend=recorder)
    made.set_hyperparameters(epochs=2, force_dense=True)
    made.fit(train=ROWS, logs=False)
    assert made.hyperparameters() == {"k": "3", "epochs": "2", "force_dense": "True"}
    assert recorder.plan.hyperparameters == {"k": "3", "epochs": "2", "force_dense": "True", "feature_dim": "2"}


def test_all_wrong_hyperparameters_are_told_at_once() -> None:
    with pytest.raises(HyperparameterError) as caught:
        planned(k=0, epochs=-1, eval_metrics=["speed"], local_lloyd_tol=7)
    assert len(caught.value.problems) == 4
    assert all(
        name in str(caught.value) for name in ("k must", "epochs must", "eval_metrics must", "local_lloyd_tol")
    )


@pytest.mark.parametrize(
    ("settings", "error", "wanted"),
    [
        ({}, HyperparameterError, "'k'"),
        ({"k": 3, "max_iteration": 3}, TypeError, "did you mean 'max_iterations'"),
        ({"k": 3, "tol": 0.1, "local_lloyd_tol": 0.2}, UserError, "given twice"),
        ({"k": 3, "sagemaker_session": object()}, UserError, "takes no sagemaker_session: name the place"),
        ({"k": 3, "instance_count": 0}, UserError, "instance_count must be at least 1"),
        ({"k": 3, "role": 10}, TypeError, "role must be a text; got 10"),
    ],
)
def test_a_wrong_argument_is_refused(settings: dict[str, Any], error: type[Exception], wanted: str) -> None:
    with pytest.raises(error, match=wanted):
        planned(**settings)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({}, r"K-means needs data for train: fit\(train=\.\.\.\)"),
        ({"train": ROWS, "validation": ROWS}, "has no channel 'validation'"),
        ({"train": {"train": ROWS}, "test": ROWS, "content_type": {"other": "text/csv"}}, "no data: other"),
        ({"train": {"train": ROWS, "test": ROWS}, "test": ROWS}, "channel test was given twice"),
        ({"train": ROWS, "job_name": "not a name"}, "cannot be a name"),
    ],
)
def test_wrong_channels_are_refused(arguments: dict[str, Any], wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        KMeans(k=2, backend=Recorder()).fit(logs=False, **arguments)


def test_two_sets_for_one_channel_are_refused() -> None:
    made = KMeans(k=2, backend=Recorder())
    with pytest.raises(UserError, match="two of the record sets are for one channel"):
        made.fit([made.record_set(ROWS), made.record_set(ROWS)])


@pytest.mark.parametrize("backend", ["cloud", 7])
def test_an_unknown_backend_is_refused(backend: Any) -> None:
    with pytest.raises(UserError, match="backend must be 'local', 'sagemaker' or an object"):
        KMeans(k=2, backend=backend)


def test_there_is_nothing_to_deploy_before_a_fit() -> None:
    with pytest.raises(UserError, match=r"call fit\(\) first"):
        KMeans(k=2).deploy()


def test_the_generated_classes_are_fresh_and_say_what_they_take() -> None:
    written = Path(inspect.getfile(KMeans)).read_text(encoding="utf-8")
    assert written == render_estimators(), "run `make generate`"
    signature = inspect.signature(KMeans)
    assert list(signature.parameters)[:4] == ["role", "instance_count", "instance_type", "k"]
    said = " ".join((KMeans.__doc__ or "").split())
    assert "Number of clusters of the final model. An integer at least 1." in said
    assert "Iteration limit of each final Lloyd run. An integer at least 1. Default: 300." in said


# Algorithms that learn from labels

LABELS = [0, 1, 0]
FRAME = pandas.DataFrame({"height": [1.0, 2, 3], "width": [4.0, 5, 6], "target": LABELS})


def learned(made: Estimator, *arguments: Any, **channels: Any) -> Plan:
    """The plan of a job of that estimator, whose backend records it."""
    made.fit(*arguments, **{**channels, "logs": False})
    assert isinstance(made._backend, Recorder)
    return made._backend.plan


def linear(**settings: Any) -> LinearLearner:
    return LinearLearner(predictor_type="binary_classifier", backend=Recorder(), **settings)


def boosted(**settings: Any) -> XGBoost:
    return XGBoost(num_round=3, backend=Recorder(), **settings)


@pytest.mark.parametrize("make", [linear, boosted])
@pytest.mark.parametrize(
    "given",
    [
        {"train": (ROWS, LABELS), "validation": (ROWS, np.array(LABELS))},
        {"train": {"train": (ROWS, LABELS), "validation": (ROWS, LABELS)}},
        {"train": FRAME, "validation": FRAME, "label": "target"},
        {"train": polars.from_pandas(FRAME), "validation": TrainingInput(FRAME), "label": "target"},
        {"train": (FRAME[["height", "width"]], FRAME["target"]), "validation": (FRAME, "target")},
        {"inputs": {"train": (ROWS, LABELS), "validation": (ROWS, LABELS)}},
    ],
)
def test_features_come_with_labels_in_every_form(make: Callable[..., Estimator], given: dict[str, Any]) -> None:
    inputs = learned(make(), **given).inputs
    for channel in ("train", "validation"):
        records = inputs[channel].records
        assert records is not None
        assert records.width == 2
        assert records.labels is not None
        assert records.labels[:, 0].tolist() == LABELS


@pytest.mark.parametrize(
    ("given", "error", "wanted"),
    [
        (
            {"train": ROWS},
            UserError,
            r"learns from labels, and channel train has none; .*fit\(train=\(rows, labels\)\)",
        ),
        ({"train": (ROWS, LABELS), "validation": ROWS}, UserError, "channel validation has none"),
        ({"train": FRAME, "label": "targt"}, UserError, "train has no column named 'targt'"),
        ({"train": (ROWS, np.eye(3))}, UserError, "each row has one label for Linear learner; got 3 in each row"),
        (
            {"train": "s3://b/rows.csv", "label": "y"},
            UserError,
            "this data is in files; there the label is the first",
        ),
        ({"train": (ROWS, LABELS), "inputs": ROWS}, UserError, "inputs is another name of train"),
    ],
)
def test_features_without_labels_are_refused_before_anything_runs(
    given: dict[str, Any], error: type[Exception], wanted: str
) -> None:
    with pytest.raises(error, match=wanted):
        linear().fit(logs=False, **given)


def test_labels_as_a_second_argument_are_told_where_they_belong() -> None:
    with pytest.raises(TypeError, match=r"features and labels are a pair: fit\(\(rows, labels\)\)"):
        linear().fit(ROWS, np.array(LABELS))  # type: ignore[arg-type]


def test_missing_values_go_where_the_algorithm_takes_them() -> None:
    holes = ROWS.copy()
    holes[1, 0] = np.nan
    records = learned(boosted(), train=(holes, LABELS)).inputs["train"].records
    assert records is not None
    np.testing.assert_array_equal(records.dense(), holes.astype(np.float32))
    with pytest.raises(UserError, match="train, row 2, column 1: there is no value"):
        linear().fit(train=(holes, LABELS))
    with pytest.raises(UserError, match="inf is not a finite number"):
        boosted().fit(train=(np.full((3, 2), np.inf), LABELS))


def test_record_sets_with_labels_and_a_distribution_are_taken() -> None:
    made = linear(instance_count=2)
    sets = [
        made.record_set(ROWS, LABELS),
        made.record_set(ROWS, labels=LABELS, channel="validation", distribution="ShardedByS3Key"),
        made.record_set(ROWS, labels=LABELS, channel="test"),
    ]
    plan = learned(made, sets)
    assert {name: plan.shards(given) for name, given in plan.inputs.items()} == {
        "train": 2,
        "validation": 2,
        "test": 1,
    }
    replicated = learned(made, made.record_set(ROWS, LABELS, distribution="FullyReplicated"))
    assert replicated.shards(replicated.inputs["train"]) == 1


def test_what_is_set_is_sent_even_where_it_is_the_default() -> None:
    assert learned(boosted(base_score=0.5), train=(ROWS, LABELS)).hyperparameters == {
        "num_round": "3",
        "base_score": "0.5",
    }
    assert learned(boosted(), train=(ROWS, LABELS)).hyperparameters == {"num_round": "3"}


def test_names_that_python_forbids_aliases_and_lists_are_taken() -> None:
    made = boosted(
        lambda_=2,
        learning_rate=0.1,
        reg_alpha=1,
        objective="binary:logistic",
        eval_metric=["auc", "error"],
        interaction_constraints=[[0, 1]],
        seed=7,
        _kfold=3,
    )
    assert made.hyperparameters() == {
        "num_round": "3",
        "lambda": "2",
        "eta": "0.1",
        "alpha": "1",
        "objective": "binary:logistic",
        "eval_metric": "auc,error",
        "interaction_constraints": "[[0, 1]]",
        "seed": "7",
        "_kfold": "3",
    }
    made.spec.parse(made.hyperparameters())
    assert "lambda_" in inspect.signature(XGBoost).parameters
    assert "_kfold" not in inspect.signature(XGBoost).parameters


def test_the_generic_estimator_takes_the_same_names_in_the_classic_steps() -> None:
    made = Estimator("xgboost", "arn:aws:iam::1:role/r", 1, "ml.m5.large", backend=Recorder())
    made.set_hyperparameters(max_depth=5, eta=0.2, objective="binary:logistic", num_round=100, **{"lambda": 2})
    made.set_hyperparameters(learning_rate=0.3, lambda_=3, max_depth=None)
    expected = {"eta": "0.3", "objective": "binary:logistic", "num_round": "100", "lambda": "3"}
    assert made.hyperparameters() == expected
    source = TrainingInput(s3_data="s3://bucket/train", content_type="csv")
    plan = learned(made, {"train": source, "validation": source})
    assert plan.hyperparameters == expected
    assert (plan.inputs["train"].s3, plan.inputs["train"].content_type) == ("s3://bucket/train", "csv")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"eta": 0.1, "learning_rate": 0.2}, "eta was given twice, as eta and as learning_rate"),
        ({"lambda_": 1, "reg_lambda": 2}, "lambda was given twice, as lambda and as reg_lambda"),
    ],
)
def test_two_names_of_one_hyperparameter_are_refused(settings: dict[str, Any], wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        boosted(**settings)


def test_the_classic_linear_learner_takes_its_arguments_by_position_and_name() -> None:
    made = LinearLearner(
        "arn:aws:iam::1:role/r",
        1,
        "ml.m5.large",
        "binary_classifier",
        binary_classifier_model_selection_criteria="precision_at_target_recall",
        target_recall=0.95,
        positive_example_weight_mult="balanced",
        use_bias=True,
        num_models=4,
        use_lr_scheduler=False,
        normalize_data=True,
        backend=Recorder(),
    )
    plan = learned(made, made.record_set(ROWS, LABELS), 100)
    assert plan.hyperparameters == {
        "predictor_type": "binary_classifier",
        "binary_classifier_model_selection_criteria": "precision_at_target_recall",
        "target_recall": "0.95",
        "positive_example_weight_mult": "balanced",
        "use_bias": "true",
        "num_models": "4",
        "use_lr_scheduler": "false",
        "normalize_data": "true",
        "mini_batch_size": "100",
    }


def test_a_hyperparameter_is_an_attribute_too() -> None:
    made: Any = KMeans(k=3, backend=Recorder())
    made.epochs, made.tol = 5, 0.5
    assert (made.k, made.epochs, made.local_lloyd_tol, made.init_method) == (3, 5, 0.5, None)
    assert learned(made, ROWS).hyperparameters["local_lloyd_tol"] == "0.5"
    with pytest.raises(AttributeError, match="KMeans has no 'kk'"):
        _ = made.kk


def test_other_channels_take_files_of_their_kind(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"")
    (tmp_path / "rows.svm").write_text("1 0:2\n")
    inputs = learned(boosted(), train=tmp_path / "rows.svm", model=tmp_path / "model.tar.gz").inputs
    assert inputs["train"].content_type == "text/libsvm"
    assert inputs["model"].content_type == "application/x-sagemaker-model"
    with pytest.raises(UserError, match="channel model takes a file or a folder"):
        boosted().fit(train=(ROWS, LABELS), model=ROWS)
    with pytest.raises(UserError, match="XGBoost has no channel 'test'; its channels are train, validation"):
        boosted().fit(train=(ROWS, LABELS), test=(ROWS, LABELS))
