"""The ``Record`` message of RecordIO-protobuf, read and written by hand.

Record  features (1) and label (2): map<string, Value>; uid, metadata, configuration (3, 4, 5): string
Value   float32_tensor (2), float64_tensor (3), int32_tensor (7), bytes (9)
Tensor  values (1), keys (2), shape (3), each packed or not
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import floats
from clary.toolkit.records import Floats

VALUES = "values"
FEATURES, LABEL = 1, 2
INT32 = 7
LONGEST_VARINT = 10

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_FLOAT32, _FLOAT64, _BYTES = 2, 3, 9
_ITEM = {_FLOAT32: (4, _FOUR_BYTES), _FLOAT64: (8, _EIGHT_BYTES)}
_FIXED = {_FOUR_BYTES: 4, _EIGHT_BYTES: 8}
_PARTS = ("values", "keys", "shape")
_CONTINUED = bytes(range(128, 256))
# One entry as the usual writers lay it out: {"values": tensor} with packed values first, then keys and a shape.
_NUMBER = rb"([\x80-\xff]{0,4}[\x00-\x7f])"
_USUAL = re.compile(rb"([\x0a\x12])%b\x0a\x06values\x12%b([\x12\x1a\x3a])%b\x0a%b" % ((_NUMBER,) * 4), re.DOTALL)
_USUAL_KEYS = re.compile(rb"\x12%b" % _NUMBER, re.DOTALL)
_USUAL_SHAPE = re.compile(rb"\x1a%b%b" % ((_NUMBER,) * 2), re.DOTALL)
_TOO_LONG = re.compile(rb"[\x80-\xff]{10}")
_KINDS = ((2, np.uint16), (4, np.uint32))  # for a varint that goes on for fewer bytes than that
_MOST_DIMENSIONS = 32


class MessageError(ValueError):
    """The bytes are not a Record; the text says why, and the reader adds where."""


class Tensor(NamedTuple):
    """One tensor, its numbers still as they were sent.

    ``kind`` is the field number of the tensor's type; ``span`` says where ``values`` lie in the message if they
    lie in one piece.
    """

    kind: int
    values: bytes
    value_count: int
    keys: bytes
    key_count: int
    shape: tuple[int, ...] | None
    span: tuple[int, int] | None

    @property
    def sparse(self) -> bool:
        """Whether the values stand at the positions that ``keys`` give, or there are none in a given shape."""
        return self.key_count > 0 or (self.value_count == 0 and bool(self.shape) and self.size > 0)

    @property
    def size(self) -> int:
        """How many numbers the shape holds, zeros of a sparse tensor among them."""
        product = 1
        for length in self.shape or (self.value_count,):
            product *= length
        return product


def tensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The features and the labels of a serialised Record, each by name; MessageError where it is not one."""
    return _as_usual(data) or _by_fields(data)


def _as_usual(data: bytes) -> tuple[dict[str, Tensor], dict[str, Tensor]] | None:
    """The tensors of a Record as the usual writers lay it out; None for any other, which may be right too."""
    found: tuple[dict[str, Tensor], dict[str, Tensor]] = {}, {}
    position = 0
    for field, tensors in ((FEATURES, found[0]), (LABEL, found[1])):
        entry = _USUAL.match(data, position)
        if entry is None or entry[1][0] >> 3 != field:
            break
        stop = entry.end(2) + _small(entry[2])
        if not stop == entry.end(3) + _small(entry[3]) == entry.end(5) + _small(entry[5]) <= len(data):
            return None
        begin = entry.end()
        end = begin + _small(entry[6])
        rest = data[end:stop] if end < stop else b""
        tensor = _usual_tensor(entry[4][0] >> 3, data[begin:end], rest, (begin, end)) if end <= stop else None
        if tensor is None:
            return None
        tensors[VALUES] = tensor
        position = stop
    return found if position == len(data) and found[0] else None


def _usual_tensor(kind: int, values: bytes, rest: bytes, span: tuple[int, int]) -> Tensor | None:
    item, _ = _ITEM.get(kind, (1, _VARINT))
    if len(values) % item:
        return None
    keys, shape = b"", None
    if rest:
        positions = _USUAL_KEYS.match(rest)
        if positions is None:
            return None
        end = positions.end() + _small(positions[1])
        width = _USUAL_SHAPE.fullmatch(rest, end)
        if width is None or _small(width[1]) != len(width[2]):
            return None
        keys, shape = rest[positions.end() : end], (_small(width[2]),)
    count = len(values) // item if item > 1 else _varint_count(values)
    return Tensor(kind, values, count, keys, _varint_count(keys), shape, span if item > 1 else None)


