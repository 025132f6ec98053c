"""Topics of documents, and the mixture of topics of a document. N documents, V words, K topics, R directions.

A document draws its mixture from a Dirichlet distribution and each of its words from a topic that the mixture draws
(Blei, Ng and Jordan, "Latent Dirichlet Allocation", 2003). The topics come from the moments of the words: M2 is
whitened, M3 in whitened directions is decomposed, and what comes out is turned back into words (Anandkumar and
others, "Tensor Decompositions for Learning Latent Variable Models", 2014). Where we differ: rounds of variational
expectation maximization follow, from these topics on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from clary.algorithms.lda import loops
from clary.algorithms.lda.data import Array, Corpus, Matrix
from clary.algorithms.lda.moments import Moments
from clary.algorithms.lda.tensor import Decomposition

# What is mixed into the topics of the moments, of the words of all documents, so that none is without a word.
_COMMON = 0.05
_WORTH_A_THREAD = 100_000  # places times topics
_SMOOTH = 0.1  # times each word is seen in each topic beforehand
_TOL = 1e-3  # share of a document's posterior that may still move where its steps end
_LEAST_SHARE = 1e-3  # of an even share, so that no topic's prior vanishes


@dataclass(frozen=True)
class Topics:
    """The Dirichlet prior of mixtures (K), and the words of each topic (K, V) as shares that sum up to 1."""

    alpha_K: Array
    beta_KV: Array


def spectral_topics(moments: Moments, found: Decomposition, count: int) -> tuple[Array, Array]:
    """The prior weights and the words of the topics, of those of largest weight at most so many, that were found.

    A direction turned back into words has some that are negative, as an estimate of small numbers may: they are cut
    to zero, and the others scaled to sum up to 1. A direction of no weight, or without words, is no topic.
    """
    words_VR = moments.colored(found.directions_KR)
    sums_R = words_VR.sum(axis=0)
    # A topic sums up to one, which tells the length and the sign that the whitening took away.
    weights_R = found.weights_R * sums_R**3
    order = [r for r in np.argsort(-weights_R, kind="stable") if weights_R[r] > 0][:count]
    beta_RV = np.maximum(words_VR[:, order] * np.sign(sums_R[order]), 0).T
    return weights_R[order], beta_RV / beta_RV.sum(axis=1, keepdims=True)


def completed(corpus: Corpus, mean_V: Array, beta_RV: Array, count: int, rng: np.random.Generator) -> Array:
    """So many topics, each with a little of all words: the given ones, and for missing ones documents by chance."""
    lengths_N = np.asarray(corpus.counts.sum(axis=1)).ravel()
    some_N, missing = np.flatnonzero(lengths_N), count - len(beta_RV)
    chosen = rng.choice(some_N, missing, replace=missing > len(some_N))
    others = corpus.counts[chosen].multiply(0.5 / lengths_N[chosen][:, None]).toarray() + 0.5 * mean_V
    beta_KV = (1 - _COMMON) * np.concatenate([beta_RV, others]) + _COMMON * mean_V
    return np.asarray(beta_KV / beta_KV.sum(axis=1, keepdims=True))


class Refinement:
    """Rounds of variational expectation maximization, from given topics on; the prior keeps its sum.

    A round depends on ``alpha_K``, ``topics_VK`` and ``posterior_NK`` alone, and leaves the next one's there.
    """

    def __init__(self, corpus: Corpus, topics: Topics, alpha0: float, threads: int) -> None:
        self._corpus, self._alpha0, self._threads = corpus, alpha0, threads
        self.alpha_K, self.topics_VK = topics.alpha_K, np.ascontiguousarray(topics.beta_KV.T, np.float32)
        self.posterior_NK = evenly(corpus.counts, topics.alpha_K)
        self._weights_NK = np.empty_like(self.posterior_NK)
        self._ratios_Z = np.zeros(len(corpus.counts_Z), np.float32)

    def round(self, steps: int) -> float:
        """How far the topics moved: their total variation, where each topic counts by its number of words."""
        corpus, threads, found_VK = self._corpus, self._threads, np.empty_like(self.topics_VK)
        filled = self._weights_NK, self._ratios_Z
        explain(corpus, self.topics_VK, self.alpha_K, self.posterior_NK, *filled, steps=steps, threads=threads)
        given = (corpus.starts_V, corpus.order_Z, corpus.documents_Z, self._ratios_Z, self._weights_NK)
        shared_out(loops.learn, corpus.starts_V, threads, self._weights_NK.shape[1], *given, self.topics_VK, found_VK)
        found_VK += np.float32(_SMOOTH)
        sizes_K = found_VK.sum(axis=0, dtype=np.float64)
        found_VK /= sizes_K.astype(np.float32)
        moved_K = np.abs(found_VK - self.topics_VK).sum(axis=0, dtype=np.float64) / 2
        self.topics_VK, self.alpha_K = found_VK, prior(self.posterior_NK, self._alpha0)
        return float(moved_K @ sizes_K / sizes_K.sum())

    def topics(self) -> Topics:
        """The topics so far."""
        beta_KV = self.topics_VK.T.astype(np.float64)
        return Topics(self.alpha_K, beta_KV / beta_KV.sum(axis=1, keepdims=True))


def priors(weights_R: Array, count: int, alpha0: float) -> Array:
    """A Dirichlet prior of that sum and length: shares as the weights are, and for missing ones an even share."""
    share_K = np.full(count, 1 / count)
    if len(weights_R):
        share_K[: len(weights_R)] = weights_R / weights_R.sum() * (len(weights_R) / count)
    share_K = np.maximum(share_K, _LEAST_SHARE / count)
    return np.asarray(alpha0 * share_K / share_K.sum())


def prior(posterior_NK: Array, alpha0: float) -> Array:
    """The Dirichlet prior of that sum whose mean is that of the documents' mixtures."""
    shares_NK = posterior_NK / posterior_NK.sum(axis=1, keepdims=True)
    share_K = shares_NK.mean(axis=0, dtype=np.float64) + _LEAST_SHARE / posterior_NK.shape[1]
    return np.asarray(alpha0 * share_K / share_K.sum())


