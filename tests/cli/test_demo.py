"""``clary demo``: ends by itself, shows what it did, and what it suggests works."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from command import clary
from exam.programs import clean_environment


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the shell that splits the lines is a POSIX one")
def test_the_demo_runs_twice_and_its_suggestions_work(tmp_path: Path) -> None:
    for _ in range(2):
        done = clary("demo", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
    for part in ("test:msd", "curve", "cluster", "out/demo/model.tar.gz", "█"):
        assert part in done.stdout
    assert sorted(path.name for path in (tmp_path / "out/demo").iterdir()) == [
        "digits.csv",
        "metrics.json",
        "model.tar.gz",
    ]
    suggested = [line.strip() for line in done.stdout.partition("Try next")[2].splitlines() if line.strip()]
    assert len(suggested) == 6
    for line in suggested:
        if " serve " in line or "curl" in line:
            continue
        ended = subprocess.run(
            shlex.split(line), cwd=tmp_path, env=clean_environment(), capture_output=True, check=False
        )
        assert ended.returncode == 0, (line, ended.stderr)
