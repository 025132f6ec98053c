"""Batches lose nothing, keep order, and do not depend on how the data was cut before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.batches import batches, shared_out, shuffled
from clary.toolkit.records import Records

CUTS = st.lists(st.integers(0, 9), max_size=12)
SIZES = st.integers(1, 12)


def block(numbers: Sequence[int], *, labels: bool = True, sparse: bool = False) -> Records:
    """Rows that hold their number in both columns, and in the label."""
    column = np.array(numbers, np.float32)[:, None]
    features: Any = np.repeat(column, 2, axis=1) if len(numbers) else np.empty((0, 2), np.float32)
    if sparse:
        from scipy.sparse import csr_matrix

        features = csr_matrix(features)
    return Records(features, column if labels else None, "made", 1 + (numbers[0] if len(numbers) else 0))


def cut(counts: Sequence[int], **settings: bool) -> Iterator[Records]:
    """Blocks of these many rows, numbered through."""
    start = 0
    for count in counts:
        yield block(range(start, start + count), **settings)
        start += count


def numbers(part: Records) -> list[int]:
    found: list[int] = part.dense()[:, 0].astype(int).tolist()
    assert part.labels is None or part.labels[:, 0].astype(int).tolist() == found
    return found


@pytest.mark.parametrize("settings", [{}, {"labels": False}, {"sparse": True}], ids=["dense", "bare", "sparse"])
@given(counts=CUTS, size=SIZES)
def test_batches_are_the_rows_in_order_in_one_size(settings: dict[str, bool], counts: list[int], size: int) -> None:
    found = list(batches(cut(counts, **settings), size))
    total = sum(counts)
    assert [number for part in found for number in numbers(part)] == list(range(total))
    assert [len(part) for part in found[:-1]] == [size] * (len(found) - 1)
    assert len(found) == -(-total // size)
    assert [part.first_row for part in found] == [1 + place * size for place in range(len(found))]


@given(counts=CUTS, size=SIZES, window=SIZES, seed=st.integers(0, 5))
def test_a_shuffle_does_not_depend_on_the_cuts(counts: list[int], size: int, window: int, seed: int) -> None:
    def order(blocks: Iterator[Records]) -> list[int]:
        mixed = shuffled(blocks, np.random.default_rng(seed), rows=window)
        return [number for part in batches(mixed, size) for number in numbers(part)]

    found = order(cut(counts))
    assert sorted(found) == list(range(sum(counts)))
    assert found == order(cut([sum(counts)]))
    assert all(abs(number - place) < window for place, number in enumerate(found))


def test_a_shuffle_that_fits_mixes_everything() -> None:
    (found,) = shuffled(cut([50, 50]), np.random.default_rng(0), rows=100)
    assert numbers(found) != list(range(100))
    (again,) = shuffled(cut([50, 50]), np.random.default_rng(1), rows=100)
    assert numbers(again) != numbers(found)


@given(counts=CUTS, hosts=st.integers(1, 4))
def test_each_part_goes_to_one_host(counts: list[int], hosts: int) -> None:
    shares = [list(shared_out(cut(counts), rank, hosts)) for rank in range(hosts)]
    found = sorted(number for share in shares for part in share for number in numbers(part))
    assert found == list(range(sum(counts)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_of_whole_blocks_is_no_copy() -> None:
    whole = block(range(10))
    (found,) = batches([whole], 10)
    assert np.shares_memory(found.dense(), whole.dense())
