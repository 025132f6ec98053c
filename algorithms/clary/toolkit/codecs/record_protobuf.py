"""RecordIO-protobuf: each RecordIO payload is one serialised ``Record`` of features and labels.

Dense records of one shape that follow each other differ only in their numbers, so one of them is read field by
field and serves as a template for a view of all. Sparse records of the usual layout are read many at once.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import record_blocks, record_message, recordio, sparse
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.codecs.record_message import VALUES, MessageError, Tensor
from clary.toolkit.codecs.recordio import HEADER_BYTES, Cursor
from clary.toolkit.errors import DataError
from clary.toolkit.records import Floats, Records

_ROWS_AT_ONCE = 4096
# Fewer sparse records than about this many are read faster one by one.
_MANY = 16


def read(
    stream: Readable, *, source: str = "", missing: bool = False, size: int = recordio.BUFFER_BYTES
) -> Iterator[Records]:
    """The records in order, about ``size`` bytes at a time; dense ones as arrays, sparse ones as CSR.

    ``missing`` allows NaN among the features. DataError names the record and the reason.
    """
    cursor = Cursor(stream, source=source, size=size)
    shape = _Shape(source, missing)
    run: _Run | None = None
    # The buffer whose sparse records were read at once, as far as they could be.
    tried = b""
    while cursor.ready():
        row, start, buffer = cursor.row, cursor.position, cursor.data
        framed = cursor.whole()
        payload = cursor.take()
        features, label = shape.check(payload, row)
        many = framed and features.sparse and len(buffer) - start >= _MANY * (cursor.position - start)
        if many and buffer is not tried:
            tried = buffer
            found = record_blocks.parse(buffer, start, features, label)
            if found is not None and shape.finite(found):
                if run is not None:
                    yield run.records(shape)
                    run = None
                cursor.skip(len(found.counts) - 1, start + found.size - cursor.position)
                yield shape.records(found, row)
                continue
        if run is not None and (not run.takes(features, label) or run.bytes >= size):
            yield run.records(shape)
            run = None
        if run is None:
            run = _Run(features, label, row)
        spans = [tensor.span for tensor in (features, label) if tensor is not None]
        if framed and not features.sparse and all(spans):
            extents = [(begin + HEADER_BYTES, end + HEADER_BYTES) for begin, end in filter(None, spans)]
            stride = cursor.position - start
            alike = _alike(buffer, start, stride, extents)
            cursor.skip(len(alike) - 1, (len(alike) - 1) * stride)
            run.add_alike(alike, extents)
        else:
            run.add(features, label)
    if run is not None:
        yield run.records(shape)


class _Shape:
    """What every record of one stream must agree on: the number of features and of labels."""

    def __init__(self, source: str, missing: bool) -> None:
        self.source, self.missing = source, missing
        self.width = self.labels = -1

    def check(self, payload: bytes, row: int) -> tuple[Tensor, Tensor | None]:
        """The features and the label of a record; DataError where they cannot be those of this stream."""
        try:
            features, label = self._parts(payload)
            width, labels = _width(features), label.value_count if label is not None else 0
        except MessageError as error:
            raise DataError(str(error), source=self.source, row=row) from None
        if self.width < 0:
            self.width, self.labels = width, labels
        if width != self.width:
            reason = f"found {_count(width, 'feature')}, expected {self.width} as in the first record"
            raise DataError(reason, source=self.source, row=row)
        if labels != self.labels:
            reason = f"found {_count(labels, 'label')}, expected {self.labels} as in the first record"
            raise DataError(reason, source=self.source, row=row)
        return features, label

    def finite(self, found: record_blocks.Rows) -> bool:
        """Whether all numbers are finite, or missing where that is allowed."""
        wrong = np.isinf(found.values) if self.missing else ~np.isfinite(found.values)
        return not wrong.any() and (found.labels is None or bool(np.isfinite(found.labels).all()))

    def records(self, found: record_blocks.Rows, row: int) -> Records:
        """Sparse records that were read at once; DataError names the row of a wrong position."""
        rows = range(row, row + len(found.counts))
        features = sparse.matrix(found.keys, found.values, found.counts, self.width, source=self.source, rows=rows)
        return Records(features, found.labels, self.source, row)

    @staticmethod
    def _parts(payload: bytes) -> tuple[Tensor, Tensor | None]:
        features, labels = record_message.tensors(payload)
        if VALUES not in features:
            raise MessageError(f"features must hold 'values'; got {_names(features)}")
        if labels and VALUES not in labels:
            raise MessageError(f"label must hold 'values'; got {_names(labels)}")
        label = labels.get(VALUES)
        if label is not None and label.sparse:
            raise MessageError("the label is sparse; send it dense")
        return features[VALUES], label


def _names(found: Mapping[str, Tensor]) -> str:
    return ", ".join(repr(name) for name in found) or "nothing"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _width(features: Tensor) -> int:
    if features.sparse:
        if features.shape is None:
            raise MessageError("'keys' need a 'shape', which gives the number of columns")
        if features.key_count != features.value_count:
            raise MessageError(
                f"found {_count(features.key_count, 'key')} for {_count(features.value_count, 'value')}"
            )
        if features.size > sparse.WIDEST:
            raise MessageError(f"the shape {list(features.shape)} is too large; at most {sparse.WIDEST} columns")
    elif features.size != features.value_count:
        shape = list(features.shape or ())
        raise MessageError(f"the shape {shape} does not fit {_count(features.value_count, 'value')}")
    if not features.size:
        raise MessageError("the record has no features")
    return features.size


def _alike(data: bytes, start: int, stride: int, extents: list[tuple[int, int]]) -> npt.NDArray[np.uint8]:
    """The framed record at ``start`` and those right behind it that differ from it only inside the extents."""
    following = data[start + stride : start + stride + HEADER_BYTES]
    count = (len(data) - start) // stride if following == data[start : start + HEADER_BYTES] else 1
    frames = np.frombuffer(data, np.uint8, count * stride, start).reshape(count, stride)
    edges = [0, *(edge for extent in sorted(extents) for edge in extent), stride]
    same = np.ones(count, bool)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        same &= (frames[:, begin:end] == frames[0, begin:end]).all(axis=1)
    return frames if same.all() else frames[: int(same.argmin())]


class _Run:
    """Records of one kind that follow each other, gathered to be converted at once."""

    def __init__(self, features: Tensor, label: Tensor | None, row: int) -> None:
        self._kind = self._kinds(features, label)
        self._row, self.bytes = row, 0
        self._values: list[Any] = []
        self._keys: list[bytes] = []
        self._counts: list[int] = []
        self._labels: list[Any] = []

    @staticmethod
    def _kinds(features: Tensor, label: Tensor | None) -> tuple[bool, int, int]:
        return features.sparse, features.kind, -1 if label is None else label.kind

    def takes(self, features: Tensor, label: Tensor | None) -> bool:
        """Whether a record of these parts may join."""
        return self._kinds(features, label) == self._kind

    def add(self, features: Tensor, label: Tensor | None) -> None:
        """One more record."""
        self._values.append(features.values)
        self._keys.append(features.keys)
        self._counts.append(features.value_count)
        if label is not None:
            self._labels.append(label.values)
        self.bytes += len(features.values) + len(features.keys)

    def add_alike(self, frames: npt.NDArray[np.uint8], extents: list[tuple[int, int]]) -> None:
        """Further records as the rows of a matrix of bytes, with the extents of features and label in each."""
        for (begin, end), parts in zip(extents, (self._values, self._labels), strict=False):
            parts.append(frames[:, begin:end].copy())
        self.bytes += frames.size

    def records(self, shape: _Shape) -> Records:
        """All records of the run; DataError names the first with a number that is not finite."""
        is_sparse, kind, label_kind = self._kind
        values = record_message.numbers(kind, _joined(self._values))
        labels = None
        if label_kind >= 0 and shape.labels:
            labels = record_message.numbers(label_kind, _joined(self._labels)).reshape(-1, shape.labels)
            self._finite(labels, shape, "label", missing=False)
        if not is_sparse:
            dense = values.reshape(-1, shape.width)
            self._finite(dense, shape, "feature", missing=shape.missing)
            return Records(dense, labels, shape.source, self._row)
        keys = record_message.varints(b"".join(self._keys))
        at = np.repeat(np.arange(len(self._counts)), self._counts)
        self._finite(values.reshape(-1, 1), shape, "feature", missing=shape.missing, rows=at)
        rows = range(self._row, self._row + len(self._counts))
        features = sparse.matrix(keys, values, self._counts, shape.width, source=shape.source, rows=rows)
        return Records(features, labels, shape.source, self._row)

    def _finite(
        self, cells: Floats, shape: _Shape, what: str, *, missing: bool, rows: npt.NDArray[Any] | None = None
    ) -> None:
        wrong = np.isinf(cells) if missing else ~np.isfinite(cells)
        if wrong.any():
            row, column = (int(index[0]) for index in np.nonzero(wrong))
            reason = f"found {cells[row, column]}; every {what} must be a finite 32-bit float"
            row = row if rows is None else int(rows[row])
            raise DataError(
                reason, source=shape.source, row=self._row + row, column=None if rows is not None else column + 1
            )


def _joined(parts: list[Any]) -> Any:
    # A bytearray, so that the arrays that view it may be written to.
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], bytes) else bytearray().join(parts)


def decode(body: bytes, *, source: str = "", missing: bool = False) -> Records:
    """The records of a request, framed or a single bare Record; DataError names the record and the reason."""
    if not body:
        raise DataError("the request holds no record", source=source)
    return Records.join(list(read(io.BytesIO(_framed(body)), source=source, missing=missing)))


def _framed(body: bytes) -> bytes:
    # A bare Record cannot begin with the magic: field 26 of wire type 7 would follow its first length.
    return body if body.startswith(recordio.MAGIC) else recordio.frame(body)


def decode_answers(body: bytes) -> list[dict[str, Floats]]:
    """The outputs of each answer by name, one array each; DataError names the record that cannot be read."""
    answers = []
    for row, payload in enumerate(recordio.read(io.BytesIO(body)), 1):
        try:
            _, found = record_message.tensors(payload)
            answers.append({name: record_message.numbers(each.kind, each.values) for name, each in found.items()})
        except MessageError as error:
            raise DataError(str(error), row=row) from None
    return answers


def encode(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The answer as framed Records, one for each row, whose label map holds the columns as float32."""
    count = len(next(iter(columns.values())))
    if not count:
        return b""
    return _frames({}, {name: np.asarray(column, np.float32).reshape(count, -1) for name, column in columns.items()})