def _small(raw: bytes) -> int:
    """The number of one varint that is known to be whole."""
    return raw[0] if len(raw) == 1 else _varint(raw, 0, len(raw))[0]


def _by_fields(data: bytes) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    features: dict[str, Tensor] = {}
    labels: dict[str, Tensor] = {}
    for number, wire, start, stop in _fields(data, 0, len(data)):
        if number in (FEATURES, LABEL):
            _expect(wire, _LENGTH, "an entry of features or label")
            name, tensor = _entry(data, start, stop)
            (features if number == FEATURES else labels)[name] = tensor
    return features, labels


def _entry(data: bytes, start: int, stop: int) -> tuple[str, Tensor]:
    name, tensor = b"", Tensor(_FLOAT32, b"", 0, b"", 0, None, None)
    for number, wire, begin, end in _fields(data, start, stop):
        if number == 1:
            _expect(wire, _LENGTH, "the name of a tensor")
            name = data[begin:end]
        elif number == 2:
            _expect(wire, _LENGTH, "a value")
            tensor = _value(data, begin, end)
    try:
        return name.decode(), tensor
    except UnicodeDecodeError:
        raise MessageError("the name of a tensor is not UTF-8 text") from None


def _value(data: bytes, start: int, stop: int) -> Tensor:
    found = None
    for number, wire, begin, end in _fields(data, start, stop):
        if number in (_FLOAT32, _FLOAT64, INT32):
            _expect(wire, _LENGTH, "a tensor")
            found = _tensor(data, begin, end, number)
        elif number == _BYTES:
            raise MessageError("the value is a blob of bytes; a tensor of numbers is needed")
    if found is None:
        raise MessageError("the value holds no tensor")
    return found


def _tensor(data: bytes, start: int, stop: int, kind: int) -> Tensor:
    item, single = _ITEM.get(kind, (1, _VARINT))
    spans: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for number, wire, begin, end in _fields(data, start, stop):
        if number <= len(_PARTS):
            if wire != _LENGTH:
                _expect(wire, single if number == 1 else _VARINT, _PARTS[number - 1])
            spans[number - 1].append((begin, end))
    values, keys, shape = (_joined(data, each) for each in spans)
    if len(values) % item:
        raise MessageError(f"'values' take {len(values)} bytes, which is no multiple of {item}")
    return Tensor(
        kind,
        values,
        len(values) // item if item > 1 else _varint_count(values),
        keys,
        _varint_count(keys),
        _shape(shape),
        spans[0][0] if len(spans[0]) == 1 and item > 1 else None,
    )


