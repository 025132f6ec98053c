"""Between Python values and request bodies: what is sent in which form, cut to the payload limit, and read back."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from clary.sdk.answers import Predictions
from clary.sdk.arrays import as_records
from clary.sdk.objects import as_objects, dumps, is_objects
from clary.toolkit import media, tabular
from clary.toolkit.codecs import record_protobuf
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec

_SHORT = {
    "csv": media.CSV,
    "json": media.JSON,
    "jsonlines": media.JSON_LINES,
    "libsvm": media.LIBSVM,
    "recordio": media.RECORDIO_PROTOBUF,
}
CONFIGURATION = "configuration"  # the option that a JSON request may set for all of its instances
# An answer may be longer than its request, and has the same limit.
_SHARE_OF_LIMIT = 0.5
_FAST = (media.RECORDIO_PROTOBUF, media.CSV, media.JSON)


def media_type(name: str) -> str:
    """The media type of a short name such as ``csv``; a name with a slash is one already."""
    if name in _SHORT or "/" in name:
        return _SHORT.get(name, name)
    raise UserError(f"{name!r} is no format: use {', '.join(_SHORT)} or a media type such as text/csv")


def bodies(
    data: Any,
    content_type: str | None,
    spec: AlgorithmSpec,
    limit: int,
    configuration: Mapping[str, Any] | None = None,
) -> Iterator[tuple[bytes, str]]:
    """Request bodies that hold the data's records in order, each below the limit, and their content type.

    Rows travel in the fastest form that the algorithm reads unless ``content_type`` says which. Text and bytes
    are sent as they are, a dict is a JSON request, and a list of dicts or texts is its instances. A configuration
    goes along with each JSON request.
    """
    if media.RECORDIO_PROTOBUF not in spec.payloads.requests and not isinstance(data, (str, bytes, dict)):
        data = data if _is_texts(data) else as_objects(data, name="the data")
    if configuration:
        _check_configured(data, content_type, spec)
    if isinstance(data, (str, bytes)):
        yield data.encode() if isinstance(data, str) else data, content_type or _first(spec, media.CSV, media.JSON)
    elif isinstance(data, dict):
        yield dumps(data), content_type or media.JSON
    elif isinstance(data, (list, tuple)) and data and all(isinstance(each, (dict, str)) for each in data):
        yield from _instances(data, content_type or media.JSON, int(limit * _SHARE_OF_LIMIT), configuration or {})
    else:
        records = as_records(data, name="the data", one_row=True, missing=spec.capabilities.missing)
        yield from row_bodies(records, content_type, spec, limit)


def row_bodies(
    records: Records, content_type: str | None, spec: AlgorithmSpec, limit: int, *, most: int | None = None
) -> Iterator[tuple[bytes, str]]:
    """``bodies`` for rows that are records already, without their labels and at most so many rows in each."""
    kind = content_type or _first(spec, *_FAST)
    parsed = MediaType.parse(kind)
    parsed = replace(parsed, name=spec.payloads.aliases.get(parsed.name, parsed.name))
    rows = Records(records.features)
    yield from ((body, kind) for body in _cut(rows, parsed, int(limit * _SHARE_OF_LIMIT), most))


def read(body: bytes, content_type: str, wanted: str | None, spec: AlgorithmSpec) -> Any:
    """One answer: columns, dicts where a field is an object, or what the deserializer of that type gives."""
    kind = MediaType.parse(wanted or content_type).name
    if kind == media.JSON:
        content = orjson.loads(body)
        rows = content.get(spec.payloads.json_key) if isinstance(content, dict) else None
        if wanted is None and isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            if any(field.shape == "object" for field in spec.payloads.fields):
                return rows
            return Predictions.from_rows(rows, spec.payloads.fields)
        return content
    if kind == media.JSON_LINES:
        return [orjson.loads(line) for line in body.splitlines() if line.strip()]
    if kind == media.CSV:
        return np.loadtxt(io.BytesIO(body), delimiter=",", ndmin=2, dtype=np.float64)
    if kind == media.RECORDIO_PROTOBUF:
        scalars = {field.name for field in spec.payloads.fields if field.shape == "scalar"}
        records = [
            {name: values[0] if name in scalars else values for name, values in record.items()}
            for record in record_protobuf.decode_answers(body)
        ]
        return Predictions.from_rows(records, spec.payloads.fields)
    return body


def join(parts: Sequence[Any], spec: AlgorithmSpec) -> Any:
    """The answers to several requests as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Predictions):
        return Predictions.join(parts)
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, dict) and isinstance(first.get(spec.payloads.json_key), list):
        return first | {spec.payloads.json_key: [row for part in parts for row in part[spec.payloads.json_key]]}
    if isinstance(first, bytes):
        return b"".join(parts)
    return [row for part in parts for row in part]