def write(stream: BinaryIO, records: Records) -> None:
    """Append the records, dense or sparse as they are, each with its labels."""
    for start in range(0, len(records), _ROWS_AT_ONCE):
        part = records.rows(start, start + _ROWS_AT_ONCE)
        labels = {} if part.labels is None else {VALUES: part.labels}
        if isinstance(part.features, np.ndarray):
            stream.write(_frames({VALUES: part.features}, labels))
        else:
            stream.write(_sparse_frames(part, labels))


def _frames(features: Mapping[str, Floats], label: Mapping[str, Floats]) -> bytes:
    """Dense records: one is serialised, and the others are copies of it with other numbers."""
    parts = [*features.items(), *label.items()]
    count = len(parts[0][1])
    if not count:
        return b""
    zeros = [
        {name: record_message.tensor(np.zeros_like(part[:1])) for name, part in each.items()}
        for each in (features, label)
    ]
    empty = record_message.message(*zeros)
    template = np.frombuffer(recordio.frame(empty), np.uint8)
    frames = np.tile(template, (count, 1))
    for given, found in zip((features, label), record_message.tensors(empty), strict=True):
        for name, tensor in found.items():
            begin, end = tensor.span or (0, 0)
            values = np.ascontiguousarray(given[name], "<f4")
            frames[:, HEADER_BYTES + begin : HEADER_BYTES + end] = values.view(np.uint8)
    content = frames.tobytes()
    if content.count(recordio.MAGIC) == count:
        return content
    # Some numbers happen to spell the magic, so those records may have to be split.
    return b"".join(recordio.frame(row[HEADER_BYTES : HEADER_BYTES + len(empty)].tobytes()) for row in frames)


def _sparse_frames(records: Records, labels: Mapping[str, Floats]) -> bytes:
    matrix: Any = records.features
    framed = []
    for row, (begin, end) in enumerate(zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True)):
        keys = matrix.indices[begin:end].tolist()
        features = {VALUES: record_message.tensor(matrix.data[begin:end], keys, records.width)}
        label = {name: record_message.tensor(part[row]) for name, part in labels.items()}
        framed.append(recordio.frame(record_message.message(features, label)))
    return b"".join(framed)
