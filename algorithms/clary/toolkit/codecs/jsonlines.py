"""JSON and JSON Lines: instances of features in a short, a long and a sparse form, and answers by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from clary.toolkit.codecs import floats, sparse
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.codecs.lines import BLOCK_BYTES, BYTE_ORDER_MARK, Block, blocks, in_order
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

_FORMS = (
    'an instance is {"features": [1.5, 2.0]} or {"data": {"features": {"values": [1.5, 2.0]}}}, '
    'sparse with "keys" and "shape" beside "values"'
)
_KINDS = {bool: "a boolean", str: "text", list: "a list", dict: "an object", type(None): "null"}
_ROWS_AT_ONCE = 4096


def decode(body: bytes, *, source: str = "") -> Records:
    """The instances of a JSON request; none is no record. DataError names the instance and the reason."""
    request = _parsed(body, source)
    if not isinstance(request, dict) or "instances" not in request:
        raise DataError('the request must be an object with a list "instances"', source=source)
    instances = request["instances"]
    if not isinstance(instances, list):
        raise DataError(f'"instances" must be a list; got {_kind(instances)}', source=source)
    return _records(instances, range(1, len(instances) + 1), source)


def decode_lines(body: bytes, *, source: str = "") -> Records:
    """The instances of a JSON Lines request, one per line; DataError names the line and the reason."""
    lines = [
        (row, line) for row, line in enumerate(body.removeprefix(BYTE_ORDER_MARK).split(b"\n"), 1) if line.strip()
    ]
    if not lines:
        raise DataError("the request holds no instance; send one JSON object per line", source=source)
    return _records([_parsed(line, source, row) for row, line in lines], [row for row, _ in lines], source)


def read(stream: Readable, *, source: str = "", block_bytes: int = BLOCK_BYTES) -> Iterator[Records]:
    """The instances of a JSON Lines file in order, about ``block_bytes`` of text at a time.

    Every instance must have as many features as the first. Blank lines are skipped but counted.
    """
    width = 0
    for records in in_order(partial(_block, source=source), blocks(stream, source=source, size=block_bytes)):
        if len(records):
            width = width or records.width
            if records.width != width:
                reason = f"found {_features(records.width)}, expected {width} as in the first instance"
                raise DataError(reason, source=source, row=records.first_row)
            yield records


def _block(block: Block, *, source: str) -> Records:
    lines = [(row, line) for row, line in enumerate(block.data.split(b"\n"), block.first_row) if line.strip()]
    return _records([_parsed(line, source, row) for row, line in lines], [row for row, _ in lines], source)


def _parsed(text: bytes, source: str, row: int | None = None) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} (character {error.pos + 1})" if text.strip() else "the request is empty"
        raise DataError(reason, source=source, row=row) from None


def _records(instances: Sequence[Any], rows: Sequence[int], source: str) -> Records:
    if not instances:
        return Records(np.empty((0, 0), np.float32), None, source)
    plain = [each.get("features") if type(each) is dict else None for each in instances]
    dense = _short(plain) if all(type(each) is list for each in plain) else None
    if dense is not None:
        return Records(dense, None, source, rows[0])
    return _carefully(instances, rows, source)


def _short(rows: list[Any]) -> Floats | None:
    return floats.row(rows[0]) if len(rows) == 1 else floats.matrix(rows)


def _carefully(instances: Sequence[Any], rows: Sequence[int], source: str) -> Records:
    found = [_Instance(instance, row, source) for instance, row in zip(instances, rows, strict=True)]
    width = found[0].width
    for each in found:
        if each.width != width:
            raise each.error(f"found {_features(each.width)}, expected {width} as in the first instance")
    if not any(each.sparse for each in found):
        return Records(np.stack([each.values for each in found]), None, source, rows[0])
    parts = [each.records() for each in found]
    return Records.join(parts)


def _features(number: int) -> str:
    return f"{number} feature{'' if number == 1 else 's'}"


class _Instance:
    """One instance, checked: its values, and their positions if it is sparse."""

    def __init__(self, instance: Any, row: int, source: str) -> None:
        self._row, self._source = row, source
        features = self._find(instance)
        self.sparse = isinstance(features, dict) and "keys" in features
        self._keys: list[int] = []
        if isinstance(features, dict):
            if "values" not in features:
                raise self.error(f'"values" are missing; {_FORMS}')
            self.values = self._numbers(features["values"], '"values"', may_be_empty=self.sparse)
            self.width = self._shape(features) if self.sparse or "shape" in features else len(self.values)
            if self.sparse:
                self._keys = self._whole_numbers(features["keys"], '"keys"')
                if len(self._keys) != len(self.values):
                    raise self.error(f'found {len(self._keys)} "keys" for {len(self.values)} "values"')
                self._check_positions()
            elif self.width != len(self.values):
                raise self.error(f'"shape" is [{self.width}] for {len(self.values)} "values"')
        else:
            self.values = self._numbers(features, '"features"')
            self.width = len(self.values)

    def records(self) -> Records:
        """The instance as sparse records; DataError where a position is wrong."""
        keys = np.arange(self.width) if not self.sparse else np.array(self._keys, np.int64)
        matrix = sparse.matrix(keys, self.values, [len(keys)], self.width, source=self._source, rows=[self._row])
        return Records(matrix, None, self._source, self._row)

    def error(self, reason: str) -> DataError:
        """A DataError that names this instance."""
        return DataError(reason, source=self._source, row=self._row)

    def _find(self, instance: Any) -> Any:
        if not isinstance(instance, dict):
            raise self.error(f"found {_kind(instance)}; {_FORMS}")
        if "features" in instance:
            return instance["features"]
        data = instance.get("data")
        if not isinstance(data, dict) or "features" not in data:
            raise self.error(f'"features" are missing; {_FORMS}')
        return data["features"]

    def _numbers(self, values: Any, name: str, *, may_be_empty: bool = False) -> Floats:
        if not isinstance(values, list):
            raise self.error(f"{name} must be a list of numbers; got {_kind(values)}")
        found = floats.row(values)
        if found is not None:
            row: Floats = found[0]
            return row
        if not values:
            if may_be_empty:
                return np.empty(0, np.float32)
            raise self.error(f"{name} must hold at least one number")
        at, wrong = next((at, each) for at, each in enumerate(values, 1) if floats.row([each]) is None)
        if type(wrong) in (int, float):
            raise self.error(f"{name} hold {wrong} at {at}, which {floats.TOO_LARGE}")
        raise self.error(f"{name} hold {_kind(wrong)} at {at}; they must be numbers")

    def _whole_numbers(self, values: Any, name: str) -> list[int]:
        if not isinstance(values, list):
            raise self.error(f"{name} must be a list of whole numbers; got {_kind(values)}")
        for at, each in enumerate(values, 1):
            if type(each) is not int:
                raise self.error(f"{name} hold {_kind(each)} at {at}; they must be whole numbers")
        return values

    def _check_positions(self) -> None:
        outside = next((key for key in self._keys if not 0 <= key < self.width), None)
        if outside is not None:
            raise self.error(f"position {outside} is outside 0 to {self.width - 1}; positions count from 0")

    def _shape(self, features: dict[str, Any]) -> int:
        if "shape" not in features:
            raise self.error('"keys" need a "shape", which gives the number of features, such as [2000]')
        shape = self._whole_numbers(features["shape"], '"shape"')
        if len(shape) != 1 or not 0 < shape[0] <= sparse.WIDEST:
            raise self.error(f'"shape" must hold one whole number from 1 to {sparse.WIDEST}; got {shape}')
        return shape[0]


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "") or repr(value)


def write(stream: BinaryIO, records: Records) -> None:
    """Write each row as a line, sparse rows with keys and shape.

    UserError where the records have labels or numbers that are not finite, for which the format has no place.
    """
    if records.labels is not None:
        raise UserError("JSON Lines holds features only; write records with labels as CSV or RecordIO-protobuf")
    for start in range(0, len(records), _ROWS_AT_ONCE):
        part = records.rows(start, start + _ROWS_AT_ONCE)
        matrix: Any = part.features
        if not np.isfinite(matrix.data if part.sparse else matrix).all():
            raise UserError("JSON holds finite numbers only; the records hold NaN or an infinite number")
        rows = _sparse_instances(part) if part.sparse else ({"features": row} for row in matrix)
        stream.write(b"".join(orjson.dumps(row, option=_NUMPY | orjson.OPT_APPEND_NEWLINE) for row in rows))


def _sparse_instances(records: Records) -> Iterator[dict[str, Any]]:
    matrix: Any = records.features
    for begin, end in zip(matrix.indptr[:-1].tolist(), matrix.indptr[1:].tolist(), strict=True):
        features = {"keys": matrix.indices[begin:end], "shape": [records.width], "values": matrix.data[begin:end]}
        yield {"data": {"features": features}}


_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def encode(columns: Mapping[str, npt.NDArray[Any]], *, key: str = "predictions") -> bytes:
    """The answer as one object: a list of rows under ``key``, each with its fields in the order of the columns.

    Numbers are float32 in their shortest form, those of an integer array whole; NaN and infinite ones are null,
    as JSON has no such numbers.
    """
    return b"{%b:[%b]}" % (orjson.dumps(key), b",".join(_objects(columns)))


def encode_parts(
    columns: Mapping[str, npt.NDArray[Any]], counts: Sequence[int], *, key: str = "predictions"
) -> list[bytes]:
    """The answer in runs of that many rows, each as ``encode`` writes it."""
    objects, name = iter(_objects(columns)), orjson.dumps(key)
    return [b"{%b:[%b]}" % (name, b",".join(islice(objects, count))) for count in counts]


def encode_lines(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The answer as one object per line."""
    return b"".join([row + b"\n" for row in _objects(columns)])


def _objects(columns: Mapping[str, npt.NDArray[Any]]) -> Iterable[bytes]:
    """Each row as a JSON object."""
    parts = [np.ascontiguousarray(c, c.dtype if c.dtype.kind in "iu" else np.float32) for c in columns.values()]
    if any(part.ndim != 1 or not part.size for part in parts):
        rows = zip(*parts, strict=True)
        return (orjson.dumps(dict(zip(columns, row, strict=True)), option=_NUMPY) for row in rows)
    # One number a field: the writer spells each column at once, and the names are put between.
    spelled = (orjson.dumps(part, option=_NUMPY)[1:-1].split(b",") for part in parts)
    return map(_template(tuple(columns)).__mod__, zip(*spelled, strict=True))


@lru_cache(maxsize=64)
def _template(names: tuple[str, ...]) -> bytes:
    """An object with those members and a gap for the value of each."""
    return b"{%b}" % b",".join(orjson.dumps(name).replace(b"%", b"%%") + b":%b" for name in names)
