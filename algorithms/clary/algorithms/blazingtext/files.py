"""The open formats of vectors and classifiers: fastText's ``.bin``, read and written, and word2vec's text.

Written from the layout that the files of fastText 0.9.2 have: version 12 of the format, all numbers little-endian.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]

CBOW, SKIPGRAM, SUPERVISED = 1, 2, 3
TREE, NEGATIVES, SOFTMAX, EACH_ALONE = 1, 2, 3, 4
_MAGIC, _VERSION = 793712314, 12
_HEAD, _ARGUMENTS, _SIZES, _COUNT, _SHAPE = (struct.Struct(f"<{kind}") for kind in ("2i", "12id", "3i2q", "qb", "2q"))
_WORD, _LABEL = 0, 1
_NOT_PRUNED = -1
_UPDATE_EVERY = 100  # words between two changes of the rate in fastText, which only training reads
_ROWS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class Arguments:
    """What a file tells of how its model was trained, by fastText's names."""

    dim: int
    ws: int
    epoch: int
    min_count: int
    neg: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    t: float


@dataclass(frozen=True)
class Content:
    """All that a ``.bin`` file holds: V words, L labels, V + bucket rows of inputs (R, D) and outputs (O, D).

    ``used`` tells which bucket each of the rows behind the words is for, where the others are zeros and have none;
    None where there is a row for every bucket.
    """

    arguments: Arguments
    words: Sequence[bytes]
    word_counts: Sequence[int]
    labels: Sequence[bytes]
    label_counts: Sequence[int]
    inputs_RD: Array
    outputs_OD: Array
    tokens: int = 0
    used: Array | None = None


def write(content: Content) -> bytes:
    """The file; buckets without a row are written as zeros."""
    given = content.arguments
    *numbers, threshold = dataclasses.astuple(given)
    words, labels = len(content.words), len(content.labels)
    parts = [
        _HEAD.pack(_MAGIC, _VERSION),
        _ARGUMENTS.pack(*numbers, _UPDATE_EVERY, threshold),
        _SIZES.pack(words + labels, words, labels, content.tokens, _NOT_PRUNED),
        *_entries(content.words, content.word_counts, _WORD),
        *_entries(content.labels, content.label_counts, _LABEL),
        b"\0",
        _SHAPE.pack(words + given.bucket, given.dim),
        *_rows(content),
        b"\0",
        _SHAPE.pack(*content.outputs_OD.shape),
        np.ascontiguousarray(content.outputs_OD, "<f4").tobytes(),
    ]
    return b"".join(parts)


def _entries(words: Sequence[bytes], counts: Sequence[int], kind: int) -> Iterator[bytes]:
    for word, count in zip(words, counts, strict=True):
        yield word + b"\0" + _COUNT.pack(int(count), kind)


def _rows(content: Content) -> Iterator[bytes]:
    inputs_RD = np.ascontiguousarray(content.inputs_RD, "<f4")
    if content.used is None:
        yield inputs_RD.tobytes()
        return
    words, size = len(content.words), 4 * content.arguments.dim
    yield inputs_RD[:words].tobytes()
    order, behind = np.argsort(content.used, kind="stable"), 0
    for place in order.tolist():
        bucket = int(content.used[place])
        yield bytes((bucket - behind) * size)
        yield inputs_RD[words + place].tobytes()
        behind = bucket + 1
    yield bytes((content.arguments.bucket - behind) * size)


def read(data: bytes, *, source: str) -> Content:
    """What the file holds; UserError where it is damaged, or of a kind that cannot be served."""
    try:
        return _Reader(data).content()
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{source} cannot be read as a fastText model: {error or 'it is cut off'}") from None


class _Reader:
    """A place in a file that moves on as it is read; ValueError says what does not fit."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def content(self) -> Content:
        """The whole file."""
        magic, version = self._numbers(_HEAD)
        if magic != _MAGIC:
            raise ValueError("it does not begin as such a file does")
        if version not in (11, _VERSION):
            raise ValueError(f"it has version {version} of the format; versions 11 and {_VERSION} are read")
        *whole, t = self._numbers(_ARGUMENTS)
        fields = [each.name for each in dataclasses.fields(Arguments)]
        arguments = Arguments(**dict(zip(fields, [*whole[:-1], t], strict=True)))
        if arguments.dim < 1 or arguments.model not in (CBOW, SKIPGRAM, SUPERVISED):
            raise ValueError("its settings are damaged")
        if version == 11 and arguments.model == SUPERVISED:  # files of that version mean no character n-grams
            arguments = dataclasses.replace(arguments, maxn=0)
        size, words, labels, tokens, pruned = self._numbers(_SIZES)
        if min(words, labels) < 0 or size != words + labels or size > len(self._data):
            raise ValueError("its vocabulary is damaged")
        entries = [self._entry() for _ in range(size)]
        if pruned > 0 or self._flag():
            raise ValueError("it is quantized; serve the model from before its quantization, a .bin file")
        inputs_RD = self._matrix(arguments.dim)
        if self._flag():
            raise ValueError("its outputs are quantized; serve the model from before its quantization")
        outputs_OD = self._matrix(arguments.dim)
        if self._at != len(self._data):
            raise ValueError("something stands behind its end")
        if len(inputs_RD) != words + max(arguments.bucket, 0) or [kind for *_, kind in entries] != (
            [_WORD] * words + [_LABEL] * labels
        ):
            raise ValueError("its vocabulary and its vectors do not fit")
        if arguments.model == SUPERVISED and (not labels or len(outputs_OD) != labels):
            raise ValueError("its labels and its outputs do not fit")
        names, counts = [name for name, *_ in entries], [count for _, count, _ in entries]
        return Content(
            arguments, names[:words], counts[:words], names[words:], counts[words:], inputs_RD, outputs_OD, tokens
        )

    def _numbers(self, form: struct.Struct) -> tuple[Any, ...]:
        found = form.unpack_from(self._data, self._at)
        self._at += form.size
        return found

    def _flag(self) -> bool:
        if self._at >= len(self._data):
            raise ValueError("it is cut off")
        self._at += 1
        return self._data[self._at - 1] != 0

    def _entry(self) -> tuple[bytes, int, int]:
        end = self._data.index(b"\0", self._at)
        name, self._at = self._data[self._at : end], end + 1
        count, kind = self._numbers(_COUNT)
        return name, count, kind

    def _matrix(self, dim: int) -> Array:
        rows, columns = self._numbers(_SHAPE)
        if columns != dim or rows < 0 or self._at + 4 * rows * columns > len(self._data):
            raise ValueError("it is cut off, or its vectors have another length than it says")
        found = np.frombuffer(self._data, "<f4", rows * columns, self._at).reshape(rows, columns)
        self._at += 4 * rows * columns
        return found


def write_text(words: Sequence[bytes], vectors_VD: Array) -> bytes:
    """Vectors in the text format of word2vec: the two sizes, then a word and its numbers on each line."""
    parts = [b"%d %d\n" % vectors_VD.shape]
    for start in range(0, len(words), _ROWS_AT_ONCE):
        block = np.ascontiguousarray(vectors_VD[start : start + _ROWS_AT_ONCE], np.float32)
        spelled = orjson.dumps(block, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].replace(b",", b" ").split(b"] [")
        parts += [b"%b %b\n" % pair for pair in zip(words[start : start + _ROWS_AT_ONCE], spelled, strict=True)]
    return b"".join(parts)
