"""The moments against sums over all pairs and triples of words, and against those of a model that is known."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from clary.algorithms.lda.model import spectral_topics
from clary.algorithms.lda.moments import Documents, moments
from clary.algorithms.lda.tensor import decompose
from dirichlet import Array, bar_topics, distances, random_corpus

ALPHA0 = 0.7


def sparse(counts_NV: Array) -> Any:
    return csr_matrix(np.asarray(counts_NV, np.float32))


def silent(_line: str) -> None:
    return None


def together(counts_V: Array, times: int) -> Array:
    """How often so many different places of a document hold each combination of words, as shares."""
    words = np.repeat(np.arange(len(counts_V)), counts_V.astype(int))
    found = np.zeros((len(counts_V),) * times)
    for places in permutations(range(len(words)), times):
        found[tuple(words[list(places)])] += 1
    return np.asarray(found / found.sum())


def test_moments_are_those_of_all_pairs_and_triples_of_words() -> None:
    counts_NV = np.random.default_rng(0).integers(0, 3, (6, 4))
    counts_NV[1:, 3] += 3
    counts_NV[0] = [1, 1, 0, 0]  # too short to count
    documents, kept_NV = Documents(sparse(counts_NV), ALPHA0), counts_NV[1:]
    lengths_N = kept_NV.sum(axis=1)
    one, two, three = (
        sum(size * together(row, times) for size, row in zip(lengths_N, kept_NV, strict=True)) / lengths_N.sum()
        for times in (1, 2, 3)
    )
    assert documents.mean_V == pytest.approx(one)
    second_VV = two - ALPHA0 / (ALPHA0 + 1) * np.multiply.outer(one, one)
    assert documents.second(np.eye(4)) == pytest.approx(second_VV)
    pairs = np.multiply.outer(two, one)
    third_VVV = three - ALPHA0 / (ALPHA0 + 2) * (pairs + pairs.transpose(0, 2, 1) + pairs.transpose(2, 0, 1))
    share = 2 * ALPHA0**2 / ((ALPHA0 + 1) * (ALPHA0 + 2))
    third_VVV += share * np.einsum("i,j,k->ijk", one, one, one)
    white_VK = np.random.default_rng(1).normal(size=(4, 3))
    expected = np.einsum("ijk,ia,jb,kc->abc", third_VVV, white_VK, white_VK, white_VK)
    assert documents.third(white_VK) == pytest.approx(expected)


def test_large_corpora_go_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    counts_NV, _ = random_corpus(40, 20, 3, 12)
    white_VK = np.random.default_rng(1).normal(size=(12, 3))
    whole = Documents(sparse(counts_NV), 1.0).third(white_VK)
    monkeypatch.setattr("clary.algorithms.lda.moments._AT_ONCE", 30)
    assert Documents(sparse(counts_NV), 1.0).third(white_VK) == pytest.approx(whole)


def test_many_words_of_known_topics_give_the_topics_and_the_prior() -> None:
    alpha_K = np.array([0.2, 0.3, 0.5])
    rng = np.random.default_rng(2)
    true_KV = rng.dirichlet(np.full(15, 0.3), 3)
    counts_NV = rng.multinomial(4000, rng.dirichlet(alpha_K, 4000) @ true_KV)
    found = moments(Documents(sparse(counts_NV), 1.0), 3, np.random.default_rng(0), silent)
    best = decompose(found.tensor_KKK, 3, 0, rng, most=100, tol=1e-10, stop=lambda: False)
    weights_R, beta_RV = spectral_topics(found, best, 3)
    assert distances(true_KV, beta_RV).max() < 0.03
    order = [int(np.abs(beta_RV - topic).sum(axis=1).argmin()) for topic in true_KV]
    assert (weights_R / weights_R.sum())[order] == pytest.approx(alpha_K, abs=0.03)


def test_only_directions_that_both_halves_of_the_documents_have_are_kept() -> None:
    # Rows and columns add up to the same, so ten bars span nine directions; the tenth would be noise.
    rng = np.random.default_rng(0)
    counts_NV = rng.multinomial(100, rng.dirichlet(np.full(10, 0.1), 2000) @ bar_topics())
    assert len(moments(Documents(sparse(counts_NV), 1.0), 13, rng, silent).values_K) == 9
    one_topic_NV = rng.multinomial(50, np.full(20, 0.05), 300)
    assert len(moments(Documents(sparse(one_topic_NV), 1.0), 10, rng, silent).values_K) == 1


def test_each_document_counts_as_much_as_it_has_words() -> None:
    once = np.array([[2, 1, 0], [0, 1, 1], [0, 3, 3]])
    assert Documents(sparse(once), 1.0).mean_V == pytest.approx(np.array([2, 4, 3]) / 9)
