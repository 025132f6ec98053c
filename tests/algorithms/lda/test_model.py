"""Mixtures, posteriors and rounds against plain NumPy in float64, and what holds for any document."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.special import digamma

from clary.algorithms.lda import loops
from clary.algorithms.lda.data import Corpus
from clary.algorithms.lda.model import Refinement, Topics, completed, mixtures, prior, priors
from dirichlet import Array, random_corpus

COUNTS_NV, TRUE_KV = random_corpus(60, 30, 4, 40, seed=1)
ALPHA_K = np.array([0.1, 0.2, 0.3, 0.4])


def sparse(counts_NV: Any) -> Any:
    return csr_matrix(np.asarray(counts_NV, np.float32))


def table(beta_KV: Array) -> Array:
    return np.ascontiguousarray(beta_KV.T, np.float32)


def likelihood(counts_V: Array, beta_KV: Array, mixture_K: Array) -> float:
    """Of a document, for each word: in logarithms."""
    there = counts_V > 0
    return float(counts_V[there] @ np.log((mixture_K @ beta_KV)[there]) / counts_V.sum())


def test_the_weight_is_the_exponential_of_the_digamma_function() -> None:
    numbers = np.concatenate([np.geomspace(0.02, 1e6, 200), [1, 6, 6.5]])
    found = [loops.weight(float(number)) for number in numbers]
    assert found == pytest.approx(np.exp(digamma(numbers)), rel=1e-7)


def test_a_mixture_is_the_most_likely_one() -> None:
    found_NK, best_NK = mixtures(sparse(COUNTS_NV), table(TRUE_KV), ALPHA_K), np.full((60, 4), 0.25)
    for _ in range(5000):  # the same ascent, slowly and in float64
        best_NK *= (COUNTS_NV / (best_NK @ TRUE_KV)) @ TRUE_KV.T / COUNTS_NV.sum(axis=1, keepdims=True)
    assert found_NK == pytest.approx(best_NK, abs=0.05)
    for counts_V, found_K, best_K in zip(COUNTS_NV, found_NK.astype(float), best_NK, strict=True):
        found = likelihood(counts_V, TRUE_KV, found_K)
        assert found == pytest.approx(likelihood(counts_V, TRUE_KV, best_K), abs=2e-4)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 30), st.floats(0.01, 2))
@settings(max_examples=60, deadline=None)
def test_no_other_mixture_is_much_more_likely(seed: int, topics: int, width: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    beta_KV = rng.dirichlet(np.full(width, spread), topics) + 1e-6
    beta_KV /= beta_KV.sum(axis=1, keepdims=True)
    counts_NV = rng.poisson(rng.choice([0.1, 1, 100]), (5, width)).astype(np.float32)
    counts_NV[counts_NV.sum(axis=1) == 0, 0] = 1
    found_NK = mixtures(sparse(counts_NV), table(beta_KV), np.ones(topics)).astype(np.float64)
    assert found_NK.min() >= 0
    assert found_NK.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    ratios_NV = counts_NV / (found_NK @ beta_KV) / counts_NV.sum(axis=1, keepdims=True)
    # The logarithm is concave, so no mixture gains more for each word than the steepest share does.
    assert (ratios_NV @ beta_KV.T).max() < 1 + 1e-3


def test_shares_of_topics_that_a_document_does_not_have_are_exactly_zero() -> None:
    beta_KV = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0.4, 0.4, 0.1, 0.1]])
    found_NK = mixtures(sparse([[3, 3, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]]), table(beta_KV), np.ones(3))
    assert found_NK[0].tolist() == [1, 0, 0]
    assert found_NK[1].tolist() == [0, 1, 0]
    assert found_NK[2][0] + 0.8 * found_NK[2][2] == pytest.approx(0.5, abs=0.01)


def test_a_document_without_a_known_word_mixes_topics_as_the_prior_does() -> None:
    beta_KV = np.array([[0.5, 0.5, 0], [1, 0, 0]])
    found_NK = mixtures(sparse([[0, 0, 0], [0, 0, 7], [0, 1, 7]]), table(beta_KV), np.array([1.0, 3.0]))
    assert found_NK.tolist() == [[0.25, 0.75], [0.25, 0.75], [1, 0]]


def test_mixtures_do_not_depend_on_threads_or_neighbors() -> None:
    counts_NV, beta_KV = random_corpus(3000, 40, 10, 60, seed=2)
    whole = mixtures(sparse(counts_NV), table(beta_KV), np.ones(10))
    assert np.array_equal(whole, mixtures(sparse(counts_NV), table(beta_KV), np.ones(10), threads=3))
    assert np.array_equal(whole[5:6], mixtures(sparse(counts_NV[5:6]), table(beta_KV), np.ones(10)))


def test_a_round_is_that_of_variational_expectation_maximization() -> None:
    beta_KV = np.random.default_rng(3).dirichlet(np.ones(40), 4)
    refinement = Refinement(Corpus.of(sparse(COUNTS_NV)), Topics(ALPHA_K, beta_KV), 1.0, 1)
    refinement.round(200)
    posterior_NK = ALPHA_K + COUNTS_NV.sum(axis=1, keepdims=True) / 4
    for _ in range(1000):
        weights_NK = np.exp(digamma(posterior_NK))
        ratios_NV = COUNTS_NV / (weights_NK @ beta_KV)
        posterior_NK = ALPHA_K + weights_NK * (ratios_NV @ beta_KV.T)
    found_KV = beta_KV * (weights_NK.T @ ratios_NV) + 0.1
    # The loop ends where a step changes little, which is a little before the end.
    assert np.abs(refinement.posterior_NK - posterior_NK).sum() < 0.02 * posterior_NK.sum()
    assert refinement.topics().beta_KV == pytest.approx(found_KV / found_KV.sum(axis=1, keepdims=True), abs=5e-3)
    share_K = (posterior_NK / posterior_NK.sum(axis=1, keepdims=True)).mean(axis=0)
    assert refinement.alpha_K == pytest.approx(share_K, abs=0.01)


def test_rounds_are_the_same_for_any_number_of_threads() -> None:
    counts_NV, beta_KV = random_corpus(2000, 60, 8, 50, seed=4)
    found = []
    for threads in (1, 4):
        refinement = Refinement(Corpus.of(sparse(counts_NV)), Topics(np.full(8, 0.1), beta_KV), 0.8, threads)
        refinement.round(5)
        found.append(refinement.topics().beta_KV)
    assert np.array_equal(found[0], found[1])


def test_missing_topics_begin_at_documents() -> None:
    corpus, mean_V = Corpus.of(sparse(COUNTS_NV)), COUNTS_NV.sum(axis=0) / COUNTS_NV.sum()
    found_KV = completed(corpus, mean_V, TRUE_KV[:1], 3, np.random.default_rng(0))
    assert found_KV.sum(axis=1) == pytest.approx(np.ones(3))
    assert (found_KV[:, mean_V > 0] > 0).all()
    assert found_KV[0] == pytest.approx(0.95 * TRUE_KV[0] + 0.05 * mean_V)
    assert completed(corpus, mean_V, np.empty((0, 40)), 2, np.random.default_rng(0)).shape == (2, 40)


@given(st.lists(st.floats(1e-9, 1e3), max_size=4), st.floats(1e-6, 1e6))
def test_priors_have_the_sum_that_is_asked_for(weights: list[float], alpha0: float) -> None:
    found_K = priors(np.array(weights), 5, alpha0)
    assert found_K.sum() == pytest.approx(alpha0)
    assert found_K.min() > 0
    posterior_NK = np.array([[1, 3], [1, 1]], np.float32)
    assert prior(posterior_NK, alpha0) == pytest.approx(alpha0 * np.array([0.375, 0.625]), rel=2e-3)
