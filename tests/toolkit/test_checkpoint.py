"""Progress is saved whole, found again by the same job alone, and damage to it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.errors import PlatformError, UserError

JOB = {"algorithm": "kmeans", "k": "10"}
ARRAYS = {"centers": np.arange(6.0).reshape(2, 3), "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T}


def test_without_a_folder_nothing_is_kept_or_due() -> None:
    nothing = Checkpoints(None, JOB, every=0)
    nothing.save(ARRAYS, {})
    assert (nothing.kept, nothing.due, nothing.load()) == (False, False, None)


def test_what_is_saved_is_found_again(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "made", JOB).save(ARRAYS, {"epoch": 2, "note": "half"})
    found = Checkpoints(tmp_path / "made", JOB).load()
    assert found is not None
    assert found.state == {"epoch": 2, "note": "half"}
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }
    assert found.arrays["centers"].dtype == np.float64


def test_only_the_latest_is_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, JOB)
    for epoch in range(3):
        kept.save(ARRAYS, {"epoch": epoch})
    assert len(list(tmp_path.iterdir())) == 1
    found = kept.load()
    assert found is not None
    assert found.state == {"epoch": 2}


def test_hosts_keep_their_own(tmp_path: Path) -> None:
    for rank in (0, 1):
        Checkpoints(tmp_path, JOB, rank=rank).save({}, {"rank": rank})
    found = Checkpoints(tmp_path, JOB, rank=1).load()
    assert found is not None
    assert found.state == {"rank": 1}


def test_one_is_due_when_enough_time_has_passed(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, JOB, every=0).due
    often = Checkpoints(tmp_path, JOB, every=3600)
    assert not often.due


def test_an_empty_folder_holds_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no checkpoint")
    assert Checkpoints(tmp_path, JOB).load() is None


def test_another_job_is_refused_by_what_differs(tmp_path: Path) -> None:
    Checkpoints(tmp_path, JOB).save(ARRAYS, {})
    with pytest.raises(UserError, match=r"a job with another epochs, k; use the same hyperparameters"):
        Checkpoints(tmp_path, {"algorithm": "kmeans", "k": "11", "epochs": "2"}).load()


@pytest.mark.parametrize("damage", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"junk" * 100])
def test_a_damaged_one_is_refused_with_the_way_out(tmp_path: Path, damage: bytes) -> None:
    kept = Checkpoints(tmp_path, JOB)
    kept.save(ARRAYS, {})
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for content in (damage, whole[:-5], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="empty the checkpoint folder to start over"):
            kept.load()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PlatformError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "below", JOB).save(ARRAYS, {})
