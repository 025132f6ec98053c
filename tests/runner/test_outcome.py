"""What a job came to: the failure in the contract's words, artifacts of all hosts in one archive."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from clary.container.layout import Layout
from clary.runner.outcome import collect, failure_text, most_telling
from clary.toolkit.errors import PlatformError


def failed(root: Path, text: str | None) -> Layout:
    layout = Layout(root)
    layout.output.mkdir(parents=True)
    if text is not None:
        layout.failure.write_text(text)
    return layout


@pytest.mark.parametrize(
    "text", ["ClientError: k is wrong", "AlgorithmError: a host left", "InternalServerError: disk"]
)
def test_a_reason_that_names_its_family_passes_unchanged(tmp_path: Path, text: str) -> None:
    assert failure_text(failed(tmp_path / "r", text), 1, []) == text


def test_any_other_reason_is_an_algorithm_error_with_the_exit_code(tmp_path: Path) -> None:
    assert failure_text(failed(tmp_path / "r", "boom"), 3, []) == "AlgorithmError: boom, exit code: 3"


def test_only_the_first_1024_characters_count(tmp_path: Path) -> None:
    assert len(failure_text(failed(tmp_path / "r", "ClientError: " + "x" * 5000), 1, [])) == 1024


def test_a_process_without_a_reason_is_explained_by_its_end_and_last_lines(tmp_path: Path) -> None:
    text = failure_text(failed(tmp_path / "r", None), -9, ["working", ""])
    assert text.startswith("AlgorithmError: the training program was ended by SIGKILL")
    assert "memory" in text
    assert text.endswith("working")


def test_the_failure_that_the_user_can_mend_is_told() -> None:
    assert most_telling(["AlgorithmError: peer left", "ClientError: row 3"]) == "ClientError: row 3"
    assert most_telling(["AlgorithmError: first", "AlgorithmError: second"]) == "AlgorithmError: first"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: stream.read() for m in tar if (stream := tar.extractfile(m)) is not None}


def test_folders_of_all_hosts_become_one_archive(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1", model="m", shared="s"), write(tmp_path / "2", part="p", shared="s")
    assert collect([one, two], tmp_path / "model.tar.gz")
    assert members(tmp_path / "model.tar.gz") == {"model": b"m", "part": b"p", "shared": b"s"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "model.tar.gz"]


def test_different_files_under_one_name_are_an_error_and_leave_no_archive(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="'model'"):
        collect([write(tmp_path / "1", model="m"), write(tmp_path / "2", model="n")], tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()


def test_nothing_to_pack_makes_no_archive(tmp_path: Path) -> None:
    half = write(tmp_path / "1")
    (half / ".model.partial").write_text("half")
    assert not collect([half, tmp_path / "absent"], tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()
