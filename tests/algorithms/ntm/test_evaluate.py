"""Scores of topics against their definitions written out, and early stopping against recorded lines."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.ntm import evaluate
from clary.algorithms.ntm.data import Corpus
from clary.algorithms.ntm.evaluate import Patience
from topics import channel, drawn, text

TOP = np.array([[0, 1, 2], [0, 3, 4], [0, 1, 5]])


def corpus(folder: Path, rows: np.ndarray) -> Corpus:
    (folder / "rows.csv").write_bytes(text(rows))
    return Corpus.read(channel(folder), rows.shape[1])


def test_top_words_come_by_weight_and_equal_ones_by_number() -> None:
    weights = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 5.0], [3.0, 0.0]])
    assert evaluate.top_words(weights).tolist() == [[1, 3, 2, 0], [2, 0, 1, 3]]
    assert evaluate.top_words(np.zeros((100, 3))).shape == (3, evaluate.TOP_WORDS)


def test_a_word_counts_for_uniqueness_by_the_topics_that_have_it() -> None:
    assert evaluate.uniqueness(TOP) == pytest.approx(
        [(1 / 3 + 1 / 2 + 1) / 3, (1 / 3 + 1 + 1) / 3, (1 / 3 + 1 / 2 + 1) / 3]
    )
    assert evaluate.uniqueness(np.array([[0, 1]] * 4)) == pytest.approx([0.25] * 4)


def test_likeness_is_the_mean_cosine_of_two_words() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 5))
    vectors[4] = 0
    for topic, found in zip(TOP.tolist(), evaluate.likeness(TOP, vectors), strict=True):
        pairs = [(vectors[a], vectors[b]) for a, b in itertools.combinations(topic, 2)]
        cosines = [a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) if a.any() and b.any() else 0 for a, b in pairs]
        assert found == pytest.approx(np.mean(cosines))


def test_words_are_counted_together_document_by_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clary.algorithms.ntm.data.TAKEN_IN_ORDER", 7)
    rows = drawn(40, 6, mean=0.7)
    found = evaluate.together(corpus(tmp_path, rows), TOP)
    holds = rows > 0
    for topic, words in enumerate(TOP.tolist()):
        for a, b in itertools.product(range(3), repeat=2):
            assert found[topic, a, b] == (holds[:, words[a]] & holds[:, words[b]]).sum()


def test_mutual_information_is_that_of_the_definition() -> None:
    rows = np.random.default_rng(1).random((50, 6)) < 0.4
    together = np.array([[[(rows[:, a] & rows[:, b]).sum() for b in topic] for a in topic] for topic in TOP.tolist()])
    for topic, found in zip(TOP.tolist(), evaluate.mutual_information(together, 50), strict=True):
        scores = []
        for a, b in itertools.combinations(topic, 2):
            both, one, other = (rows[:, a] & rows[:, b]).mean(), rows[:, a].mean(), rows[:, b].mean()
            scores.append(math.log(both / (one * other)) / -math.log(both))
        assert found == pytest.approx(np.mean(scores))


@pytest.mark.parametrize(
    ("together", "expected"),
    [([[5, 0], [0, 5]], -1.0), ([[10, 10], [10, 10]], 0.0), ([[0, 0], [0, 5]], -1.0), ([[5, 5], [5, 5]], 1.0)],
    ids=["never", "everywhere", "one nowhere", "always"],
)
def test_words_that_meet_never_or_always_have_the_ends_of_the_scale(
    together: list[list[int]], expected: float
) -> None:
    assert evaluate.mutual_information(np.array([together]), 10).tolist() == [expected]


def test_without_word_vectors_the_documents_of_a_word_are_its_vector() -> None:
    holds = (np.random.default_rng(2).random((30, 6)) < 0.5).astype(float)
    together = np.stack([holds[:, topic].T @ holds[:, topic] for topic in TOP])
    assert evaluate.cosines(together) == pytest.approx(evaluate.likeness(TOP, holds.T))


def test_one_word_is_neither_like_nor_unlike() -> None:
    assert evaluate.likeness(np.array([[0]]), np.ones((1, 2))).tolist() == [0]


def test_topics_are_described_as_the_managed_algorithm_does() -> None:
    tu, wetc = np.array([0.724, 0.5, 1.0]), np.array([0.39, 0.2, 0.1])
    words = ("ape", "bee", "cat", "dog", "elk", "fox")
    assert evaluate.described(TOP, wetc, tu, words) == [
        "Topics from epoch:final (num_topics:3) [wetc 0.23, tu 0.74]:",
        "[0.39, 0.72] ape bee cat",
        "[0.20, 0.50] ape dog elk",
        "[0.10, 1.00] ape bee fox",
    ]
    assert evaluate.described(TOP, None, tu, None)[:2] == [
        "Topics from epoch:final (num_topics:3) [, tu 0.74]:",
        "[, 0.72] 0 1 2",
    ]


def test_early_stopping_compares_with_the_window_and_says_so() -> None:
    patience = Patience(2, 0.01)
    assert patience.watch(7.0) == patience.watch(6.5) == []
    assert patience.watch(6.25) == [
        "patience losses:[7.0, 6.5] min patience loss:6.5 current loss:6.25 absolute loss difference:0.25"
    ]
    compared, bad = patience.watch(6.245)
    assert compared.startswith("patience losses:[6.5, 6.25] min patience loss:6.25 current loss:6.245 ")
    assert bad == "Bad epoch: loss has not improved (enough). Bad count:1"
    # The best loss leaves the window, so what is worse than it may be good again.
    assert [len(patience.watch(loss)) for loss in (7.0, 7.0, 6.9)] == [2, 2, 1]
    assert (patience.bad, patience.exceeded) == (0, False)


@given(st.lists(st.floats(0, 10), max_size=30), st.integers(1, 4), st.sampled_from([1e-6, 0.1]))
def test_early_stopping_follows_its_rule(losses: list[float], window: int, tolerance: float) -> None:
    patience, bad = Patience(window, tolerance), 0
    for number, loss in enumerate(losses):
        if number >= window:
            bad = 0 if min(losses[number - window : number]) - loss >= tolerance else bad + 1
        # A checkpoint holds no more than these two.
        patience = Patience(window, tolerance, list(patience.losses), patience.bad)
        patience.watch(loss)
        assert (patience.bad, patience.exceeded) == (bad, bad > window)
