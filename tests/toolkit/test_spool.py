"""Kept rows come back as they were added, from memory and from the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random as random_sparse

from clary.toolkit import spool as spools
from clary.toolkit.errors import PlatformError
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool


def dense(rows: int, *, first: int = 1) -> Records:
    numbers = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) + first
    labels, weights = numbers[:, :1].copy(), numbers[:, 0].copy()
    return Records(numbers, labels, source="file x", first_row=first, weights=weights, groups=np.arange(rows))


def sparse(rows: int, seed: int) -> Records:
    matrix = random_sparse(rows, 9, density=0.3, format="csr", dtype=np.float32, random_state=seed)
    return Records(matrix, np.ones((rows, 1), np.float32))


def same(found: Iterator[Records], expected: list[Records]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.source, one.first_row, one.sparse) == (other.source, other.first_row, other.sparse)
        np.testing.assert_array_equal(one.dense(), other.dense())
        for name in ("labels", "weights", "groups"):
            given, wanted = getattr(one, name), getattr(other, name)
            assert (given is None) == (wanted is None)
            assert given is None or (given.dtype == wanted.dtype and (given == wanted).all())


@given(sizes=st.lists(st.integers(0, 40), max_size=8), limit=st.sampled_from([0, 300, 1 << 20]))
def test_what_is_added_comes_back_any_number_of_times(sizes: list[int], limit: int) -> None:
    blocks = [dense(size) if number % 2 else sparse(size, number) for number, size in enumerate(sizes)]
    spool = Spool(limit)
    for block in blocks:
        spool.add(block)
    assert spool.rows == sum(sizes)
    for _ in range(3):
        same(iter(spool), blocks)
    spool.close()


def test_rows_behind_the_limit_go_to_the_disk() -> None:
    first, second = Records(dense(10).dense()), dense(1)
    spool = Spool(in_memory=first.dense().nbytes)
    places = []
    for block in (first, second):
        spool.add(block)
        places.append(spool.on_disk)
    assert places == [False, True]
    same(iter(spool), [first, second])
    spool.close()
    assert list(spool) == []


def test_a_disk_without_room_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=spools.SPARE_DISK)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PlatformError, match="free some space"):
        Spool(in_memory=0).add(dense(5))
