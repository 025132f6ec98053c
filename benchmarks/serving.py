"""Served k-means beside a bare ASGI app that answers a constant: requests per second and latency under wrk.

    python -m benchmarks.serving [--seconds 5] [--rounds 3] [--workers N] [--json FILE]

Both run on the same HTTP server with the same settings and number of workers, in turn. A request is one CSV
row of 50 numbers. Then what happens above capacity, and how soon a started server is healthy. Needs wrk, and
a system that can fork.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import Row, keep, show
from clary.container import machine
from clary.container.responses import Receive, Scope, Send
from clary.toolkit.artifact import Artifact

WIDTH, CLUSTERS = 50, 10
CONNECTIONS = (16, 64, 1000)
ROW = ",".join(f"{value:.4f}" for value in np.random.default_rng(7).normal(size=WIDTH))
CONSTANT = b'{"predictions": [{"closest_cluster": 5.0, "distance_to_cluster": 36.5}]}'

LUA = f"""
wrk.method = "POST"
wrk.body = "{ROW}"
wrk.headers["Content-Type"] = "text/csv"
"""
COUNT = """
counts = {}
function response(status, headers, body)
  counts[status] = (counts[status] or 0) + 1
  if status == 503 and headers["retry-after"] == nil then counts["bare 503"] = (counts["bare 503"] or 0) + 1 end
end
local all = {}
function setup(thread) table.insert(all, thread) end
function done(summary, latency, requests)
  for _, thread in ipairs(all) do
    for status, count in pairs(thread:get("counts")) do io.write("status ", status, ": ", count, "\\n") end
  end
end
"""


@dataclass(frozen=True)
class Measured:
    """One run of wrk: requests per second, milliseconds, and requests that failed."""

    rate: float
    median: float
    slowest_percent: float
    errors: int


def main() -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="length of each run of wrk")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server at each number of connections")
    parser.add_argument("--workers", type=int, default=machine.cores())
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare is not None:
        serve_bare(options.bare, options.workers)
        return
    machine.allow_many_files()
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        root = Path(scratch)
        write_model(root / "model")
        rows = compare(root, options.workers, options.seconds, options.rounds)
        show(f"Serving beside a bare ASGI app, {options.workers} workers each, medians of {options.rounds}", rows)
        above = [overload(root, options.workers, options.seconds)]
        show("Above capacity: 256 connections to a server that takes 4 requests at once in each worker", above)
        starts = [start(root, options.workers) for _ in range(5)]
        ready = [{"workers": options.workers, "median s": statistics.median(starts), "slowest s": max(starts)}]
        show("From the start of `serve` to a healthy /ping", ready)
    keep(options.json, {"serving": rows, "overload": above, "start": ready})


def compare(root: Path, workers: int, seconds: int, rounds: int) -> list[Row]:
    """A row for each number of connections: both servers' figures, and Clary's in proportion to the bare app's."""
    runs: dict[tuple[str, int], list[Measured]] = {}
    script = root / "row.lua"
    script.write_text(LUA)
    for _ in range(rounds):
        for name in ("bare", "clary"):
            with running(name, root, workers) as port:
                press(port, script, 16, 1)
                for connections in CONNECTIONS:
                    runs.setdefault((name, connections), []).append(press(port, script, connections, seconds))
    rows: list[Row] = []
    for connections in CONNECTIONS:
        bare, clary = (middle(runs[name, connections]) for name in ("bare", "clary"))
        rows.append(
            {
                "connections": connections,
                "bare req/s": bare.rate,
                "clary req/s": clary.rate,
                "rate ratio": clary.rate / bare.rate,
                "bare p99 ms": bare.slowest_percent,
                "clary p99 ms": clary.slowest_percent,
                "p99 ratio": clary.slowest_percent / bare.slowest_percent,
                "errors": clary.errors,
            }
        )
    return rows


def middle(runs: list[Measured]) -> Measured:
    """The medians of several runs, and all their errors."""
    return Measured(
        statistics.median(run.rate for run in runs),
        statistics.median(run.median for run in runs),
        statistics.median(run.slowest_percent for run in runs),
        sum(run.errors for run in runs),
    )


