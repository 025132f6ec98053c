"""Words of a text against Python's own dictionaries, hashes against the ones that serving uses."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.blazingtext.loops import END
from clary.algorithms.blazingtext.model import character_ngrams, fnv
from clary.algorithms.blazingtext.vocabulary import WordTable, alias_table, by_count, subword_buckets

WORDS = st.text(st.characters(codec="utf-8", exclude_characters=" \n\r\t\v\f\0"), min_size=1, max_size=8)


@given(st.lists(st.lists(WORDS, max_size=6), max_size=20))
def test_the_table_numbers_and_counts_words(lines: list[list[str]]) -> None:
    table = WordTable()
    numbers = table.numbers("".join("\t ".join(line) + "\r\n" for line in lines).encode())
    names = table.words()
    assert dict(zip(names, table.counts.tolist(), strict=True)) == Counter(
        word.encode() for line in lines for word in line
    )
    assert table.codes.tolist() == [fnv(name) for name in names]
    back = [[]] if len(lines) else []  # type: ignore[var-annotated]
    for number in numbers.tolist():
        back.append([]) if number == END else back[-1].append(names[number].decode())
    assert back[:-1] == lines


def test_the_table_grows_over_many_blocks() -> None:
    table, words = WordTable(), [b"word%d" % number for number in range(200_000)]
    for start in range(0, len(words), 30_000):
        table.numbers(b" ".join(words[start : start + 30_000]) + b" word7\n")
    assert table.words() == words
    assert table.counts[7] == 8


def test_words_are_ordered_by_count_and_then_by_first_appearance() -> None:
    assert by_count(np.array([2, 5, 2, 1, 5]), 2).tolist() == [1, 4, 0, 2]
    assert by_count(np.array([2, 0]), 0).tolist() == [0]


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_an_alias_table_holds_the_weights(weights: list[float]) -> None:
    shares, others = alias_table(np.array(weights))
    found = np.bincount(others, 1 - shares.astype(np.float64), len(weights)) + shares
    assert found / len(weights) == pytest.approx(np.array(weights) / sum(weights), abs=1e-6)


@given(WORDS, st.integers(1, 4), st.integers(0, 4))
def test_compiled_n_grams_are_those_of_serving(word: str, shortest: int, more: int) -> None:
    expected = [fnv(each) % 1000 for each in character_ngrams(word.encode(), shortest, shortest + more)]
    assert subword_buckets(word.encode(), shortest, shortest + more, 1000).tolist() == expected


def test_the_n_grams_of_a_word_stand_between_marks() -> None:
    assert [*character_ngrams(b"cat", 3, 4)] == [b"<ca", b"<cat", b"cat", b"cat>", b"at>"]
    assert [*character_ngrams("ö".encode(), 1, 2)] == [b"<\xc3\xb6", b"\xc3\xb6", b"\xc3\xb6>"]
