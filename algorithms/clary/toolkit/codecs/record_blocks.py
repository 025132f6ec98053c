"""Fast reading of sparse records: NumPy follows the fields of all records of a buffer at once.

It gives up (None) on whatever it does not understand; such records are then read one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import record_message, recordio
from clary.toolkit.codecs.record_message import FEATURES, LABEL, MessageError, Tensor
from clary.toolkit.codecs.recordio import HEADER_BYTES
from clary.toolkit.records import Floats

Positions = npt.NDArray[np.int64]
Spans = tuple[Positions, Positions]

_MAGIC = int.from_bytes(recordio.MAGIC, "little")
_NAME = b"\x0a\x06values"
_VALUE, _VALUES, _KEYS = 0x12, 0x0A, 0x12
_WORD = 8
_SEPTET = np.uint8(0x7F)
# In four bytes a varint gives the length of more than any buffer holds.
_LONGEST = 4


class Rows(NamedTuple):
    """Records that follow each other and take ``size`` bytes; ``counts`` says how many keys each has."""

    size: int
    values: Floats
    keys: npt.NDArray[Any]
    counts: Positions
    labels: Floats | None


def parse(buffer: bytes, start: int, features: Tensor, label: Tensor | None) -> Rows | None:
    """The records from ``start`` on, for as long as they have the usual layout and parts like these.

    None where there are none, or where values, keys and labels do not agree in number. The numbers themselves
    are not looked at: values may be infinite, and positions out of range or in any order.
    """
    begins, ends = _frames(buffer, start)
    places = _Places(buffer, begins)
    stops = places.enter(FEATURES, features.kind)
    spans = [places.field(_VALUES), places.field(_KEYS)]
    places.expect(record_message.width_field(features.size))
    places.fits &= places.at == stops
    if label is not None:
        stops = places.enter(LABEL, label.kind)
        spans.append(places.field(_VALUES))
        places.fits &= places.at == stops
    places.fits &= places.at == ends
    rows = len(begins) if places.fits.all() else int(places.fits.argmin())
    if not rows:
        return None
    spans = [(begin[:rows], end[:rows]) for begin, end in spans]
    size = int(ends[rows - 1]) - start
    try:
        return Rows(size + -size % 4, *_numbers(buffer, spans, features, label))
    except MessageError:
        return None


def _numbers(
    buffer: bytes, spans: list[Spans], features: Tensor, label: Tensor | None
) -> tuple[Floats, npt.NDArray[Any], Positions, Floats | None]:
    """Values, keys, how many each record has, and labels."""
    values, keys = _joined(buffer, spans[0]), _joined(buffer, spans[1])
    counts, key_ends = _counts(values, spans[0], features.kind), record_message.varint_ends(keys)
    _check_varints(spans[1], key_ends, counts)
    labels = None
    if label is not None:
        raw = _joined(buffer, spans[2])
        if (_counts(raw, spans[2], label.kind) != label.value_count).any():
            raise MessageError("labels differ in number")
        labels = record_message.numbers(label.kind, raw).reshape(len(counts), label.value_count)
    return record_message.numbers(features.kind, values), record_message.varints(keys, key_ends), counts, labels


def _joined(buffer: bytes, spans: Spans) -> bytearray:
    begins, ends = spans
    size = int(ends[0] - begins[0])
    if size and (ends - begins == size).all():
        # The spans as items of an array of all that begins at any byte.
        items = np.ndarray(len(buffer) - size + 1, f"V{size}", buffer, strides=(1,))
        return bytearray(items[begins].tobytes())
    return bytearray().join([buffer[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)])


def _counts(raw: bytearray, spans: Spans, kind: int) -> Positions:
    """How many values lie in each span; MessageError where one is cut off."""
    lengths: Positions = spans[1] - spans[0]
    item = record_message.item_bytes(kind)
    if item is None:
        ends = record_message.varint_ends(raw)
        counts: Positions = np.diff(np.searchsorted(ends, np.cumsum(lengths)), prepend=0)
        _check_varints(spans, ends, counts)
        return counts
    if (lengths % item).any():
        raise MessageError("a value is cut off")
    return lengths // item


def _check_varints(spans: Spans, ends: npt.NDArray[np.intp], counts: Positions) -> None:
    """MessageError unless each span holds so many whole numbers, whose last bytes are these."""
    lengths, filled = spans[1] - spans[0], counts > 0
    lasts = np.cumsum(counts)
    if lasts[-1] != len(ends) or lengths[~filled].any():
        raise MessageError("the numbers of a packed field are too few or too many")
    if not np.array_equal(ends[lasts[filled] - 1] + 1, np.cumsum(lengths)[filled]):
        raise MessageError("a number is cut off")


def _frames(buffer: bytes, start: int) -> tuple[Positions, Positions]:
    """Where the payloads of whole records begin and end, for as long as one lies directly behind the other."""
    words = np.frombuffer(buffer, "<u4", (len(buffer) - start) // 4, start)
    heads = np.flatnonzero(words[:-1] == _MAGIC)
    lengths = words[heads + 1].astype(np.int64)
    following = heads + HEADER_BYTES // 4 + (lengths + 3) // 4
    # The upper bits hold a flag that is zero in a whole record.
    good = (lengths <= recordio.LONGEST) & (following <= len(words))
    good[1:] &= following[:-1] == heads[1:]
    count = len(good) if good.all() else int(good.argmin())
    begins = start + 4 * heads[:count] + HEADER_BYTES
    return begins, begins + lengths[:count]


class _Places:
    """One place in each of many records, which move on together; ``fits`` says where all was as expected."""

    def __init__(self, buffer: bytes, at: Positions) -> None:
        self.at, self.fits = at, np.ones(len(at), np.bool_)
        padded = buffer + bytes(_WORD)
        self._bytes = np.frombuffer(padded, np.uint8)
        # What begins at any byte, read as one number of eight bytes.
        self._words = np.ndarray(len(buffer) + 1, "<u8", padded, strides=(1,))

    def expect(self, content: bytes) -> None:
        """Move behind these bytes, at most eight."""
        found = self._words[np.minimum(self.at, len(self._words) - 1)]
        mask = np.uint64((1 << 8 * len(content)) - 1)
        self.fits &= (found & mask) == np.uint64(int.from_bytes(content, "little"))
        self.at = self.at + len(content)

    def enter(self, field: int, kind: int) -> Positions:
        """Move into the tensor of an entry of features or label; where it ends, and the entry with it."""
        entry = self._open(field << 3 | 2)
        self.expect(_NAME)
        value, tensor = self._open(_VALUE), self._open(kind << 3 | 2)
        self.fits &= (entry == value) & (entry == tensor)
        return entry

    def field(self, tag: int) -> Spans:
        """Where the content of a field begins and ends, empty where it is left out; move behind it."""
        there = self._byte(self.at) == tag
        length, begin, whole = self._number(self.at + 1)
        self.fits &= whole | ~there
        begin = np.where(there, begin, self.at)
        self.at = np.where(there, begin + length, self.at)
        return begin, self.at

    def _open(self, tag: int) -> Positions:
        self.fits &= self._byte(self.at) == tag
        length, self.at, whole = self._number(self.at + 1)
        self.fits &= whole
        return self.at + length

    def _byte(self, at: Positions) -> npt.NDArray[np.uint8]:
        # A place that does not fit may lie anywhere.
        return self._bytes.take(at, mode="clip")

    def _number(self, at: Positions) -> tuple[Positions, Positions, npt.NDArray[np.bool_]]:
        """The varint of at most four bytes at each place, the place behind it, and whether it is not longer."""
        byte = self._byte(at)
        value, whole = (byte & _SEPTET).astype(np.int64), byte <= _SEPTET
        length = np.ones(len(at), np.int64)
        for place in range(1, _LONGEST):
            if whole.all():
                break
            byte = self._byte(at + place)
            value += np.where(whole, 0, (byte & _SEPTET).astype(np.int64) << 7 * place)
            length += ~whole
            whole |= byte <= _SEPTET
        return value, at + length, whole
