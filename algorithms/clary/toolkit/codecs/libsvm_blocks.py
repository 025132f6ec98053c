"""Fast parsing of LIBSVM blocks: all numbers of a block stand in one table that Arrow parses.

It gives up (None) on whatever it does not understand, which is then read line by line.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import floats, optional, sparse
from clary.toolkit.records import Floats, Records

_NUMBER_BYTES = b"0123456789.+-eE"
_AS_TABLE = bytes.maketrans(b" :", b"\n,")
_NUMBER = rb"[0-9.+\-eE]+"
# The head of a line with a weight or a group: label, weight, group.
_HEAD = re.compile(rb"^(%b)(?::(%b))?(?: qid:([+-]?[0-9]{1,18}))?(?=[ \n])" % (_NUMBER, _NUMBER), re.MULTILINE)

Extras = tuple[Floats | None, npt.NDArray[np.int64] | None]


def parse(data: bytes, first_row: int, width: int | None, *, source: str) -> Records | None:
    """The rows of whole lines, each with a label; None where a line is anything but label and pairs.

    Without a ``width`` they are as wide as the widest row. DataError names the row of a position out of range
    or one that occurs twice.
    """
    data = data.replace(b"\r\n", b"\n") if b"\r" in data else data
    if b" \n" in data:
        data = data.replace(b" \n", b"\n")
    found = _without_extras(data)
    if found is None:
        return None
    data, (weights, groups) = found
    numbers = _numbers(data)
    if numbers is None:
        return None
    labels, counts, keys, values = numbers
    span = width if width is not None else int(keys.max(initial=0)) + 1
    rows = range(first_row, first_row + len(counts))
    features = sparse.matrix(keys, values, counts, span, source=source, rows=rows)
    return Records(features, labels.reshape(-1, 1), source, first_row, weights, groups)


def labelled(data: bytes) -> bool:
    """Whether the first line begins with a label."""
    return b":" not in data[: data.find(b"\n") + 1].split(b" ", 1)[0]


def _without_extras(data: bytes) -> tuple[bytes, Extras] | None:
    """The lines without weights and groups, and these; None where some lines have them and some have none."""
    if labelled(data) and b"qid:" not in data:
        return data, (None, None)
    heads = _HEAD.findall(data)
    _, given_weights, given_groups = zip(*heads, strict=True) if heads else ((), (), ())
    if len(heads) != data.count(b"\n") or all(given_weights) != any(given_weights):
        return None
    if all(given_groups) != any(given_groups):
        return None
    try:
        weights = np.array([float(text) for text in given_weights]) if any(given_weights) else None
    except ValueError:
        return None
    if weights is not None and not np.isfinite(floats.narrow(weights)).all():
        return None
    groups = np.array([int(text) for text in given_groups], np.int64) if any(given_groups) else None
    return _HEAD.sub(rb"\1", data), (None if weights is None else floats.narrow(weights), groups)


def _numbers(data: bytes) -> tuple[Floats, npt.NDArray[Any], npt.NDArray[Any], Floats] | None:
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
