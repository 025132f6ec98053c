"""Records that are objects rather than rows, such as time series in memory, as lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from clary.toolkit.errors import DataError, UserError

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def is_objects(data: Any) -> bool:
    """Whether this is a list of objects."""
    return isinstance(data, (list, tuple)) and bool(data) and all(isinstance(each, Mapping) for each in data)


def as_lines(data: Any, *, name: str) -> tuple[bytes, ...]:
    """Each object of the list as a line of JSON; UserError says what is no list of objects."""
    if not is_objects(data):
        raise UserError(f"{name} takes a file, a folder, an address, or a list of dicts; got a {type(data).__name__}")
    return tuple(_line(each, number, name) for number, each in enumerate(data, 1))


def dumps(content: Any) -> bytes:
    """The content as JSON: arrays and columns as lists, moments as their text, NaN and NA as null."""
    return orjson.dumps(content, default=_plain, option=_OPTIONS)


def _line(record: Any, number: int, name: str) -> bytes:
    try:
        return dumps(dict(record)) + b"\n"
    except TypeError as error:
        raise DataError(f"this cannot be written as JSON: {error}", source=name, row=number, kind="item") from None


def _plain(value: Any) -> Any:
    """A value of another library as one that JSON knows; TypeError where there is none."""
    for method in ("tolist", "isoformat"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, Mapping):
        return dict(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(f"{value!r} is a {type(value).__name__}")
