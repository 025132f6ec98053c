"""One series as a file or a request spells it, and what every one of them must look like.

Reasons are given with the field they belong to, such as ``target[3]``; positions within a list count from 0.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import floats
from clary.toolkit.errors import DataError

START, TARGET, CAT, DYNAMIC = NAMES = ("start", "target", "cat", "dynamic_feat")
# An embedding has a row for each value, so a larger one is rather the name of something than its number.
LARGEST_CAT = 10_000_000

Floats = npt.NDArray[np.float32]

_NUMBERS = frozenset((int, float))
_FEW = 100
_KINDS = {list: "a list", dict: "an object", type(None): "null", bool: "a boolean", np.ndarray: "a list"}
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?)?", re.ASCII)
_ZONE = re.compile(_DATE.pattern + r" ?(?:Z|z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)", re.ASCII)
_EPOCH, _SECOND = datetime(1970, 1, 1), timedelta(seconds=1)
_FIRST, _LAST = np.datetime64("0001-01-01", "s"), np.datetime64("9999-12-31T23:59:59", "s")
_START = 'a date and time such as "2024-01-31 13:00:00"'


@dataclass(frozen=True)
class Expected:
    """How many of an optional field's values each record has, and why.

    0 where the field must be left out, None where nobody looks at it.
    """

    count: int | None
    why: str = ""


class Record(NamedTuple):
    """A series that was found good: seconds since 1970, T points, C categories, F features of at least T steps."""

    start: int
    target_T: Floats
    cat: Sequence[int]
    dynamic_FT: Floats | None


@dataclass(frozen=True)
class Form:
    """What every record must look like. ``ahead``: by how much the rows of dynamic_feat may be longer than target."""

    cat: Expected
    dynamic: Expected
    ahead: tuple[int, ...]
    cardinality: Sequence[int] = ()

    def read(self, record: object) -> Record:
        """The record's series; DataError names the field and the reason."""
        if not isinstance(record, Mapping):
            reason = f'a series must be an object such as {{"start": ..., "target": [...]}}; got {kind(record)}'
            raise DataError(reason)
        for name in (START, TARGET):
            if record.get(name) is None:
                there = ", ".join(str(other)[:40] for other, value in record.items() if value is not None)
                reason = f"is missing; every series has start and target, this one {there or 'nothing'}"
                raise DataError(reason, field=name)
        start, target = _seconds(record[START]), _target(record[TARGET])
        cat = self._categories(record.get(CAT))
        return Record(start, target, cat, self._features(record.get(DYNAMIC), len(target)))

    def _categories(self, given: Any) -> Sequence[int]:
        if not _present(CAT, given, self.cat):
            return ()
        if type(given) is int:
            given = [given]
        if not isinstance(given, list):
            raise DataError(f"must be a list of integers; got {kind(given)}", field=CAT)
        for at, value in enumerate(given):
            if type(value) is not int or not 0 <= value < LARGEST_CAT:
                reason = f"found {kind(value)}; categories are integers from 0 to {LARGEST_CAT - 1}"
                raise DataError(reason, field=f"{CAT}[{at}]")
        _check_count(CAT, len(given), "integer", self.cat)
        for at, (value, size) in enumerate(zip(given, self.cardinality, strict=False)):
            if value >= size:
                reason = f"found {value}; this category has the values 0 to {size - 1}, {self.cat.why}"
                raise DataError(reason, field=f"{CAT}[{at}]")
        return given

    def _features(self, given: Any, length: int) -> Floats | None:
        if not _present(DYNAMIC, given, self.dynamic):
            return None
        if not isinstance(given, list):
            raise DataError(f"must be a list of lists, one for each feature; got {kind(given)}", field=DYNAMIC)
        for at, row in enumerate(given):
            if not isinstance(row, (list, np.ndarray)):
                reason = f"found {kind(row)}; dynamic_feat is a list of lists, one for each feature"
                raise DataError(reason, field=f"{DYNAMIC}[{at}]")
        _check_count(DYNAMIC, len(given), "feature", self.dynamic)
        for at, row in enumerate(given):
            if len(row) - length not in self.ahead or len(row) != len(given[0]):
                raise DataError(self._wrong_length(len(row), length, at), field=f"{DYNAMIC}[{at}]")
        return np.stack([_numbers(row, f"{DYNAMIC}[{at}]", missing=False) for at, row in enumerate(given)])

    def _wrong_length(self, found: int, length: int, at: int) -> str:
        if found - length in self.ahead:
            return f"holds {found} values, other than {DYNAMIC}[0]; all features have the same length"
        lengths = " or ".join(str(length + more) for more in self.ahead)
        return f"holds {found} values; it must hold {lengths}: target has {length}, the forecast {self.ahead[-1]}"


