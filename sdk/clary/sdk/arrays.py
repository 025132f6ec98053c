"""Data in memory as records: arrays, sparse matrices and data frames, with every bad value named by its place."""

from __future__ import annotations

import numbers
from collections.abc import Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from clary.sdk import frames
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from clary.runner.request import Distribution

Names = list[str] | None
_NUMBER_KINDS = "fiub"


class RecordSet:
    """Rows held ready for a channel, as the classic ``record_set`` gives them; ``fit`` takes one or a list."""

    def __init__(self, records: Records, channel: str, distribution: Distribution | None = None) -> None:
        self.records, self.channel, self.distribution = records, channel, distribution

    @property
    def num_records(self) -> int:
        """Number of rows."""
        return len(self.records)

    @property
    def feature_dim(self) -> int:
        """Number of features in each row."""
        return self.records.width

    def __repr__(self) -> str:
        return f"RecordSet({self.num_records} rows of {self.feature_dim} features for channel {self.channel!r})"


def as_records(
    data: Any, *, name: str, label: Hashable | None = None, missing: bool = False, one_row: bool = False
) -> Records:
    """The rows of an array, a SciPy sparse matrix, a pandas or polars data frame, or nested lists.

    A pair is features and labels, and ``label`` names the column of a data frame that holds the labels. With
    ``missing`` a feature may have no value (None or NaN), with ``one_row`` a vector is a row. DataError names the
    row and the column of a value that is no finite number; UserError says what else cannot be rows.
    """
    if label is None and isinstance(data, RecordSet):
        return data.records
    data, given = _parted(data, label, name)
    features, columns = _features(data, name, one_row)
    if features.shape[0] == 0 or features.shape[1] == 0:
        raise UserError(f"{name} is empty: its shape is {tuple(features.shape)}")
    labels = None if given is None else _labels(given, name)
    if labels is not None and len(labels) != features.shape[0]:
        raise UserError(f"{name} has {features.shape[0]} rows but {len(labels)} labels")
    return Records(_floats(features, columns, name, missing), labels, source=name)


def feature_names(data: Any) -> Names:
    """The names of the columns where the data is a data frame; None otherwise."""
    return frames.names(data) if frames.library(data) else None


def _parted(data: Any, label: Hashable | None, name: str) -> tuple[Any, Any]:
    """The features, and the labels that were given with them or by the name of their column."""
    pair = isinstance(data, tuple) and len(data) == 2 and _like_rows(data[0])
    if label is None and not pair:
        return data, None
    if label is not None and (pair or isinstance(data, RecordSet)):
        raise UserError(f"{name} has its labels already; leave out label={label!r}")
    rows, labels = data if pair else (data, label)
    if label is None and not isinstance(labels, str):
        return rows, labels
    if frames.library(rows) is None:
        raise UserError(
            f"{name}: {labels!r} would name the label's column of a data frame, and this is a {type(rows).__name__}; "
            "give features and labels as a pair, (rows, labels)"
        )
    return frames.parted(rows, labels, name)


def _like_rows(data: Any) -> bool:
    if frames.library(data) is not None or hasattr(data, "tocsr"):
        return True
    try:
        return np.ndim(data) >= 2
    except ValueError:  # Rows of different lengths.
        return True


def _features(data: Any, name: str, one_row: bool) -> tuple[Any, Names]:
    if frames.library(data):
        return frames.cells(data, name), frames.names(data)
    if hasattr(data, "tocsr"):
        if data.dtype.kind not in _NUMBER_KINDS:
            raise UserError(f"{name} must hold numbers; its type is {data.dtype}")
        return data.tocsr(), None
    array = _array(data, name)
    if array.ndim == 1 and one_row:
        array = array[None, :]
    if array.ndim != 2:
        hint = "; for rows of one feature use reshape(-1, 1)" if array.ndim == 1 else ""
        raise UserError(f"{name} must have two dimensions, rows and features; its shape is {array.shape}{hint}")
    return array, None


def _labels(given: Any, name: str) -> Floats:
    said = f"{name} labels"
    array = _array(given, said)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise UserError(f"{said} must have one or two dimensions; their shape is {array.shape}")
    return cast("Floats", _floats(array, None, said, missing=False))


def _array(data: Any, name: str) -> npt.NDArray[Any]:
    """The numbers of nested lists, arrays and series, NaN where one has no value."""
    if frames.library(data):
        return frames.cells(data, name)
    try:
        array = frames.values(data) if frames.is_series(data) else np.asarray(data)
    except ValueError as error:
        raise UserError(f"{name} cannot be an array: its rows have different lengths, or {error}") from error
    if array.dtype == object:
        array = _from_objects(array, name)
    if array.dtype.kind not in _NUMBER_KINDS:
        raise UserError(f"{name} must hold numbers; its type is {array.dtype}{_encoding(array)}")
    return array


def _from_objects(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The array as numbers, if every object in it is one or stands for none; otherwise as it is."""
    kinds = {type(each) for each in array.flat}
    if array.ndim and any(issubclass(kind, (list, tuple, np.ndarray)) for kind in kinds):
        raise UserError(f"{name} cannot be an array: its rows have different lengths")
    absent = {kind for kind in kinds if kind is type(None) or kind.__name__ == "NAType"}
    if not all(issubclass(kind, (numbers.Real, np.bool_, Decimal)) for kind in kinds - absent):
        return array.astype(str) if any(issubclass(kind, str) for kind in kinds) else array
    if absent:
        array = np.array([None if type(each) in absent else each for each in array.flat]).reshape(array.shape)
    try:
        return array.astype(np.float64)
    except OverflowError as error:
        raise UserError(f"{name} holds a number that is too large for float32") from error


def _encoding(array: npt.NDArray[Any]) -> str:
    """What to do about texts where numbers belong."""
    if array.dtype.kind not in "US" or not array.size:
        return ""
    return (
        f", as in {str(array.flat[0])!r}; number the texts first, for example with "
        "classes, numbers = numpy.unique(texts, return_inverse=True)"
    )


def _floats(features: Any, columns: Names, name: str, missing: bool) -> Floats | csr_matrix:
    """The features as contiguous float32, every one finite, or NaN where a value may be missing."""
    if not isinstance(features, np.ndarray):
        return _sparse(features, name, missing)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(features, dtype=np.float32)
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        row, column = (int(each) for each in np.argwhere(wrong)[0])
        raise _not_finite(features[row, column], row, column, columns, name)
    return array


def _sparse(features: Any, name: str, missing: bool) -> csr_matrix:
    from scipy.sparse import csr_matrix

    with np.errstate(over="ignore"):
        matrix = csr_matrix(features, dtype=np.float32)
    if not matrix.has_canonical_format:
        # The arrays may still be the caller's own, which stay as they are.
        matrix = matrix.copy()
        matrix.sum_duplicates()
    wrong = np.isinf(matrix.data) if missing else ~np.isfinite(matrix.data)
    if wrong.any():
        at = int(np.argmax(wrong))
        row = int(np.searchsorted(matrix.indptr, at, side="right")) - 1
        raise _not_finite(matrix.data[at], row, int(matrix.indices[at]), None, name)
    return matrix


def _not_finite(value: Any, row: int, column: int, columns: Names, name: str) -> DataError:
    called = "" if columns is None else f"column {columns[column]!r}: "
    found = f"{value} is too large for float32" if np.isfinite(value) else f"{value} is not a finite number"
    if np.isnan(value):
        found = "there is no value; fill it or leave the row out"
    return DataError(f"{called}{found}", source=name, row=row + 1, column=column + 1)
