"""A program ends with the process that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clary.runner.invocation import HttpClient, UnreachableError
from clary.toolkit.artifact import Artifact

OWNER = """
import sys, time
from pathlib import Path
from clary.runner.endpoint import LocalEndpoint
endpoint = LocalEndpoint(Path(sys.argv[1]), workers=2)
print(endpoint.url, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="other systems have no SIGKILL")
def test_a_server_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    centers = np.eye(3, dtype=np.float32)
    Artifact("kmeans", {"k": "3", "feature_dim": "3"}, {"feature_dim": 3}, {"centers": centers}).write(tmp_path)
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        client = HttpClient(owner.stdout.readline().strip(), timeout=2.0)
        assert client.get("/ping").status == 200
        owner.send_signal(signal.SIGKILL)
    client.close()
    deadline = time.monotonic() + 20
    while _answers(client):
        assert time.monotonic() < deadline, "the server outlived its owner"
        time.sleep(0.1)


def _answers(client: HttpClient) -> bool:
    try:
        return client.get("/ping").status == 200
    except UnreachableError:
        return False
    finally:
        client.close()
