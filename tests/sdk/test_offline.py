"""With no network at all, not even the loopback one, jobs and endpoints work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import numpy as np
from clary.sdk import KMeans

rows = np.arange(40, dtype=np.float32).reshape(20, 2)
job = KMeans(k=2, output=sys.argv[1]).fit(train=rows, logs=False)
with job.deploy(workers=1) as predictor:
    print(predictor.url.partition(":")[0], len(predictor.predict(rows)))
"""


def sandbox() -> list[str]:
    """The command that runs another in a network of its own, without addresses; empty where that is not allowed."""
    for options in ([], ["--map-root-user"]):
        command = ["unshare", *options, "--net"]
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return []


def test_fit_deploy_and_predict_work_in_a_sandbox_without_network(tmp_path: Path) -> None:
    command = sandbox()
    if not command:
        pytest.skip("this system lets nobody make a network namespace")
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("unix 20\n", 0), done.stderr
