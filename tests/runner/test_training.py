"""Jobs on this machine, from start to packed artifact; a program of our own plays the part of the container."""

from __future__ import annotations

import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from clary.runner.request import ChannelRequest, TrainingRequest
from clary.runner.training import start_training
from clary.runner.view import JobView, LogLine
from clary.toolkit.errors import PlatformError

if sys.platform == "win32":
    pytest.skip("the stand-in program is started by a shell", allow_module_level=True)

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path

root = Path(sys.argv[sys.argv.index("--root") + 1])
host = json.loads((root / "input/config/resourceconfig.json").read_text())["current_host"]
play = json.loads((root / "input/config/hyperparameters.json").read_text())[host]

def finish(*_):
    (root / "model/half").write_text("so far")
    sys.exit(0)

print("host", host, os.environ.get("CLARY_RENDEZVOUS"), os.environ["TRAINING_JOB_NAME"], os.environ.get("CLARY_SEED"))
if play == "fail":
    (root / "output/failure").write_text("ClientError: row 3 is bad")
    sys.exit(1)
if play == "vanish":
    os.kill(os.getpid(), signal.SIGKILL)
if play in ("wait", "deaf"):
    signal.signal(signal.SIGTERM, finish if play == "wait" else signal.SIG_IGN)
    print("waiting")
    time.sleep(60)
print("#quality_metric: host=%s, train msd <loss>=0.5" % host)
(root / "model" / ("model_" + host)).write_text(host)
(root / "output/data/notes.txt").write_text("other")
"""


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data file; the training program is the one above."""
    (tmp_path / "program.py").write_text(PROGRAM)
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{tmp_path}/program.py" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    (tmp_path / "rows.csv").write_text("1,2\n")
    return tmp_path


def start(folder: Path, **changes: Any) -> JobView:
    hosts = changes.get("hosts", 1)
    plays = changes.pop("plays", ["work"] * hosts)
    settings: dict[str, Any] = {
        "name": "job",
        "algorithm": "kmeans",
        "hyperparameters": {f"algo-{number + 1}": play for number, play in enumerate(plays)},
        "channels": {"train": ChannelRequest(sources=(folder / "rows.csv",), content_type="text/csv")},
    }
    return start_training(TrainingRequest(**(settings | changes)), folder / "job")


def members(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return sorted(tar.getnames())


def await_line(view: JobView, text: str) -> None:
    assert any(line.text == text for line in view.lines())


def test_a_completed_job_has_model_output_metrics_and_log(played: Path) -> None:
    view = start(played, seed=11)
    texts = [line.text for line in view.lines()]
    state = view.wait(30)
    assert (state.status, state.secondary, state.failure) == ("Completed", "Completed", None)
    assert texts == ["host algo-1 None job 11", "#quality_metric: host=algo-1, train msd <loss>=0.5"]
    assert members(view.folder.model) == ["model_algo-1"]
    assert members(view.folder.output) == ["notes.txt"]
    written = json.loads(view.folder.metrics.read_text())
    assert (written["train:msd"]["goal"], written["train:msd"]["value"]) == ("Minimize", 0.5)
    assert view.metrics()["train:msd"].value == 0.5
    assert (played / "rows.csv").read_text() == "1,2\n"


def test_several_hosts_share_one_meeting_place_and_one_archive(played: Path) -> None:
    view = start(played, hosts=2)
    assert view.wait(30).status == "Completed"
    places = {line.text.split()[2] for line in view.log() if line.text.startswith("host")}
    assert len(places) == 1
    assert places.pop().startswith("127.0.0.1:")
    assert members(view.folder.model) == ["model_algo-1", "model_algo-2"]


def test_a_failure_is_told_in_the_programs_own_words(played: Path) -> None:
    state = start(played, plays=["fail"]).wait(30)
    assert (state.status, state.failure) == ("Failed", "ClientError: row 3 is bad")
    assert not (played / "job/model.tar.gz").exists()


def test_when_one_host_fails_the_others_are_ended(played: Path) -> None:
    began = time.monotonic()
    state = start(played, hosts=2, plays=["wait", "fail"]).wait(30)
    assert (state.status, state.failure) == ("Failed", "ClientError: row 3 is bad")
    assert time.monotonic() - began < 20


def test_a_program_that_is_killed_fails_with_the_signal_and_its_last_lines(played: Path) -> None:
    state = start(played, plays=["vanish"]).wait(30)
    assert state.failure is not None
    assert "SIGKILL" in state.failure


def test_a_stopped_job_keeps_the_model_so_far(played: Path) -> None:
    view = start(played, plays=["wait"])
    for line in view.lines():
        if line.text == "waiting":
            JobView(played / "job").stop()  # As another program would: through the folder alone.
    state = view.wait(30)
    assert (state.status, state.secondary, state.failure) == ("Stopped", "Stopped", None)
    assert members(view.folder.model) == ["half"]


def test_a_program_that_does_not_stop_is_killed(played: Path) -> None:
    view = start(played, plays=["deaf"], stop_grace=0.2)
    for line in view.lines():
        if line.text == "waiting":
            view.stop()
    assert view.wait(30).status == "Stopped"
    assert not view.folder.model.exists()


def test_a_job_that_runs_too_long_is_stopped(played: Path) -> None:
    state = start(played, plays=["wait"], timeout=1.0).wait(30)
    assert (state.status, state.secondary) == ("Stopped", "MaxRuntimeExceeded")


def test_waiting_has_its_own_patience(played: Path) -> None:
    view = start(played, plays=["wait"])
    assert view.wait(0.01).status == "InProgress"
    view.stop()
    assert view.wait(30).status == "Stopped"


def test_a_lost_job_reads_as_failed(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = start(played, plays=["wait"])
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + 3600)
    lost = view.state()
    monkeypatch.undo()
    view.stop()
    view.wait(30)
    assert lost.status == "Failed"
    assert lost.failure == "InternalServerError: the program that ran the job ended before the job did"


def test_log_lines_read_back() -> None:
    line = LogLine(1_900_000_000.25, "algo-1", "[a] b  c ")
    assert LogLine.parse(str(line)) == line


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is always full")
def test_a_full_disk_ends_the_job_and_is_named(played: Path) -> None:
    (played / "job").mkdir()
    (played / "job/job.log").symlink_to("/dev/full")
    state = start(played, plays=["wait"]).wait(30)
    assert state.status == "Failed"
    assert state.failure is not None
    assert state.failure.startswith(f"InternalServerError: the job cannot write to {played / 'job'}: No space left")
    assert "free some space" in state.failure
    assert (played / "job/metrics.json").exists()
    assert not (played / "job/reserve").exists()


def test_a_job_that_cannot_begin_says_where_it_could_not_write(played: Path) -> None:
    (played / "job").write_text("a file, no folder")
    with pytest.raises(PlatformError, match=f"cannot write to {played / 'job'}: File exists"):
        start(played)
