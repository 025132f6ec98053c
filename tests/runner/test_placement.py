"""A channel's files: found by key, shared out whole, shown without being copied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.runner.placement import find, place, share
from clary.toolkit.errors import UserError


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_file_keeps_its_name(tmp_path: Path) -> None:
    path = make(tmp_path, "rows.csv") / "rows.csv"
    assert find([path], channel="train") == {"rows.csv": path}


def test_a_folder_gives_its_files_by_their_paths_below_it_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.csv", "deep/er/a.csv", "a.csv")
    assert list(find([tmp_path], channel="train")) == ["a.csv", "b.csv", "deep/er/a.csv"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", ".DS_Store", ".ipynb_checkpoints/a.csv")
    assert list(find([tmp_path], channel="train")) == ["a.csv"]


def test_equal_names_of_two_folders_both_stay(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", "a.csv"), make(tmp_path / "two", "a.csv")
    assert find([one, two], channel="train") == {"a.csv": one / "a.csv", "1/a.csv": two / "a.csv"}


@pytest.mark.parametrize(("there", "wanted"), [(False, "no file or folder"), (True, "holds no files")])
def test_nothing_to_read_is_refused_with_the_channel_and_the_path(tmp_path: Path, there: bool, wanted: str) -> None:
    folder = tmp_path / "data"
    if there:
        make(folder, ".hidden")
    with pytest.raises(UserError, match=f"channel train.*{wanted}|channel train.*data.*{wanted}"):
        find([folder], channel="train")


@given(count=st.integers(0, 12), hosts=st.integers(1, 5))
def test_sharding_gives_every_file_whole_to_exactly_one_host(count: int, hosts: int) -> None:
    files = {f"{number:02}": Path(str(number)) for number in range(count)}
    shards = [share(files, "ShardedByS3Key", rank, hosts) for rank in range(hosts)]
    assert sorted(key for shard in shards for key in shard) == list(files)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_replication_gives_every_host_everything() -> None:
    files = {"a": Path("a"), "b": Path("b")}
    assert share(files, "FullyReplicated", 1, 3) == files


def test_files_are_shown_without_a_copy_and_the_source_is_untouched(tmp_path: Path) -> None:
    source = make(tmp_path / "source", "a.csv", "deep/b.csv")
    before = {path: path.stat().st_mtime_ns for path in [source, *source.rglob("*")]}
    place(find([source], channel="train"), tmp_path / "target")
    assert (tmp_path / "target/deep/b.csv").read_text() == "deep/b.csv"
    assert (tmp_path / "target/a.csv").samefile(source / "a.csv")
    assert {path: path.stat().st_mtime_ns for path in [source, *source.rglob("*")]} == before


@pytest.mark.parametrize("refused", [["symlink"], ["symlink", "link"]])
def test_where_links_are_refused_the_bytes_still_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: list[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("not allowed here")

    for name in refused:
        monkeypatch.setattr(os, name, refuse)
    source = make(tmp_path / "source", "a.csv")
    place(find([source], channel="train"), tmp_path / "target")
    assert (tmp_path / "target/a.csv").read_text() == "a.csv"
    assert not (tmp_path / "target/a.csv").is_symlink()
