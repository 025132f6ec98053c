"""Batch transform over HTTP: order, limits, patience, and no half-written answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.runner.invocation import HttpClient
from clary.runner.transform import TransformRequest, in_order, transform_file
from clary.toolkit.errors import PlatformError, UserError


class Echo(BaseHTTPRequestHandler):
    """Answers each line with its double; busy at first, and unable to read the word 'bad'."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str | None, str | None, int]]] = []
    busy = 0

    def do_GET(self) -> None:
        self._answer(
            200, json.dumps({"MaxConcurrentTransforms": 3, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 1})
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        type(self).seen.append((self.headers["Content-Type"], self.headers["Accept"], len(body)))
        if type(self).busy:
            type(self).busy -= 1
            self._answer(503, json.dumps({"error": "later"}), {"Retry-After": "0"})
        elif "bad" in body:
            self._answer(400, json.dumps({"error": "row 1: bad is no number"}))
        elif "worse" in body:
            self._answer(500, "oops")
        else:
            # The first part takes longest, so that answers come back out of order.
            time.sleep(0.05 if body.startswith("0") else 0)
            self._answer(200, "".join(f"{2 * int(line)}\n" for line in body.split()))

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def client() -> Iterator[HttpClient]:
    Echo.seen, Echo.busy = [], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = HttpClient(f"http://127.0.0.1:{server.server_port}")
        yield made
        made.close()
        server.shutdown()


REQUEST = TransformRequest(content_type="text/csv", accept="text/csv")


def test_answers_keep_the_order_of_the_records_and_requests_the_limit(tmp_path: Path, client: HttpClient) -> None:
    count, done = 400_000, list[int]()
    (tmp_path / "in.csv").write_text("".join(f"{number}\n" for number in range(count)))
    settled = REQUEST.settled(client)
    assert (settled.concurrent, settled.payload_mb, settled.strategy) == (3, 1, "MultiRecord")
    transform_file(tmp_path / "in.csv", tmp_path / "out/in.csv.out", settled, client, progress=done.append)
    assert (tmp_path / "out/in.csv.out").read_text() == "".join(f"{2 * number}\n" for number in range(count))
    assert len(Echo.seen) > 2
    assert all(size <= 1 << 20 for _, _, size in Echo.seen)
    assert {(kind, accept) for kind, accept, _ in Echo.seen} == {("text/csv", "text/csv")}
    assert done[-1] == (tmp_path / "in.csv").stat().st_size


@pytest.mark.parametrize(
    ("word", "error", "wanted"),
    [("bad", UserError, r"in\.csv, records 1 to 2: row 1: bad is no number"), ("worse", PlatformError, "oops")],
)
def test_a_refusal_names_the_records_and_leaves_no_file(
    tmp_path: Path, client: HttpClient, word: str, error: type[Exception], wanted: str
) -> None:
    (tmp_path / "in.csv").write_text(f"{word}\n1\n")
    with pytest.raises(error, match=wanted):
        transform_file(tmp_path / "in.csv", tmp_path / "in.csv.out", REQUEST.settled(client), client)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_busy_server_is_asked_again(tmp_path: Path, client: HttpClient) -> None:
    settled = REQUEST.settled(client)
    Echo.busy = 3
    (tmp_path / "in.csv").write_text("1\n")
    transform_file(tmp_path / "in.csv", tmp_path / "out", settled, client)
    assert (tmp_path / "out").read_text() == "2\n"


def test_the_container_is_told_what_was_asked_for() -> None:
    request = TransformRequest(content_type="text/csv", strategy="SingleRecord", concurrent=2, payload_mb=3)
    assert request.environment() == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "3",
    }


@pytest.mark.parametrize("size", [0, 101])
def test_a_payload_size_out_of_range_is_refused(client: HttpClient, size: int) -> None:
    with pytest.raises(UserError, match="1 to 100 MB"):
        TransformRequest(content_type="text/csv", payload_mb=size).settled(client)


@given(items=st.lists(st.integers(0, 3), max_size=20), concurrent=st.integers(1, 4))
def test_results_come_in_the_order_of_the_items(items: list[int], concurrent: int) -> None:
    def work(item: int) -> int:
        time.sleep(item / 2000)
        return item

    assert list(in_order(work, items, concurrent)) == items


def test_an_error_of_one_item_ends_the_work() -> None:
    def work(item: int) -> int:
        if item == 1:
            raise ValueError("one")
        return item

    with pytest.raises(ValueError, match="one"):
        list(in_order(work, range(100), 2))
