"""Pipe mode: a FIFO for each pass, all files in each, readers that leave early."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("named pipes are POSIX", allow_module_level=True)

from clary.runner.pipes import Feeder

BIG = bytes(range(256)) * 20_000


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "a").write_bytes(BIG)
    (tmp_path / "b").write_bytes(b"end\n")
    folder = tmp_path / "pipes"
    folder.mkdir()
    feeder = Feeder(folder, "train", [tmp_path / "a", tmp_path / "b"])
    feeder.start()
    yield folder
    feeder.stop()
    assert feeder.failure is None


def opened(path: Path) -> Path:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return path


def test_each_pass_has_a_fifo_with_all_files_one_behind_the_other(fed: Path) -> None:
    for number in range(3):
        assert opened(fed / f"train_{number}").read_bytes() == BIG + b"end\n"


def test_the_next_fifo_is_there_while_one_is_read(fed: Path) -> None:
    with (fed / "train_0").open("rb") as stream:
        stream.read(1)
        opened(fed / "train_1")


def test_a_reader_may_leave_early(fed: Path) -> None:
    with (fed / "train_0").open("rb") as stream:
        assert stream.read(3) == BIG[:3]
    assert opened(fed / "train_1").read_bytes() == BIG + b"end\n"


def test_a_channel_that_nobody_reads_can_be_ended(fed: Path) -> None:
    assert (fed / "train_0").exists()
