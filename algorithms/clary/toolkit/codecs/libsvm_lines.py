"""Careful reading of LIBSVM: token by token, with the row and the reason where one is wrong.

This is what decides which lines are right. The fast parser only sees to it that ordinary files need not come
here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from clary.toolkit.codecs import csv_cells, floats, sparse
from clary.toolkit.errors import DataError
from clary.toolkit.records import Records

SOME_HAVE_NONE = "some rows have a {} and some have none; give it to all rows or to none"
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def runs(data: bytes, first_row: int, width: int | None, *, source: str, missing: bool) -> Iterator[Records]:
    """The rows between blank lines and comments, each with a label.

    Without a ``width`` each run is as wide as its widest row. DataError names the row and the reason.
    """
    held = _Lines(source, missing, labelled=True)
    for row, line in enumerate(data.split(b"\n"), first_row):
        added = held.add(line, row)
        if not added and held.rows:
            yield held.built(width)
            held = _Lines(source, missing, labelled=True)


def request(body: bytes, *, source: str, missing: bool) -> Records:
    """The rows of a request, each with a label or without; DataError if there are none."""
    found = _Lines(source, missing, labelled=False)
    for row, line in enumerate(body.split(b"\n"), 1):
        found.add(line, row)
    if not found.rows:
        raise DataError("the request holds no row", source=source)
    return found.built(None)


@dataclass
class _Lines:
    """Lines that follow each other, as columns of numbers."""

    source: str
    missing: bool
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
        # In a request "1:2" may be a label and its weight, but only a group behind it tells it from a pair.
        if self.labelled or ":" not in tokens[0] or (tokens[1:] and tokens[1].startswith("qid:")):
            self._label(tokens.pop(0), row)
        if tokens and tokens[0].startswith("qid:"):
            self.groups.append(self._whole_number(tokens.pop(0)[4:], "qid", row))
        for token in tokens:
            self._pair(token, row)
        self.counts.append(len(tokens))
        for name, each in (("weight", self.weights), ("qid", self.groups)):
            if each and len(each) != len(self.rows):
                raise self._error(SOME_HAVE_NONE.format(name), row)
        return True

    def built(self, width: int | None) -> Records:
        """What was read."""
        span = width if width is not None else max(self.keys, default=0) + 1
        values = floats.narrow(np.array(self.values))
        features = sparse.matrix(
            np.array(self.keys, np.int64), values, self.counts, span, source=self.source, rows=self.rows
        )
        return Records(
            features,
            floats.narrow(np.array(self.labels)).reshape(-1, 1) if self.labels else None,
            self.source,
            self.rows[0],
            floats.narrow(np.array(self.weights)) if self.weights else None,
            np.array(self.groups, np.int64) if self.groups else None,
        )

    def _label(self, token: str, row: int) -> None:
        label, colon, weight = token.partition(":")
        self.labels.append(self._number(label, "the label", row))
        if colon:
            self.weights.append(self._number(weight, "the weight", row))

    def _pair(self, token: str, row: int) -> None:
        key, colon, value = token.partition(":")
        if not colon:
            raise self._error(f"found {token!r} where position:value must stand", row)
        self.keys.append(self._position(key, row))
        if self.missing and csv_cells.NAN.fullmatch(value):
            self.values.append(math.nan)
        else:
            self.values.append(self._number(value, f"the value at position {key}", row))

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
