"""Rows of numbers in every format of the contract: which codec reads or writes which media type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy.typing as npt

from clary.toolkit import media
from clary.toolkit.codecs import csv, gzip_stream, jsonlines, libsvm, parquet, record_protobuf
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.errors import NotAcceptableError, UnsupportedMediaError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

TYPES: tuple[str, ...] = (
    media.CSV,
    media.LIBSVM,
    media.RECORDIO_PROTOBUF,
    media.JSON,
    media.JSON_LINES,
    media.PARQUET,
)
# Short names of the types; which of them an algorithm takes is its declaration's to say.
ALIASES: Mapping[str, str] = {
    "csv": media.CSV,
    "json": media.JSON,
    "jsonlines": media.JSON_LINES,
    "libsvm": media.LIBSVM,
    "parquet": media.PARQUET,
    "recordio-protobuf": media.RECORDIO_PROTOBUF,
}
_X_LIBSVM = "text/x-libsvm"


@dataclass(frozen=True)
class Reading:
    """What an algorithm takes beyond complete rows of comma separated numbers; a format without it ignores it.

    ``missing`` reads empty cells, nulls and NaN among the features as NaN. ``delimiter`` stands between the
    cells of CSV; None guesses it from the first line of each file or request. ``extras`` keeps the weights and
    the groups of LIBSVM rows, which are refused otherwise; ``width`` is the number of features that they have, as
    they do not say it themselves, and without it they are as wide as the widest so far.
    """

    missing: bool = False
    delimiter: str | None = ","
    extras: bool = False
    width: int | None = None


PLAIN = Reading()


def decode(body: bytes, content_type: MediaType, reading: Reading = PLAIN) -> Records:
    """The rows of a request body; labels are cut off where ``label_size`` says that there are some.

    UnsupportedMediaError lists the types that are read; DataError names the row and the reason.
    """
    missing, name = reading.missing, _named(content_type)
    if name == media.CSV:
        size = _label_size(content_type, 0)
        return csv.decode(body, label_size=size, missing=missing, delimiter=reading.delimiter)
    if name == media.JSON:
        return jsonlines.decode(body)
    if name == media.JSON_LINES:
        return jsonlines.decode_lines(body)
    if name == media.RECORDIO_PROTOBUF:
        return record_protobuf.decode(body, missing=missing)
    if name in (media.LIBSVM, _X_LIBSVM):
        return libsvm.decode(body, missing=missing, width=reading.width)
    if name == media.PARQUET:
        return parquet.decode(body, label_size=_label_size(content_type, 0), missing=missing)
    raise _unsupported(name, TYPES)


def decode_together(bodies: Sequence[bytes], content_type: MediaType, reading: Reading = PLAIN) -> Records | None:
    """The rows of several bodies that hold one row each; None where they must be read one by one."""
    commas = reading.delimiter in (",", None)
    if commas and _named(content_type) == media.CSV and not content_type.parameters:
        return csv.decode_rows(bodies)
    return None


def encode(columns: Mapping[str, npt.NDArray[Any]], accept: MediaType, *, json_key: str = "predictions") -> bytes:
    """The answer, one array for each field, in the accepted type; numbers are float32, of integer arrays whole.

    NotAcceptableError lists the types that can be written.
    """
    if accept.name == media.JSON:
        return jsonlines.encode(columns, key=json_key)
    writer = _ANSWERS.get(accept.name)
    if writer is None:
        raise NotAcceptableError(f"cannot answer in {accept.name!r}; {_one_of((media.JSON, *_ANSWERS))}")
    return writer(columns)


def read(stream: BinaryIO, content_type: MediaType, *, source: str, reading: Reading = PLAIN) -> Iterator[Records]:
    """The rows of a training file or stream, part by part in constant memory; gzip is undone.

    CSV and parquet hold one label column unless ``label_size`` says otherwise. Rows count from 1 within the
    stream. UnsupportedMediaError lists the types that are read; DataError names source, row and reason.
    """
    reader = _reader(content_type, source, reading)
    return reader(gzip_stream.plain(stream, source=source))


def write(stream: BinaryIO, records: Records, content_type: MediaType) -> None:
    """Append the rows; CSV and parquet hold the labels in the first columns.

    UnsupportedMediaError lists the types that are written; UserError for what the type cannot hold.
    """
    name = _named(content_type)
    if name not in _WRITERS:
        raise _unsupported(name, tuple(_WRITERS))
    if _WRITERS[name] is not libsvm.write and (records.weights is not None or records.groups is not None):
        raise UserError(f"{name} has no place for weights and groups of rows; {media.LIBSVM} has")
    _WRITERS[name](stream, records)


_ANSWERS: Mapping[str, Callable[[Mapping[str, npt.NDArray[Any]]], bytes]] = {
    media.JSON_LINES: jsonlines.encode_lines,
    media.CSV: csv.encode,
    media.RECORDIO_PROTOBUF: record_protobuf.encode,
}

_WRITERS: Mapping[str, Callable[[BinaryIO, Records], None]] = {
    media.CSV: csv.write,
    media.LIBSVM: libsvm.write,
    _X_LIBSVM: libsvm.write,
    media.RECORDIO_PROTOBUF: record_protobuf.write,
    media.JSON_LINES: jsonlines.write,
    media.PARQUET: parquet.write,
}


def _reader(content_type: MediaType, source: str, reading: Reading) -> Callable[[Readable], Iterator[Records]]:
    missing, name = reading.missing, _named(content_type)
    if name == media.CSV:
        given = partial(csv.read, label_size=_label_size(content_type, 1), source=source, missing=missing)
        return partial(given, delimiter=reading.delimiter)
    if name == media.PARQUET:
        return partial(parquet.read, label_size=_label_size(content_type, 1), source=source, missing=missing)
    if name == media.RECORDIO_PROTOBUF:
        return partial(record_protobuf.read, source=source, missing=missing)
    if name in (media.LIBSVM, _X_LIBSVM):
        given = partial(libsvm.read, source=source, missing=missing, extras=reading.extras)
        return partial(given, width=reading.width)
    if name == media.JSON_LINES:
        return partial(jsonlines.read, source=source)
    raise _unsupported(name, tuple(each for each in TYPES if each != media.JSON))


def _named(content_type: MediaType) -> str:
    return ALIASES.get(content_type.name, content_type.name)


def _label_size(content_type: MediaType, default: int) -> int:
    text = content_type.parameters.get("label_size")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise UserError(f"label_size must be a whole number of at least 0; got {text!r} in {str(content_type)!r}")
    return int(text)


def _unsupported(name: str, readable: Iterable[str]) -> UnsupportedMediaError:
    from difflib import get_close_matches

    readable = tuple(readable)
    close = get_close_matches(name, readable, n=1, cutoff=0.7)
    hint = f"did you mean {close[0]}? " if close else ""
    return UnsupportedMediaError(f"{name!r} is not a content type that can be read here; {hint}{_one_of(readable)}")


def _one_of(types: Iterable[str]) -> str:
    return f"possible are {', '.join(types)}"
