"""LIBSVM: a label and then ``position:value`` pairs on each line, positions counted from 0.

Lines are ``<label>[:<weight>] [qid:<group>] <position>:<value> ...``; what follows a ``#`` is a comment. What a
row says nothing of is absent, which is not the same as zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from clary.toolkit.codecs import libsvm_blocks, libsvm_lines, optional
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.codecs.lines import BLOCK_BYTES, BYTE_ORDER_MARK, Block, blocks, in_order
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

_ROWS_AT_ONCE = 4096
# Below this size the lines of a request are read faster one by one than Arrow is set up.
_LONG_REQUEST = 1 << 14


def read(
    stream: Readable,
    *,
    source: str = "",
    missing: bool = False,
    extras: bool = False,
    width: int | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Records]:
    """The rows of a file in order, about ``block_bytes`` of text at a time.

    Positions must lie below ``width``; without it each part is as wide as the widest row so far. ``extras``
    keeps weights and groups, which are refused otherwise; ``missing`` allows NaN as a value. Blank lines and
    comments are skipped but counted. DataError names the row and the reason.
    """
    widest = width or 1
    first: Records | None = None
    work = partial(_parse, width=width, source=source, missing=missing)
    for parts in in_order(work, blocks(stream, source=source, size=block_bytes)):
        for records in parts:
            first = first or records
            _check_extras(first, records, extras)
            widest = max(widest, records.width)
            records.features.resize(len(records), widest)
            yield records


def _check_extras(first: Records, records: Records, extras: bool) -> None:
    for name, one, other in (
        ("weight", first.weights, records.weights),
        ("qid", first.groups, records.groups),
    ):
        if (one is None) != (other is None):
            reason = libsvm_lines.SOME_HAVE_NONE.format(name)
            raise DataError(reason, source=records.source, row=records.first_row)
    if not extras and (records.weights is not None or records.groups is not None):
        found = "weights" if records.weights is not None else "qid groups"
        reason = f"the rows have {found}, which this algorithm does not use; take them out"
        raise DataError(reason, source=records.source, row=records.first_row)


def _parse(block: Block, *, width: int | None, source: str, missing: bool) -> list[Records]:
    quick = libsvm_blocks.parse(block.data, block.first_row, width, source=source)
    if quick is not None:
        return [quick]
    return list(libsvm_lines.runs(block.data, block.first_row, width, source=source, missing=missing))


def decode(body: bytes, *, source: str = "", missing: bool = False, width: int | None = None) -> Records:
    """The rows of a request without their labels, weights and groups; as wide as the widest row, or as ``width``.

    Each line may have a label or not. DataError if there is no row, or names the row and the reason.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    found = None
    if len(body) >= _LONG_REQUEST and optional.available("pyarrow"):
        lines = body if body.endswith(b"\n") else body + b"\n"
        if not libsvm_blocks.labelled(lines):
            lines = b"0 " + lines[:-1].replace(b"\n", b"\n0 ") + b"\n"
        found = libsvm_blocks.parse(lines, 1, None, source=source)
    if found is None:
        found = libsvm_lines.request(body, source=source, missing=missing)
    if width is not None and found.width < width:
        found.features.resize(len(found), width)
    return replace(found, labels=None, weights=None, groups=None)


def write(stream: BinaryIO, records: Records) -> None:
    """Write each row with its one label, its weight and its group; numbers read back as the same float32.

    Of dense rows every value is written, zeros too, except NaN, which is left out; of sparse rows what is
    stored. UserError where the records have no label, or more than one, or an infinite number.
    """
    if records.labels is None or records.labels.shape[1] != 1:
        raise UserError("LIBSVM holds exactly one label in each row; the records have another number")
    for start in range(0, len(records), _ROWS_AT_ONCE):
        stream.write(_text(records.rows(start, start + _ROWS_AT_ONCE)))


def _text(records: Records) -> bytes:
    counts, keys, values = _stored(records.features)
    heads = _shortest(np.asarray(records.labels)[:, 0], "label")
    if records.weights is not None:
        heads = [b"%b:%b" % each for each in zip(heads, _shortest(records.weights, "weight"), strict=True)]
    if records.groups is not None:
        heads = [b"%b qid:%d" % each for each in zip(heads, records.groups.tolist(), strict=True)]
    pairs = [b" %d:%b" % each for each in zip(keys.tolist(), _shortest(values, "feature"), strict=True)]
    ends = [0, *np.cumsum(counts).tolist()]
    rows = [head + b"".join(pairs[begin:end]) for head, begin, end in zip(heads, ends[:-1], ends[1:], strict=True)]
    return b"\n".join([*rows, b""])


def _stored(features: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Floats]:
    """Values per row, positions and values of what is written."""
    if isinstance(features, np.ndarray):
        there = ~np.isnan(features)
        return there.sum(axis=1), np.nonzero(there)[1], features[there]
    return np.diff(features.indptr), features.indices, features.data


def _shortest(values: Floats, what: str) -> list[bytes]:
    wrong = np.isinf(values) if what == "feature" else ~np.isfinite(values)
    if wrong.any():
        raise UserError(f"every {what} in LIBSVM must be a finite number; the records hold {values[wrong][0]}")
    # The JSON writer prints the shortest digits that read back as the same float32, and null for NaN.
    numbers = orjson.dumps(np.ascontiguousarray(values, np.float32), option=orjson.OPT_SERIALIZE_NUMPY)
    return numbers[1:-1].replace(b"null", b"nan").split(b",") if len(values) else []
