"""Files of series, JSON Lines or Parquet: their records one after the other, each with its number."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, BinaryIO

import orjson

from clary.algorithms.deepar.record import CAT, NAMES, START, TARGET
from clary.toolkit import media
from clary.toolkit.channels import ChannelInput
from clary.toolkit.codecs import gzip_stream, lines, optional
from clary.toolkit.errors import DataError, UnsupportedMediaError

Records = Iterator[tuple[int, object]]

LINE, ROW = "line", "row"
_LINES, _PARQUET = (".json", ".jsonl"), ".parquet"
_LINES_TYPES = (media.JSON_LINES, media.JSON, "json", "json.gz", "jsonlines")
_PARQUET_TYPES = (media.PARQUET, "parquet")
_QUOTED = tuple(f'"{name}"'.encode() for name in NAMES)
# Rows of Parquet hold whole series, so few of them are many numbers.
_ROWS_AT_ONCE = 64


def records(channel: ChannelInput, ignored: Container[str]) -> Iterator[tuple[str, str, Records]]:
    """For each file its name, what it calls a record, and its records: number from 1 and content.

    What an ``ignored`` field holds does not matter. DataError where a file or a line cannot be read.
    """
    for name, stream in channel.parts():
        if _kind(name, channel) == LINE:
            yield name, LINE, _read_lines(stream, name)
        else:
            yield name, ROW, _read_rows(stream, name, ignored)


def _kind(name: str, channel: ChannelInput) -> str:
    """The extension decides; where it tells nothing, the content type of the channel does."""
    plain = name.lower().removesuffix(".gz")
    if plain.endswith(_LINES):
        return LINE
    if plain.endswith(_PARQUET) or channel.content_type.name in _PARQUET_TYPES:
        return ROW
    if channel.content_type.name in _LINES_TYPES:
        return LINE
    raise UnsupportedMediaError(
        f"{channel.content_type.name!r} is not a content type that can be read here; "
        "possible are json, json.gz, parquet and application/jsonlines"
    )


def _read_lines(stream: BinaryIO, source: str) -> Records:
    """Each line's value; blank lines are skipped but counted, and gzip is undone."""
    for block in lines.blocks(gzip_stream.plain(stream, source=source), source=source):
        for number, line in enumerate(block.data.split(b"\n"), block.first_row):
            if line and not line.isspace():
                yield number, _parsed(line, source, number)


def _parsed(line: bytes, source: str, number: int) -> object:
    try:
        record: object = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        bare = line.startswith(b"NaN", error.pos)
        hint = '; a missing value is null or "NaN", in quotes' if bare else ""
        reason = f"not JSON: {error.msg} (character {error.pos + 1}); each line holds one whole series{hint}"
        raise DataError(reason, source=source, row=number, kind=LINE) from None
    # The parser keeps the last of two equal names, so that a mistake would go unseen.
    if line.count(b'"') != _quotes(record) and any(line.count(name) > 1 for name in _QUOTED):
        _check_names(line, source, number)
    return record


def _quotes(record: object) -> int:
    """How many quotes a line of this content has at least, and at most where no name comes twice."""
    return 2 * sum(1 + isinstance(value, str) for value in record.values()) if isinstance(record, dict) else 0


def _check_names(line: bytes, source: str, number: int) -> None:
    members: list[tuple[str, Any]] = []

    def kept(pairs: list[tuple[str, Any]]) -> None:
        # The outermost object is the last to be complete.
        members[:] = pairs

    json.loads(line, object_pairs_hook=kept)
    names = [name for name, _ in members]
    for name in NAMES:
        if names.count(name) > 1:
            reason = "comes twice; a series has each field once"
            raise DataError(reason, source=source, row=number, field=name, kind=LINE)


