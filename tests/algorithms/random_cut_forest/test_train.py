"""Jobs: how the sample is shared out, what is refused, and what the log says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from clary.algorithms.random_cut_forest.spec import SPEC
from exam.room import Outcome, Room

UNLABELED = "text/csv;label_size=0"


def csv(rows: np.ndarray) -> bytes:
    return "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows).encode()


def trained(
    folder: Path, train: np.ndarray, test: bytes | None = None, /, memory: int = 2000, **given: str
) -> Outcome:
    """The outcome of a job on these rows, with 50 trees where nothing else is said."""
    room = Room(folder, SPEC).configure({"feature_dim": str(train.shape[1]), "num_trees": "50", **given})
    room.channel("train", {"rows.csv": csv(train)}, UNLABELED)
    if test is not None:
        room.channel("test", {"rows.csv": test}, "text/csv;label_size=1")
    return room.train(CLARY_MEMORY_MB=str(memory))


def numbered(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32)[:, None]


def test_short_data_are_shared_out_equally_and_a_rest_is_left_out(tmp_path: Path) -> None:
    outcome = trained(tmp_path, numbered(4032), num_samples_per_tree="512").succeeded()
    points = outcome.artifact().tensors["points"]
    assert points.shape == (50, 80, 1)
    assert len(np.unique(points)) == 4000, "no row is used by two trees"
    assert outcome.artifact().tensors["seen"] == [4032]
    assert "num_samples_in_forest: 4000, num_samples_per_tree: 80, sample_dim: 1, shingle_size: 1" in outcome.log
    assert "Test data is not provided." in outcome.log


LINES = (
    "Verifying hyperparamemters...",
    "Hyperparameters are correct.",
    "Validating that feature_dim agrees with dimensions in training data...",
    "feature_dim is correct.",
    "Validating memory limits...",
    "Available memory in bytes: 2097152000",
    "Estimated sample size in bytes: 4000",
    "Estimated memory needed to build the forest in bytes: 24000",
    "Memory limits validated.",
    "Sampling training data...",
    "Sampling training data completed.",
    "Master node: building Random Cut Forest...",
    "Gathering samples...",
    "1000 samples gathered",
    "Building Random Cut Forest...",
    "Random Cut Forest built:",
    "ForestInfo{num_trees: 50, num_samples_in_forest: 1000, num_samples_per_tree: 20, sample_dim: 1, shingle_size: 1",
    "Test data is not provided.",
)


def test_the_log_tells_the_steps_in_the_published_order(tmp_path: Path) -> None:
    log = trained(tmp_path, numbered(2000), num_samples_per_tree="20").succeeded().log
    places = [log.find(line) for line in LINES]
    assert places == sorted(places)
    assert places[0] > 0


def test_the_forests_line_counts_the_nodes_and_cuts_of_each_tree(tmp_path: Path) -> None:
    log = trained(tmp_path, numbered(200)).succeeded().log
    facts = dict(re.findall(r"(\w+): (\[.*?\]|[\d.]+)", log.partition("ForestInfo{")[2].partition("}")[0]))
    nodes, depths = (json.loads(facts[name]) for name in ("trees_num_nodes", "trees_depth"))
    assert nodes == [7] * 50, "four points of their own are leaves below three cuts"
    assert set(depths) == {2, 3}
    assert (facts["max_tree_depth"], facts["min_tree_depth"]) == ("3", "2")
    assert float(facts["avg_tree_depth"]) == sum(depths) / 50
    assert [facts[f"{name}_num_nodes"] for name in ("max", "min", "avg")] == ["7", "7", "7.0"]


def test_a_sample_that_may_not_fit_is_announced_and_not_refused(tmp_path: Path) -> None:
    outcome = trained(tmp_path, numbered(200), memory=4, num_trees="1000", num_samples_per_tree="2000")
    assert "there are too few rows for num_trees = 1000" in outcome.refused()
    assert "a full sample does not fit into memory" in outcome.log


def test_long_data_are_sampled_without_replacement(tmp_path: Path) -> None:
    outcome = trained(tmp_path, numbered(20_000), num_samples_per_tree="20").succeeded()
    points = outcome.artifact().tensors["points"]
    assert points.shape == (50, 20, 1)
    assert len(np.unique(points)) == 1000
    # Each tenth of the stream has about a hundred, give or take thirty.
    assert np.abs(np.histogram(points, 10, (0, 20_000))[0] - 100).max() < 40


def test_fewer_rows_than_trees_are_refused_with_both_numbers(tmp_path: Path) -> None:
    failure = trained(tmp_path, numbered(49)).refused()
    assert "num_trees = 50: 49" in failure
    assert trained(tmp_path / "more", numbered(50)).succeeded().artifact().tensors["points"].shape == (50, 1, 1)


def test_a_sample_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 300))
    failure = trained(tmp_path, rows, memory=4, num_trees="1000").refused()
    assert "num_trees = 1000" in failure
    assert "CLARY_MEMORY_MB" in failure


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (b"0,1\n2,1\n", r"row 2.*the label must be 1 for an anomaly or 0 for a normal row; got 2"),
        (b"0,1\n0.5,1\n", r"row 2.*got 0\.5"),
    ],
)
def test_a_label_that_is_neither_0_nor_1_is_refused_with_its_row(tmp_path: Path, test: bytes, reason: str) -> None:
    assert re.search(reason, trained(tmp_path, numbered(60), test).refused())


def test_test_rows_without_labels_are_refused(tmp_path: Path) -> None:
    room = Room(tmp_path, SPEC).configure({"feature_dim": "1", "num_trees": "50"})
    room.channel("train", {"rows.csv": csv(numbered(60))}, UNLABELED)
    room.channel("test", {"rows.csv": csv(numbered(60))}, UNLABELED)
    assert (
        "file rows.csv, row 1: each row needs one label; found none. Test rows are labeled" in room.train().refused()
    )


def test_a_label_in_a_later_file_is_refused_with_that_file_and_its_row(tmp_path: Path) -> None:
    room = Room(tmp_path, SPEC).configure({"feature_dim": "1", "num_trees": "50"})
    room.channel("train", {"rows.csv": csv(numbered(60))}, UNLABELED)
    room.channel("test", {"a.csv": b"0,1\n" * 700, "b.csv": b"0,1\n0,1\n7,1\n"}, "text/csv;label_size=1")
    assert "channel test, file b.csv, row 3: the label must be 1" in room.train().refused()


@pytest.mark.parametrize("asked", ["accuracy", "precision_recall_fscore"])
def test_only_the_scores_that_were_asked_for_are_reported(tmp_path: Path, asked: str) -> None:
    rows = np.random.default_rng(0).normal(size=(400, 2))
    rows[::100] = 12
    labeled = csv(np.column_stack([(rows[:, 0] == 12).astype(int), rows]))
    outcome = trained(tmp_path, rows, labeled, eval_metrics=f'["{asked}"]').succeeded()
    found = {name: values for name, values in outcome.metrics.items() if name.startswith("test:") and values}
    assert ("test:accuracy" in found) == (asked == "accuracy")
    assert ("test:f1" in found) == (asked != "accuracy")
    assert all(values == [1.0] for values in found.values())
