"""Which folders are models, of which algorithm, and what becomes of those that others made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.container.model import load
from clary.toolkit.artifact import MANIFEST, Artifact, is_manifest
from clary.toolkit.errors import UserError
from serving import tiny_program
from serving.tiny_program import TinyPredictor

FOREIGN = '{"learner": {"attributes": {}}, "version": [3, 2, 0]}'


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_program.in_the_suite():
        yield


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"format": 1, "algorithm": "kmeans"}', True),
        ('{"format": 2, "algorithm": "unheard_of"}', True),
        (FOREIGN, False),
        ('{"format": 1}', False),
        ("[]", False),
        ('{"format": 1, "algor', False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_a_manifest_is_told_from_another_programs_json(content: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    assert is_manifest(tmp_path / MANIFEST) == expected
    assert not is_manifest(tmp_path / "absent")
    assert not is_manifest(tmp_path)


def test_a_huge_file_is_not_read_to_tell_that_it_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b'{"format": 1, "algorithm": "a"}'.ljust(2**24))
    assert is_manifest(tmp_path / MANIFEST)
    (tmp_path / MANIFEST).write_bytes(b'{"format": 1, "algorithm": "a"}'.ljust(2**24 + 1))
    assert not is_manifest(tmp_path / MANIFEST)


def test_another_programs_model_json_is_offered_to_the_algorithm_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / MANIFEST).write_text(FOREIGN)
    offered: list[Path] = []

    def adopt(folder: Path) -> Artifact:
        offered.append(folder)
        return Artifact("tiny", {}, {"feature_dim": len(json.loads((folder / MANIFEST).read_text()))})

    monkeypatch.setattr(TinyPredictor, "adopt", adopt)
    found = load(tmp_path, "tiny").predictor
    assert isinstance(found, TinyPredictor)
    assert (found.width, offered) == (2, [tmp_path])


def test_our_own_manifest_is_never_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_program.write(tmp_path)
    monkeypatch.delattr(TinyPredictor.__mro__[2], "adopt")
    assert isinstance(load(tmp_path, "tiny").predictor, TinyPredictor)


def test_another_programs_model_json_needs_the_name_of_its_algorithm(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(FOREIGN)
    with pytest.raises(UserError, match=r"no model.json of this suite; found model.json.*CLARY_ALGORITHM"):
        load(tmp_path)


def test_another_programs_model_json_that_the_algorithm_does_not_know_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(FOREIGN)
    with pytest.raises(UserError, match="cannot be read as a model manifest"):
        load(tmp_path, "tiny")


def test_the_device_reaches_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []

    def loaded(artifact: Artifact, device: str) -> TinyPredictor:
        devices.append(device)
        return TinyPredictor()

    monkeypatch.setattr(TinyPredictor, "load", loaded)
    load(tiny_program.write(tmp_path), "", "cuda")
    assert devices == ["cuda"]
