"""Texts as records: what a request of texts is, and answers that are a bare list of objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clary.algorithms import registry
from clary.sdk import wire
from clary.sdk.inputs import understand
from clary.toolkit.errors import UserError

SPEC = registry.spec("blazingtext")


def test_texts_are_the_instances_of_a_request() -> None:
    ((body, kind),) = wire.bodies(["a b", "ö"], None, SPEC, 1 << 20)
    assert (json.loads(body), kind) == ({"instances": ["a b", "ö"]}, "application/json")
    assert len(list(wire.bodies(["word" * 50] * 9, None, SPEC, 1000))) > 2


def test_a_bare_list_comes_back_as_it_is_and_several_are_joined() -> None:
    answers = [[{"word": "a", "vector": [1.0]}], [{"word": "b", "vector": [2.0]}]]
    read = [wire.read(json.dumps(each).encode(), "application/json", None, SPEC) for each in answers]
    assert read == answers
    assert wire.join(read, SPEC) == answers[0] + answers[1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("corpus.txt", "text/plain"), ("text8", "text/plain"), ("lines.jsonl", "application/jsonlines")],
)
def test_a_file_without_a_telling_name_is_text(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_text("some words\n")
    assert understand("train", tmp_path / name, SPEC).content_type == kind
    with pytest.raises(UserError):
        understand("train", tmp_path / name, registry.spec("kmeans"))


def test_dicts_are_lines_of_json() -> None:
    found = understand("train", [{"source": "a b", "label": 1}], SPEC)
    assert (found.lines, found.content_type) == ((b'{"source":"a b","label":1}\n',), "application/jsonlines")
