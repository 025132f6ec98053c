"""What a job makes of documents: topics that are known, restarts, stops, checkpoints, memory and refusals."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from clary.datasets.generators import bars
from clary.toolkit.errors import DataError, UserError
from dirichlet import Array, Trained, bar_topics, distances, learned, random_corpus


def few_bars(documents: int = 300, seed: int = 0) -> Array:
    return bars(documents, 50, seed=seed).dense()


@pytest.mark.parametrize(("documents", "concentration"), [(2000, 10.0), (2000, 1.0), (6000, 1.0)])
def test_bars_are_found_at_the_sizes_of_their_papers(documents: int, concentration: float) -> None:
    rows = bars(documents, 100, concentration=concentration).dense()
    found = learned({"train": rows}, alpha0=concentration)
    assert distances(bar_topics(), found.beta).max() < 0.05
    assert found.artifact.tensors["alpha"].sum() == pytest.approx(concentration, rel=1e-5)
    assert found.beta.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    assert found.beta.min() >= 0


def test_topics_of_a_larger_vocabulary_are_found() -> None:
    rows, true_KV = random_corpus(5000, 100, 10, 500)
    found = learned({"train": csr_matrix(rows)}, feature_dim=500)
    assert distances(true_KV, found.beta).max() < 0.05


def test_the_log_follows_the_work() -> None:
    found = learned({"train": few_bars(), "test": few_bars(50, 1)}, max_restarts=2, mini_batch_size=300)
    text = "\n".join(found.lines)
    for said in (
        "Loaded all data into matrix with shape: (300, 25)",
        "Krylov method iteration: 2.",
        "Running LDA for",
        "(10 requested)",
        "Restart 1/2",
        "Restart 2/2",
        "Best reconstruction error: ",
    ):
        assert said in text
    assert "mini_batch_size" not in text
    progress = found.values("train:progress")
    assert progress == sorted(progress)
    assert progress[-1] == 100
    (pwll,) = found.values("test:pwll")
    assert -np.log(25) < pwll < -1
    assert "Test data is not provided." in learned({"train": few_bars()}, max_restarts=1).lines


def test_another_mini_batch_size_changes_nothing_and_is_said() -> None:
    one, other = (learned({"train": few_bars()}, max_restarts=1, mini_batch_size=size) for size in (300, 7))
    assert np.array_equal(one.beta, other.beta)
    assert "mini_batch_size is 7; all documents are learned from at once" in other.lines


def best_error(found: Trained) -> float:
    return next(float(line.rpartition(" ")[2]) for line in found.lines if line.startswith("Best reconstruction"))


def test_more_restarts_never_leave_a_larger_error() -> None:
    rows, _ = random_corpus(400, 60, 12, 100, seed=3)
    errors = [best_error(learned({"train": rows}, feature_dim=100, max_restarts=count)) for count in (1, 3, 8)]
    assert errors == sorted(errors, reverse=True)


def test_surplus_topics_are_fitted_where_the_documents_show_them() -> None:
    rows, _ = random_corpus(3000, 80, 13, 100, seed=2, alpha0=0.5)
    found = learned({"train": rows}, feature_dim=100, max_restarts=1, alpha0=0.5)
    assert "Running LDA for 13 topics (10 requested)" in found.lines
    assert found.beta.shape == (10, 100)
    rows, _ = random_corpus(3000, 80, 5, 100, seed=2)
    assert (
        "Running LDA for 5 topics (5 requested)"
        in learned({"train": rows}, feature_dim=100, num_topics=5, max_restarts=1).lines
    )


@pytest.mark.parametrize(
    "rows",
    [
        np.tile([[3, 2, 1, 0]], (5, 1)),
        np.array([[5, 0, 0, 0]]),
        np.array([[1, 1, 1, 1]]),
        np.array([[0, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 3]]),
    ],
    ids=["one and the same", "one word", "every word once", "an empty one"],
)
@pytest.mark.parametrize("alpha0", [1e-6, 1, 1e6])
def test_documents_that_show_too_little_leave_topics_all_the_same(rows: Array, alpha0: float) -> None:
    found = learned({"train": rows, "test": rows}, num_topics=4, feature_dim=4, alpha0=alpha0)
    assert found.beta.shape == (4, 4)
    assert np.isfinite(found.beta).all()
    assert found.artifact.tensors["alpha"].min() > 0
    assert np.isfinite(found.values("test:pwll")).all()


def test_a_vocabulary_of_25000_words_takes_memory_of_its_words_and_not_of_their_pairs() -> None:
    rng = np.random.default_rng(0)
    ends, words = np.arange(0, 2000 * 40 + 1, 40), rng.integers(0, 25_000, 2000 * 40)
    rows = csr_matrix((np.ones(len(words), np.float32), words, ends), shape=(2000, 25_000))
    tracemalloc.start()
    found = learned({"train": rows}, feature_dim=25_000, max_restarts=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.beta.shape == (10, 25_000)
    # Pairs of words would be 2.5 or 5 GB.
    assert peak < 100e6


def test_a_job_that_cannot_fit_is_refused_before_it_reads() -> None:
    with pytest.raises(UserError, match=r"num_topics 200000 and feature_dim 1000000 need .* GiB, .*lower num_topics"):
        learned({}, num_topics=200_000, feature_dim=1_000_000)
    with pytest.raises(UserError, match=r"300 documents with .* different words need"):
        learned({"train": few_bars()}, memory=150_000)


def stopped_at(line: str, times: int = 1, folder: Path | None = None) -> Trained:
    seen = []

    def watch(said: str, stop: Event) -> None:
        seen.extend([said] if said.startswith(line) else [])
        if len(seen) >= times:
            stop.set()

    return learned({"train": few_bars(), "test": few_bars()}, folder=folder, watch=watch)


def test_a_stop_is_heard_while_words_are_counted_together(tmp_path: Path) -> None:
    whole = learned({"train": few_bars()})
    stopped = stopped_at("Krylov method iteration: 0", 1, tmp_path)
    assert not any(line.startswith("Krylov method iteration: 1") for line in stopped.lines)
    assert stopped.beta.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    assert np.array_equal(learned({"train": few_bars()}, folder=tmp_path).beta, whole.beta)


@pytest.mark.parametrize("moment", ["Loaded", "Running", "Restart 1/", "Restart 4/", "Best", "#progress_metric"])
def test_a_stopped_job_leaves_its_topics_so_far_and_the_next_one_goes_on(moment: str, tmp_path: Path) -> None:
    whole = learned({"train": few_bars(), "test": few_bars()})
    times = 12 if moment.startswith("#") else 1
    stopped = stopped_at(moment, times, tmp_path)
    assert stopped.beta.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)
    assert not stopped.values("test:pwll")
    resumed = learned({"train": few_bars(), "test": few_bars()}, folder=tmp_path)
    assert np.array_equal(resumed.beta, whole.beta)
    assert np.array_equal(resumed.artifact.tensors["alpha"], whole.artifact.tensors["alpha"])
    again = learned({"train": few_bars(), "test": few_bars()}, folder=tmp_path)
    assert "resuming from a checkpoint" in again.lines
    assert np.array_equal(again.beta, whole.beta)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((3, 25)), "no document has 3 words or more"),
        (np.eye(25), "no document has 3 words or more"),
        (np.full((3, 25), 0.04), "give counts and not shares"),
        (
            np.where(np.arange(50).reshape(2, 25) == 30, -2, 1),
            "row 2, column 6: a document cannot have a word -2 times",
        ),
        (csr_matrix(np.where(np.arange(50).reshape(2, 25) == 3, -1, 0)), "row 1, column 4: a document cannot"),
        (np.ones((2, 24)), "24 features, feature_dim is 25"),
    ],
)
def test_documents_that_cannot_be_learned_from_are_refused(rows: Array, said: str) -> None:
    with pytest.raises(DataError, match=said):
        learned({"train": rows})


def test_test_documents_are_looked_at_too() -> None:
    with pytest.raises(DataError, match=r"channel test.*row 1, column 1: a document cannot have a word -1 times"):
        learned({"train": few_bars(), "test": -np.ones((1, 25))}, max_restarts=1)
    with pytest.raises(DataError, match="channel test: there is no word to score"):
        learned({"train": few_bars(), "test": np.zeros((4, 25))}, max_restarts=1)


def test_counts_that_are_not_whole_are_taken_and_said() -> None:
    found = learned({"train": few_bars() * 1.5}, max_restarts=1)
    assert any(line.startswith("some counts are not whole numbers") for line in found.lines)


def test_the_managed_file_holds_the_same_topics() -> None:
    from clary.toolkit.codecs import mxnet_ndarray

    found = learned({"train": few_bars()}, max_restarts=1)
    alpha_K, beta_KV = mxnet_ndarray.decode(found.artifact.files["model_algo-1"]).values()
    assert np.array_equal(alpha_K, found.artifact.tensors["alpha"])
    assert np.array_equal(beta_KV, found.beta)
