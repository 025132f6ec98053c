"""Real jobs and endpoints as processes of this machine: fit, look, deploy, ask, score files, come back later."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from scipy import sparse

from clary.sdk import (
    EndpointFailedError,
    Estimator,
    KMeans,
    Model,
    Predictor,
    RequestRefusedError,
    TrainingFailedError,
    TrainingInput,
    TrainingJob,
)
from clary.sdk import progress as progress_module
from clary.toolkit.errors import UserError

K, WIDTH = 3, 4
CENTERS = np.array([[0.0, 0, 0, 0], [10, 10, 0, 0], [0, 0, 10, 10]])
_RNG = np.random.default_rng(0)
ROWS = (CENTERS[_RNG.integers(0, K, 600)] + _RNG.normal(scale=0.3, size=(600, WIDTH))).astype(np.float32)
SETTINGS: dict[str, Any] = {"k": K, "init_method": "kmeans++", "seed": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def job(home: Path) -> TrainingJob:
    return KMeans(**SETTINGS, output=home).fit(train=ROWS, test=ROWS[:100], logs=False, job_name="first")


@pytest.fixture(scope="module")
def predictor(job: TrainingJob) -> Iterator[Predictor]:
    with job.deploy(workers=1) as made:
        yield made


@pytest.fixture(scope="module")
def expected(job: TrainingJob) -> np.ndarray[Any, Any]:
    """The index of the nearest of the job's centers for each row, by plain arithmetic."""
    from clary.toolkit.artifact import Artifact, opened

    with opened(Path(job.model_path)) as folder:
        (centers,) = (t for t in Artifact.read(folder).tensors.values() if t.shape == (K, WIDTH))
    nearest: np.ndarray[Any, Any] = np.argmin(((ROWS[:, None] - centers[None]) ** 2).sum(axis=2), axis=1)
    return nearest


def test_a_job_tells_what_it_did(job: TrainingJob, home: Path) -> None:
    assert (job.name, job.status, job.failure) == ("first", "Completed", None)
    assert job.model_path == home / "first/model.tar.gz"
    assert job.hyperparameters == {"k": "3", "init_method": "kmeans++", "feature_dim": "4"}
    assert 0 < job.metrics["test:msd"].value < 1
    assert "#quality_metric: host=algo-1, test msd <loss>=" in job.logs
    assert repr(job) == "TrainingJob('first', K-means, Completed)"
    with tarfile.open(job.model_path) as tar:
        assert "model.json" in tar.getnames()
    assert not (home / "first/data").exists()


