"""The sample against its probabilities, the projections against their definitions, the vote against counting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard
from scipy.sparse import csr_matrix

from clary.algorithms.knn.model import (
    Preparation,
    Projection,
    Reservoir,
    majority,
    mean,
    padded_width,
    shares,
    unit_rows,
    walsh_hadamard,
)

Array = npt.NDArray[Any]


def sampled(rows: int, size: int, seed: int, cuts: list[int]) -> Array:
    """The numbers of the rows that a reservoir keeps of a stream cut at these places."""
    reservoir = Reservoir(size, 1, np.random.default_rng(seed))
    numbers = np.arange(rows, dtype=np.float32)
    for part in np.split(numbers, sorted(cut % (rows + 1) for cut in cuts)):
        reservoir.add(part[:, None], part)
    kept, labels = reservoir.take()
    assert (kept[:, 0] == labels).all()
    assert not len(reservoir)
    return labels


# The sample


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(0, 60), size=st.integers(1, 70), seed=st.integers(0, 9), cuts=st.lists(st.integers(0, 60)))
def test_a_sample_has_no_row_twice_and_does_not_depend_on_how_the_stream_is_cut(
    rows: int, size: int, seed: int, cuts: list[int]
) -> None:
    found = sampled(rows, size, seed, cuts)
    assert len(found) == len(set(found)) == min(rows, size)
    assert (found == sampled(rows, size, seed, [])).all()
    if rows <= size:
        assert (found == np.arange(rows)).all(), "all rows, in the order in which they came"


def test_every_row_and_every_pair_has_the_same_chance() -> None:
    rows, size, draws = 8, 3, 6000
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(draws):
        counts[tuple(sorted(sampled(rows, size, seed, []).astype(int)))] += 1
    assert len(counts) == 56
    expected = draws / 56
    # Chi square of 55 degrees of freedom: the chance of more than 110 is below 1 in 100,000.
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 110


def test_hosts_give_as_many_rows_as_one_draw_from_all_would_take() -> None:
    seen = np.array([9000, 1000, 0])
    drawn = np.array([shares(seen, 500, np.random.default_rng(seed)) for seed in range(2000)])
    assert (drawn.sum(axis=1) == 500).all()
    assert (drawn[:, 2] == 0).all()
    assert drawn[:, 0].mean() == pytest.approx(450, abs=0.7)
    # The variance of a draw without replacement; a fixed share of each host would have none.
    assert drawn[:, 0].var() == pytest.approx(500 * 0.9 * 0.1 * 9500 / 9999, rel=0.15)
    assert (shares(seen, 20000, np.random.default_rng(0)) == seen).all()
    many = shares(seen * 10**7, 500, np.random.default_rng(0))
    assert (many.sum(), many[2]) == (500, 0)


# Projections


@pytest.mark.parametrize("width", [1, 2, 8, 64, 128, 1024, 8192])
def test_the_fast_transform_is_the_product_with_a_hadamard_matrix(width: int) -> None:
    rows = np.random.default_rng(width).normal(size=(3, width)).astype(np.float32)
    if width <= 1024:
        expected = rows @ hadamard(width).astype(np.float64)
        assert walsh_hadamard(rows) == pytest.approx(expected, abs=1e-4 * width**0.5)
    # Its inverse is itself, but for the width.
    assert walsh_hadamard(walsh_hadamard(rows)) / width == pytest.approx(rows, abs=1e-5)


@pytest.mark.parametrize(("width", "padded"), [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128)])
def test_a_row_is_padded_to_the_next_power_of_two(width: int, padded: int) -> None:
    assert padded_width(width) == padded


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
@pytest.mark.parametrize(("width", "target"), [(50, 20), (64, 63), (7, 12)])
def test_squared_lengths_and_inner_products_are_kept_in_the_mean(kind: str, width: int, target: int) -> None:
    rows = np.random.default_rng(0).normal(size=(2, width)).astype(np.float32) + 1
    drawn = []
    for seed in range(1000):
        found = Projection.draw(kind, width, target, np.random.default_rng(seed)).prepared()(rows)
        assert found.shape == (2, target)
        assert found.dtype == np.float32
        drawn.append(found @ found.T)
    scale = float(np.linalg.norm(rows[0]) * np.linalg.norm(rows[1]))
    assert np.mean(drawn, axis=0) == pytest.approx(rows @ rows.T, abs=4 * scale * (2 / target / 1000) ** 0.5)


def test_a_sign_projection_is_the_product_with_its_matrix() -> None:
    projection = Projection.draw("sign", 6, 4, np.random.default_rng(1))
    rows = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    assert set(projection.parts["signs"].reshape(-1)) == {-1, 1}
    assert projection.prepared()(rows) == pytest.approx(rows @ projection.parts["signs"] / 2, rel=1e-5)


def test_a_fast_projection_is_signs_transform_and_choice() -> None:
    projection = Projection.draw("fjlt", 6, 4, np.random.default_rng(1))
    rows = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    signs, places = projection.parts["signs"], projection.parts["places"]
    assert len(set(places)) == 4
    expected = (np.pad(rows * signs, ((0, 0), (0, 2))) @ hadamard(8))[:, places] / 2
    assert projection.prepared()(rows) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_neighbors_stay_neighbors(kind: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 512)).astype(np.float32)
    found = Projection.draw(kind, 512, 200, rng).prepared()(rows)
    before, after = (np.linalg.norm(each[1:] - each[0], axis=1) for each in (rows, found))
    assert np.abs(after / before - 1).max() < 0.2


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_sparse_rows_are_projected_as_dense_ones(kind: str) -> None:
    rows = np.random.default_rng(0).integers(-1, 2, (40, 30)).astype(np.float32)
    project = Projection.draw(kind, 30, 9, np.random.default_rng(0)).prepared()
    assert project(csr_matrix(rows)) == pytest.approx(project(rows), abs=1e-5)


def test_preparing_is_free_where_nothing_need_be_done() -> None:
    rows = np.ones((3, 4), np.float32)
    assert Preparation(4, None, False)(rows) is rows
    assert Preparation(6, None, False)(rows).tolist() == [[1, 1, 1, 1, 0, 0]] * 3
    assert Preparation(4, None, True)(csr_matrix(rows)).tolist() == [[0.5] * 4] * 3


def test_rows_of_any_size_are_brought_to_length_1() -> None:
    rows = np.array([[3e30, 4e30], [3e-30, 4e-30], [0, 0], [-5, 0]], np.float32)
    assert unit_rows(rows) == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8], [0, 0], [-1, 0]]))


# The vote


@given(st.lists(st.lists(st.integers(-2, 4), min_size=6, max_size=6), min_size=1, max_size=30))
def test_the_most_frequent_label_wins_and_of_equals_the_smallest(labels: list[list[int]]) -> None:
    found = majority(np.array(labels, np.float32))
    for votes, winner in zip(labels, found, strict=True):
        counts = Counter(votes)
        assert winner == min(label for label in counts if counts[label] == max(counts.values()))


def test_the_mean_label_is_exact() -> None:
    assert mean(np.array([[16777216, 1, 1]], np.float32)).tolist() == [np.float32(16777218 / 3)]