def _joined(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    if len(spans) == 1:
        begin, end = spans[0]
        return data[begin:end]
    return b"".join([data[begin:end] for begin, end in spans])


def _shape(raw: bytes) -> tuple[int, ...] | None:
    lengths: list[int] = []
    position = 0
    while position < len(raw):
        if len(lengths) == _MOST_DIMENSIONS:
            raise MessageError(f"the shape has more than {_MOST_DIMENSIONS} dimensions")
        length, position = _varint(raw, position, len(raw))
        lengths.append(length)
    return tuple(lengths) or None


def _fields(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type and extent of each field; unknown ones are the caller's to skip."""
    while position < stop:
        key, start = _varint(data, position, stop)
        number, wire = key >> 3, key & 7
        if wire == _LENGTH:
            length, start = _varint(data, start, stop)
            position = start + length
        elif wire == _VARINT:
            _, position = _varint(data, start, stop)
        elif wire in _FIXED:
            position = start + _FIXED[wire]
        else:
            raise MessageError(f"field {number} has wire type {wire}, which a Record does not use")
        if position > stop:
            raise MessageError(f"field {number} is cut off")
        if not number:
            raise MessageError("a field has number 0; the bytes are not a Record")
        yield number, wire, start, position


def _varint(data: bytes, position: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    while position < stop and shift < 7 * LONGEST_VARINT:
        byte = data[position]
        position += 1
        if byte < 0x80:
            return value | byte << shift, position
        value |= (byte & 0x7F) << shift
        shift += 7
    raise MessageError("a number is cut off or longer than ten bytes; the bytes are not a Record")


def _varint_count(raw: bytes) -> int:
    if not raw:
        return 0
    if raw[-1] >= 0x80:
        raise MessageError("a number is cut off at the end of a packed field")
    if _TOO_LONG.search(raw):
        raise MessageError("a number is longer than ten bytes")
    return len(raw.translate(None, _CONTINUED))


def _expect(wire: int, wanted: int, what: str) -> None:
    if wire != wanted:
        raise MessageError(f"{what} has wire type {wire}, expected {wanted}")


def item_bytes(kind: int) -> int | None:
    """The size of one value of that kind of tensor; None where each has a size of its own."""
    return _ITEM[kind][0] if kind in _ITEM else None


def varint_ends(raw: bytes | bytearray) -> npt.NDArray[np.intp]:
    """Where the last byte of each number of a packed field lies."""
    return np.flatnonzero(np.frombuffer(raw, np.uint8) < _CONTINUED[0])


def varints(raw: bytes | bytearray, ends: npt.NDArray[np.intp] | None = None) -> npt.NDArray[Any]:
    """The numbers of a packed field, or of several one after the other, of which none may be cut off.

    They are unsigned, of 16, 32 or 64 bits, as the longest needs. MessageError for a number of more than ten
    bytes. ``ends`` are its ``varint_ends``, if they are known.
    """
    data = np.frombuffer(raw, np.uint8)
    septets, more = data & np.uint8(0x7F), data >> np.uint8(7)
    # For each place, whether so many bytes before a byte all belong to the number that goes on in it.
    reach, within = [], more[:-1]
    while within.any():
        reach.append(within)
        if len(reach) == LONGEST_VARINT:
            raise MessageError("a number is longer than ten bytes")
        within = within[1:] & more[: -len(reach) - 1]
    # Passes over all bytes, of which only the last ones of numbers are looked at in the end, are far faster
    # than a look at each number.
    kind: Any = next((kind for most, kind in _KINDS if len(reach) < most), np.uint64)
    values: npt.NDArray[np.unsignedinteger[Any]] = septets.astype(kind)
    for place, within in enumerate(reach, 1):
        values[place:] <<= within * np.uint8(7)
        values[place:] |= septets[:-place] * within
    return values.take(varint_ends(raw) if ends is None else ends)


def numbers(kind: int, raw: Any) -> Floats:
    """The values of one kind of tensor, or of several one after the other, as float32."""
    if kind == _FLOAT32:
        return np.frombuffer(raw, "<f4").astype(np.float32, copy=False)
    if kind == _FLOAT64:
        return floats.narrow(np.frombuffer(raw, "<f8"))
    # Negative numbers are sent as 64 bits; the low 32 are the value.
    return floats.narrow(varints(raw).astype(np.uint32).view(np.int32))


def message(features: Mapping[str, bytes], label: Mapping[str, bytes]) -> bytes:
    """A serialised Record; each value is the content of a float32 tensor, as ``tensor`` makes it."""
    return b"".join(
        _delimited(field, _delimited(1, name.encode()) + _delimited(2, _delimited(_FLOAT32, content)))
        for field, entries in ((FEATURES, features), (LABEL, label))
        for name, content in entries.items()
    )


def tensor(values: Floats, keys: Sequence[int] | None = None, width: int = 0) -> bytes:
    """The content of a float32 tensor; sparse with positions and a shape where ``keys`` are given."""
    content = _delimited(1, np.ascontiguousarray(values, "<f4").tobytes())
    if keys is None:
        return content
    packed = b"".join(map(_varint_bytes, keys))
    return content + _delimited(2, packed) + width_field(width)


def width_field(width: int) -> bytes:
    """The shape of a sparse row as its tensor holds it."""
    return _delimited(3, _varint_bytes(width))


def _delimited(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | _LENGTH]) + _varint_bytes(len(content)) + content


def _varint_bytes(value: int) -> bytes:
    septets = bytearray()
    while value > 0x7F:
        septets.append(value & 0x7F | 0x80)
        value >>= 7
    septets.append(value)
    return bytes(septets)
