"""Vectors of words and a linear classifier of text, as in fastText (Bojanowski et al. 2017, Joulin et al. 2017).

D numbers of a vector, R rows of inputs (words, then buckets of hashed n-grams), L labels. A text is the mean of the
rows of its words and n-grams. Two things differ from fastText: a bucket that no n-gram of the training text fell into
is zero instead of random, and the probabilities are those of the model, not a hundred-thousandth above them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.blazingtext import files
from clary.algorithms.blazingtext.files import Content
from clary.algorithms.blazingtext.spec import LABEL_PREFIX

Array = npt.NDArray[Any]

END_OF_SENTENCE = b"</s>"
BLANKS = b" \n\r\t\v\f\0"
_OFFSET, _PRIME, _FULL = 2166136261, 16777619, 0xFFFFFFFF
_WORD_FACTOR, _WIDE = 116049371, 2**64
_TO_BLANKS = bytes.maketrans(BLANKS, b" " * len(BLANKS))
_FAR = 1e15  # a count that no word reaches


@lru_cache(maxsize=1 << 16)
def fnv(text: bytes) -> int:
    """The 32-bit FNV-1a hash in which fastText takes each byte for a signed number."""
    code = _OFFSET
    for byte in text:
        code = ((code ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _PRIME) & _FULL
    return code


def character_ngrams(word: bytes, shortest: int, longest: int) -> Iterator[bytes]:
    """The n-grams of characters of a word between ``<`` and ``>``; the marks alone are none."""
    marked = b"<" + word + b">"
    starts = [at for at, byte in enumerate(marked) if byte & 0xC0 != 0x80]
    ends = [*starts[1:], len(marked)]
    for first in range(len(starts)):
        for size in range(1, min(longest, len(starts) - first) + 1):
            begin, end = starts[first], ends[first + size - 1]
            if size >= shortest and not (size == 1 and (begin == 0 or end == len(marked))):
                yield marked[begin:end]


class TextModel:
    """A model that answers for words or for texts; it changes nothing, so many threads may ask it."""

    def __init__(self, content: Content) -> None:
        self._content, self._given = content, content.arguments
        self._places = {word: row for row, word in enumerate(content.words)}
        self._label_set = frozenset(content.labels)

    @property
    def supervised(self) -> bool:
        """Whether this is a classifier."""
        return self._given.model == files.SUPERVISED

    @property
    def labels(self) -> Sequence[bytes]:
        """The labels, most frequent first."""
        return self._content.labels

    def vector(self, word: bytes) -> Array:
        """The vector of a word (D): the mean of its own row and those of its n-grams; zeros where there is none."""
        rows = self._word_rows(word)
        return self._mean(rows)

    def probabilities(self, text: bytes) -> Array:
        """The probability of each label (L); with one-against-all models each is between 0 and 1 by itself."""
        hidden_D = self._mean(self._text_rows(text)).astype(np.float64)
        scores_O = self._content.outputs_OD.astype(np.float64) @ hidden_D
        if self._given.loss == files.TREE:
            return self._tree.probabilities(scores_O)
        if self._given.loss == files.SOFTMAX:
            chances_L = np.exp(scores_O - scores_O.max())
            shares_L: Array = chances_L / chances_L.sum()
            return shares_L
        return _sigmoid(scores_O)

    def _mean(self, rows: Sequence[int]) -> Array:
        if not rows:
            return np.zeros(self._given.dim, np.float32)
        found: Array = self._content.inputs_RD[rows].mean(axis=0, dtype=np.float64).astype(np.float32)
        return found

    def _word_rows(self, word: bytes) -> list[int]:
        own = self._places.get(word)
        rows = [] if own is None else [own]
        if self._given.maxn > 0 and self._given.bucket > 0 and word != END_OF_SENTENCE:
            first = len(self._content.words)
            ngrams = character_ngrams(word, self._given.minn, self._given.maxn)
            rows += [first + fnv(each) % self._given.bucket for each in ngrams]
        return rows

    def _text_rows(self, text: bytes) -> list[int]:
        """The rows of the words of a text and its end, and of its word n-grams; labels in it count for nothing."""
        rows, codes = [], []
        for word in [*text.translate(_TO_BLANKS).split(), END_OF_SENTENCE]:
            if word in self._label_set or (word not in self._places and word.startswith(LABEL_PREFIX.encode())):
                continue
            rows += self._word_rows(word)
            code = fnv(word)
            codes.append(code if code < 2**31 else code - 2**32)
        if self._given.bucket > 0:
            rows += self._ngram_rows(codes)
        return rows

    def _ngram_rows(self, codes: Sequence[int]) -> Iterator[int]:
        first = len(self._content.words)
        for begin, code in enumerate(codes):
            for other in codes[begin + 1 : begin + self._given.word_ngrams]:
                code = (code * _WORD_FACTOR + other) % _WIDE
                yield first + code % self._given.bucket

    @cached_property
    def _tree(self) -> _Tree:
        return _Tree(self._content.label_counts)


def _sigmoid(scores: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
    return found


class _Tree:
    """The Huffman tree over labels, as fastText builds it from their counts, rarest label first."""

    def __init__(self, counts: Sequence[int]) -> None:
        labels = len(counts)
        weight = [float(count) for count in counts] + [_FAR] * (labels - 1)
        self._children: list[tuple[int, int]] = []
        leaf, node = labels - 1, labels
        for parent in range(labels, 2 * labels - 1):
            pair = []
            for _ in range(2):
                if leaf >= 0 and weight[leaf] < weight[node]:
                    pair.append(leaf)
                    leaf -= 1
                else:
                    pair.append(node)
                    node += 1
            weight[parent] = weight[pair[0]] + weight[pair[1]]
            self._children.append((pair[0], pair[1]))

    def probabilities(self, scores_O: Array) -> Array:
        """The probability of each label: the product of the choices on the way from the root to it."""
        labels = len(self._children) + 1
        right = _sigmoid(scores_O)
        chance = np.ones(2 * labels - 1)
        for parent in range(len(self._children) - 1, -1, -1):
            left_child, right_child = self._children[parent]
            chance[left_child] = chance[labels + parent] * (1 - right[parent])
            chance[right_child] = chance[labels + parent] * right[parent]
        return chance[:labels]
