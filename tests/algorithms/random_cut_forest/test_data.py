"""The sample: every row has the same chance, none is in it twice, and parts of it join into the same one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.random_cut_forest.data import Sample


def offered(sample: Sample, numbers: np.ndarray, *, first: int = 0) -> None:
    """Offer rows that hold their own number in the stream."""
    chosen = sample.promising(numbers)
    sample.add(numbers[chosen], (first + chosen)[:, None].astype(np.float32))


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 30), st.integers(0, 1000))
def test_the_rows_with_the_lowest_numbers_are_kept_however_they_come(sizes: list[int], most: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).random(sum(sizes))
    sample, start = Sample(most, 1), 0
    for size in sizes:
        offered(sample, numbers[start : start + size], first=start)
        start += size
    expected = np.argsort(numbers)[:most]
    assert sample.points()[:, 0].astype(int).tolist() == expected.tolist()
    assert (sample.numbers() == numbers[expected]).all()


def test_a_part_joined_with_another_is_the_whole() -> None:
    numbers = np.random.default_rng(0).random(500)
    whole, one, two = Sample(50, 1), Sample(50, 1), Sample(50, 1)
    offered(whole, numbers)
    offered(one, numbers[:200])
    offered(two, numbers[200:], first=200)
    one.add(two.numbers(), two.points())
    assert (one.points() == whole.points()).all()


def test_memory_is_bounded_by_twice_the_sample() -> None:
    sample, rng = Sample(100, 8), np.random.default_rng(0)
    for _ in range(200):
        numbers = rng.random(50)
        chosen = sample.promising(numbers)
        sample.add(numbers[chosen], np.zeros((len(chosen), 8), np.float32))
        assert sample.nbytes <= 2 * 100 * 8 * 4 + 50 * 8 * 4
