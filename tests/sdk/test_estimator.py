"""Estimators: hyperparameters in all their names, channels in all their forms, refusals before anything starts."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.runner.metrics import Metrics
from clary.sdk import Estimator, KMeans, RecordSet
from clary.sdk.backend import Plan, Resources
from clary.sdk.generation import render_estimators
from clary.sdk.local import LocalBackend
from clary.toolkit.errors import HyperparameterError, UserError

ROWS = np.arange(6.0).reshape(3, 2)


class Handle:
    """A job that is over before it began."""

    algorithm, resources = "kmeans", Resources()

    def __init__(self, plan: Plan) -> None:
        self.name, self.hyperparameters = plan.name, plan.hyperparameters

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
    assert signature.parameters["local_lloyd_max_iter"].default == 300
    assert "Number of clusters of the final model. An integer at least 1." in " ".join((KMeans.__doc__ or "").split())