def evenly(counts_NV: Matrix, alpha_K: Array) -> Array:
    """The posterior of each document whose words are of every topic alike."""
    even_N = np.asarray(counts_NV.sum(axis=1)).reshape(-1, 1) / len(alpha_K)
    return np.asarray((even_N + alpha_K).astype(np.float32))


def explain(
    corpus: Corpus,
    topics_VK: Array,
    alpha_K: Array,
    posterior_NK: Array,
    weights_NK: Array,
    ratios_Z: Array,
    *,
    steps: int,
    threads: int,
) -> None:
    """Let the compiled loop bring each document's posterior on by so many steps, or to where it stays."""
    given = (corpus.ends_N, corpus.words_Z, corpus.counts_Z, topics_VK, alpha_K.astype(np.float32))
    filled = (posterior_NK, weights_NK, ratios_Z)
    shared_out(loops.explain, corpus.ends_N, threads, len(alpha_K), *given, *filled, steps, _TOL)


def mixtures(counts_NV: Matrix, topics_VK: Array, alpha_K: Array, *, threads: int = 1) -> Array:
    """The mixture of topics under which the words of each document are most likely (N, K), as float32.

    Words that no topic has say nothing; a document without another word mixes topics as the prior does.
    """
    ends_N, found_NK = counts_NV.indptr.astype(np.int64), np.empty((counts_NV.shape[0], len(alpha_K)), np.float32)
    prior_K = (alpha_K / alpha_K.sum()).astype(np.float32)
    given = (ends_N, counts_NV.indices.astype(np.int32), counts_NV.data, topics_VK, prior_K)
    shared_out(loops.mix, ends_N, threads, len(alpha_K), *given, found_NK)
    return found_NK


def shared_out(loop: Callable[..., None], ends: Array, threads: int, topics: int, *given: Any) -> None:
    """Run the loop over everything that ends there, cut into ranges of about as much work where there is enough."""
    count, places = len(ends) - 1, int(ends[-1])
    parts = min(threads, max(1, places * topics // _WORTH_A_THREAD))
    if parts == 1:
        loop(0, count, *given)
        return
    # Also what has no place takes time.
    work = np.asarray(ends) + np.arange(count + 1)
    cuts = np.searchsorted(work, np.linspace(0, work[-1], parts + 1)[1:-1]).tolist()
    with ThreadPoolExecutor(parts, "clary-documents") as pool:
        for each in [pool.submit(loop, *cut, *given) for cut in pairwise([0, *cuts, count])]:
            each.result()
