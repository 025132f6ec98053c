"""The compiled loops over documents: what topics each mixes, and what the documents then say of the topics.

N documents, K topics, V words, Z places where a document has a word. Words are rows of the topics' table here, so
that the numbers that are needed together lie together.
"""

from __future__ import annotations

import math

import numpy as np

from clary.algorithms.lda.data import Array
from clary.toolkit.compilation import compiler

# Sums may be formed in another order and rounded once, which lets the processor add several numbers at once.
compiled = compiler("reassoc", "contract", "nsz")

_ZERO, _ONE = np.float32(0), np.float32(1)
# Smaller weights would make numbers so small that a processor counts with them a hundred times slower.
_LEAST = np.float32(1e-12)
_TINY = np.float32(1e-30)
_SERIES = 6.0  # from where on the asymptotic series is exact to float32
# A mixture is the best where no other makes a word more likely by a factor of one and so much.
_GAIN = np.float32(1e-4)
_SMALL, _FALLING = np.float32(1e-3), np.float32(0.99)
_ROUND, _MOST_ROUNDS = 5, 400


@compiled
def weight(number: float) -> float:
    """The exponential of the digamma function: the geometric mean of a Gamma variable, which is below its mean."""
    down = 0.0
    while number < _SERIES:
        down += 1.0 / number
        number += 1.0
    inverse = 1.0 / number
    square = inverse * inverse
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    return number * math.exp(-0.5 * inverse - series - down)


@compiled
def explain(
    start: int,
    stop: int,
    ends_N: Array,
    words_Z: Array,
    counts_Z: Array,
    topics_VK: Array,
    prior_K: Array,
    posterior_NK: Array,
    weights_NK: Array,
    ratios_Z: Array,
    most: int,
    tol: float,
) -> None:
    """Bring the Dirichlet posteriors of the documents' mixtures from where they are to where they stay.

    Blei, Ng and Jordan, "Latent Dirichlet Allocation" (2003), equations 6 and 7, without their table of words. Fills
    the weights of topics and the ratios of counts to what they explain, of which ``learn`` makes topics.
    """
    topics = len(prior_K)
    pulls_K = np.empty(topics, np.float32)
    for n in range(start, stop):
        posterior_K, weights_K = posterior_NK[n], weights_NK[n]
        for _ in range(most):
            for k in range(topics):
                weights_K[k] = max(np.float32(weight(np.float64(posterior_K[k]))), _LEAST)
                pulls_K[k] = _ZERO
            for z in range(ends_N[n], ends_N[n + 1]):
                word_K = topics_VK[words_Z[z]]
                chance = _TINY
                for k in range(topics):
                    chance += weights_K[k] * word_K[k]
                ratio = counts_Z[z] / chance
                ratios_Z[z] = ratio
                for k in range(topics):
                    pulls_K[k] += ratio * word_K[k]
            moved, total = _ZERO, _ZERO
            for k in range(topics):
                found = prior_K[k] + weights_K[k] * pulls_K[k]
                moved += abs(found - posterior_K[k])
                total += found
                posterior_K[k] = found
            if moved <= np.float32(tol) * total:
                break


@compiled
def learn(
    start: int,
    stop: int,
    starts_V: Array,
    order_Z: Array,
    documents_Z: Array,
    ratios_Z: Array,
    weights_NK: Array,
    topics_VK: Array,
    found_VK: Array,
) -> None:
    """Fill how often each word from ``start`` to ``stop`` stands in the documents for each topic."""
    topics = topics_VK.shape[1]
    sums_K = np.empty(topics, np.float64)
    for v in range(start, stop):
        sums_K[:] = 0.0
        for place in range(starts_V[v], starts_V[v + 1]):
            ratio, weights_K = ratios_Z[order_Z[place]], weights_NK[documents_Z[place]]
            for k in range(topics):
                sums_K[k] += ratio * weights_K[k]
        for k in range(topics):
            found_VK[v, k] = sums_K[k] * topics_VK[v, k]


@compiled
def mix(
    start: int,
    stop: int,
    ends_N: Array,
    words_Z: Array,
    counts_Z: Array,
    topics_VK: Array,
    prior_K: Array,
    mixtures_NK: Array,
) -> None:
    """Fill the mixture of each document under which its words are most likely; without a known word, the prior.

    A step of the ascent multiplies each share by its slope, to the power of one and a half, which takes fewer steps
    and leads to the same place. The logarithm of the likelihood is concave, and no mixture is above this one by more
    than the largest slope less one, for each word: that ends the steps.
    """
    topics = len(prior_K)
    slopes_K, needed_K = np.empty(topics, np.float32), np.empty(topics, np.bool_)
    for n in range(start, stop):
        mixture_K, known = mixtures_NK[n], 0.0
        mixture_K[:] = _ONE / np.float32(topics)
        needed_K[:] = False
        for _ in range(_MOST_ROUNDS):
            for _ in range(_ROUND):
                known = slopes(ends_N[n], ends_N[n + 1], words_Z, counts_Z, topics_VK, mixture_K, slopes_K)
                if known <= 0:
                    break
                total = _ZERO
                for k in range(topics):
                    mixture_K[k] *= slopes_K[k] * np.sqrt(slopes_K[k])
                    total += mixture_K[k]
                for k in range(topics):
                    mixture_K[k] /= total
            if known <= 0 or settled(mixture_K, slopes_K, needed_K):
                break
        if known <= 0:
            mixture_K[:] = prior_K
        total = mixture_K.sum()
        for k in range(topics):
            mixture_K[k] /= total


@compiled
def slopes(
    start: int, stop: int, words_Z: Array, counts_Z: Array, topics_VK: Array, mixture_K: Array, slopes_K: Array
) -> float:
    """The number of words that any topic has; fills how the log-likelihood of a word rises with each share."""
    topics = len(mixture_K)
    slopes_K[:] = _ZERO
    known = 0.0
    for z in range(start, stop):
        word_K = topics_VK[words_Z[z]]
        chance = _ZERO
        for k in range(topics):
            chance += mixture_K[k] * word_K[k]
        if chance > _TINY:
            known += counts_Z[z]
            ratio = counts_Z[z] / chance
            for k in range(topics):
                slopes_K[k] += ratio * word_K[k]
    if known > 0:
        for k in range(topics):
            slopes_K[k] /= np.float32(known)
    return known


@compiled
def settled(mixture_K: Array, slopes_K: Array, needed_K: Array) -> bool:
    """Whether no other mixture is much better; shares on their way to zero are put there, and back where wrongly so.

    On its way is a small share whose slope is clearly below one. One that was put back is needed, and stays.
    """
    over = True
    for k in range(len(mixture_K)):
        if slopes_K[k] > _ONE + _GAIN:
            over = False
            if mixture_K[k] == _ZERO:
                mixture_K[k] = _SMALL
                needed_K[k] = True
        elif _ZERO < mixture_K[k] < _SMALL and slopes_K[k] < _FALLING and not needed_K[k]:
            over = False
            mixture_K[k] = _ZERO
    return over
