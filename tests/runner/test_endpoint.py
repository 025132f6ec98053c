"""An endpoint on this machine: up when it says so, gone when it is closed, clear when it cannot be."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from clary.runner import endpoint as endpoint_module
from clary.runner.endpoint import LocalEndpoint, loopback_works
from clary.runner.invocation import HttpClient
from clary.toolkit.artifact import Artifact, pack
from clary.toolkit.errors import PlatformError, UserError

CSV = {"Content-Type": "text/csv", "Accept": "application/json"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with two centers, written as training writes it."""
    centers = np.array([[0, 0], [3, 4]], dtype=np.float32)
    Artifact("kmeans", {"k": "2", "feature_dim": "2"}, {"feature_dim": 2}, {"centers": centers}).write(
        tmp_path / "model"
    )
    return tmp_path / "model"


def closest(url: str, row: str) -> float:
    client = HttpClient(url)
    try:
        answer = client.invoke(row.encode(), CSV)
        assert answer.status == 200
        return float(json.loads(answer.body)["predictions"][0]["closest_cluster"])
    finally:
        client.close()


def test_a_folder_is_served_in_place_and_left_as_it_was(model: Path) -> None:
    before = sorted(path.name for path in model.iterdir())
    with LocalEndpoint(model, workers=1) as endpoint:
        assert closest(endpoint.url, "3,3") == 1.0
        states = [endpoint.running]
        host, port = endpoint.url.removeprefix("http://").split(":")
    assert [*states, endpoint.running] == [True, False]
    assert sorted(path.name for path in model.iterdir()) == before
    with socket.socket() as caller, pytest.raises(OSError):
        caller.connect((host, int(port)))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_without_a_network_an_archive_is_served_over_a_unix_socket(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "loopback_works", lambda: False)
    pack(model, tmp_path / "model.tar.gz")
    with LocalEndpoint(tmp_path / "model.tar.gz", workers=1) as endpoint:
        assert endpoint.url.startswith("unix:/")
        assert closest(endpoint.url, "0,1") == 0.0


def test_the_loopback_network_of_this_machine_is_seen() -> None:
    assert loopback_works()


def test_a_path_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no model at"):
        LocalEndpoint(tmp_path / "model.tar.gz")
    (tmp_path / "model.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be unpacked as a model archive"):
        LocalEndpoint(tmp_path / "model.tar.gz")


def test_what_the_server_says_about_a_model_that_it_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(UserError, match=r"notes\.txt"):
        LocalEndpoint(tmp_path, workers=1)


def test_a_server_that_is_not_up_in_time_is_ended(model: Path) -> None:
    with pytest.raises(PlatformError, match="did not answer /ping within 0 s"):
        LocalEndpoint(model, workers=1, timeout=0.0)


@pytest.mark.parametrize("url", ["https://somewhere", "127.0.0.1:8080", "unix:"])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is needed; got"):
        HttpClient(url)