def kind(value: object) -> str:
    """What the value is, for a message: a number or a short text as it is written, anything longer by its kind."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 40 else f"{value[:40]}...", ensure_ascii=False)
    return _KINDS.get(type(value), "") or repr(value)[:40]


def _present(name: str, given: Any, expected: Expected) -> bool:
    """Whether there is something to look at; null is the same as nothing. DataError where that must not be."""
    if expected.count is None or (given is None and not expected.count):
        return False
    if not expected.count:
        raise DataError(f"must be left out, {expected.why}", field=name)
    if given is None:
        raise DataError(f"is missing; every series must have it, {expected.why}", field=name)
    return True


def _check_count(name: str, found: int, what: str, expected: Expected) -> None:
    if not found:
        raise DataError(f"is empty; leave the field out of every series where there is no {what}", field=name)
    if found != expected.count:
        plural = "s" if found > 1 else ""
        reason = f"holds {found} {what}{plural}; it must hold {expected.count}, {expected.why}"
        raise DataError(reason, field=name)


def _seconds(given: Any) -> int:
    """Seconds from 1970 to a time that is text or, in Parquet, a date; parts of a second are cut off."""
    if isinstance(given, str):
        return _parsed(given)
    if isinstance(given, np.datetime64) and _FIRST <= given <= _LAST:
        return int(given.astype(np.int64))
    raise DataError(f"must be {_START}; got {kind(given)}", field=START)


# Many series begin at the same time.
@lru_cache(maxsize=1024)
def _parsed(text: str) -> int:
    found = _DATE.fullmatch(text)
    if found is None:
        if _ZONE.fullmatch(text):
            raise DataError(f"must be without time zone, {_START}; got {kind(text)}", field=START)
        raise DataError(f"must be {_START}; got {kind(text)}", field=START)
    try:
        time = datetime.fromisoformat(found[1] if found[2] is None else f"{found[1]} {found[2]}")
    except ValueError as error:
        raise DataError(f"is no time of the calendar ({error}); got {kind(text)}", field=START) from None
    return (time - _EPOCH) // _SECOND


def _target(given: Any) -> Floats:
    if not isinstance(given, (list, np.ndarray)):
        raise DataError(f"must be a list of numbers; got {kind(given)}", field=TARGET)
    if not len(given):
        raise DataError("is empty; a series needs at least one point", field=TARGET)
    return _numbers(given, TARGET, missing=True)


def _numbers(given: Any, name: str, *, missing: bool) -> Floats:
    """A list of JSON values, or an array of floats, as float32; DataError names the first that is no number.

    Where some may be ``missing``, null and "NaN" become NaN.
    """
    values = floats.narrow(given) if isinstance(given, np.ndarray) else _packed(given)
    if values is None and missing:
        values = _packed([math.nan if each is None or each == "NaN" else each for each in given])
    if values is None or (np.isinf(values) if missing else ~np.isfinite(values)).any():
        raise _unusable(given if isinstance(given, list) else given.tolist(), name, missing)
    return values


def _packed(given: list[Any]) -> Floats | None:
    """The list as float32; None where anything but numbers is in it, or one is too large."""
    try:
        row = floats.packed(given)
    except struct.error:
        return None
    if row is None:
        return None
    # A boolean has become 0 or 1, so the types of many values are looked at only where there is one of these.
    if (len(given) < _FEW or ((row == 0) | (row == 1)).any()) and bool in set(map(type, given)):
        return None
    values: Floats = row[0]
    return values


def _is_usable(value: Any, missing: bool) -> bool:
    if type(value) in _NUMBERS and floats.fits(value):
        return True
    return missing and (value is None or value == "NaN" or value != value)


def _unusable(given: list[Any], name: str, missing: bool) -> DataError:
    """What is wrong with the first value that cannot be used."""
    at = next(at for at, value in enumerate(given) if not _is_usable(value, missing))
    value, field = given[at], f"{name}[{at}]"
    if type(value) in _NUMBERS and floats.LARGEST < abs(value) < math.inf:
        return DataError(f"found {kind(value)}, which {floats.TOO_LARGE}", field=field)
    allowed = 'number, null or "NaN"' if missing else "number; features have no missing values"
    return DataError(f"found {kind(value)}; every value must be a {allowed}", field=field)
