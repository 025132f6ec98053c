"""Records that are objects rather than rows: time series in memory, as lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from clary.sdk import frames
from clary.toolkit.errors import DataError, UserError

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def is_objects(data: Any) -> bool:
    """Whether this is a list of objects."""
    return isinstance(data, (list, tuple)) and bool(data) and all(isinstance(each, Mapping) for each in data)


def as_objects(data: Any, *, name: str) -> Sequence[Mapping[str, Any]]:
    """The list of objects, or the columns of a pandas data frame with an index of times as one series each.

    What is before the first value of a column and behind its last is left out. UserError says what is neither.
    """
    if frames.library(data) == "pandas":
        return _series(data, name)
    if not is_objects(data):
        found = type(data).__name__
        raise UserError(
            f"{name} takes files, a list of dicts, or a pandas data frame with a column a series; got {found}"
        )
    return list(data)


def as_lines(data: Any, *, name: str) -> tuple[bytes, ...]:
    """Each object as a line of JSON; UserError says what is no list of objects."""
    return tuple(_line(each, number, name) for number, each in enumerate(as_objects(data, name=name), 1))


def dumps(content: Any) -> bytes:
    """The content as JSON: arrays and columns as lists, moments as their text, NaN and NA as null."""
    return orjson.dumps(content, default=_plain, option=_OPTIONS)


def _series(frame: Any, name: str) -> list[Mapping[str, Any]]:
    import pandas

    index = frame.index.to_timestamp() if isinstance(frame.index, pandas.PeriodIndex) else frame.index
    if not isinstance(index, pandas.DatetimeIndex) or index.tz is not None:
        raise UserError(f"{name}: the index of the data frame must hold times without a zone; it holds {index.dtype}")
    if not _is_regular(index.to_numpy()):
        raise UserError(f"{name}: the times of the data frame have no regular step; asfreq() or resample() gives one")
    found: list[Mapping[str, Any]] = []
    for column, values in zip(frames.names(frame), frames.cells(frame, name).T, strict=True):
        present = np.flatnonzero(~np.isnan(values))
        if not len(present):
            raise UserError(f"{name}: column {column!r} holds no value")
        start, stop = present[0], present[-1] + 1
        found.append({"start": str(index[start]), "target": values[start:stop]})
    return found


def _is_regular(times: npt.NDArray[Any]) -> bool:
    """Whether all steps are forward and as long as the first, in time or in months of the calendar."""
    for steps in (np.diff(times).astype(np.int64), np.diff(times.astype("M8[M]")).astype(np.int64)):
        if (steps > 0).all() and (steps == steps[:1]).all():
            return True
    return False


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
