"""A model folder is complete, holds no pickle, loads anywhere, outlives versions, and is refused when damaged."""

from __future__ import annotations

import base64
import contextlib
import json
import pickletools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms import registry
from clary.toolkit import media
from clary.toolkit.artifact import FORMAT, MANIFEST, TENSORS, Artifact, opened, pack, package_version
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.programs import clean_environment
from exam.room import Outcome

GOLDEN = Path(__file__).parents[1] / "golden"
SUPPORT = Path(__file__).parents[1] / "support"
ANSWERS = """
import base64, json, sys
from pathlib import Path
from exam import network
network.forbid()
from clary.algorithms import registry
from clary.toolkit.artifact import Artifact, opened
from clary.toolkit.media import MediaType
name, model, accept = sys.argv[1:]
with opened(Path(model)) as folder:
    predictor = registry.predictor(name).load(Artifact.read(folder), "cpu")
for kind, body in json.load(sys.stdin).items():
    request = predictor.decode(base64.b64decode(body), MediaType.parse(kind))
    answer = predictor.encode(predictor.predict(request), MediaType.parse(accept))
    print(kind, base64.b64encode(answer).decode())
"""


def answer_here(algorithm: AlgorithmSpec, artifact: Artifact, body: bytes, kind: str, accept: str = "") -> bytes:
    predictor = registry.predictor(algorithm.name).load(artifact, "cpu")
    answer = predictor.predict(predictor.decode(body, MediaType.parse(kind)))
    return predictor.encode(answer, MediaType(accept or algorithm.payloads.responses[0]))


