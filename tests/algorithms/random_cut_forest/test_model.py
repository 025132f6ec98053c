"""The forest against the paper's definitions, written out in NumPy, and against two other programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, spearmanr

from clary.algorithms.random_cut_forest.model import Forest
from clary.datasets import generators
from clary.datasets.shingles import shingled

Array = npt.NDArray[Any]


def points(trees: int, slots: int, width: int, seed: int = 0, *, places: int | None = None) -> Array:
    """Normal numbers, rounded to so many digits, so that some points are equal."""
    drawn = np.random.default_rng(seed).normal(size=(trees, slots, width))
    return (drawn if places is None else drawn.round(places)).astype(np.float32)


def members(forest: Mapping[str, Array], t: int, node: Any) -> list[int]:
    """The slots of the leaves below a node."""
    if node < 0:
        return [~node]
    return members(forest, t, forest["left"][t, node]) + members(forest, t, forest["right"][t, node])


def written_out(forest: Mapping[str, Array], t: int, row: Array) -> float:
    """The score of one tree as the contract words it, in float64, coming up from the leaf."""
    held = forest["points"][t].astype(np.float64)
    row = row.astype(np.float64)

    def up(node: int, depth: int) -> float:
        inside = held[members(forest, t, node)]
        if node < 0:
            mass = forest["mass"][t, ~node]
            same = (inside[0] == row).all()
            return (1 - mass / (2 * len(held))) / (depth + np.log2(mass + 1)) if same else 1 / (depth + 1)
        sides = np.ptp(inside, axis=0).sum()
        larger = np.ptp(np.vstack([inside, row]), axis=0).sum()
        p = (larger - sides) / larger
        goes_left = row[forest["feature"][t, node]] <= forest["value"][t, node]
        child = forest["left" if goes_left else "right"][t, node]
        return float(p / (depth + 1) + (1 - p) * up(child, depth + 1))

    return float(up(forest["root"][t], 0) * np.log2(len(held) + 1))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    slots=st.integers(1, 40),
    width=st.integers(1, 4),
    places=st.sampled_from([None, 1, 0]),
    count=st.sampled_from([0, 1, 20, 300]),
)
def test_the_score_is_the_contracts(seed: int, slots: int, width: int, places: int | None, count: int) -> None:
    held = points(3, slots, width, seed, places=places)
    forest = Forest.grow(held, held.size, seed=seed)
    rows = np.concatenate([held[0], points(1, count, width, seed + 1)[0] * 3])
    scores, tensors = forest.scores(rows), forest.tensors()
    # Rows walk down the trees in blocks; these stand for the first block, the next one, and the rows of the sample.
    for n in {0, slots - 1, len(rows) // 2, len(rows) - 1}:
        expected = np.mean([written_out(tensors, t, rows[n]) for t in range(3)])
        assert scores[n] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("places", [None, 0])
def test_attributions_add_up_to_the_score_and_name_the_feature(places: int | None) -> None:
    held = points(20, 50, 4, places=places)
    forest, rows = Forest.grow(held, 1000), points(1, 30, 4, seed=1, places=places)[0]
    rows[0] = (0, 0, 9, 0)
    base_N, parts_ND = forest.attributions(rows)
    assert base_N + parts_ND.sum(axis=1) == pytest.approx(forest.scores(rows), rel=1e-9)
    assert (parts_ND >= 0).all()
    assert parts_ND[0].argmax() == 2
    assert parts_ND[0, 2] > 0.8 * parts_ND[0].sum()


def test_a_row_that_every_tree_holds_is_no_features_doing() -> None:
    held = np.repeat(points(1, 30, 3), 10, axis=0)
    forest = Forest.grow(held, 30)
    base_N, parts_ND = forest.attributions(held[0])
    assert (parts_ND == 0).all()
    assert base_N == pytest.approx(forest.scores(held[0]))


# The distribution of trees


def first_cuts(forest: Forest) -> Array:
    """Of trees over the points 0, 1, 3 and 7 on a line: how many points lie left of the first cut."""
    tensors = forest.tensors()
    return np.array([len(members(tensors, t, tensors["left"][t, root])) for t, root in enumerate(tensors["root"])])


LINE = np.array([[0], [1], [3], [7]], np.float32)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_the_first_cut_falls_into_a_gap_as_often_as_it_is_long(order: list[int]) -> None:
    trees = 20_000
    forest = Forest.grow(np.tile(LINE[order], (trees, 1, 1)), 4)
    counts = np.bincount(first_cuts(forest), minlength=4)[1:]
    assert chisquare(counts, trees * np.array([1, 2, 4]) / 7).pvalue > 1e-3


def test_features_are_cut_in_proportion_to_their_side() -> None:
    corners = np.array([[0, 0], [1, 3], [0.5, 1.5]], np.float32)
    forest = Forest.grow(np.tile(corners, (20_000, 1, 1)), 3).tensors()
    roots = forest["feature"][np.arange(20_000), forest["root"]]
    assert chisquare(np.bincount(roots), [5_000, 15_000]).pvalue > 1e-3


def test_a_tree_that_forgot_a_point_is_distributed_as_one_that_never_had_it() -> None:
    trees = 20_000
    with_five = np.concatenate([[[20.0]], LINE]).astype(np.float32)
    forest = Forest.grow(np.tile(with_five, (trees, 1, 1)), 5)
    before = forest.tensors()
    # Offered one row with a memory of five, a full tree of five takes it in place of any of them.
    forest.update(np.array([[3.0]], np.float32), memory=5)
    after = forest.tensors()
    changed = np.flatnonzero((before["points"] != after["points"]).any(axis=(1, 2)) & (after["points"][:, 0, 0] == 3))
    counts = np.zeros(4)
    for t in changed.tolist():
        left = [after["points"][t, slot, 0] for slot in members(after, t, after["left"][t, after["root"][t]])]
        counts[int(np.searchsorted([0, 1, 3, 7], max(left)))] += 1
    assert len(changed) > trees / 6  # that the first point goes, of five
    assert chisquare(counts[:3], len(changed) * np.array([1, 2, 4]) / 7).pvalue > 1e-3


# Streams


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), slots=st.integers(1, 12), width=st.integers(1, 3), places=st.sampled_from([0, 1, 9])
)
def test_after_any_stream_the_trees_are_whole(seed: int, slots: int, width: int, places: int) -> None:
    rows = points(1, 60, width, seed, places=places)[0]
    forest = Forest.empty(3, slots, width, seed)
    forest.update(rows, memory=20)
    again = Forest.read(forest.tensors())  # refuses a tree with a lost, doubled or misplaced point
    used = forest.trees.left != forest.trees.right
    for name in ("low", "high", "span"):
        assert (getattr(again.trees, name)[used] == getattr(forest.trees, name)[used]).all()
    assert {tuple(row) for row in forest.trees.points.reshape(-1, width)} <= {tuple(row) for row in rows}


def test_an_update_scores_each_row_before_it_takes_it() -> None:
    rows = points(1, 300, 2)[0]
    forest = Forest.empty(30, 64, 2)
    scores = forest.update(rows)
    assert forest.seen == 300
    assert scores[0] == 0
    one_by_one = Forest.empty(30, 64, 2)
    for number, row in enumerate(rows):
        expected = one_by_one.scores(row[None])[0] if number else 0.0
        assert one_by_one.update(row[None])[0] == pytest.approx(expected)
        assert scores[number] == pytest.approx(expected)


def test_without_a_memory_every_row_has_the_same_chance_to_stay() -> None:
    rows = np.arange(200, dtype=np.float32)[:, None]
    forest = Forest.empty(2000, 10, 1)
    forest.update(rows)
    kept = np.bincount(forest.trees.points.astype(int).ravel(), minlength=200)
    assert chisquare(kept.reshape(10, 20).sum(axis=1)).pvalue > 1e-3


def test_with_a_memory_the_points_are_about_that_old_on_average() -> None:
    rows = np.arange(5000, dtype=np.float32)[:, None]
    forest = Forest.empty(100, 20, 1)
    forest.update(rows, memory=200)
    assert (4999 - forest.trees.points).mean() == pytest.approx(200, rel=0.15)


def test_a_forest_with_room_fills_up_and_goes_on() -> None:
    forest = Forest.grow(points(10, 5, 2), 50).with_room(8)
    rows = points(1, 40, 2, seed=1)[0]
    assert (Forest.read(forest.tensors()).scores(rows) == forest.scores(rows)).all()
    forest.update(rows)
    assert forest.tensors()["points"].shape == (10, 8, 2)
    Forest.read(forest.tensors())


# Whatever the machine


def test_threads_and_cuts_change_nothing() -> None:
    held, rows = points(12, 40, 3), points(1, 400, 3, seed=1)[0]
    one, four = (Forest.grow(held, 480, seed=5, threads=threads) for threads in (1, 4))
    assert all((one.tensors()[name] == four.tensors()[name]).all() for name in one.tensors())
    assert (one.scores(rows) == four.scores(rows, threads=4)).all()
    assert (one.scores(rows) == np.concatenate([one.scores(rows[:1]), one.scores(rows[1:])])).all()
    for whole, parts in zip(one.attributions(rows), four.attributions(rows, threads=4), strict=True):
        assert (whole == parts).all()
    together = one.update(rows)
    assert (together == np.concatenate([four.update(rows[:150], threads=3), four.update(rows[150:])])).all()


@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_huge_and_tiny_numbers_have_scores(scale: float) -> None:
    held = (np.random.default_rng(0).uniform(-3, 3, (10, 30, 3)) * scale).astype(np.float32)
    forest = Forest.grow(held, 300)
    assert np.isfinite(forest.scores(held[0])).all()
    assert np.isfinite(forest.attributions(held[0] / 2)[1]).all()


def test_neighboring_floats_are_told_apart() -> None:
    one = np.float32(1)
    held = np.tile(np.array([[one], [np.nextafter(one, np.float32(2))]]), (50, 1, 1))
    forest = Forest.grow(held, 2)
    assert (forest.tensors()["mass"] == 1).all()
    Forest.read(forest.tensors())


def broken(name: str, change: Callable[[Array], Any]) -> dict[str, Array]:
    tensors = {key: array.copy() for key, array in Forest.grow(points(3, 6, 2), 18).tensors().items()}
    change(tensors[name])
    return tensors


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("points", lambda array: array.fill(np.nan), "not finite"),
        ("points", lambda array: array[0].fill(7), "tree 0 does not hang together"),
        ("left", lambda array: array.fill(100), "tree 0 does not hang together"),
        ("left", lambda array: array.fill(-100), "out of range"),
        ("right", lambda array: array[1].fill(0), "tree 1 does not hang together"),
        ("root", lambda array: array.fill(-2), "tree 0 does not hang together"),
        ("root", lambda array: array.fill(99), "tree 0 does not hang together"),
        ("root", lambda array: array.fill(-99), "tree 0 does not hang together"),
        ("feature", lambda array: array.fill(2), "a feature is not there"),
        ("value", lambda array: array[2].fill(50), "tree 2 does not hang together"),
        ("mass", lambda array: array.fill(2), "tree 0 does not hang together"),
        ("seen", lambda array: array.fill(0), "seen must be"),
    ],
)
def test_arrays_that_are_no_forest_are_refused(name: str, change: Callable[[Array], Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Forest.read(broken(name, change))


def test_equal_points_in_two_leaves_are_refused() -> None:
    tensors = Forest.grow(np.ones((1, 2, 1), np.float32), 2).tensors()
    tensors["root"][:], tensors["left"][0, 0], tensors["right"][0, 0], tensors["value"][:] = 0, -1, -2, 1
    with pytest.raises(ValueError, match="tree 0 does not hang together"):
        Forest.read(tensors)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_forest_is_refused_or_can_be_asked(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["left", "right", "feature", "value", "mass", "root"]))
    tensors = broken(name, lambda _: None)
    place = data.draw(st.integers(0, tensors[name].size - 1))
    tensors[name].reshape(-1)[place] = data.draw(st.integers(-9, 9))
    try:
        forest = Forest.read(tensors)
    except ValueError:
        return
    assert np.isfinite(forest.scores(points(1, 5, 2)[0])).all()
    assert np.isfinite(forest.update(points(1, 50, 2)[0])).all()


# Two other programs, on the same points


def outliers() -> Array:
    """A series with two anomalies, as rows of four steps: what the peers and the forest learn from, and score."""
    return shingled(generators.demand(12).dense(), 4)


def rrcf() -> ModuleType:
    """The package of the paper's displacement; it asks for its version by a module that newer setuptools lack."""
    stand_in = ModuleType("pkg_resources")
    stand_in.get_distribution = lambda _: mock.Mock(version="")  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {"pkg_resources": stand_in}):
        import rrcf as imported

        package: ModuleType = imported
    return package


