"""The mathematics of k-means against float64 NumPy, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans

from clary.algorithms.kmeans.model import Centers, Stream, grouped, lloyd, pick
from clary.datasets import generators, samples

RNG = np.random.default_rng(7)
SMALL = st.floats(-100, 100, width=32)


def exact_squared(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    difference = points.astype(np.float64)[:, None, :] - centers.astype(np.float64)[None, :, :]
    squared: np.ndarray = np.square(difference).sum(axis=2)
    return squared


@given(arrays(np.float32, (12, 3), elements=SMALL), arrays(np.float32, (5, 3), elements=SMALL))
def test_the_nearest_center_is_as_near_as_float64_finds_it(points: np.ndarray, centers: np.ndarray) -> None:
    squared = exact_squared(points, centers)
    index = Centers(centers).nearest(points)
    chosen = squared[np.arange(len(points)), index]
    # Rounding may swap two centers that are equally far to seven digits, and no others.
    scale = np.square(points.astype(np.float64)).sum(axis=1) + np.square(centers.astype(np.float64)).sum(axis=1).max()
    assert np.all(chosen - squared.min(axis=1) <= 2e-5 * scale + 1e-12)


def test_ties_go_to_the_lower_index() -> None:
    centers = np.array([[1, 0], [-1, 0], [1, 0]], np.float32)
    assert Centers(centers).nearest(np.array([[0, 0], [1, 0], [-1, 5]], np.float32)).tolist() == [0, 0, 1]


def test_a_shift_of_a_million_does_not_change_the_assignment() -> None:
    points = generators.blobs(500, 4, 6, seed=3, spread=2.0).dense()
    centers = points[:6]
    shift = np.float32(2**20)  # exact in float32, and so is the sum up to an eighth
    near = np.round(points * 8) / 8
    moved = Centers(np.round(centers * 8) / 8 + shift)
    assert moved.nearest(near + shift).tolist() == Centers(np.round(centers * 8) / 8).nearest(near).tolist()


def test_the_distance_to_a_center_from_itself_is_exactly_zero() -> None:
    centers = (RNG.random((8, 784)) * 255).astype(np.float32)
    prepared = Centers(centers)
    index = prepared.nearest(centers)
    assert index.tolist() == list(range(8))
    assert prepared.squared(centers, index).tolist() == [0.0] * 8


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e18, 1e19, 1e30])
def test_very_large_and_very_small_numbers_find_their_center(scale: float) -> None:
    points = (generators.blobs(300, 4, 5, seed=1, spread=0.1).dense() * np.float32(scale)).astype(np.float32)
    centers = points[:7]
    prepared = Centers(centers)
    index = prepared.nearest(points)
    squared = exact_squared(points, centers)
    joint_index, joint_squared = prepared.closest(points)
    assert np.array_equal(joint_index, index)
    assert np.array_equal(joint_squared, prepared.squared(points, index))
    assert prepared.nearest(centers).tolist() == [int(row.argmin()) for row in exact_squared(centers, centers)]
    np.testing.assert_allclose(prepared.squared(points, index), squared.min(axis=1), rtol=1e-4, atol=1e-9 * scale**2)


@pytest.mark.parametrize("far", [1e17, 1e19, 3e19, 1e25])
def test_a_point_far_from_ordinary_centers_finds_the_nearest_one(far: float) -> None:
    centers = np.array([[-1, 0], [0, 0], [1, 0]], np.float32) * np.float32(1e15)
    points = np.array([[far, 0], [-far, 0], [0, 0]], np.float32)
    index, squared = Centers(centers).closest(points)
    assert index.tolist() == [int(row.argmin()) for row in exact_squared(points, centers)]
    np.testing.assert_allclose(squared, exact_squared(points, centers).min(axis=1), rtol=1e-5)


def test_streamed_sums_of_far_away_rows_keep_their_digits() -> None:
    points = np.float32(2**20) + np.arange(5000, dtype=np.float32).reshape(-1, 1) % 8
    sums, counts = grouped(points, np.zeros(5000, np.intp), 1)
    assert sums[0, 0] == points.astype(np.float64).sum()
    assert counts[0] == 5000


def test_sparse_rows_are_assigned_like_dense_ones() -> None:
    points = np.where(RNG.random((200, 30)) < 0.2, RNG.normal(size=(200, 30)), 0).astype(np.float32)
    prepared = Centers(points[:9])
    sparse = csr_matrix(points)
    assert prepared.nearest(sparse).tolist() == prepared.nearest(points).tolist()
    sums, counts = grouped(sparse, prepared.nearest(sparse), 9)
    dense_sums, dense_counts = grouped(points, prepared.nearest(points), 9)
    assert np.array_equal(sums, dense_sums)
    assert np.array_equal(counts, dense_counts)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_grouped_sums_agree_with_a_plain_loop(index: list[int]) -> None:
    points = RNG.normal(size=(len(index), 3)).astype(np.float32)
    sums, counts = grouped(points, np.array(index), 7)
    expected = np.zeros((7, 3))
    for row, group in zip(points, index, strict=True):
        expected[group] += row
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-5)
    assert counts.tolist() == [index.count(group) for group in range(7)]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_a_single_center_is_the_running_mean_of_everything_seen(sizes: list[int]) -> None:
    stream = Stream(np.array([[3.0, -1.0]]), np.zeros(1))
    seen = []
    for size in sizes:
        batch = RNG.normal(size=(size, 2))
        seen.append(batch)
        stream.follow(*stream.gather(batch))
    np.testing.assert_allclose(stream.centers_KD[0], np.concatenate(seen).mean(axis=0), rtol=1e-9, atol=1e-12)
    assert stream.counts_K[0] == sum(sizes)


def test_an_observation_counts_half_after_the_half_life() -> None:
    stream = Stream(np.zeros((1, 1)), np.zeros(1))
    stream.follow(np.array([[10.0 * 100]]), np.array([100.0]), half_life=100)
    stream.follow(np.array([[40.0 * 100]]), np.array([100.0]), half_life=100)
    assert stream.counts_K[0] == pytest.approx(150)
    assert stream.centers_KD[0, 0] == pytest.approx((50 * 10 + 100 * 40) / 150)


def test_a_center_without_points_stays_where_it_is() -> None:
    stream = Stream(np.array([[0.0, 0.0], [100.0, 100.0]]), np.zeros(2))
    stream.follow(*stream.gather(np.array([[1.0, 1.0], [2.0, 2.0]])))
    assert stream.centers_KD.tolist() == [[1.5, 1.5], [100.0, 100.0]]
    assert stream.counts_K.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("method", ["random", "kmeans++"])
def test_picked_centers_are_different_points_of_the_data(method: str) -> None:
    points = RNG.normal(size=(50, 3))
    picked = pick(points, np.ones(50), 20, method, np.random.default_rng(1))
    rows = {tuple(row) for row in points}
    assert picked.shape == (20, 3)
    assert len({tuple(row) for row in picked}) == 20
    assert all(tuple(row) in rows for row in picked)


@pytest.mark.parametrize("method", ["random", "kmeans++"])
def test_duplicate_points_are_picked_without_complaint(method: str) -> None:
    points = np.repeat([[1.0, 2.0], [3.0, 4.0]], 10, axis=0)
    picked = pick(points, np.ones(20), 5, method, np.random.default_rng(1))
    assert picked.shape == (5, 2)


def test_plus_plus_spreads_over_separated_blobs() -> None:
    blobs = generators.blobs(600, 2, 6, seed=5, spread=0.05)
    picked = pick(blobs.dense().astype(float), np.ones(600), 6, "kmeans++", np.random.default_rng(0))
    assert len(set(Centers(picked.astype(np.float32)).nearest(blobs.dense()).tolist())) == 6
    assert blobs.labels is not None
    owners = {float(blobs.labels[(blobs.dense() == row.astype(np.float32)).all(axis=1)][0, 0]) for row in picked}
    assert len(owners) == 6


def test_lloyd_agrees_with_scikit_learn_on_weighted_points() -> None:
    points = samples.digits().dense()[:600].astype(np.float64)
    weights = np.random.default_rng(2).integers(1, 9, 600).astype(np.float64)
    ours = min(
        lloyd(points, weights, 10, "kmeans++", np.random.default_rng(i), most=300, tolerance=1e-6).loss
        for i in range(8)
    )
    theirs = (
        KMeans(10, n_init=8, random_state=0, tol=1e-6).fit(points, sample_weight=weights).inertia_ / weights.sum()
    )
    assert ours == pytest.approx(theirs, rel=0.01)


def test_lloyd_reports_the_loss_of_the_centers_it_returns() -> None:
    points = samples.digits().dense()[:300].astype(np.float64)
    found = lloyd(points, np.ones(300), 7, "random", np.random.default_rng(4), most=3, tolerance=0.0)
    assert found.loss == pytest.approx(exact_squared(points, found.centers_KD).min(axis=1).mean(), rel=1e-9)


def test_lloyd_never_leaves_a_cluster_empty_when_there_are_points_for_it() -> None:
    points = np.array([[0.0], [0.1], [0.2], [100.0], [100.1], [200.0]])
    for seed in range(20):
        found = lloyd(points, np.ones(6), 3, "random", np.random.default_rng(seed), most=50, tolerance=0.0)
        assert len(set(Centers(found.centers_KD.astype(np.float32)).nearest(points.astype(np.float32)))) == 3
