"""Files of objects in blocks: every answer in order, every refusal with its line in the file."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from clary.algorithms import registry
from clary.cli import lines
from clary.cli.prediction import _Document
from clary.toolkit import media
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Predictor


class Doubler(Predictor[list[int], list[int]]):
    """Answers each number of a line with its double; more than 3 at a time are too many."""

    spec = registry.spec("deepar")

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Doubler:
        return cls()

    def decode(self, body: bytes, content_type: MediaType) -> list[int]:
        found = []
        for number, line in enumerate(body.split(b"\n"), 1):
            if line.strip():
                if not line.strip().isdigit():
                    raise DataError("this is no number", row=number, field="it", kind="line")
                found.append(int(line))
        return found

    def predict(self, request: list[int]) -> list[int]:
        if len(request) > 3:
            raise TooLargeError("too many")
        return [2 * each for each in request]

    def predict_with(self, request: list[int], options: Mapping[str, str]) -> list[int]:
        return [int(options["times"]) * each for each in request]

    def encode(self, answer: list[int], accept: MediaType) -> bytes:
        return json.dumps(answer).encode()

    def count(self, request: list[int]) -> int:
        return len(request)

    def join(self, requests: Sequence[list[int]]) -> list[int]:
        return [each for request in requests for each in request]

    def split(self, answer: list[int], counts: Sequence[int]) -> list[list[int]]:
        raise NotImplementedError


def answered(body: bytes, kind: str = media.JSON_LINES, **asked: str) -> list[int]:
    found: list[tuple[int, Any]] = list(
        lines.answers(Doubler(), io.BytesIO(body), MediaType.parse(kind), asked, "a.jsonl")
    )
    assert [count for count, _ in found] == [len(part) for _, part in found]
    return [each for _, part in found for each in part]


@pytest.mark.parametrize("block", [1, 5, 1 << 18])
def test_every_line_is_answered_in_order(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(lines, "_BLOCK", block)
    body = b"".join(b"%d\n%s" % (number, b"\n" * (number % 3)) for number in range(50))
    assert answered(body) == list(range(0, 100, 2))
    assert answered(gzip.compress(body)) == list(range(0, 100, 2))
    assert answered(b"\n\n1\n2", times="5") == [5, 10]


@pytest.mark.parametrize("block", [1, 5, 1 << 18])
def test_a_refusal_names_the_line_of_the_file(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(lines, "_BLOCK", block)
    with pytest.raises(DataError, match=r"^a\.jsonl, line 9, field it: this is no number$"):
        answered(b"1\n" * 7 + b"\nx\n1\n")


def test_an_empty_file_has_no_answers() -> None:
    assert answered(b"") == answered(b"\n\n") == []


def test_a_file_of_another_type_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"DeepAR reads files of application/jsonlines here; if a\.jsonl is one, say so"
    ):
        answered(b"1\n", "application/x-parquet")


def test_one_record_that_is_too_large_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Doubler, request: list[int]) -> list[int]:
        raise TooLargeError("too many")

    monkeypatch.setattr(Doubler, "predict", refuse)
    with pytest.raises(TooLargeError):
        answered(b"1\n2\n")


def test_answers_without_a_key_make_one_list() -> None:
    for key, parts, expected in (
        ("", (b'[{"a":1}]', b'[{"a":2},{"a":3}]'), [{"a": 1}, {"a": 2}, {"a": 3}]),
        ("rows", (b'{"rows":[1]}', b'{"rows":[2]}'), {"rows": [1, 2]}),
    ):
        sink = io.BytesIO()
        document = _Document(key, sink)
        for part in (*parts, b""):
            document.add(part)
        assert json.loads(sink.getvalue()) == expected
