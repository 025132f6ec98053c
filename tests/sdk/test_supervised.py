"""The algorithms that learn from labels, from a data frame to a picture of why, as real jobs of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from clary.sdk import LinearLearner, Predictor, TrainingJob, XGBoost

SICK, FLOWERS = (load(as_frame=True).frame for load in (load_breast_cancer, load_iris))
TEST = SICK.iloc[::4]
TRAIN = SICK.drop(TEST.index)
Fit = Callable[[Path], TrainingJob]


def linear(output: Path) -> TrainingJob:
    made = LinearLearner(predictor_type="binary_classifier", epochs=10, seed=1, output=output)
    return made.fit(train=TRAIN, validation=TEST, test=TEST, label="target", logs=False)


def boosted(output: Path) -> TrainingJob:
    made = XGBoost(num_round=30, objective="binary:logistic", eval_metric="logloss,error", output=output)
    return made.fit(train=TRAIN, validation=TEST, label="target", logs=False)


@pytest.fixture(scope="module", params=[linear, boosted], ids=["linear_learner", "xgboost"])
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    fit: Fit = request.param
    return fit(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="module")
def predictor(job: TrainingJob) -> Iterator[Predictor]:
    with job.deploy(workers=1) as made:
        yield made


def test_the_job_learns_and_reports_training_and_validation(job: TrainingJob, tmp_path: Path) -> None:
    assert {"train", "validation"} <= {name.partition(":")[0] for name in job.metrics}
    reported = max(job.metrics.values(), key=len)
    assert [point.epoch for point in reported] == list(range(len(reported)))
    titles = [axes.get_title(loc="left") for axes in job.plot(tmp_path / "curves.png").axes]
    assert set(titles) & {"logloss", "objective_loss"}


def test_scores_tell_the_sick_from_the_healthy(predictor: Predictor) -> None:
    rows = TEST.drop(columns="target")
    answers = predictor.predict(rows)
    right = (answers.score > 0.5) == TEST["target"].to_numpy()
    assert right.mean() > 0.93
    assert answers[0].label["score"].float32_tensor.values == pytest.approx([float(answers.score[0])])
    for kind in ("csv", "recordio"):
        answered = predictor.predict(
            rows, {"Accept": {"csv": "text/csv"}.get(kind, "application/x-recordio-protobuf")}
        )
        column = answered[:, -1] if kind == "csv" else np.ravel(answered.score)
        np.testing.assert_allclose(column, answers.score, rtol=1e-5)


def test_explanations_add_up_to_the_score_and_can_be_looked_at(predictor: Predictor, tmp_path: Path) -> None:
    rows = TEST.drop(columns="target")
    found = predictor.explain(rows)
    assert found.names == list(rows.columns)
    assert found.contributions.shape == rows.shape
    np.testing.assert_allclose(1 / (1 + np.exp(-found.margins)), found.scores, atol=1e-4)
    np.testing.assert_allclose(found.scores, predictor.predict(rows).score, rtol=1e-5)
    found.plot(tmp_path / "over.png")
    found.plot(tmp_path / "one.png", row=3)
    assert found.to_pandas().shape == (len(rows), 32)


def flowers(make: Callable[..., Any], output: Path, **settings: Any) -> TrainingJob:
    job: TrainingJob = make(output=output, **settings).fit(train=FLOWERS, label="target", logs=False)
    return job


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (LinearLearner, {"predictor_type": "multiclass_classifier", "num_classes": 3, "seed": 1}),
        (XGBoost, {"num_round": 10, "objective": "multi:softprob", "num_class": 3}),
    ],
    ids=["linear_learner", "xgboost"],
)
def test_each_class_has_scores_and_an_explanation_of_its_own(
    make: Callable[..., Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    rows = FLOWERS.drop(columns="target")
    with flowers(make, tmp_path, **settings).deploy(workers=1) as predictor:
        answers, found = predictor.predict(rows), predictor.explain(rows)
    assert (answers.score.argmax(axis=1) == FLOWERS["target"]).mean() > 0.9
    assert found.contributions.shape == (150, 3, 4)
    power = np.exp(found.margins - found.margins.max(axis=1, keepdims=True))
    np.testing.assert_allclose(power / power.sum(axis=1, keepdims=True), answers.score, atol=1e-4)
    assert found.plot(class_=2).get_suptitle().endswith("class 2: what moves the score, over 150 rows and 4 features")


def test_missing_values_are_learned_from_and_scored(tmp_path: Path) -> None:
    rows = TRAIN.drop(columns="target").convert_dtypes()
    holes = rows.mask(np.add.outer(np.arange(rows.shape[0]), np.arange(rows.shape[1])) % 5 == 0, pandas.NA)
    job = XGBoost(num_round=5, objective="binary:logistic", output=tmp_path).fit(
        train=(holes, TRAIN["target"]), logs=False
    )
    with job.deploy(workers=1) as predictor:
        assert np.isfinite(predictor.predict(holes).score).all()
        explained = predictor.explain(holes.iloc[:6])
    assert "no value" in " ".join(text.get_text() for text in explained.plot(row=0).axes[0].get_yticklabels())


def test_zeros_of_dense_rows_are_values_in_every_form(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 3, (400, 4)).astype(np.float32)
    job = XGBoost(num_round=10, output=tmp_path).fit(train=(rows, rows @ [1.0, 2.0, 3.0, 4.0]), logs=False)
    with job.deploy(workers=1) as predictor:
        wanted = predictor.predict(rows[:50]).score
        for kind in ("text/csv", "text/libsvm", "application/x-recordio-protobuf"):
            found = predictor.predict(rows[:50], {"ContentType": kind}).score
            np.testing.assert_array_equal(found, wanted, err_msg=kind)
