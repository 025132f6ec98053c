"""``clary serve``: the containers' server, from start to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from command import PROGRAM
from exam.programs import clean_environment


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signal that asks a process to end")
def test_serve_answers_like_the_container_until_it_is_interrupted(model: Path, digits: Path) -> None:
    command = [*PROGRAM, "serve", str(model), "--port", "0", "--workers", "1"]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        log = iter(process.stdout)
        port = next(found.group(1) for line in log if (found := re.search(r"Listening on 127\.0\.0\.1:(\d+)", line)))
        assert next(line for line in log if "ready" in line)
        first = digits.read_bytes().partition(b"\n")[0]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", first, {"Content-Type": "text/csv"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            (prediction,) = json.loads(answer.read())["predictions"]
        assert set(prediction) == {"closest_cluster", "distance_to_cluster"}
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
