"""The likelihood of documents against its own integral, drawn at random, and against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from clary.algorithms.lda.data import Corpus
from clary.algorithms.lda.evaluate import log_likelihood
from dirichlet import Array, random_corpus

ALPHA_K = np.array([0.4, 0.3, 0.8])


def bound(counts_NV: Array, beta_KV: Array, alpha_K: Array, threads: int = 1) -> float:
    corpus = Corpus.of(csr_matrix(counts_NV, dtype=np.float32))
    return log_likelihood(corpus, np.ascontiguousarray(beta_KV.T, np.float32), alpha_K, threads=threads)


def test_it_is_a_little_below_the_integral_over_all_mixtures() -> None:
    counts_NV, beta_KV = random_corpus(20, 30, 3, 25, seed=5)
    mixtures_SK = np.random.default_rng(0).dirichlet(ALPHA_K, 200_000)
    logarithms_NS = counts_NV @ np.log(mixtures_SK @ beta_KV).T
    exact = float((logsumexp(logarithms_NS, axis=1) - np.log(len(mixtures_SK))).sum())
    found = bound(counts_NV, beta_KV, ALPHA_K)
    assert exact - 0.05 * counts_NV.sum() < found < exact + 0.5


def test_of_a_single_topic_it_is_exact() -> None:
    counts_NV, beta_KV = random_corpus(50, 30, 1, 25, seed=6)
    exact = float(counts_NV.sum(axis=0) @ np.log(np.maximum(beta_KV[0], 1e-300)))
    assert bound(counts_NV, beta_KV, np.array([0.7])) == pytest.approx(exact, rel=1e-5)


def test_better_topics_are_more_likely() -> None:
    counts_NV, beta_KV = random_corpus(200, 50, 4, 60, seed=7)
    true = bound(counts_NV, beta_KV, np.full(4, 0.25))
    assert true > bound(counts_NV, 0.8 * beta_KV + 0.2 * beta_KV[::-1], np.full(4, 0.25))
    assert true == pytest.approx(bound(counts_NV, beta_KV, np.full(4, 0.25), threads=2))


def test_documents_without_words_change_nothing() -> None:
    counts_NV, beta_KV = random_corpus(10, 30, 3, 25, seed=8)
    more_NV = np.concatenate([counts_NV, np.zeros((3, 25))])
    assert bound(more_NV, beta_KV, ALPHA_K) == pytest.approx(bound(counts_NV, beta_KV, ALPHA_K), abs=1e-3)


def test_a_word_that_no_topic_has_is_impossible() -> None:
    assert bound(np.array([[1, 1]]), np.array([[1.0, 0.0]]), np.array([1.0])) == -np.inf
