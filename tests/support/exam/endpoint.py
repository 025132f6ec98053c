"""A serve program in a process of its own, asked over HTTP on this machine; and its answers, read from any type."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from clary.toolkit import media
from clary.toolkit.codecs import record_protobuf
from clary.toolkit.spec import AlgorithmSpec, Field
from exam import programs

START = 30.0  # seconds
Rows = list[dict[str, list[float]]]


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    content_type: str
    body: bytes

    @property
    def problem(self) -> str:
        """The message of a refusal, which is JSON and shows no traceback."""
        text: str = json.loads(self.body)["error"]
        assert self.content_type == "application/json"
        assert "Traceback" not in text
        assert text
        return text


class Endpoint:
    """A running server for the model under ``root``; leave the ``with`` block to end it."""

    def __init__(self, root: Path, algorithm: str, **environment: str) -> None:
        self._log = root.parent / f"{root.name}-serve.log"
        arguments = ["serve", "--root", str(root), "--algorithm", algorithm]
        arguments += ["--host", "127.0.0.1", "--port", "0", "--workers", "1"]
        self.process = programs.start(algorithm, arguments, self._log, environment)
        self.port = 0

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()

    def log(self) -> str:
        """The log so far."""
        return self._log.read_text(encoding="utf-8")

    def listening(self) -> Endpoint:
        """This endpoint, once it has a port; fails if it ends before."""
        if self.port:
            return self
        deadline = time.monotonic() + START
        while not (found := re.search(r"Listening on 127\.0\.0\.1:(\d+)", self.log())):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        self.port = int(found.group(1))
        return self

    def healthy(self) -> Endpoint:
        """This endpoint, once ``/ping`` says 200."""
        self.listening()
        deadline = time.monotonic() + START
        while self.ask("GET", "/ping").status != 200:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return self

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.getheader("Content-Type") or "", response.read())
        finally:
            connection.close()

    def invoke(self, body: bytes, content_type: str, accept: str | None = None) -> Answer:
        """One prediction request."""
        headers = {"Content-Type": content_type} | ({} if accept is None else {"Accept": accept})
        return self.ask("POST", "/invocations", body, headers)


def rows(spec: AlgorithmSpec, answer: Answer, fields: Iterable[str] = ()) -> Rows:
    """The answer's records: for each, the values of its fields, lists in lists and objects one after the other.

    CSV does not name them; there they are ``fields``, by default those that every answer has.
    """
    assert answer.status == 200, answer.body
    kind = answer.content_type.partition(";")[0]
    if kind == media.JSON:
        content, key = json.loads(answer.body), spec.payloads.json_key
        return [_fields(each) for each in (content[key] if key else content)]
    if kind == media.JSON_LINES:
        return [_fields(json.loads(line)) for line in answer.body.splitlines()]
    if kind == media.CSV:
        present = [field for field in spec.payloads.fields if field.name in fields or not (fields or field.optional)]
        return [_columns(present, line) for line in answer.body.decode().splitlines()]
    if kind == media.RECORDIO_PROTOBUF:
        found = record_protobuf.decode_answers(answer.body)
        return [{name: numbers.tolist() for name, numbers in each.items()} for each in found]
    raise AssertionError(f"the exam cannot read answers of type {answer.content_type!r}")


def _fields(members: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: _flat(value) for name, value in members.items()}


def _flat(value: Any) -> list[float]:
    parts = list(value.values()) if isinstance(value, dict) else value
    return [_number(each) for each in np.ravel(np.array(parts))]


def _number(value: Any) -> float:
    """The number; of a text, one that is another for another text."""
    return float(crc32(value.encode())) if isinstance(value, str) else float(value)


def _columns(fields: Sequence[Field], line: str) -> dict[str, list[float]]:
    """The cells of one line by field; a field that is a vector takes what the others leave."""
    cells = [float(cell) for cell in line.split(",")]
    spare = len(cells) - len(fields) + 1
    found, start = {}, 0
    for field in fields:
        stop = start + (spare if field.shape == "vector" else 1)
        found[field.name], start = cells[start:stop], stop
    assert start == len(cells), line
    return found
