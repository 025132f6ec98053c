"""The ``serve`` program in a process of its own, over a model folder in a temporary place."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from serving import tiny_program
from serving.asgi import Response


class Program:
    """A started server: its port, its log, and requests to it. Leaving the context kills it."""

    def __init__(self, root: Path, *arguments: str, **environment: str) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.log = root / "log"
        command = [sys.executable, str(tiny_program.__file__), "serve", "--root", str(root), "--port", "0"]
        # The program stands in for the installed one; a script's own folder hides no package then.
        support = str(Path(tiny_program.__file__).parents[1])
        settings = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": support, **environment}
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [*command, *arguments], env=settings, stdout=stream, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, *, seconds: float = 20) -> re.Match[str]:
        """The first match of the pattern in the log; fails if the program ends or the time is over before."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text())):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.01)
        return found

    @property
    def port(self) -> int:
        """The port that the program says it listens on."""
        return int(self.wait_for(r"Listening on \S+:(\d+)")[1])

    def ready(self) -> Program:
        """This program, once it is healthy."""
        deadline = time.monotonic() + 20
        while self.request("GET", "/ping").status != 200:
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.01)
        return self

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the server."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, found, answer.read())
        finally:
            connection.close()

    def invoke(self, body: bytes, content_type: str = "text/csv", **headers: str) -> Response:
        """One request for predictions."""
        return self.request("POST", "/invocations", body, {"Content-Type": content_type, **headers})

    def ended(self, *, seconds: float = 20) -> int:
        """The exit status."""
        return self.process.wait(seconds)