def overload(root: Path, workers: int, seconds: int) -> Row:
    """What a server answers that is asked for more than it takes, and whether it is well afterwards."""
    script = root / "overload.lua"
    script.write_text(LUA + COUNT)
    with running("clary", root, workers, CLARY_MAX_IN_FLIGHT="4") as port:
        text = wrk(port, script, 256, seconds)
        counts = {status: int(count) for status, count in re.findall(r"status ([\w ]+): (\d+)", text)}
        time.sleep(1)
        after = [ask(port) for _ in range(20)]
    return {
        "200": counts.pop("200", 0),
        "503 with Retry-After": counts.pop("503", 0) - counts.get("bare 503", 0),
        "other": sum(counts.values()),
        "socket errors": socket_errors(text),
        "afterwards": "20 of 20 answered" if after == [200] * 20 else f"statuses {after}",
    }


def start(root: Path, workers: int) -> float:
    """Seconds from the start of the program to its first healthy answer."""
    began = time.perf_counter()
    with running("clary", root, workers):
        return time.perf_counter() - began


def press(port: int, script: Path, connections: int, seconds: int) -> Measured:
    """Run wrk against the server for that long."""
    text = wrk(port, script, connections, seconds)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Measured(
        float(found(r"Requests/sec:\s+([\d.]+)", text)),
        milliseconds(found(r"\n\s+50%\s+(\S+)", text)),
        milliseconds(found(r"\n\s+99%\s+(\S+)", text)),
        (int(refused[1]) if refused else 0) + socket_errors(text),
    )


def wrk(port: int, script: Path, connections: int, seconds: int) -> str:
    """What wrk prints."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10", "--latency", "-s", str(script)]
    return subprocess.run(
        [*command, f"http://127.0.0.1:{port}/invocations"], check=True, capture_output=True, text=True
    ).stdout


def socket_errors(text: str) -> int:
    """Connections that failed, and requests without an answer, in what wrk printed."""
    line = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return sum(map(int, line.groups())) if line else 0


def found(pattern: str, text: str) -> str:
    """The first group of the pattern in the text, which must be there."""
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk printed nothing like {pattern}:\n{text}")
    return match[1]


def milliseconds(text: str) -> float:
    """A duration as wrk prints it."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


@contextmanager
def running(name: str, root: Path, workers: int, **environment: str) -> Iterator[int]:
    """A healthy server's port, for as long as it is used."""
    port = free_port()
    if name == "bare":
        command = [sys.executable, "-m", "benchmarks.serving", "--bare", str(port), "--workers", str(workers)]
    else:
        command = [sys.executable, "-m", "clary.container", "serve", "--root", str(root), "--port", str(port)]
        command += ["--workers", str(workers)]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        while not healthy(port):
            if process.poll() is not None:
                raise SystemExit(f"{command} ended with {process.returncode}")
            time.sleep(0.005)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def healthy(port: int) -> bool:
    """Whether the server there answers /ping with 200."""
    try:
        return ask(port, "GET", "/ping") == 200
    except OSError:
        return False


def ask(port: int, method: str = "POST", path: str = "/invocations") -> int:
    """The status of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, ROW if method == "POST" else None, {"Content-Type": "text/csv"})
        return connection.getresponse().status
    finally:
        connection.close()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_model(folder: Path) -> None:
    """A k-means model with random centers."""
    centers = np.random.default_rng(1).normal(size=(CLUSTERS, WIDTH)).astype(np.float32)
    settings = {"k": str(CLUSTERS), "feature_dim": str(WIDTH)}
    Artifact("kmeans", settings, {"feature_dim": WIDTH}, {"centers": centers}).write(folder)


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, answer a constant."""
    more = scope["method"] == "POST"
    while more:
        more = (await receive()).get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(CONSTANT))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": CONSTANT})


def serve_bare(port: int, workers: int) -> None:
    """Run the bare app on Clary's HTTP server in that many forked workers."""
    from clary.container.server import http_server

    listener = socket.create_server(("0.0.0.0", port), backlog=2048)
    children = []
    for _ in range(workers):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, lambda *_: None)
            http_server(bare).run(sockets=[listener])
            os._exit(0)
        children.append(child)

    def stop(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