def _read_rows(stream: BinaryIO, source: str, ignored: Container[str]) -> Records:
    """Each row as an object: numbers as float64 arrays with NaN for null, times as datetime64."""
    purpose = "reading parquet files"
    arrow = optional.load("pyarrow", purpose=purpose)
    parquet = optional.load("pyarrow.parquet", purpose=purpose)
    number = 1
    try:
        file = parquet.ParquetFile(stream)
        readers = _readers(arrow, file.schema_arrow, source, [name for name in NAMES if name not in ignored])
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(readers), use_threads=False):
            columns = [readers[name](batch.column(name)) for name in readers]
            for row in zip(*columns, strict=True):
                yield number, dict(zip(readers, row, strict=True))
                number += 1
    except (arrow.ArrowException, OSError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        reason = f"not a parquet file that can be read: {first_line}"
        raise DataError(reason, source=source, row=number, kind=ROW) from None


Reader = Callable[[Any], Iterator[object]]


def _readers(arrow: Any, schema: Any, source: str, wanted: Iterable[str]) -> dict[str, Reader]:
    """How each column of a wanted field is read; DataError where its type cannot be."""
    found = {}
    for name in wanted:
        if name not in schema.names:
            continue
        if schema.names.count(name) > 1:
            raise DataError("there are two columns of this name", source=source, field=name)
        kind = schema.field(name).type
        reader, wording = _reader(arrow, name, kind)
        if reader is None:
            raise DataError(f"the column holds {kind}; it must hold {wording}", source=source, field=name)
        found[name] = reader
    for name in (START, TARGET):
        if name not in found:
            columns = ", ".join(schema.names)
            raise DataError(f"there is no column of this name; the file has {columns}", source=source, field=name)
    return found


def _reader(arrow: Any, name: str, kind: Any) -> tuple[Reader | None, str]:
    """How a column of that field and type is read, None where it cannot be, and what the field asks for."""
    kinds = arrow.types
    if kinds.is_null(kind):
        return _values, ""
    if name == START:
        text = kind.value_type if kinds.is_dictionary(kind) else kind
        if kinds.is_string(text) or kinds.is_large_string(text):
            return _values, ""
        timed = kinds.is_date(kind) or (kinds.is_timestamp(kind) and kind.tz is None)
        return (_times(arrow) if timed else None), "text or times without time zone"
    if name == CAT:
        whole = kinds.is_integer(_inner(arrow, kind)) or kinds.is_integer(kind)
        return (_values if whole else None), "lists of integers"
    if name == TARGET:
        return (_arrays(arrow) if _is_number(arrow, _inner(arrow, kind)) else None), "lists of numbers"
    nested = _is_number(arrow, _inner(arrow, _inner(arrow, kind)))
    return (_nested(arrow) if nested else None), "lists of lists of numbers"


def _inner(arrow: Any, kind: Any) -> Any:
    """The type within a type of lists; null, which fits nowhere, within any other."""
    kinds = arrow.types
    lists = kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)
    return kind.value_type if lists else arrow.null()


def _is_number(arrow: Any, kind: Any) -> bool:
    kinds = arrow.types
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def _values(column: Any) -> Iterator[object]:
    return iter(column.to_pylist())


def _times(arrow: Any) -> Reader:
    def read(column: Any) -> Iterator[object]:
        times = column.cast(arrow.timestamp("s"), safe=False)
        values, null = times.to_numpy(zero_copy_only=False), times.is_null().to_numpy(zero_copy_only=False)
        return (None if absent else value for value, absent in zip(values, null, strict=True))

    return read


def _arrays(arrow: Any) -> Reader:
    def read(column: Any) -> Iterator[object]:
        column = column.cast(arrow.list_(arrow.float64()), safe=False)
        numbers = column.values.to_numpy(zero_copy_only=False)
        return _pieces(column, numbers)

    return read


def _nested(arrow: Any) -> Reader:
    def read(column: Any) -> Iterator[object]:
        column = column.cast(arrow.list_(arrow.list_(arrow.float64())), safe=False)
        rows = column.values
        numbers = list(_pieces(rows, rows.values.to_numpy(zero_copy_only=False)))
        return _pieces(column, numbers)

    return read


def _pieces(lists: Any, within: Any) -> Iterator[object]:
    """The part of each list; None for a list that is null."""
    ends = lists.offsets.to_numpy()
    null = lists.is_null().to_numpy(zero_copy_only=False)
    for begin, end, absent in zip(ends[:-1].tolist(), ends[1:].tolist(), null.tolist(), strict=True):
        yield None if absent else within[begin:end]
