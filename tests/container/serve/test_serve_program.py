"""The real program: its start, its workers, its end, and what it says when it cannot serve."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import tiny_program
from serving.asgi import Response
from serving.program import Program
from serving.tiny_program import DIE, FAIL, SLEEP

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs signals between processes")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    root = tmp_path_factory.mktemp("serve")
    tiny_program.write(root / "model")
    with Program(root, "--workers", "2", "--host", "127.0.0.1") as running:
        yield running.ready()


def one_worker(root: Path, **environment: str) -> Program:
    return Program(root, "--workers", "1", "--host", "127.0.0.1", **environment)


def test_the_first_line_and_the_form_of_the_others(program: Program) -> None:
    program.wait_for(r"(is ready[\s\S]*){2}")
    first, *others = program.text().splitlines()
    assert first == "Docker entrypoint called with argument(s): serve"
    assert all(re.match(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] ", line) for line in others)


def test_all_routes(program: Program) -> None:
    ping = program.request("GET", "/ping")
    assert (ping.status, ping.body) == (200, b"")
    assert program.request("GET", "/execution-parameters").json["MaxConcurrentTransforms"] == 2
    assert program.invoke(b"1,2,3").json == {"predictions": [{"total": 6.0}]}


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (400, "POST", "/invocations", b"1,2", {}),
        (400, "POST", "/invocations", b"", {}),
        (404, "GET", "/nothing", None, {}),
        (404, "POST", "/nothing", b"1,2,3" * 50_000, {}),
        (405, "GET", "/invocations", None, {}),
        (406, "POST", "/invocations", b"1,2,3", {"Accept": "image/png"}),
        (413, "POST", "/invocations", b"1,2,3\n" * 1_100_000, {}),
        (415, "POST", "/invocations", b"1,2,3", {"Content-Type": "text/xml"}),
        (500, "POST", "/invocations", f"{FAIL},0,0".encode(), {}),
    ],
)
def test_an_error_names_the_problem_and_the_connection_goes_on(
    program: Program, status: int, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    connection = program.connect()
    connection.request(method, path, body, {"Content-Type": "text/csv", **headers})
    answer = connection.getresponse()
    content = answer.read()
    Response(answer.status, {"content-type": answer.getheader("content-type", "")}, content).refused(status)
    connection.request("POST", "/invocations", b"1,2,3", {"Content-Type": "text/csv"})
    assert json.loads(connection.getresponse().read()) == {"predictions": [{"total": 6.0}]}
    connection.close()


def test_a_chunked_body_is_read_and_one_that_is_too_large_is_refused(program: Program) -> None:
    connection = program.connect()
    for pieces, status in (([b"1,", b"2,3"], 200), ([b"1,2,3\n" * 200_000] * 6, 413)):
        connection.request("POST", "/invocations", iter(pieces), {"Content-Type": "text/csv"}, encode_chunked=True)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_callers_at_once_get_their_own_answers(program: Program) -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        connection = program.connect()
        for step in range(30):
            connection.request("POST", "/invocations", f"{number},{step},0".encode(), {"Content-Type": "text/csv"})
            if json.loads(connection.getresponse().read()) != {"predictions": [{"total": float(number + step)}]}:
                wrong.append(number)
        connection.close()

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def test_health_is_503_until_the_model_is_loaded(tmp_path: Path) -> None:
    tiny_program.write(tmp_path / "model", load_seconds=0.7)
    with one_worker(tmp_path) as starting:
        assert starting.request("GET", "/ping").status == 503
        refused = starting.invoke(b"1,2,3")
        assert refused.headers["retry-after"] == "1"
        refused.refused(503)
        assert starting.ready().invoke(b"1,2,3").status == 200


@posix_only
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_finishes_what_is_in_flight_and_ends_with_0(tmp_path: Path, workers: str) -> None:
    tiny_program.write(tmp_path / "model")
    with Program(tmp_path, "--workers", workers, "--host", "127.0.0.1") as stopping:
        connection = stopping.ready().connect()
        connection.request("POST", "/invocations", f"{SLEEP},0.8,0".encode(), {"Content-Type": "text/csv"})
        time.sleep(0.2)
        stopping.process.send_signal(signal.SIGTERM)
        assert connection.getresponse().status == 200
        assert stopping.ended() == 0
        with pytest.raises(OSError, match=r"."):
            stopping.request("GET", "/ping")
        connection.close()


@posix_only
def test_sigterm_while_the_model_is_loaded_ends_with_0(tmp_path: Path) -> None:
    tiny_program.write(tmp_path / "model", load_seconds=30)
    with one_worker(tmp_path) as stopping:
        assert stopping.request("GET", "/ping").status == 503
        stopping.process.send_signal(signal.SIGTERM)
        assert stopping.ended() == 0


@posix_only
def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    tiny_program.write(tmp_path / "model")
    with Program(tmp_path, "--workers", "2", "--host", "127.0.0.1") as running:
        running.ready().wait_for(r"(is ready[\s\S]*){2}")
        with pytest.raises((OSError, http.client.HTTPException)):
            running.invoke(f"{DIE},0,0".encode())
        running.wait_for(r"ended with exit code 9; starting another[\s\S]*is ready")
        assert [running.invoke(b"1,2,3").status for _ in range(10)] == [200] * 10


@posix_only
def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    tiny_program.write(tmp_path / "model")
    with Program(tmp_path, "--workers", "2", "--host", "127.0.0.1") as running:
        running.ready().wait_for(r"(is ready[\s\S]*){2}")
        workers = [int(number) for number in re.findall(r"worker (\d+) is ready", running.text())]
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + 10
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # Whoever adopted the worker may not have asked for its exit status yet.
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and ") Z " in state.read_text())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_folder_without_a_model_ends_the_program_with_one_clear_line(tmp_path: Path, workers: str) -> None:
    (tmp_path / "model").mkdir(parents=True)
    with Program(tmp_path, "--workers", workers, "--host", "127.0.0.1") as broken:
        assert broken.ended() == 1
    assert re.search(r"^ClientError: .*holds no model\.json", broken.text(), re.MULTILINE)
    assert "Traceback" not in broken.text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_loader_that_fails_ends_the_program_with_its_reason(tmp_path: Path, workers: str) -> None:
    tiny_program.write(tmp_path / "model", load_error=True)
    with Program(tmp_path, "--workers", workers, "--host", "127.0.0.1") as broken:
        assert broken.ended() == 1
    assert re.search(r"^AlgorithmError: .*the loader is broken", broken.text(), re.MULTILINE)
    assert "Traceback" in broken.text()


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"CLARY_ALGORITHM": "kmeans"}, "holds a model of tiny, but the algorithm to serve is kmeans"),
        ({"CLARY_ALGORITHM": "astrology"}, "'astrology' is not an algorithm of this suite"),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "lots"}, "SAGEMAKER_MAX_PAYLOAD_IN_MB must be an integer from 0 to 100"),
    ],
)
def test_a_server_that_is_set_up_wrongly_says_how(tmp_path: Path, environment: dict[str, str], reason: str) -> None:
    tiny_program.write(tmp_path / "model")
    with one_worker(tmp_path, **environment) as broken:
        assert broken.ended() == 1
    assert re.search(rf"^ClientError: .*{reason}", broken.text(), re.MULTILINE)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    tiny_program.write(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with Program(tmp_path, "--host", "127.0.0.1", "--port", port) as broken:
            assert broken.ended() == 1
    assert re.search(rf"^AlgorithmError: cannot listen on 127\.0\.0\.1 port {port}", broken.text(), re.MULTILINE)


def test_above_capacity_and_afterwards(tmp_path: Path) -> None:
    tiny_program.write(tmp_path / "model")
    with one_worker(tmp_path, CLARY_MAX_IN_FLIGHT="2") as small:
        small.ready()
        held = [small.connect() for _ in range(2)]
        for connection in held:
            connection.request("POST", "/invocations", f"{SLEEP},0.5,0".encode(), {"Content-Type": "text/csv"})
        time.sleep(0.2)
        refused = small.invoke(b"1,2,3")
        refused.refused(503)
        assert refused.headers["retry-after"] == "1"
        assert small.request("GET", "/ping").status == 200
        assert [connection.getresponse().status for connection in held] == [200, 200]
        assert small.invoke(b"1,2,3").status == 200
        for connection in held:
            connection.close()


def test_several_models_in_one_server(tmp_path: Path) -> None:
    with Program(tmp_path, "--host", "127.0.0.1", SAGEMAKER_MULTI_MODEL="true") as many:
        many.ready()
        for name in ("a b", "c"):
            folder = tiny_program.write(tmp_path / "models" / name / "model")
            order = json.dumps({"model_name": name, "url": str(folder)}).encode()
            assert many.request("POST", "/models", order, {"Content-Type": "application/json"}).status == 200
        assert [entry["modelName"] for entry in many.request("GET", "/models").json["models"]] == ["a b", "c"]
        assert many.request("POST", "/models/a%20b/invoke", b"1,2,3").json == {"predictions": [{"total": 6.0}]}
        assert many.request("DELETE", "/models/a%20b").status == 200
        many.request("POST", "/models/a%20b/invoke", b"1,2,3").refused(404)