@pytest.mark.slow
def test_scores_rank_as_the_open_library_does() -> None:
    krcf = pytest.importorskip("krcf")
    rows = outliers()
    peer = krcf.RandomCutForest(
        {
            "dimensions": 4,
            "shingle_size": 1,
            "num_trees": 200,
            "sample_size": 128,
            "output_after": 1,
            "random_seed": 1,
        }
    )
    for row in rows:
        peer.update(row)
    theirs = np.array([peer.score(row) for row in rows])
    forest = Forest.empty(200, 128, 4)
    forest.update(rows, threads=2)
    assert spearmanr(forest.scores(rows), theirs)[0] > 0.95


def displacements(forest: Mapping[str, Array]) -> Array:
    """The paper's collusive displacement of each point in each tree: the most that leaves for one, on the way up."""
    trees, slots = forest["mass"].shape
    found = np.zeros((trees, slots))

    def down(t: int, node: int, most: float) -> None:
        if node < 0:
            found[t, ~node] = most
            return
        left, right = (int(forest[side][t, node]) for side in ("left", "right"))
        for child, other in ((left, right), (right, left)):
            down(t, child, max(most, held(t, other) / held(t, child)))

    def held(t: int, node: int) -> int:
        return int(forest["mass"][t, members(forest, t, node)].sum())

    for t in range(trees):
        down(t, int(forest["root"][t]), 0.0)
    return found


@pytest.mark.slow
def test_trees_displace_points_as_those_of_the_papers_package() -> None:
    package, rows = rrcf(), np.random.default_rng(0).standard_t(1.5, size=(120, 3)).astype(np.float32)
    trees = 200
    theirs = np.zeros(len(rows))
    for seed in range(trees):
        tree = package.RCTree(rows.astype(np.float64), random_state=seed)
        theirs += [tree.codisp(number) for number in range(len(rows))]
    ours = displacements(Forest.grow(np.tile(rows, (trees, 1, 1)), len(rows)).tensors()).sum(axis=0)
    assert spearmanr(ours, theirs)[0] > 0.95
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.1)