def answers_elsewhere(
    algorithm: AlgorithmSpec, model: Path, bodies: Mapping[str, bytes], folder: Path
) -> dict[str, bytes]:
    """The answers of a new interpreter that stands in another folder and may not use the network, by request type."""
    command = [sys.executable, "-c", ANSWERS, algorithm.name, str(model), algorithm.payloads.responses[0]]
    sent = json.dumps({kind: base64.b64encode(body).decode() for kind, body in bodies.items()})
    environment = clean_environment() | {"PYTHONPATH": str(SUPPORT)}
    done = subprocess.run(
        command, input=sent.encode(), capture_output=True, cwd=folder, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {kind: base64.b64decode(answer) for kind, answer in lines}


def test_the_manifest_is_complete(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    manifest = json.loads(trained.model[MANIFEST])
    assert manifest["format"] == FORMAT
    assert manifest["algorithm"] == algorithm.name
    assert manifest["clary"] == package_version()
    assert manifest["schema"]
    assert {MANIFEST, *manifest["files"]} == set(trained.model) - {TENSORS}
    assert bool(manifest["tensors"]) == (TENSORS in trained.model)


def test_the_manifest_holds_the_final_hyperparameters(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    given = registry.example(algorithm.name).hyperparameters
    assert trained.artifact().hyperparameters == algorithm.parse(given).spell()


# What begins like a pickle, as a zip archive does, is taken for one until it makes no sense.
@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
def test_no_file_is_a_pickle(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    for name, content in trained.model.items():
        assert not name.endswith((".pkl", ".pickle", ".pt", ".pth", ".npy", ".joblib")), name
        with pytest.raises(ValueError):
            list(pickletools.genops(content))


def test_every_number_is_finite(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    for name, tensor in trained.artifact().tensors.items():
        assert np.isfinite(np.asarray(tensor, np.float64)).all(), name


def test_the_model_names_no_place_or_time_of_its_training(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    for name, content in trained.model.items():
        assert str(trained.layout.root).encode() not in content, name


def test_the_model_answers_the_same_in_a_fresh_process(
    trained: Outcome, algorithm: AlgorithmSpec, tmp_path: Path
) -> None:
    bodies = {kind: material.body(algorithm, kind, range(5)) for kind in algorithm.payloads.requests}
    expected = {kind: answer_here(algorithm, trained.artifact(), body, kind) for kind, body in bodies.items()}
    assert answers_elsewhere(algorithm, trained.layout.model, bodies, tmp_path) == expected


def test_the_packed_model_answers_the_same(trained: Outcome, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    pack(trained.layout.model, archive)
    kind = algorithm.payloads.requests[0]
    body = material.body(algorithm, kind, range(5))
    with opened(archive) as folder:
        unpacked = answer_here(algorithm, Artifact.read(folder), body, kind)
    assert unpacked == answer_here(algorithm, trained.artifact(), body, kind)


def test_what_was_read_is_written_back_unchanged(trained: Outcome, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    trained.artifact().write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == trained.model


# Models of older versions


def test_a_model_is_recorded_for_later_versions(algorithm: AlgorithmSpec) -> None:
    recorded = [folder for folder in (GOLDEN / algorithm.name).iterdir() if folder.is_dir()]
    assert recorded, f"record a small model of {algorithm.title} under tests/golden/{algorithm.name}/<version>/"
    for folder in recorded:
        assert (folder / "README.md").exists()


def test_models_recorded_by_older_versions_still_answer(algorithm: AlgorithmSpec) -> None:
    for folder in sorted(path for path in (GOLDEN / algorithm.name).iterdir() if path.is_dir()):
        case = json.loads((folder / "expected.json").read_text())
        body = case["request"].encode()
        artifact = Artifact.read(folder / "model")
        answer = json.loads(answer_here(algorithm, artifact, body, case["content_type"], media.JSON))
        assert _numbers(answer) == pytest.approx(_numbers(case["answer"]), rel=1e-5), folder.name
        assert _keys(answer) == _keys(case["answer"])


def _numbers(value: Any) -> list[float]:
    """Every number in a JSON value, in order."""
    if isinstance(value, dict):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    return [value] if isinstance(value, (int, float)) else []


def _keys(value: Any) -> Any:
    """The JSON value with its numbers taken out."""
    if isinstance(value, dict):
        return {key: _keys(each) for key, each in value.items()}
    return [_keys(each) for each in value] if isinstance(value, list) else None


# Models that are none

Edit = Callable[[dict[str, Any]], object]
EDITS: dict[str, tuple[Edit, str]] = {
    "too new": (lambda m: m.update(format=FORMAT + 1), rf"format {FORMAT + 1}.* reads format {FORMAT}"),
    "no format": (lambda m: m.pop("format"), "manifest"),
    "no algorithm": (lambda m: m.pop("algorithm"), "manifest"),
    "no tensors": (lambda m: m.pop("tensors"), "manifest"),
    "tensors that are a number": (lambda m: m.update(tensors=7), "manifest"),
    "another shape": (lambda m: m.update(tensors={"x": [1, 2]}), "damaged"),
    "a missing file": (lambda m: m["files"].append("absent.bin"), "incomplete"),
    "a file above": (lambda m: m["files"].append("../secret"), "outside"),
    "an absolute file": (lambda m: m["files"].append("/etc/passwd"), "outside"),
    "a file in a folder": (lambda m: m["files"].append("a/b"), "outside"),
    "a file of another system": (lambda m: m["files"].append("..\\secret"), "outside"),
    "a file that is a number": (lambda m: m["files"].append(7), "outside"),
    "the folder above": (lambda m: m["files"].append(".."), "outside"),
}


@pytest.fixture
def copied(trained: Outcome, tmp_path: Path) -> Path:
    """A copy of the example's model to damage."""
    return Path(shutil.copytree(trained.layout.model, tmp_path / "model"))


@pytest.mark.parametrize("case", EDITS)
def test_a_damaged_manifest_is_refused(algorithm: AlgorithmSpec, copied: Path, case: str) -> None:
    edit, expected = EDITS[case]
    manifest = json.loads((copied / MANIFEST).read_text())
    edit(manifest)
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=f"(?s){expected}"):
        Artifact.read(copied)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}'], ids=repr)
def test_a_manifest_that_is_none_is_refused(algorithm: AlgorithmSpec, copied: Path, content: bytes) -> None:
    (copied / MANIFEST).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(MANIFEST)):
        Artifact.read(copied)


def test_damaged_tensors_are_refused(trained: Outcome, algorithm: AlgorithmSpec, copied: Path) -> None:
    whole = trained.model.get(TENSORS)
    if whole is None:
        pytest.skip(f"a model of {algorithm.title} has no tensors")
    header = b'{"centers":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    foreign = len(header).to_bytes(8, "little") + header + bytes(2)
    for content in (b"", whole[:7], whole[:40], whole[:-1], whole + b"x", b"\xff" * 100, foreign):
        (copied / TENSORS).write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            Artifact.read(copied)
    (copied / TENSORS).unlink()
    with pytest.raises(UserError, match="incomplete"):
        Artifact.read(copied)


def test_a_damaged_file_is_refused_or_not_needed(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    artifact, kind = trained.artifact(), algorithm.payloads.requests[0]
    body = material.body(algorithm, kind, range(5))
    expected = answer_here(algorithm, artifact, body, kind)
    for name, whole in artifact.files.items():
        for content in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1], b"\xff" * 100):
            damaged = replace(artifact, files={**artifact.files, name: content})
            with contextlib.suppress(UserError):
                assert answer_here(algorithm, damaged, body, kind) == expected, (name, content[:20])


def test_a_model_of_another_algorithm_is_refused(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    artifact = trained.artifact()
    for foreign in (
        Artifact("another", artifact.hyperparameters, artifact.schema, artifact.tensors, artifact.files),
        Artifact(algorithm.name, {}, {}, {}, {}),
    ):
        with pytest.raises(UserError):
            registry.predictor(algorithm.name).load(foreign, "cpu")


def test_a_folder_that_holds_no_model_is_refused(algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match=MANIFEST):
            registry.predictor(algorithm.name).adopt(folder)
