"""Artifacts are written whole, read back unchanged, and never reach out of their folder."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.toolkit import artifact as artifacts
from clary.toolkit.artifact import MANIFEST, TENSORS, Artifact, opened, pack, unpack, write_whole
from clary.toolkit.errors import UserError

MODEL = Artifact(
    algorithm="plain",
    hyperparameters={"k": "2"},
    schema={"feature_dim": 3},
    tensors={"centers": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array([4, 2])},
    files={"words.txt": b"one\ntwo\n", "empty.bin": b""},
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    MODEL.write(tmp_path / "model")
    return tmp_path / "model"


def test_what_is_written_is_read_back(written: Path) -> None:
    found = Artifact.read(written)
    assert (found.algorithm, found.hyperparameters, found.schema) == ("plain", {"k": "2"}, {"feature_dim": 3})
    assert found.files == MODEL.files
    assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {
        "centers": [[0, 1, 2], [3, 4, 5]],
        "count": [4, 2],
    }


def test_a_tensor_that_is_not_contiguous_is_written_as_it_looks(tmp_path: Path) -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    Artifact("plain", {}, {}, {"turned": turned}).write(tmp_path)
    assert Artifact.read(tmp_path).tensors["turned"].tolist() == turned.tolist()


def test_a_model_without_tensors_has_no_tensor_file(tmp_path: Path) -> None:
    Artifact("plain", {}, {}).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
    assert Artifact.read(tmp_path) == Artifact("plain", {}, {})


def test_writing_again_replaces_the_model(written: Path) -> None:
    Artifact("plain", {"k": "3"}, {}).write(written)
    assert Artifact.read(written).hyperparameters == {"k": "3"}


def test_the_manifest_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = artifacts.write_whole

    def noted(path: Path, content: bytes) -> None:
        order.append(path.name)
        real(path, content)

    monkeypatch.setattr(artifacts, "write_whole", noted)
    MODEL.write(tmp_path)
    assert order == ["words.txt", "empty.bin", TENSORS, MANIFEST]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"before")

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="the disk is full"):
        write_whole(path, b"after")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"before"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), name=st.sampled_from([MANIFEST, TENSORS]))
def test_a_changed_byte_is_read_or_refused_but_never_a_crash(
    written: Path, place: int, value: int, name: str
) -> None:
    whole = (written / name).read_bytes()
    damaged = bytearray(whole)
    damaged[place % len(whole)] = value
    (written / name).write_bytes(damaged)
    with contextlib.suppress(UserError):
        Artifact.read(written)
    (written / name).write_bytes(whole)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), name=st.sampled_from([MANIFEST, TENSORS]))
def test_any_bytes_are_refused(written: Path, content: bytes, name: str) -> None:
    whole = (written / name).read_bytes()
    (written / name).write_bytes(content)
    with pytest.raises(UserError):
        Artifact.read(written)
    (written / name).write_bytes(whole)


@pytest.mark.parametrize("name", ["a\x00b", "C:secret", "con/../x", "", ".", "x" * 5000])
def test_a_name_that_is_no_file_name_is_refused(written: Path, name: str) -> None:
    manifest = json.loads((written / MANIFEST).read_text())
    (written / MANIFEST).write_text(json.dumps({**manifest, "files": [name]}))
    with pytest.raises(UserError):
        Artifact.read(written)


# Archives


def archive(path: Path, *members: tarfile.TarInfo, content: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = len(content) if member.isfile() else 0
            tar.addfile(member, io.BytesIO(content) if member.isfile() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_packed_model_is_unpacked_unchanged(written: Path, tmp_path: Path) -> None:
    pack(written, tmp_path / "out" / "model.tar.gz")
    unpack(tmp_path / "out" / "model.tar.gz", tmp_path / "again")
    assert Artifact.read(tmp_path / "again").files == MODEL.files
    with tarfile.open(tmp_path / "out" / "model.tar.gz") as tar:
        assert sorted(tar.getnames()) == sorted(path.name for path in written.iterdir())


def test_hidden_files_are_not_packed(written: Path, tmp_path: Path) -> None:
    (written / ".model.json.x1").write_bytes(b"half")
    pack(written, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert not [name for name in tar.getnames() if name.startswith(".")]


def test_a_leading_dot_and_folders_are_taken(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.tar.gz", member("./", tarfile.DIRTYPE), member("./a.txt"), member("./sub/b.txt"))
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"x"
    assert (tmp_path / "out" / "sub" / "b.txt").read_bytes() == b"x"


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("a/../../outside"),
        member("/outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "model.json"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name} {info.type.decode()}",
)
def test_a_member_that_reaches_out_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    path = archive(tmp_path / "m.tar.gz", bad)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match="no plain file inside the archive"):
        unpack(path, tmp_path / "deep" / "out")
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == before


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _swapped(content: bytes) -> bytes:
    return content[:60] + bytes(byte ^ 0x55 for byte in content[60:90]) + content[90:]


@pytest.mark.parametrize("damage", [_cut, _swapped, lambda _: b"", lambda _: b"no archive at all" * 100])
def test_a_damaged_archive_is_refused(written: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (written / "noise.bin").write_bytes(np.random.default_rng(0).bytes(4000))
    path = tmp_path / "model.tar.gz"
    pack(written, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"model\.tar\.gz cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_damage_inside_the_compressed_data_is_noticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "numbers.txt").write_text(",".join(f"{number:.3f}" for number in rng.random(20_000)))
    pack(tmp_path / "model", tmp_path / "whole.tar.gz")
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    for place in rng.integers(100, len(whole) - 100, 40):
        (tmp_path / "damaged.tar.gz").write_bytes(whole[:place] + rng.bytes(20) + whole[place + 20 :])
        with pytest.raises(UserError, match="cannot be unpacked"):
            unpack(tmp_path / "damaged.tar.gz", tmp_path / "out")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 100_000), value=st.integers(0, 255))
def test_a_changed_byte_of_an_archive_is_read_or_refused_but_never_a_crash(
    written: Path, tmp_path: Path, place: int, value: int
) -> None:
    path = tmp_path / "model.tar.gz"
    pack(written, path)
    damaged = bytearray(path.read_bytes())
    damaged[place % len(damaged)] = value
    path.write_bytes(damaged)
    try:
        with opened(path) as folder:
            Artifact.read(folder)
    except UserError:
        return


def test_opened_takes_a_folder_or_an_archive_and_leaves_nothing(written: Path, tmp_path: Path) -> None:
    pack(written, tmp_path / "model.tar.gz")
    for model in (written, tmp_path / "model.tar.gz"):
        with opened(model) as folder:
            assert Artifact.read(folder).algorithm == "plain"
    assert written.exists()
    assert folder != written
    assert not folder.exists()


def test_opened_says_where_no_model_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no model at"), opened(tmp_path / "absent.tar.gz"):
        pass