@pytest.mark.slow
def test_the_same_rows_in_other_forms_give_the_same_model(job: TrainingJob, tmp_path: Path) -> None:
    names = list("abcd")
    pandas.DataFrame(ROWS[:300]).to_csv(tmp_path / "one.csv", header=False, index=False)
    pandas.DataFrame(ROWS[300:]).to_csv(tmp_path / "two.csv", header=False, index=False)
    forms: list[Any] = [
        str(tmp_path),
        pandas.DataFrame(ROWS, columns=names),
        polars.DataFrame(ROWS, schema=names),
        sparse.csr_matrix(ROWS),
    ]
    for number, form in enumerate(forms):
        again = KMeans(**SETTINGS, output=tmp_path / "jobs").fit(train=form, logs=False, job_name=f"form-{number}")
        assert again.metrics["train:msd"].value == pytest.approx(job.metrics["train:msd"].value, rel=1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are POSIX")
def test_pipe_mode_gives_the_same_model_over_several_passes(tmp_path: Path) -> None:
    pandas.DataFrame(ROWS).to_csv(tmp_path / "rows.csv", header=False, index=False)
    losses = []
    for mode in ("File", "Pipe"):
        made = KMeans(**SETTINGS, epochs=3, output=tmp_path / "jobs", input_mode=mode)
        losses.append(made.fit(train=tmp_path / "rows.csv", logs=False).metrics["train:msd"].value)
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_two_hosts_share_the_rows_and_make_one_model(job: TrainingJob, tmp_path: Path) -> None:
    pair = KMeans(**SETTINGS, instance_count=2, output=tmp_path).fit(train=ROWS, test=ROWS, logs=False)
    assert pair.status == "Completed"
    assert "algo-1 | " in pair.logs
    assert "algo-2 | " in pair.logs
    assert pair.metrics["test:msd"].value == pytest.approx(job.metrics["test:msd"].value, rel=0.5)
    with tarfile.open(pair.model_path) as tar:
        assert tar.getnames().count("model.json") == 1


def test_a_channel_may_have_settings_of_its_own(tmp_path: Path) -> None:
    for part in range(4):
        np.savetxt(tmp_path / f"{part}.csv", ROWS[part::4], delimiter=",")
    data = TrainingInput(tmp_path, distribution="ShardedByS3Key", content_type="text/csv;label_size=0")
    pair = KMeans(**SETTINGS, instance_count=2, output=tmp_path / "jobs").fit(train=data, logs=False)
    assert pair.status == "Completed"


def test_answers_are_columns(predictor: Predictor, expected: np.ndarray[Any, Any]) -> None:
    answers = predictor.predict(ROWS)
    np.testing.assert_array_equal(answers.closest_cluster, expected)
    np.testing.assert_array_equal(answers["closest_cluster"], answers.closest_cluster)
    assert len(answers) == len(ROWS)
    assert answers.distance_to_cluster.shape == (len(ROWS),)
    assert answers[3]["closest_cluster"] == expected[3]
    assert answers[3].label["closest_cluster"].float32_tensor.values == [float(expected[3])]
    assert answers[1:3].to_dict()["closest_cluster"] == expected[1:3].tolist()
    assert answers.to_pandas().shape == (len(ROWS), 2)
    assert [row["closest_cluster"] for row in answers][:5] == expected[:5].tolist()
    assert "and 590 more" in repr(answers)
    with pytest.raises(KeyError, match="they have closest_cluster, distance_to_cluster"):
        answers["cluster"]
    with pytest.raises(AttributeError, match="they have closest_cluster"):
        _ = answers.cluster


def test_rows_in_every_form_get_the_same_answers(predictor: Predictor) -> None:
    wanted = predictor.predict(ROWS[:5])
    forms: list[Any] = [
        ROWS[:5].astype(np.float64),
        ROWS[:5].tolist(),
        pandas.DataFrame(ROWS[:5]),
        polars.DataFrame(ROWS[:5]),
        sparse.csr_matrix(ROWS[:5]),
        {"instances": [{"features": row} for row in ROWS[:5].tolist()]},
        [{"features": row} for row in ROWS[:5].tolist()],
    ]
    assert all(predictor.predict(form) == wanted for form in forms)
    assert predictor.predict(ROWS[0]) == wanted[:1]


def test_formats_may_be_chosen(job: TrainingJob, predictor: Predictor, expected: np.ndarray[Any, Any]) -> None:
    first = expected[:2].tolist()
    text = "\n".join(",".join(map(str, row)) for row in ROWS[:2].tolist())
    csv = predictor.predict(text, {"ContentType": "text/csv", "Accept": "text/csv"})
    assert csv[:, 0].tolist() == first
    for kind in ("csv", "json", "jsonlines", "recordio"):
        asked = Predictor(predictor._connection, job.model.spec, serializer=kind, deserializer="jsonlines")
        assert [row["closest_cluster"] for row in asked.predict(ROWS[:2])] == first
    answered = Predictor(predictor._connection, job.model.spec, deserializer="json").predict(ROWS[:2])
    assert [row["closest_cluster"] for row in answered["predictions"]] == first
    assert (
        predictor.predict(ROWS[:2], {"Accept": "application/x-recordio-protobuf"}).closest_cluster.tolist() == first
    )
    assert json.loads(predictor.invoke(text.encode(), "text/csv"))["predictions"][0]["closest_cluster"] == first[0]


def test_more_rows_than_one_request_holds_are_sent_in_several(predictor: Predictor) -> None:
    many = np.tile(ROWS, (200, 1))
    answers = predictor.predict(many)
    assert len(answers) == len(many)
    assert answers[-len(ROWS) :] == predictor.predict(ROWS)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (np.zeros((1, 3)), "3 features, feature_dim is 4|3 features"),
        ("1,2,three,4", "three"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(predictor: Predictor, data: Any, wanted: str) -> None:
    with pytest.raises(RequestRefusedError, match=wanted) as caught:
        predictor.predict(data)
    assert caught.value.status == 400
    assert len(predictor.predict(ROWS[:1])) == 1


def test_bad_rows_are_refused_before_they_are_sent(job: TrainingJob, predictor: Predictor) -> None:
    with pytest.raises(UserError, match="row 1, column 2: there is no value"):
        predictor.predict([1.0, float("nan"), 0.0, 0.0])
    with pytest.raises(UserError, match="is no format: use csv, json"):
        Predictor(predictor._connection, job.model.spec, serializer="xml")
    with pytest.raises(TypeError, match="initial_args takes ContentType and Accept; got Speed"):
        predictor.predict(ROWS, {"Speed": "fast"})


def test_a_deleted_endpoint_refuses(job: TrainingJob) -> None:
    made = job.deploy(endpoint_name="short", workers=1)
    assert (made.endpoint_name, made.url.startswith("http://127.0.0.1:")) == ("short", True)
    made.delete_endpoint()
    made.close()
    assert "deleted" in repr(made)
    with pytest.raises(RequestRefusedError, match="endpoint short has been deleted"):
        made.predict(ROWS)


def test_a_server_that_is_gone_is_told_with_its_last_words(job: TrainingJob) -> None:
    made = job.deploy(workers=1)
    made._connection._endpoint.close()  # type: ignore[attr-defined]
    with pytest.raises(EndpointFailedError, match=r"cannot be reached.*it said last: "):
        made.predict(ROWS)


def test_whole_files_are_scored(job: TrainingJob, tmp_path: Path, expected: np.ndarray[Any, Any]) -> None:
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    pandas.DataFrame(ROWS[:300]).to_csv(source / "a.csv", header=False, index=False)
    pandas.DataFrame(ROWS[300:]).to_csv(source / "deep/b.csv.gz", header=False, index=False)
    written = job.transform(source, tmp_path / "out", workers=1)
    assert written == [tmp_path / "out/a.csv.out", tmp_path / "out/deep/b.csv.gz.out"]
    rows = [json.loads(line) for path in written for line in Path(path).read_text().splitlines()]
    assert [row["closest_cluster"] for row in rows] == expected.tolist()


def test_rows_in_memory_are_scored_in_the_classic_two_steps(
    home: Path, job: TrainingJob, tmp_path: Path, expected: np.ndarray[Any, Any]
) -> None:
    made = KMeans.attach(home / "first")
    transformer = made.transformer(instance_count=1, accept="text/csv", output_path=tmp_path)
    transformer.transform(ROWS[:50])
    transformer.wait()
    answers = np.loadtxt(transformer.outputs[0], delimiter=",")
    assert answers[:, 0].tolist() == expected[:50].tolist()


def test_a_file_with_a_bad_row_is_refused_whole(job: TrainingJob, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("1,2,3,4\n1,2,x,4\n")
    with pytest.raises(UserError, match=r"bad\.csv, records 1 to 2: .*row 2"):
        job.transform(tmp_path / "bad.csv", tmp_path / "out", workers=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_job_is_found_again(home: Path, job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    by_path = TrainingJob.attach(home / "first")
    assert (by_path.metrics["test:msd"].value, by_path.logs) == (job.metrics["test:msd"].value, job.logs)
    attached = KMeans.attach(home / "first")
    assert attached.hyperparameters() == dict(job.hyperparameters)
    assert attached.model_data == str(job.model_path)
    with pytest.raises(UserError, match="there is no job 'second'"):
        Estimator.attach("second")
    monkeypatch.setenv("CLARY_HOME", str(home / "user"))
    KMeans(**SETTINGS).fit(train=ROWS, logs=False, job_name="named")
    assert TrainingJob.attach("named").model_path == home / "user/jobs/named/model.tar.gz"


def test_a_name_is_taken_once(home: Path, job: TrainingJob) -> None:
    with pytest.raises(UserError, match="there is a job named 'first'"):
        KMeans(**SETTINGS, output=home).fit(train=ROWS, job_name="first")


def test_results_can_be_copied_out_and_used_without_the_job(job: TrainingJob, tmp_path: Path) -> None:
    job.save(tmp_path / "results")
    assert json.loads((tmp_path / "results/metrics.json").read_text()).keys() == job.metrics.keys()
    assert Model(tmp_path / "results/model.tar.gz").spec.name == "kmeans"
    with pytest.raises(UserError, match="there is no model at"):
        Model(tmp_path / "results/other.tar.gz")
    with pytest.raises(UserError, match="is no model archive"):
        Model(tmp_path / "results/metrics.json")


def test_curves_are_drawn(job: TrainingJob, tmp_path: Path) -> None:
    figure = job.plot(tmp_path / "curves.png")
    drawn = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert set(job.metrics) <= drawn, "reported once, so each is in the list"
    assert figure.get_suptitle() == "K-means, job first"
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_the_log_is_shown_as_plain_lines_away_from_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = KMeans(**SETTINGS, output=tmp_path).fit(train=ROWS)
    assert capsys.readouterr().out.rstrip("\n") == job.logs


def test_a_person_sees_a_bar_and_no_lines_for_machines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "interactive", lambda: True)
    lines = ["starting", '#metrics {"a": 1}', "#progress_metric: host=algo-1, completed 100.0 % of epochs"]
    progress_module.follow(lines, "my-job")
    shown = capsys.readouterr().out
    assert "starting" in shown
    assert "#metrics" not in shown
    assert "my-job" in shown
    progress_module.follow(["[0]\ttrain-rmse:2", "[1]\ttrain-rmse:1"], "rounds", rounds=2)
    assert "100%" in capsys.readouterr().out


def test_without_matplotlib_a_plot_says_what_to_install(job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'clary\[plot\]'"):
        job.plot()


def test_a_person_sees_how_much_of_a_file_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "interactive", lambda: True)
    with progress_module.bytes_progress("rows.csv", 100) as done:
        done(100)
    assert "rows.csv" in capsys.readouterr().out


def test_a_failed_job_raises_the_reason_and_stays_to_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2\n3,four\n")
    made = KMeans(k=1, output=tmp_path / "jobs")
    with pytest.raises(TrainingFailedError, match=r"training job bad failed: ClientError: .*rows\.csv.*row 2"):
        made.fit(train=tmp_path / "rows.csv", logs=False, job_name="bad")
    job = TrainingJob.attach(tmp_path / "jobs/bad")
    assert job.status == "Failed"
    assert "ClientError" in repr(job)
    with pytest.raises(UserError, match="has no model: its status is Failed"):
        _ = job.model_path


def test_a_job_in_the_background_can_be_stopped_and_an_interrupt_stops_one_that_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = KMeans(k=K, epochs=100_000, output=tmp_path)
    background = endless.fit(train=ROWS, wait=False, job_name="background")
    assert background.status == "InProgress"
    assert background.stop().status == "Stopped"

    def interrupted(lines: Any, title: str, **_: Any) -> None:
        next(iter(lines))
        raise KeyboardInterrupt

    monkeypatch.setattr("clary.sdk.job.follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        endless.fit(train=ROWS, job_name="awaited")
    assert endless.latest_training_job is not None
    assert endless.latest_training_job.status == "Stopped"


def test_nothing_of_the_cloud_is_needed(job: TrainingJob) -> None:
    assert not [name for name in os.environ if name.startswith("AWS_")]
    assert job.status == "Completed"
