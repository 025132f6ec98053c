"""Distinct words of a text in one pass: a hash table over bytes, compiled, and what follows from their counts.

A word gets a provisional number when it is first seen, so that one pass over a stream finds both the vocabulary and
where each word stands. Words are cut as fastText cuts them, and hashed by the same FNV-1a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.blazingtext.loops import END
from clary.toolkit.compilation import compiler

Array = npt.NDArray[Any]
compiled = compiler()

_FIRST_SLOTS = 1 << 16
_OFFSET, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_NEWLINE = 10
_BLANK = 32
_NO_WORD = -1
_CONTINUED, _LEADING = np.uint8(0x80), np.uint8(0xC0)
_OPEN, _CLOSE = np.uint8(ord("<")), np.uint8(ord(">"))


@compiled
def _is_blank(byte: int) -> bool:
    return byte == _BLANK or 9 <= byte <= 13 or byte == 0


@compiled
def _mixed(code: Any, byte: Any) -> Any:
    """The hash with one more byte, which counts as a signed one."""
    return np.uint32((code ^ np.uint32(np.int8(byte))) * _PRIME)


@compiled
def _scan(
    block: Array,
    at: int,
    numbers: Array,
    text: Array,
    ends: Array,
    codes: Array,
    counts: Array,
    slots: Array,
    used: int,
) -> tuple[int, int, int]:
    """Number the words of the block from ``at`` on; the place reached, the numbers written, the words known.

    It stops early where the table is half full or has no room for the next word.
    """
    mask, written = len(slots) - 1, 0
    while at < len(block):
        if _is_blank(block[at]):
            if block[at] == _NEWLINE:
                numbers[written] = END
                written += 1
            at += 1
            continue
        code, stop = _OFFSET, at
        while stop < len(block) and not _is_blank(block[stop]):
            code = _mixed(code, block[stop])
            stop += 1
        size = stop - at
        slot = np.int64(code) & mask
        while True:
            word = slots[slot]
            if word == _NO_WORD:
                if 2 * used >= len(slots) or used + 1 >= len(ends) or ends[used] + size > len(text):
                    return at, written, used
                word = used
                slots[slot], codes[used], counts[used] = word, code, 0
                text[ends[used] : ends[used] + size] = block[at:stop]
                ends[used + 1] = ends[used] + size
                used += 1
                break
            begin = ends[word]
            if codes[word] == code and ends[word + 1] - begin == size:
                same = True
                for place in range(size):
                    if text[begin + place] != block[at + place]:
                        same = False
                        break
                if same:
                    break
            slot = (slot + 1) & mask
        counts[word] += 1
        numbers[written] = word
        written += 1
        at = stop
    return at, written, used


@compiled
def _refilled(codes: Array, used: int, slots: Array) -> None:
    mask = len(slots) - 1
    for word in range(used):
        slot = np.int64(codes[word]) & mask
        while slots[slot] != _NO_WORD:
            slot = (slot + 1) & mask
        slots[slot] = word


class WordTable:
    """Every distinct word met so far, numbered in the order of first appearance."""

    def __init__(self) -> None:
        self._text, self._ends = np.empty(1 << 20, np.uint8), np.zeros(_FIRST_SLOTS, np.int64)
        self._codes, self._counts = np.empty(_FIRST_SLOTS, np.uint32), np.zeros(_FIRST_SLOTS, np.int64)
        self._slots, self._used = np.full(_FIRST_SLOTS, _NO_WORD, np.int32), 0

    def __len__(self) -> int:
        return self._used

    @property
    def counts(self) -> Array:
        """How often each word has occurred."""
        return self._counts[: self._used]

    @property
    def codes(self) -> Array:
        """The hash of each word."""
        return self._codes[: self._used]

    def numbers(self, block: bytes) -> Array:
        """The number of each word of a block of whole words, and ``END`` for each end of a line."""
        given = np.frombuffer(block, np.uint8)
        numbers, written, at = np.empty(len(given), np.int32), 0, 0
        while at < len(given):
            at, count, self._used = _scan(
                given,
                at,
                numbers[written:],
                self._text,
                self._ends,
                self._codes,
                self._counts,
                self._slots,
                self._used,
            )
            written += count
            if at < len(given):
                self._grow(len(given) - at)
        return numbers[:written]

    def words(self) -> list[bytes]:
        """All words, in the order of their numbers."""
        text, ends = self._text.tobytes(), self._ends[: self._used + 1].tolist()
        return [text[begin:end] for begin, end in pairwise(ends)]

    def _grow(self, more: int) -> None:
        if self._ends[self._used] + more > len(self._text):
            self._text = np.concatenate([self._text, np.empty(max(more, len(self._text)), np.uint8)])
        if 2 * self._used >= len(self._slots) or self._used + 1 >= len(self._ends):
            room = len(self._ends)
            self._ends = np.concatenate([self._ends, np.zeros(room, np.int64)])
            self._codes = np.concatenate([self._codes, np.empty(room, np.uint32)])
            self._counts = np.concatenate([self._counts, np.zeros(room, np.int64)])
            self._slots = np.full(2 * len(self._slots), _NO_WORD, np.int32)
            _refilled(self._codes, self._used, self._slots)


@dataclass(frozen=True)
class Vocabulary:
    """The words that are learned, most frequent first, with their counts; and labels, if the text has any."""

    words: Sequence[bytes]
    counts_V: Array
    labels: Sequence[bytes] = ()
    label_counts_L: Array = field(default_factory=lambda: np.empty(0, np.int64))

    def kept_shares(self, threshold: float) -> Array:
        """The chance of each word (V) to be kept by sub-sampling; 1 or more where it always is."""
        share_V = self.counts_V / max(1, self.counts_V.sum())
        kept_V: Array = (np.sqrt(threshold / share_V) + threshold / share_V).astype(np.float32)
        return kept_V


def by_count(counts: Array, least: int) -> Array:
    """The numbers of the words that occur so often, most frequent first; of equals the one seen first comes first."""
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] >= max(least, 1)]


def alias_table(weights_V: Array) -> tuple[Array, Array]:
    """How to draw words in proportion to their weights: for each place a share (V) and the other word (V).

    A draw picks a place, and then the place's own word with its share, the other one otherwise (Walker 1977).
    """
    scaled_V = weights_V / weights_V.sum() * len(weights_V)
    shares_V, others_V = np.ones(len(scaled_V)), np.arange(len(scaled_V), dtype=np.int32)
    small, large = [part.tolist() for part in (np.flatnonzero(scaled_V < 1), np.flatnonzero(scaled_V >= 1))]
    left: list[float] = scaled_V.tolist()
    while small and large:
        poor, rich = small.pop(), large[-1]
        shares_V[poor], others_V[poor] = left[poor], rich
        left[rich] -= 1 - left[poor]
        if left[rich] < 1:
            small.append(large.pop())
    return shares_V.astype(np.float32), others_V


@compiled
def _subwords(word: Array, shortest: int, longest: int, buckets: int, found: Array) -> int:
    """Write the buckets of a word's character n-grams; their number, which may exceed the room."""
    count = 0
    for first in range(len(word)):
        if word[first] & _LEADING == _CONTINUED:
            continue
        code, at, characters = _OFFSET, first, 0
        while at < len(word) and characters < longest:
            code = _mixed(code, word[at])
            at += 1
            while at < len(word) and word[at] & _LEADING == _CONTINUED:
                code = _mixed(code, word[at])
                at += 1
            characters += 1
            alone = characters == 1 and (first == 0 or at == len(word))
            if characters >= shortest and not alone:
                if count < len(found):
                    found[count] = np.int64(code) % buckets
                count += 1
    return count


