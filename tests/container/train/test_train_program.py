"""The train program as the platform runs it: settings, log lines, exit status, and what lies in the folders after."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from clary.algorithms import registry
from clary.container import __main__ as entry
from clary.container import train_program
from clary.toolkit.codecs import recordio
from clary.toolkit.errors import PlatformError
from clary.toolkit.job import Job
from exam.pipes import Feeder, feeding
from exam.programs import clean_environment
from exam.room import Outcome, Room, ask_to_stop, once

SPEC = registry.spec("kmeans")
CSV = "text/csv;label_size=0"
ROWS = b"".join(b"%d,%d\n" % (number % 3 * 10, number % 2) for number in range(60))
PREFIX = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A k-means job on sixty rows."""
    made = Room(tmp_path / "ml", SPEC).configure({"k": "3", "feature_dim": "2", "mini_batch_size": "20"})
    return made.channel("train", {"rows.csv": ROWS}, CSV)


def broken(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make the algorithm fail with this error."""

    def train(_: Job[Any]) -> None:
        raise error

    monkeypatch.setattr(registry, "trainer", lambda _: train)


# Settings


def test_the_final_configuration_has_every_value_and_the_keys_set_aside(room: Room) -> None:
    given = {
        "k": "3.0",
        "feature_dim": "2",
        "force_dense": "True",
        "_tuning_objective_metric": "test:msd",
        "epochs": "",
    }
    log = room.configure(given).train().succeeded().log
    final = json.loads(next(line for line in log.splitlines() if "Final configuration" in line).partition(": ")[2])
    assert (final["k"], final["epochs"], final["init_method"]) == ("3", "1", "random")
    assert (final["force_dense"], final["_tuning_objective_metric"]) == ("True", "test:msd")
    assert all(isinstance(value, str) for value in final.values())


@pytest.mark.parametrize("seed", ["-1", "1.5", "seed", "2147483648", "1e3"])
def test_a_seed_that_is_none_is_refused(room: Room, seed: str) -> None:
    failure = room.train(CLARY_SEED=seed).refused()
    assert failure == f"ClientError: CLARY_SEED must be an integer from 0 to 2147483647; got {seed!r}"


def test_the_seed_is_0_where_none_is_given(room: Room) -> None:
    models = [room.train(CLARY_SEED=seed).succeeded().model for seed in ("", "0", " 0 ")]
    assert models[0] == models[1] == models[2]


@pytest.mark.parametrize("address", ["7070", "host", "host:port", ":7070"])
def test_a_rendezvous_that_is_none_is_refused(room: Room, address: str) -> None:
    assert "CLARY_RENDEZVOUS must be host:port" in room.train(CLARY_RENDEZVOUS=address).refused()


def test_the_root_and_the_algorithm_come_from_the_environment(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARY_ROOT", str(room.root))
    monkeypatch.setenv("CLARY_ALGORITHM", "kmeans")
    assert train_program.main([]) == 0
    assert room.layout.model.is_dir()


def test_a_job_without_an_algorithm_is_refused(room: Room) -> None:
    assert train_program.main(["--root", str(room.root)]) == 1
    assert "set CLARY_ALGORITHM or give --algorithm" in room.layout.failure.read_text()


def test_an_algorithm_on_one_host_refuses_more(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    alone = replace(SPEC, capabilities=replace(SPEC.capabilities, hosts=False))
    monkeypatch.setattr(registry, "spec", lambda _: alone)
    failure = room.hosts("algo-1", "algo-2").train().refused()
    assert failure == "ClientError: K-means trains on one host; the job has 2"


# The log


def test_every_line_has_the_prefix_of_the_platform_but_the_summaries(room: Room) -> None:
    lines = room.train().succeeded().log.splitlines()
    for line in lines:
        assert line.startswith("#metrics {") or re.match(PREFIX, line), line
    assert "Reading default configuration from" in lines[0]
    assert f"Merging with provided configuration from {room.layout.hyperparameters}" in lines[1]
    assert "Final configuration: {" in lines[2]


def test_metric_lines_are_those_of_the_managed_algorithm(room: Room) -> None:
    log = room.channel("test", {"rows.csv": ROWS}, CSV).train().succeeded().log
    for pattern in (
        r"#quality_metric: host=algo-1, test msd <loss>=\S+",
        r"#quality_metric: host=algo-1, train msd <loss>=\S+",
        r"#progress_metric: host=algo-1, completed 100\.0 % of epochs",
        r"#throughput_metric: host=algo-1, train throughput=\S+ records/second",
    ):
        assert re.search(f"^{PREFIX}{pattern}$", log, re.MULTILINE), pattern


def test_the_closing_summary_counts_milliseconds(room: Room) -> None:
    began = time.time()
    *_, last = room.train().succeeded().log.splitlines()
    summary = json.loads(last.removeprefix("#metrics "))
    spent = summary["Metrics"]["totaltime"]
    assert summary["Dimensions"] == {"Algorithm": "KMeans", "Host": "algo-1", "Operation": "training"}
    assert began <= summary["StartTime"] <= summary["EndTime"]
    assert spent["count"] == 1
    assert spent["sum"] == pytest.approx((summary["EndTime"] - summary["StartTime"]) * 1000)


def test_a_refusal_is_one_line_of_the_log(room: Room) -> None:
    outcome = room.channel("train", {"rows.csv": b"a\nb"}, CSV).train()
    outcome.refused()
    (line,) = [line for line in outcome.log.splitlines() if "Customer Error: " in line]
    assert re.match(r"\[.* ERROR \d+\] Customer Error: channel train, file rows\.csv, row 1", line)


# Failures


def test_a_bug_is_an_algorithm_error_with_a_traceback_in_the_log_alone(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch, ZeroDivisionError("division by zero"))
    outcome = room.train()
    assert outcome.code == 1
    assert outcome.failure.startswith("AlgorithmError: ZeroDivisionError: division by zero; this is a bug")
    assert "Traceback" not in outcome.failure
    assert "Traceback" in capsys.readouterr().err
    assert outcome.model == {}


def test_a_machine_that_fails_is_an_algorithm_error(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, PlatformError("the disk is full; make room"))
    outcome = room.train()
    assert (outcome.code, outcome.failure) == (1, "AlgorithmError: the disk is full; make room")


def test_a_success_removes_an_earlier_failure(room: Room) -> None:
    room.layout.output.mkdir()
    room.layout.failure.write_text("AlgorithmError: from another time")
    assert room.train().succeeded().failure == ""


def test_a_model_folder_that_cannot_be_written_is_told(room: Room) -> None:
    room.layout.model.write_text("in the way")
    outcome = room.train()
    assert outcome.code == 1
    assert outcome.failure.startswith("AlgorithmError: the machine failed: ")
    assert "model" in outcome.failure


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["tarin"]) == 2
    assert "usage: " in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        train_program.main(["--no-such-option"])
    assert caught.value.code == 2


def test_the_container_program_trains(room: Room) -> None:
    outcome = room.start().outcome().succeeded()
    assert outcome.log.splitlines()[0] == "Docker entrypoint called with argument(s): train"


def test_a_refusal_needs_no_numerical_library(room: Room) -> None:
    room.configure({"k": "many"})
    code = (
        "import sys; from clary.container import train_program; "
        f"code = train_program.main(['--root', {str(room.root)!r}, '--algorithm', 'kmeans']); "
        "assert code == 1; assert not {'numpy', 'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=clean_environment(), check=True, capture_output=True, timeout=60)


# Input


def centers(outcome: Outcome) -> list[list[float]]:
    found: list[list[float]] = outcome.succeeded().artifact().tensors["centers"].round(3).tolist()
    return sorted(found)


@needs_fifos
def test_pipe_mode_without_content_type_holds_recordio(room: Room) -> None:
    from exam import material

    content = b"".join(material.files(SPEC, "train", most=50).values())
    room.configure({"k": "3", "feature_dim": "64", "epochs": "2"}).channel("train", {}, TrainingInputMode="Pipe")
    with feeding(room.layout.data, {"train": content}):
        room.train().succeeded()


@needs_fifos
def test_wrapped_objects_are_unwrapped_in_pipe_mode(room: Room) -> None:
    expected = centers(room.train())
    room.channel("train", {}, CSV, TrainingInputMode="Pipe", RecordWrapperType="RecordIO")
    half = ROWS.index(b"\n", len(ROWS) // 2) + 1
    wrapped = recordio.frame(ROWS[:half]) + recordio.frame(ROWS[half:])
    with feeding(room.layout.data, {"train": wrapped}):
        assert centers(room.train()) == expected


@needs_fifos
def test_an_empty_fifo_is_refused(room: Room) -> None:
    room.channel("train", {}, CSV, TrainingInputMode="Pipe")
    with feeding(room.layout.data, {"train": b""}):
        assert "channel train: there is no row" in room.train().refused()


@needs_fifos
def test_a_late_fifo_is_waited_for(room: Room) -> None:
    expected = centers(room.train())
    room.channel("train", {}, CSV, TrainingInputMode="Pipe")
    with Feeder(room.layout.data / "train", [ROWS], late=0.4):
        assert centers(room.train()) == expected


@needs_fifos
def test_a_stop_while_no_fifo_comes_ends_the_job(room: Room) -> None:
    room.channel("train", {}, CSV, TrainingInputMode="Pipe")
    stop = once("Final configuration", lambda: threading.Timer(0.3, ask_to_stop).start())
    assert "stopped" in room.train(watch=stop).refused()


def test_a_channel_without_an_entry_is_found_by_its_folder(room: Room) -> None:
    from exam import material

    expected = room.configure({"k": "3", "feature_dim": "64"})
    room.layout.channels.unlink()
    (room.layout.data / "train" / "rows.csv").unlink()
    for name, content in material.files(SPEC, "train", most=50).items():
        (room.layout.data / "train" / name).write_bytes(content)
    expected.train().succeeded()


# Checkpoints and stop


def test_progress_is_kept_only_where_the_platform_asks(room: Room) -> None:
    room.train().succeeded()
    assert not room.layout.checkpoints.exists()
    room.layout.checkpoints.mkdir()
    room.train().succeeded()
    assert len(list(room.layout.checkpoints.iterdir())) == 1


def test_a_damaged_checkpoint_is_refused(room: Room) -> None:
    room.layout.checkpoints.mkdir()
    room.train().succeeded()
    (path,) = room.layout.checkpoints.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    outcome = room.train()
    assert outcome.failure.startswith("ClientError: the checkpoint ")
    assert "empty the checkpoint folder to start over" in outcome.failure


def test_a_stop_during_scoring_keeps_the_model(room: Room) -> None:
    room.channel("test", {"rows.csv": ROWS}, CSV)
    outcome = room.train(watch=once("train msd", ask_to_stop)).succeeded()
    assert outcome.metrics["test:msd"] == []
