"""How good topics are: coherence of their words, uniqueness among topics, and when a loss has stopped falling.

TU is that of Nan, Ding, Nallapati, Xiang (Topic Modeling with Wasserstein Autoencoders, ACL 2019), WETC that of Ding,
Nallapati, Xiang (Coherence-Aware Neural Topic Modeling, EMNLP 2018), and NPMI that of Bouma (Normalized (Pointwise)
Mutual Information in Collocation Extraction, 2009), with documents as windows.

K topics, T top words of each, V numbers of a word vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.ntm.data import Corpus

Array = npt.NDArray[Any]
TOP_WORDS, COHERENT_WORDS = 20, 10  # of a topic: shown, and looked at for NPMI


def top_words(topics_WK: Array) -> Array:
    """The words of the largest weights in each topic (K, T), the largest first; equal ones by their number."""
    count = min(TOP_WORDS, len(topics_WK))
    return np.argsort(-topics_WK, axis=0, kind="stable")[:count].T


def uniqueness(top_KT: Array) -> Array:
    """TU of each topic (K): the mean over its words of 1 / number of topics that have the word."""
    topics = Counter(top_KT.ravel().tolist())
    return np.array([np.mean([1 / topics[word] for word in words]) for words in top_KT.tolist()])


def likeness(top_KT: Array, vectors: Array) -> Array:
    """WETC of each topic (K): the mean cosine of the vectors of two of its words; 0 where there are no two.

    ``vectors`` has a row for each word; one of zeros is like no other.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1)
    return np.array([_over_pairs(units[words] @ units[words].T) for words in top_KT])


def together(corpus: Corpus, top_KT: Array) -> Array:
    """In how many documents two of a topic's words occur (K, T, T), and on the diagonal how many hold a word."""
    words = np.unique(top_KT)
    place_W = np.full(corpus.width, -1)
    place_W[words] = np.arange(len(words))
    found_KTT = np.zeros((*top_KT.shape, top_KT.shape[1]), np.int64)
    for block in corpus.blocks():
        holds: Any = block[:, words].tocsc()
        holds.data = np.ones(len(holds.data), np.int64)
        for topic, own in enumerate(place_W[top_KT]):
            chosen = holds[:, own]
            found_KTT[topic] += (chosen.T @ chosen).toarray()
    return found_KTT


def cosines(together_KTT: Array) -> Array:
    """WETC of each topic (K) where a word's vector says of each training document whether it holds the word."""
    held_KT = np.diagonal(together_KTT, axis1=1, axis2=2)
    product_KTT = np.sqrt(held_KT[:, :, None] * held_KT[:, None, :])
    return np.array([_over_pairs(each) for each in together_KTT / np.maximum(product_KTT, 1)])


def mutual_information(together_KTT: Array, documents: int) -> Array:
    """NPMI of each topic (K): the mean over pairs of its first ten words; -1 for words that never meet."""
    first = slice(COHERENT_WORDS)
    both_KTT = together_KTT[:, first, first] / documents
    held_KT = np.diagonal(both_KTT, axis1=1, axis2=2)
    apart_KTT = held_KT[:, :, None] * held_KT[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        npmi_KTT = np.log(both_KTT / apart_KTT) / -np.log(both_KTT)
    # Two words of all documents always meet, as they would by chance.
    npmi_KTT = np.where(both_KTT == 0, -1.0, np.where(both_KTT == 1, 0.0, npmi_KTT))
    return np.array([_over_pairs(each) for each in npmi_KTT])


def _over_pairs(scores_TT: Array) -> float:
    """The mean over two different words."""
    upper = scores_TT[np.triu_indices(len(scores_TT), 1)]
    return float(upper.mean()) if len(upper) else 0.0


@dataclass
class Patience:
    """Early stopping: how a loss is compared with those of the last ``window`` epochs, and what came of it.

    The window slides, so the best loss of all can drop out of it. ``losses`` and ``bad`` say all there is to know.
    """

    window: int
    tolerance: float
    losses: list[float] = field(default_factory=list)
    bad: int = 0

    def watch(self, loss: float) -> list[str]:
        """Take the loss of one more epoch; what there is to say of it."""
        before, self.losses = self.losses, [*self.losses, loss][-self.window :]
        if len(before) < self.window:
            return []
        smallest = min(before)
        compared = (
            f"patience losses:[{', '.join(map(str, before))}] min patience loss:{smallest} current loss:{loss} "
            f"absolute loss difference:{abs(smallest - loss)}"
        )
        if smallest - loss >= self.tolerance:
            self.bad = 0
            return [compared]
        self.bad += 1
        return [compared, f"Bad epoch: loss has not improved (enough). Bad count:{self.bad}"]

    @property
    def exceeded(self) -> bool:
        """Whether there were more bad epochs in a row than are borne."""
        return self.bad > self.window


def described(top_KT: Array, wetc_K: Array | None, tu_K: Array, words: Sequence[str] | None) -> list[str]:
    """The lines that show the topics: their scores and words, as the managed algorithm writes them."""

    def scores(place: Any, sign: str = "") -> str:
        first = "" if wetc_K is None else f"{sign and 'wetc '}{np.mean(wetc_K[place]):.2f}"
        return f"[{first}, {sign}{np.mean(tu_K[place]):.2f}]"

    lines = [f"Topics from epoch:final (num_topics:{len(top_KT)}) {scores(slice(None), 'tu ')}:"]
    for topic, own in enumerate(top_KT.tolist()):
        lines.append(f"{scores(topic)} {' '.join(words[word] if words else str(word) for word in own)}")
    return lines
