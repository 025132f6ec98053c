"""The auxiliary channel: the words that features stand for, and vectors of words where somebody has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from clary.toolkit.channels import ChannelInput
from clary.toolkit.errors import DataError, UserError

WORDS, VECTORS = "vocab.txt", "vectors.txt"
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Vocabulary:
    """The words by the number of their feature, and a row of ``vectors`` for each; None where there are none.

    ``unknown`` is the number of words without a vector, whose row holds zeros.
    """

    words: tuple[str, ...]
    vectors: Array | None = None
    unknown: int = 0

    @classmethod
    def read(cls, channel: ChannelInput, size: int) -> Vocabulary:
        """The channel's words; DataError where they are not one per line or not ``size`` in number."""
        contents, names = {}, []
        for source, stream in channel.parts():
            name = source.rpartition("file ")[2]
            names.append(name)
            if name.rpartition("/")[2] in (WORDS, VECTORS):
                contents[name.rpartition("/")[2]] = list(_lines(source, stream))
        if WORDS not in contents:
            raise UserError(f"channel {channel.name} must hold a file {WORDS}; it holds {', '.join(sorted(names))}")
        words = _words(f"channel {channel.name}, file {WORDS}", contents[WORDS], size)
        if VECTORS not in contents:
            return cls(words)
        return cls(words, *_vectors(f"channel {channel.name}, file {VECTORS}", contents[VECTORS], words))

    def content(self) -> bytes:
        """The words as a file like the one that they came from."""
        return "".join(f"{word}\n" for word in self.words).encode()


def _lines(source: str, stream: BinaryIO) -> Iterator[str]:
    """The lines of a text in UTF-8, without their ends."""
    for number, line in enumerate(stream.read().removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            yield line.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(
                f"the text is not UTF-8: {error.reason}", source=source, row=number, kind="line"
            ) from None


def _words(source: str, lines: list[str], size: int) -> tuple[str, ...]:
    if len(lines) != size:
        raise DataError(
            f"the vocabulary has {len(lines)} words, feature_dim is {size}; line i, counted from 0, names feature i",
            source=source,
        )
    if "" in lines:
        raise DataError("there is no word", source=source, row=lines.index("") + 1, kind="line")
    return tuple(lines)


def _vectors(source: str, lines: list[str], words: tuple[str, ...]) -> tuple[Array, int]:
    """A row for each word, zeros for those without a vector, and how many these are."""
    wanted = {word: number for number, word in enumerate(words)}
    found: dict[int, Array] = {}
    # Some programs write a first line with the number of words and that of their numbers.
    head = len(lines[0].split()) == 2 if lines else False
    for row, line in enumerate(lines[head:], 1 + head):
        word, *numbers = line.rstrip().split(" ")
        if word in wanted:
            found[wanted[word]] = _vector(source, row, numbers)
    lengths = {len(each) for each in found.values()}
    if len(lengths) != 1:
        what = (
            "no word of the vocabulary"
            if not lengths
            else f"vectors of {', '.join(map(str, sorted(lengths)))} numbers"
        )
        raise DataError(f"each line must hold a word and its numbers; found {what}", source=source)
    vectors = np.zeros((len(words), lengths.pop()), np.float32)
    for number, vector in found.items():
        vectors[number] = vector
    return vectors, len(words) - len(found)


def _vector(source: str, row: int, numbers: list[str]) -> Array:
    try:
        vector = np.array(numbers, np.float32)
    except ValueError:
        vector = np.empty(0, np.float32)
    if not len(vector) or not np.isfinite(vector).all():
        raise DataError(
            "a word must be followed by its numbers, with blanks between", source=source, row=row, kind="line"
        )
    return vector
