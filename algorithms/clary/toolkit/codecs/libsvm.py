"""LIBSVM: a label and then ``position:value`` pairs on each line, positions counted from 0.

Lines are ``<label>[:<weight>] [qid:<group>] <position>:<value> ...``; what follows a ``#`` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import csv_cells, floats, optional, sparse
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.codecs.lines import BLOCK_BYTES, BYTE_ORDER_MARK, Block, blocks, in_order
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

_ROWS_AT_ONCE = 4096
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER_BYTES = b"0123456789.+-eE"
_AS_TABLE = bytes.maketrans(b" :", b"\n,")


@dataclass(frozen=True)
class Rows:
    """Sparse records with what only this format has beside them.

    ``weights`` (float32) and ``groups`` (int64, from ``qid``) have one entry per row, or are None where the
    file has none.
    """

    records: Records
    weights: Floats | None = None
    groups: npt.NDArray[np.int64] | None = None


def read_rows(
    stream: Readable, *, width: int | None = None, source: str = "", block_bytes: int = BLOCK_BYTES
) -> Iterator[Rows]:
    """The rows of a file in order, about ``block_bytes`` of text at a time.

    Positions must lie below ``width``; without it each part is as wide as the widest row so far. Blank lines
    and comments are skipped but counted. DataError names the row and the reason.
    """
    widest = width or 1
    first: Rows | None = None
    for parts in in_order(
        partial(_parse, width=width, source=source), blocks(stream, source=source, size=block_bytes)
    ):
        for rows in parts:
            first = first or rows
            _check_alike(first, rows)
            widest = max(widest, rows.records.width)
            rows.records.features.resize(len(rows.records), widest)
            yield rows


def _check_alike(first: Rows, rows: Rows) -> None:
    for name, one, other in (("weight", first.weights, rows.weights), ("qid", first.groups, rows.groups)):
        if (one is None) != (other is None):
            reason = f"some rows have a {name} and some have none; give it to all rows or to none"
            raise DataError(reason, source=rows.records.source, row=rows.records.first_row)


def read(stream: Readable, *, source: str = "", block_bytes: int = BLOCK_BYTES) -> Iterator[Records]:
    """The rows of a file whose lines hold a label and pairs only; DataError for weights and groups."""
    for rows in read_rows(stream, source=source, block_bytes=block_bytes):
        if rows.weights is not None or rows.groups is not None:
            found = "weights" if rows.weights is not None else "qid groups"
            reason = f"the rows have {found}, which this algorithm does not use; take them out"
            raise DataError(reason, source=source, row=rows.records.first_row)
        yield rows.records


def decode(body: bytes, *, source: str = "") -> Records:
    """The rows of a request without their labels, which may be missing; as wide as the widest row.

    DataError if there is no row, or names the row and the reason.
    """
    found = _Lines(source, labelled=False)
    for row, line in enumerate(body.removeprefix(BYTE_ORDER_MARK).split(b"\n"), 1):
        found.add(line, row)
    if not found.rows:
        raise DataError("the request holds no row", source=source)
    return replace(found.built(None).records, labels=None)


def _parse(block: Block, *, width: int | None, source: str) -> list[Rows]:
    data = block.data.replace(b"\r\n", b"\n") if b"\r" in block.data else block.data
    if b" \n" in data:
        data = data.replace(b" \n", b"\n")
    quick = _quick(data)
    if quick is not None:
        labels, counts, keys, values = quick
        span = width if width is not None else int(keys.max(initial=0)) + 1
        features = sparse.matrix(
            keys, values, counts, span, source=source, rows=range(block.first_row, block.first_row + len(counts))
        )
        return [Rows(Records(features, labels.reshape(-1, 1), source, block.first_row))]
    return list(_careful(block, width, source))


def _quick(data: bytes) -> tuple[Floats, npt.NDArray[Any], npt.NDArray[Any], Floats] | None:
    """Labels, pairs per row, positions and values; None where a line is not just a label and pairs."""
    pairs = data.translate(None, _NUMBER_BYTES).replace(b" :", b"p")
    if pairs.translate(None, b"p\n"):
        return None
    counts = np.diff(np.flatnonzero(np.frombuffer(pairs, np.uint8) == ord("\n")), prepend=-1) - 1
    # A label becomes one more pair, so that all numbers stand in two columns that Arrow parses.
    table = _table((b"0:" + data[:-1].replace(b"\n", b" 0:") + b"\n").translate(_AS_TABLE))
    if table is None or len(table[0]) != counts.sum() + len(counts):
        return None
    keys, values = table
    is_label = np.zeros(len(keys), bool)
    is_label[np.cumsum(counts + 1) - counts - 1] = True
    return values[is_label], counts, keys[~is_label], values[~is_label]


def _table(text: bytes) -> tuple[npt.NDArray[Any], Floats] | None:
    arrow = optional.load("pyarrow", purpose="reading LIBSVM files")
    csv = optional.load("pyarrow.csv", purpose="reading LIBSVM files")
    reading = csv.ReadOptions(use_threads=False, column_names=["key", "value"], block_size=len(text) + 1)
    try:
        batches = csv.read_csv(arrow.BufferReader(text), reading, *_options()).combine_chunks().to_batches()
    except arrow.ArrowInvalid:
        return None
    keys, values = (column.to_numpy() for column in batches[0].columns)
    return (keys, values) if np.isfinite(values).all() else None


@lru_cache(maxsize=1)
def _options() -> tuple[Any, Any]:
    arrow = optional.load("pyarrow", purpose="reading LIBSVM files")
    csv = optional.load("pyarrow.csv", purpose="reading LIBSVM files")
    kinds = {"key": arrow.int32(), "value": arrow.float32()}
    converting = csv.ConvertOptions(column_types=kinds, null_values=[], check_utf8=False)
    return csv.ParseOptions(quote_char=False, newlines_in_values=False), converting


def _careful(block: Block, width: int | None, source: str) -> Iterator[Rows]:
    held = _Lines(source, labelled=True)
    for row, line in enumerate(block.data.split(b"\n"), block.first_row):
        added = held.add(line, row)
        if not added and held.rows:
            yield held.built(width)
            held = _Lines(source, labelled=True)


@dataclass
class _Lines:
    """Lines read token by token, with the row and the reason where one is wrong."""

    source: str
    labelled: bool
    rows: list[int] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, line: bytes, row: int) -> bool:
        """Read one line; False if it holds nothing but blanks and a comment."""
        try:
            tokens = line.decode().partition("#")[0].split()
        except UnicodeDecodeError:
            raise DataError("the row is not UTF-8 text", source=self.source, row=row) from None
        if not tokens:
            return False
        self.rows.append(row)
        if self.labelled or ":" not in tokens[0]:
            self._label(tokens.pop(0), row)
        if tokens and tokens[0].startswith("qid:"):
            self.groups.append(self._whole_number(tokens.pop(0)[4:], "qid", row))
        for token in tokens:
            key, colon, value = token.partition(":")
            if not colon:
                raise self._error(f"found {token!r} where position:value must stand", row)
            self.keys.append(self._position(key, row))
            self.values.append(self._number(value, f"the value at position {key}", row))
        self.counts.append(len(tokens))
        for name, each in (("weight", self.weights), ("qid", self.groups)):
            if each and len(each) != len(self.rows):
                raise self._error(f"some rows have a {name} and some have none; give it to all rows or to none", row)
        return True

    def built(self, width: int | None) -> Rows:
        """What was read."""
        span = width if width is not None else max(self.keys, default=0) + 1
        values = floats.narrow(np.array(self.values))
        features = sparse.matrix(
            np.array(self.keys, np.int64), values, self.counts, span, source=self.source, rows=self.rows
        )
        labels = floats.narrow(np.array(self.labels)).reshape(-1, 1) if self.labels else None
        return Rows(
            Records(features, labels, self.source, self.rows[0]),
            floats.narrow(np.array(self.weights)) if self.weights else None,
            np.array(self.groups, np.int64) if self.groups else None,
        )

    def _label(self, token: str, row: int) -> None:
        label, colon, weight = token.partition(":")
        self.labels.append(self._number(label, "the label", row))
        if colon:
            self.weights.append(self._number(weight, "the weight", row))

    def _number(self, text: str, what: str, row: int) -> float:
        if not csv_cells.NUMBER.fullmatch(text):
            raise self._error(f"{what} must be a finite number; got {text!r}", row)
        value = float(text)
        if not floats.fits(value):
            raise self._error(f"{what} {floats.TOO_LARGE}; got {text}", row)
        return value

    def _position(self, text: str, row: int) -> int:
        position = self._whole_number(text, "a position", row)
        if not 0 <= position < sparse.WIDEST:
            raise self._error(f"position {text} is outside 0 to {sparse.WIDEST - 1}", row)
        return position

    def _whole_number(self, text: str, what: str, row: int) -> int:
        if not _WHOLE_NUMBER.fullmatch(text):
            raise self._error(f"{what} must be a whole number; got {text!r}", row)
        return int(text)

    def _error(self, reason: str, row: int) -> DataError:
        return DataError(reason, source=self.source, row=row)


def write(stream: BinaryIO, records: Records) -> None:
    """Write each row with its one label and the pairs that are not zero; numbers read back as the same float32.

    UserError where the records have no label, or more than one, or a number that is not finite.
    """
    if records.labels is None or records.labels.shape[1] != 1:
        raise UserError("LIBSVM holds exactly one label in each row; the records have another number")
    for start in range(0, len(records), _ROWS_AT_ONCE):
        part = records.rows(start, start + _ROWS_AT_ONCE)
        features: Any = part.features
        matrix = (
            features if part.sparse else optional.load("scipy.sparse", purpose="writing LIBSVM").csr_matrix(features)
        )
        stream.write(_text(np.asarray(part.labels)[:, 0], matrix))


def _text(labels: Floats, matrix: Any) -> bytes:
    shown, values = _shortest(labels), _shortest(matrix.data)
    pairs = [f" {key}:{value}" for key, value in zip(matrix.indices.tolist(), values, strict=True)]
    ends = matrix.indptr.tolist()
    rows = [label + "".join(pairs[begin:end]) for label, begin, end in zip(shown, ends[:-1], ends[1:], strict=True)]
    return "\n".join([*rows, ""]).encode()


def _shortest(values: Floats) -> list[str]:
    if not np.isfinite(values).all():
        raise UserError("LIBSVM holds finite numbers only; the records hold NaN or an infinite number")
    return [str(value) for value in values]
