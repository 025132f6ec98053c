"""The vocabulary is read line by line, and what does not fit is refused with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clary.algorithms.ntm.vocabulary import Vocabulary
from clary.toolkit import media
from clary.toolkit.errors import DataError, UserError
from topics import channel


def read(folder: Path, size: int = 3, **files: bytes) -> Vocabulary:
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content)
    return Vocabulary.read(channel(folder, media.TEXT, "auxiliary"), size)


@pytest.mark.parametrize("content", ["ape\nbée\ncat", "ape\r\nbée\r\ncat\r\n", "\ufeffape\nbée \ncat\n"])
def test_each_line_is_a_word(tmp_path: Path, content: str) -> None:
    found = read(tmp_path, vocab=content.encode())
    assert found.words == ("ape", "bée", "cat")
    assert found.vectors is None
    assert found.content() == "ape\nbée\ncat\n".encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ape\nbee\n", r"file vocab.txt: the vocabulary has 2 words, feature_dim is 3; line i, counted from 0"),
        (b"a\nb\nc\nd\n", "has 4 words, feature_dim is 3"),
        (b"ape\n\ncat\n", "file vocab.txt, line 2: there is no word"),
        (b"ape\n\xff\xfe\ncat\n", "file vocab.txt, line 2: the text is not UTF-8"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, vocab=content)


def test_a_channel_without_a_vocabulary_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must hold a file vocab.txt; it holds words.txt"):
        read(tmp_path, words=b"ape\n")


@pytest.mark.parametrize("head", [b"", b"4 2\n"])
def test_vectors_are_those_of_the_words(tmp_path: Path, head: bytes) -> None:
    found = read(tmp_path, vocab=b"ape\nbee\ncat\n", vectors=head + b"cat 1 2\nof 9 9\nape -0.5 1e-3 \n")
    assert found.vectors is not None
    assert np.array_equal(found.vectors, np.array([[-0.5, 1e-3], [0, 0], [1, 2]], np.float32))
    assert found.unknown == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dog 1 2\n", "file vectors.txt: .* found no word of the vocabulary"),
        (b"", "found no word of the vocabulary"),
        (b"ape 1 2 3\nbee 1 2\n", "found vectors of 2, 3 numbers"),
        (b"ape 1 2\nbee 1 x\n", "file vectors.txt, line 2: a word must be followed by its numbers"),
        (b"ape 1 2\nbee 1 nan\n", "file vectors.txt, line 2: a word must be followed"),
        (b"ape 1 2 3\nbee\n", "file vectors.txt, line 2: a word must be followed"),
    ],
)
def test_what_are_no_vectors_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, vocab=b"ape\nbee\ncat\n", vectors=content)
