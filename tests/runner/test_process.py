"""Child processes: their lines, their environment, their end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from clary.runner.process import Child, child_environment, explain_status

PROGRAM = """
import signal, sys, time
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
print("caf\\u00e9", file=sys.stderr)
if sys.argv[1] == "lines":
    sys.exit(4)
time.sleep(60)
"""


class Started:
    def __init__(self, folder: Path, how: str) -> None:
        self.lines: list[str] = []
        self.ended: list[bool] = []
        self.child = Child(
            ["program", how],
            folder=folder,
            environment=child_environment({"PYTHONPATH": str(folder)}),
            on_line=self.lines.append,
            on_end=lambda: self.ended.append(True),
        )

    def await_line(self) -> None:
        deadline = time.monotonic() + 20
        while "ready" not in self.lines:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_lines_of_both_streams_and_the_status_come_back(folder: Path) -> None:
    started = Started(folder, "lines")
    assert started.child.wait(20)
    assert sorted(started.lines) == ["café", "ready"]
    assert (started.child.status, started.ended, started.child.running) == (4, [True], False)


def test_a_child_that_obeys_ends_at_once(folder: Path) -> None:
    started = Started(folder, "obey")
    started.await_line()
    started.child.stop(20)
    assert not started.child.running
    if os.name == "posix":
        assert "SIGTERM" in explain_status(started.child.status)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is deaf to an end on Windows")
def test_a_child_that_does_not_obey_is_killed_after_the_grace(folder: Path) -> None:
    started = Started(folder, "deaf")
    started.await_line()
    assert not started.child.wait(0.05)
    started.child.stop(0.2)
    assert "SIGKILL" in explain_status(started.child.status)


def test_the_cloud_and_outer_jobs_stay_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "SM_MODEL_DIR", "SAGEMAKER_BATCH", "CLARY_ROOT"):
        monkeypatch.setenv(name, "outer")
    monkeypatch.setenv("CLARY_SEED", "7")
    monkeypatch.setenv("PYTHONPATH", "relative")
    found = child_environment({"MINE": "1"})
    assert not {"AWS_SECRET_ACCESS_KEY", "SM_MODEL_DIR", "SAGEMAKER_BATCH", "CLARY_ROOT"} & found.keys()
    assert (found["MINE"], found["CLARY_SEED"], found["PYTHONSAFEPATH"]) == ("1", "7", "1")
    assert found["PYTHONPATH"] == os.path.abspath("relative")


def test_an_unknown_status_is_still_explained() -> None:
    assert explain_status(3) == "ended with exit status 3"
    assert "signal 250" in explain_status(-250)
