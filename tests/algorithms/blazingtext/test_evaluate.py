"""Rank correlations against SciPy's, and analogies of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from clary.algorithms.blazingtext.evaluate import analogies, judgments, word_similarity


def test_the_sets_have_the_sizes_of_the_managed_ones() -> None:
    assert {name: len(pairs) for name, pairs in judgments().items()} == {
        "EN-WS-353-ALL.txt": 353,
        "EN-WS-353-REL.txt": 252,
        "EN-WS-353-SIM.txt": 203,
    }


def test_the_correlation_is_spearmans() -> None:
    pairs = judgments()["EN-WS-353-ALL.txt"]
    words = sorted({word for one, other, _ in pairs for word in (one, other)})
    vectors = np.random.default_rng(0).normal(size=(len(words), 4))
    unit = dict(zip(words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))
    expected = spearmanr([unit[a] @ unit[b] for a, b, _ in pairs], [score for *_, score in pairs]).statistic
    found = word_similarity([word.encode() for word in words], vectors)
    assert found["EN-WS-353-ALL.txt"] == {
        "not_found": 0,
        "spearmans_rho": pytest.approx(expected, abs=1e-9),
        "total_pairs": 353,
    }
    each = [found[name]["spearmans_rho"] for name in judgments()]
    assert found["mean_rho"] == pytest.approx(np.mean(each))


def test_unknown_words_are_counted_and_no_pair_is_no_error() -> None:
    found = word_similarity([b"tiger", b"cat"], np.eye(2))
    assert found["EN-WS-353-ALL.txt"]["not_found"] == 351
    assert word_similarity([b"nothing"], np.ones((1, 2)))["mean_rho"] == 0.0


def test_analogies_are_answered_by_the_closest_other_word() -> None:
    words = [b"king", b"queen", b"man", b"woman", b"tree"]
    vectors = np.array([[1, 1, 0], [1, -1, 0], [0.1, 1, 0], [0.1, -1, 0], [0, 0, 1]])
    right = [b"man", b"woman", b"king", b"queen"]
    assert analogies(words, vectors, [right]) == (1.0, 1)
    assert analogies(words, vectors, [right, [b"man", b"woman", b"king", b"tree"]]) == (0.5, 2)
    assert analogies(words, vectors, [[b"man", b"woman", b"king", b"unknown"]]) == (0.0, 0)
