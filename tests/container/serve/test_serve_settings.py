"""What the environment and the command line say about a server, and what the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.container import machine
from clary.container.serve_settings import MEBIBYTE, ServeSettings
from clary.toolkit.errors import UserError


def test_the_contracts_defaults() -> None:
    found = ServeSettings.read({})
    assert (found.port, found.host, str(found.layout.root)) == (8080, "0.0.0.0", "/opt/ml")
    assert found.payload_limit == 6_291_456
    assert found.advised_payload_mb == 6
    assert found.workers == found.cores >= 1
    assert not found.batch
    assert not found.multi_model


def test_the_platforms_variables_are_followed(tmp_path: Path) -> None:
    found = ServeSettings.read(
        {
            "CLARY_ROOT": str(tmp_path),
            "CLARY_ALGORITHM": "kmeans",
            "SAGEMAKER_BIND_TO_PORT": "9000",
            "SAGEMAKER_BATCH": "True",
            "CLARY_WORKERS": "3",
            "CLARY_MAX_IN_FLIGHT": "10",
            "CLARY_MAX_IN_FLIGHT_MB": "200",
        }
    )
    assert (found.layout.root, found.algorithm, found.port, found.workers) == (tmp_path, "kmeans", 9000, 3)
    assert (found.batch, found.payload_limit, found.advised_payload_mb) == (True, 100 * MEBIBYTE, 6)
    assert (found.requests_in_flight, found.bytes_in_flight) == (10, 200 * MEBIBYTE)


def test_arguments_win_over_the_environment(tmp_path: Path) -> None:
    environment = {"CLARY_ROOT": "/a", "CLARY_ALGORITHM": "a", "SAGEMAKER_BIND_TO_PORT": "1", "CLARY_WORKERS": "1"}
    found = ServeSettings.read(environment, root=tmp_path, algorithm="b", host="127.0.0.1", port="0", workers="2")
    assert (found.layout.root, found.algorithm, found.host, found.port, found.workers) == (
        tmp_path,
        "b",
        "127.0.0.1",
        0,
        2,
    )


@pytest.mark.parametrize(
    ("environment", "limit", "advised"),
    [
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}, 20 * MEBIBYTE, 20),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, 100 * MEBIBYTE, 100),
        ({"MAX_CONTENT_LENGTH": "1000"}, 1000, 1),
        ({"MAX_CONTENT_LENGTH": "20971520"}, 20 * MEBIBYTE, 6),
        ({"MAX_CONTENT_LENGTH": "1000", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2"}, 2 * MEBIBYTE, 2),
        ({"SAGEMAKER_BATCH": "true"}, 100 * MEBIBYTE, 6),
    ],
)
def test_the_largest_body_is_the_platforms_wish(environment: dict[str, str], limit: int, advised: int) -> None:
    found = ServeSettings.read(environment)
    assert (found.payload_limit, found.advised_payload_mb) == (limit, advised)
    assert found.bytes_in_flight >= limit


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "70000"),
        ("CLARY_WORKERS", "0"),
        ("CLARY_WORKERS", "2.5"),
        ("CLARY_MAX_IN_FLIGHT", "-1"),
        ("CLARY_MAX_IN_FLIGHT_MB", "much"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "101"),
        ("MAX_CONTENT_LENGTH", "0"),
        ("SAGEMAKER_BATCH", "perhaps"),
        ("SAGEMAKER_MULTI_MODEL", "2"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be .*; got '{text}'"):
        ServeSettings.read({name: text})


def test_the_device_is_looked_up_when_it_is_asked_for() -> None:
    assert ServeSettings.read({"CLARY_DEVICE": "cpu"}).device == "cpu"
    assert ServeSettings.read({}).device in ("cpu", "cuda")
    with pytest.raises(UserError, match="CLARY_DEVICE must be cpu, cuda or auto; got 'tpu'"):
        _ = ServeSettings.read({"CLARY_DEVICE": "tpu"}).device


def test_several_models_live_in_one_process_within_a_share_of_the_memory() -> None:
    found = ServeSettings.read({"SAGEMAKER_MULTI_MODEL": "true", "CLARY_WORKERS": "4"})
    assert found.workers == 1
    assert 0 < found.model_memory < machine.memory()
    small = ServeSettings.read({"SAGEMAKER_MULTI_MODEL": "true", "CLARY_MODEL_MEMORY_MB": "2"})
    assert small.model_memory == 2 * MEBIBYTE


@pytest.mark.parametrize(("cores", "workers", "threads"), [(8, 8, 1), (8, 2, 4), (2, 4, 1), (3, 2, 1)])
def test_workers_share_the_cores(cores: int, workers: int, threads: int, tmp_path: Path) -> None:
    found = ServeSettings(layout=ServeSettings.read({}).layout, cores=cores, workers=workers)
    assert found.threads == threads


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_a_containers_share_of_the_processor_counts(files: dict[str, str], most: int, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert 1 <= machine.cores(tmp_path) <= most


@pytest.mark.parametrize("content", ["max 100000\n", "", "x y z", "-1 100000"])
def test_without_a_share_all_cores_count(content: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(content)
    assert machine.cores(tmp_path) == machine.cores(tmp_path / "nothing")


def test_a_containers_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1048576\n")
    assert machine.memory(tmp_path) == 1048576
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory(tmp_path) == machine.memory(tmp_path / "nothing") > 1048576
