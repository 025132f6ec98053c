"""MXNet's NDArray list file (``.params``, ``model_algo-1``), read and written without MXNet.

The layout is that of ``NDArray::Save`` in MXNet 1.x; files of the kinds V0 to V3 are read, V2 is written.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import DataError

Array = npt.NDArray[Any]

_LIST = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8", 7: "?"}
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}
_BFLOAT16 = 12
_MOST_DIMENSIONS = 32


def encode(arrays: Sequence[Array] | Mapping[str, Array]) -> bytes:
    """The file that holds these arrays, with their names where a mapping is given; TypeError for another dtype."""
    named = isinstance(arrays, Mapping)
    names = list(arrays) if isinstance(arrays, Mapping) else []
    values = list(arrays.values()) if isinstance(arrays, Mapping) else list(arrays)
    parts = [struct.pack("<QQQ", _LIST, 0, len(values))]
    for array in values:
        code = _CODES.get(array.dtype.newbyteorder("<"))
        if code is None:
            raise TypeError(f"an NDArray file cannot hold {array.dtype}")
        shape = struct.pack(f"<I{array.ndim}q", array.ndim, *array.shape)
        parts += [struct.pack("<Ii", _V2, 0), shape, struct.pack("<iii", 1, 0, code)]
        parts.append(np.ascontiguousarray(array, dtype=_TYPES[code]).tobytes())
    parts.append(struct.pack("<Q", len(names) if named else 0))
    for name in names:
        encoded = name.encode()
        parts.append(struct.pack("<Q", len(encoded)) + encoded)
    return b"".join(parts)


def decode(content: bytes, *, source: str = "") -> dict[str, Array]:
    """The arrays by name, or by their number as text where the file has no names.

    bfloat16 becomes float32. DataError where the content is no such file, is cut short, or holds sparse arrays.
    """
    reader = _Reader(content, source)
    magic, _, count = reader.unpack("<QQQ")
    if magic != _LIST:
        raise DataError("this is no MXNet array file; it does not begin with the magic number 0x112", source=source)
    if count > len(content):
        raise DataError(f"it claims {count} arrays, more than it has bytes", source=source)
    arrays = [_array(reader) for _ in range(count)]
    (named,) = reader.unpack("<Q")
    if named not in (0, count):
        raise DataError(f"it has {count} arrays and {named} names", source=source)
    try:
        names = [bytes(reader.take(reader.unpack("<Q")[0])).decode() for _ in range(named)]
    except UnicodeDecodeError as error:
        raise DataError("a name in it is not UTF-8", source=source) from error
    if len(set(names)) < len(names):
        raise DataError("two arrays in it have the same name", source=source)
    return dict(zip(names or map(str, range(count)), arrays, strict=True))


class _Reader:
    """The unread rest of a file; taking more than there is raises DataError and allocates nothing."""

    def __init__(self, content: bytes, source: str) -> None:
        self._view, self._position, self.source, self.size = memoryview(content), 0, source, len(content)

    def take(self, size: int) -> memoryview:
        if size > len(self._view) - self._position:
            left = len(self._view) - self._position
            raise DataError(
                f"it is cut short: {size} bytes are due at byte {self._position}, {left} are left", source=self.source
            )
        taken = self._view[self._position : self._position + size]
        self._position += size
        return taken

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))


def _array(reader: _Reader) -> Array:
    (first,) = reader.unpack("<I")
    if first in (_V2, _V3):
        (storage,) = reader.unpack("<i")
        if storage not in (0, -1):
            kind = {1: "row-sparse", 2: "CSR"}.get(storage, f"unknown ({storage})")
            raise DataError(f"it holds a {kind} array; only dense arrays are read here", source=reader.source)
        shape = _shape(reader, reader.unpack("<i")[0], "q")
        if shape is None or (first == _V2 and not shape):
            return np.empty(0, np.float32)
    elif first == _V1:
        shape = _shape(reader, reader.unpack("<I")[0], "q") or ()
    else:
        shape = _shape(reader, first, "I") or ()
    if first not in (_V2, _V3) and not shape:
        return np.empty(0, np.float32)
    _, _, code = reader.unpack("<iii")
    if code == _BFLOAT16:
        halves = np.frombuffer(reader.take(math.prod(shape) * 2), "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(shape)
    if code not in _TYPES:
        raise DataError(f"it holds an array of the type {code}, which is not read here", source=reader.source)
    dtype = np.dtype(_TYPES[code])
    content = reader.take(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _shape(reader: _Reader, dimensions: int, kind: str) -> tuple[int, ...] | None:
    """The shape, or None where the file says that it is unknown."""
    if dimensions == -1:
        return None
    if not 0 <= dimensions <= _MOST_DIMENSIONS:
        raise DataError(f"it claims an array of {dimensions} dimensions", source=reader.source)
    shape = reader.unpack(f"<{dimensions}{kind}")
    if any(not 0 <= size <= reader.size for size in shape):
        raise DataError(f"it claims an array of the shape {list(shape)}", source=reader.source)
    return shape