def _is_texts(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and bool(data) and all(isinstance(each, str) for each in data)


def _first(spec: AlgorithmSpec, *wanted: str) -> str:
    return next((kind for kind in wanted if kind in spec.payloads.requests), spec.payloads.requests[0])


def _check_configured(data: Any, content_type: str | None, spec: AlgorithmSpec) -> None:
    """Raise TypeError or UserError where no configuration can go along with the data."""
    if CONFIGURATION not in {option.name for option in spec.payloads.options}:
        raise TypeError(f"requests of {spec.title} have no configuration")
    if MediaType.parse(content_type or media.JSON).name != media.JSON or not is_objects(data):
        raise UserError(
            "a configuration goes along with a list of dicts that is sent as JSON; write it into the request"
        )


def _instances(
    data: Sequence[Any], kind: str, limit: int, configuration: Mapping[str, Any]
) -> Iterator[tuple[bytes, str]]:
    """The objects in requests below the limit; texts, which are lines already, in one."""
    name = MediaType.parse(kind).name
    if name == media.CSV and all(isinstance(each, str) for each in data):
        yield "\n".join(data).encode(), kind
        return
    along = b',"configuration":' + dumps(configuration) if configuration else b""
    for part in _filled([dumps(each) for each in data], limit):
        if name == media.JSON_LINES:
            yield b"".join(each + b"\n" for each in part), kind
        else:
            yield b'{"instances":[%b]%b}' % (b",".join(part), along), kind


def _filled(objects: Sequence[bytes], limit: int) -> Iterator[list[bytes]]:
    """The objects in runs of at most that many bytes together, each of one object at least."""
    part: list[bytes] = []
    size = 0
    for each in objects:
        if part and size + len(each) > limit:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each) + 1
    yield part


def _cut(records: Records, kind: MediaType, limit: int, most: int | None) -> Iterator[bytes]:
    """Bodies of about equal numbers of rows; a part that turns out too long is halved until it fits."""
    features: Any = records.features
    cells = 2 + int(features.nnz) // max(1, len(records)) if records.sparse else records.width
    at_once = max(1, min(limit // (64 + 16 * cells), most or len(records)))
    for start in range(0, len(records), at_once):
        yield from _halved(records.rows(start, min(start + at_once, len(records))), kind, limit)


def _halved(records: Records, kind: MediaType, limit: int) -> Iterator[bytes]:
    body = _encode(records, kind)
    if len(body) <= limit or len(records) == 1:
        yield body
        return
    half = len(records) // 2
    yield from _halved(records.rows(0, half), kind, limit)
    yield from _halved(records.rows(half, len(records)), kind, limit)


def _encode(records: Records, kind: MediaType) -> bytes:
    if kind.name == media.JSON:
        return dumps({"instances": [{"features": row} for row in records.dense()]})
    if kind.name == media.LIBSVM:
        # Rows to score have a label in this format too, which means nothing.
        records = replace(records, labels=np.zeros((len(records), 1), np.float32))
    stream = io.BytesIO()
    tabular.write(stream, records, kind)
    return stream.getvalue()
