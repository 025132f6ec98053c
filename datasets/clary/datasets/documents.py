"""Made-up documents as bags of words, drawn from topics as latent Dirichlet allocation has it."""

from __future__ import annotations

import numpy as np

from clary.toolkit.records import Records

_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru")
_OWN = 0.8  # of a topic's words that are of its own part of the vocabulary


def documents(count: int, words: int, topics: int, *, length: float = 50.0, seed: int = 0) -> Records:
    """That many documents, sparse, of about ``length`` words; the label is the document's largest topic.

    Each topic has a part of the vocabulary mostly to itself, one word behind the other, and a share in the rest. A
    document is made of a few topics; its words are drawn one by one.
    """
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(seed)
    parts = np.array_split(np.arange(words), topics)
    chances = rng.dirichlet(np.full(words, 0.5), topics) * (1 - _OWN)
    for topic, part in enumerate(parts):
        chances[topic, part] += rng.dirichlet(np.full(len(part), 2.0)) * _OWN
    shares = rng.dirichlet(np.full(topics, 0.2), count)
    lengths = 1 + rng.poisson(length - 1, count)
    counts = np.stack([rng.multinomial(own, share @ chances) for own, share in zip(lengths, shares, strict=True)])
    labels = shares.argmax(axis=1).astype(np.float32)[:, None]
    return Records(csr_matrix(counts, dtype=np.float32), labels, "documents")


def words(count: int) -> tuple[str, ...]:
    """As many different made-up words of equal length, in the order of the alphabet."""
    digits = len(str(count - 1))
    return tuple("".join(_SYLLABLES[int(digit)] for digit in f"{number:0{digits}d}") for number in range(count))
