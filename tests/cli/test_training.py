"""``clary train``: from files to a model archive and metrics, for people and for scripts."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from clary.algorithms import registry
from clary.cli.main import run
from command import PROGRAM, clary
from exam.programs import clean_environment

Finished = subprocess.CompletedProcess[str]


@pytest.mark.parametrize("name", registry.NAMES)
def test_help_lists_the_channels_and_hyperparameters_of_the_algorithm(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", name, "--help"]) == 0
    shown, spec = " ".join(capsys.readouterr().out.split()), registry.spec(name)
    for channel in spec.channels:
        assert f"--{channel.name} PATH" in shown
    for hyperparameter in spec.hyperparameters.parameters().values():
        assert f" {hyperparameter.name} {hyperparameter.doc}" in shown


def test_train_writes_the_model_and_the_history_of_each_metric(training: Finished, model: Path) -> None:
    written = json.loads((model.parent / "metrics.json").read_text())
    assert {"test:msd", "train:msd", "train:progress", "train:throughput"} <= set(written)
    assert written["test:msd"]["goal"] == "Minimize"
    assert 600 < written["test:msd"]["value"] < 750
    progress = [point["value"] for point in written["train:progress"]["history"]]
    assert progress[-1] == written["train:progress"]["value"] == 100
    assert progress == sorted(progress)
    assert sorted(path.name for path in model.parent.iterdir()) == ["metrics.json", "model.tar.gz"]


def test_piped_output_is_plain_log_lines_then_the_metrics_and_what_to_do_next(training: Finished) -> None:
    lines = training.stdout.splitlines()
    assert "\x1b" not in training.stdout
    assert any(
        re.match(r"\[\d\d/\d\d/\d{4} .* INFO \d+\] #quality_metric: host=algo-1, test msd <loss>=", line)
        for line in lines
    )
    assert any(re.match(r" +test:msd +[\d.]+ +lower", line) for line in lines)
    assert training.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="the shell that splits the line is a POSIX one")
def test_the_next_commands_work_as_they_are_printed(training: Finished, model: Path) -> None:
    suggested = training.stdout.partition("next:\n")[2].splitlines()
    predict = next(line for line in suggested if " predict " in line)
    folder = model.parent.parent
    command = shlex.split(predict)
    done = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((folder / "out" / "scores.jsonl").read_text().splitlines()) == 1797


def test_json_is_one_object_and_the_log_goes_elsewhere(digits: Path, tmp_path: Path) -> None:
    done = clary("train", "kmeans", "--train", digits, "-p", "k=3", "--output", "new/out", "--json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert set(result) == {"algorithm", "model", "metrics_file", "metrics", "hyperparameters", "seconds"}
    assert (tmp_path / result["model"]).is_file()
    assert (tmp_path / result["metrics_file"]).is_file()
    assert result["metrics"]["train:progress"] == 100
    assert result["hyperparameters"] == {"k": "3", "feature_dim": "64"}
    assert "#progress_metric" in done.stderr


def test_channels_types_hosts_seed_and_input_mode_reach_the_job(tmp_path: Path) -> None:
    rows = np.random.default_rng(5).normal(size=(600, 3)).round(3)
    (tmp_path / "labeled.txt").write_text("".join(f"7,{a},{b},{c}\n" for a, b, c in rows))
    (tmp_path / "plain.csv").write_text("".join(f"{a},{b},{c}\n" for a, b, c in rows[:50]))
    mode = "Pipe" if os.name == "posix" else "FastFile"
    done = clary(
        *("train", "kmeans", "--channel", "train=labeled.txt", "--test", "plain.csv", "-p", "k=4"),
        *("--content-type", "train=text/csv;label_size=1", "--input-mode", mode, "--hosts", "2", "--seed", "3"),
        *("--checkpoint", "kept", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hyperparameters"]["feature_dim"] == "3"
    assert "algo-2 | " in done.stderr
    assert (tmp_path / "kept").is_dir()


def test_hosts_share_out_files_and_hyperparameters_have_other_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in range(4):
        rows = rng.normal(size=(100, 3))
        labeled = np.column_stack([rows.sum(axis=1) > 0, rows])
        (tmp_path / "parts").mkdir(exist_ok=True)
        np.savetxt(tmp_path / "parts" / f"{part}.csv", labeled, delimiter=",", fmt="%g")
    done = clary(
        *("train", "xgboost", "--train", "parts", "--validation", "parts", "--shard", "train", "--hosts", "2"),
        *("-p", "num_round=5", "-p", "learning_rate=0.5", "-p", "objective=binary:logistic", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["hyperparameters"] == {"num_round": "5", "eta": "0.5", "objective": "binary:logistic"}
    assert result["metrics"]["validation:logloss"] < 0.4
    refused = clary(
        "train", "xgboost", "--train", "parts", "--shard", "validation", "-p", "num_round=1", cwd=tmp_path
    )
    assert refused.returncode == 2
    assert "--shard validation: there is no data for this channel" in refused.stderr


def test_a_width_that_has_an_upper_limit_is_taken_from_the_data(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("".join(f"{number},{number % 7}\n" for number in range(60)))
    done = clary("train", "random_cut_forest", "--train", rows, "-p", "num_trees=50", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert '"feature_dim": "2"' in done.stdout + done.stderr


def test_a_job_that_fails_says_why_in_one_line_and_leaves_no_model(digits: Path, tmp_path: Path) -> None:
    done = clary("train", "kmeans", "--train", digits, "-p", "k=5000", "--output", "out", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("clary: channel train: the first batch has 1797 rows, too few for k = 5000")
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_job_and_leaves_nothing_behind(number: int, digits: Path, tmp_path: Path) -> None:
    command = [*PROGRAM, "train", "kmeans", "--train", str(digits), "-p", "k=10", "-p", "epochs=100000"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = next(line for line in process.stdout if "#progress_metric" in line)
        assert seen
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "the model so far is" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.json", "model.tar.gz"]