def subword_buckets(word: bytes, shortest: int, longest: int, buckets: int) -> Array:
    """The buckets of the character n-grams of a word between marks of its ends, as fastText hashes them."""
    marked = np.frombuffer(b"<" + word + b">", np.uint8)
    room = np.empty(len(marked) * min(longest, len(marked)), np.int64)
    return room[: _subwords(marked, shortest, longest, buckets, room)]


@compiled
def place(features: Array, words: int, rows_B: Array, rows: int, spare: int) -> int:
    """Replace each bucket behind the words by its row, and return the number of rows.

    A bucket that is met for the first time gets the next row, or ``spare`` where that is a row. N-grams that no text
    has need no row in memory.
    """
    for at in range(len(features)):
        if features[at] >= words:
            bucket = features[at] - words
            if rows_B[bucket] < 0 and spare < 0:
                rows_B[bucket] = rows
                rows += 1
            features[at] = rows_B[bucket] if rows_B[bucket] >= 0 else spare
    return rows


@compiled
def ngram_lines(
    numbers: Array,
    tokens_of: Array,
    codes: Array,
    end_code: int,
    end_token: int,
    longest: int,
    buckets: int,
    words: int,
    found: Array,
) -> tuple[int, int, int, int]:
    """Write labeled lines as features: labels, then words and hashed word n-grams, then ``END`` for each line.

    Behind the number of features written and of words read come that of lines kept, and of lines left out because
    they lack a label or a feature. A word's token is its row, a label's token is below ``END``, and a word that is
    not learned has ``END``, which still counts in n-grams. An n-gram's feature is ``words`` plus its bucket.
    """
    written = read = kept = dropped = begin = 0
    hashes = np.empty(256, np.int32)
    for at in range(len(numbers)):
        if numbers[at] != END:
            continue
        if at - begin + 1 > len(hashes):
            hashes = np.empty(2 * (at - begin + 1), np.int32)
        first, count = written, 0
        for place in range(begin, at):
            if tokens_of[numbers[place]] < END:
                found[written] = tokens_of[numbers[place]]
                written += 1
        labels = written - first
        for place in range(begin, at + 1):
            token = end_token if place == at else tokens_of[numbers[place]]
            if token < END:
                continue
            if token >= 0:
                found[written] = token
                written += 1
            hashes[count] = np.int32(np.uint32(end_code if place == at else codes[numbers[place]]))
            count += 1
        for one in range(count):
            code = np.uint64(np.int64(hashes[one]))
            for other in range(one + 1, min(count, one + longest)):
                code = code * np.uint64(116049371) + np.uint64(np.int64(hashes[other]))
                found[written] = words + np.int64(code % np.uint64(buckets))
                written += 1
        if labels == 0 or written - first == labels:
            written, dropped = first, dropped + 1
        else:
            found[written] = END
            written, kept = written + 1, kept + 1
        read += at - begin + 1
        begin = at + 1
    return written, read, kept, dropped
