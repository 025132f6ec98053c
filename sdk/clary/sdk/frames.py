"""Data frames and series of pandas and polars as plain arrays, without importing either library."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import UserError

Doubles = npt.NDArray[np.float64]
_LISTED = 20


def library(data: Any) -> Literal["pandas", "polars"] | None:
    """Whose data frame this is; None for anything else."""
    return _package(data) if hasattr(data, "columns") else None


def is_series(data: Any) -> bool:
    """Whether this is a column of a data frame, or an index."""
    return _package(data) is not None and not hasattr(data, "columns")


def names(frame: Any) -> list[str]:
    """The names of the columns as texts."""
    return [str(column) for column in frame.columns]


def cells(frame: Any, name: str) -> Doubles:
    """The cells of a data frame, NaN where one has no value; UserError names a column that holds no numbers."""
    kinds = frame.dtypes if library(frame) == "polars" else list(frame.dtypes)
    for column, kind in zip(names(frame), kinds, strict=True):
        if not _is_number(kind):
            raise UserError(
                f"{name}: column {column!r} must hold numbers; its type is {kind}; "
                "encode it as numbers first, or leave it out"
            )
    if library(frame) == "polars":
        arrays = [frame[column].cast(float).to_numpy() for column in frame.columns]
        return np.column_stack(arrays) if arrays else np.empty((0, 0))
    found: Doubles = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def values(series: Any) -> npt.NDArray[Any]:
    """The values of a column: numbers with NaN where there is none, or anything else as it is."""
    if not _is_number(series.dtype):
        return np.asarray(series, dtype=object)
    if _package(series) == "polars":
        return np.asarray(series.cast(float).to_numpy())
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def parted(frame: Any, column: Hashable, name: str) -> tuple[Any, Any]:
    """The frame without that column, and the column; UserError if there is none of that name, or several."""
    found = list(frame.columns).count(column)
    if found != 1:
        listed = names(frame)
        more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
        count = f"{found} columns" if found else "no column"
        raise UserError(
            f"{name} has {count} named {column!r} to take the labels from; it has {', '.join(listed[:_LISTED])}{more}"
        )
    rest = frame.drop(columns=[column]) if library(frame) == "pandas" else frame.drop(column)
    return rest, frame[column]


def _package(data: Any) -> Literal["pandas", "polars"] | None:
    package = type(data).__module__.partition(".")[0]
    return "pandas" if package == "pandas" else "polars" if package == "polars" else None


def _is_number(kind: Any) -> bool:
    """Whether cells of that type, of either library, are numbers or truth values."""
    if hasattr(kind, "is_numeric"):
        return bool(kind.is_numeric()) or str(kind) == "Boolean"
    return getattr(kind, "kind", "O") in "fiub"
