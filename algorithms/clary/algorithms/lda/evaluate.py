"""How likely documents are under topics: the lower bound of variational inference. N documents, K topics."""

from __future__ import annotations

import numpy as np

from clary.algorithms.lda.data import Array, Corpus
from clary.algorithms.lda.model import evenly, explain

_STEPS = 100


def log_likelihood(corpus: Corpus, topics_VK: Array, alpha_K: Array, *, threads: int = 1) -> float:
    """At most the logarithm of the likelihood of the documents, whatever their mixtures, and close to it.

    The bound of Blei, Ng and Jordan (2003), equation 15, at the posterior that maximizes it. Minus infinity where a
    word has no share in any topic.
    """
    from scipy.special import digamma, gammaln

    posterior_NK = evenly(corpus.counts, alpha_K)
    weights_NK, ratios_Z = np.empty_like(posterior_NK), np.empty(len(corpus.counts_Z), np.float32)
    explain(corpus, topics_VK, alpha_K, posterior_NK, weights_NK, ratios_Z, steps=_STEPS, threads=threads)
    exact_NK = posterior_NK.astype(np.float64)
    sizes_N = exact_NK.sum(axis=1)
    means_NK = digamma(exact_NK) - digamma(sizes_N)[:, None]
    # The prior, less the posterior, of mixtures drawn from the posterior.
    drawn = float(((alpha_K - exact_NK) * means_NK).sum() + gammaln(exact_NK).sum() - gammaln(sizes_N).sum())
    drawn += len(corpus) * float(gammaln(alpha_K.sum()) - gammaln(alpha_K).sum())
    return drawn + _words(corpus, topics_VK, np.exp(means_NK))


def _words(corpus: Corpus, topics_VK: Array, weights_NK: Array) -> float:
    """The logarithm of the weighted topics' chance of each word, summed over all words of all documents."""
    total, topics_VK = 0.0, topics_VK.astype(np.float64)
    with np.errstate(divide="ignore"):
        for n, weights_K in enumerate(weights_NK):
            places = slice(corpus.ends_N[n], corpus.ends_N[n + 1])
            chances = topics_VK[corpus.words_Z[places]] @ weights_K
            total += float(corpus.counts_Z[places] @ np.log(chances))
    return total
