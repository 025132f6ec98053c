"""Data in memory as records: arrays, sparse matrices and data frames, with every bad value named by its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Names = list[str] | None


class RecordSet:
    """Rows held ready for a channel, as the classic ``record_set`` gives them; ``fit`` takes one or a list."""

    def __init__(self, records: Records, channel: str) -> None:
        self.records, self.channel = records, channel

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


def as_records(data: Any, *, name: str, one_row: bool = False) -> Records:
    """The rows of an array, a SciPy sparse matrix, a pandas or polars data frame, or nested lists.

    A pair is features and labels. With ``one_row`` a vector is a row. DataError names the row and the column
    of a value that is no finite number; UserError says what else cannot be rows.
    """
    if isinstance(data, RecordSet):
        return data.records
    labels = None
    if isinstance(data, tuple) and len(data) == 2 and _like_rows(data[0]):
        data, given = data
        labels = _labels(given, name)
    features, columns = _features(data, name, one_row)
    if features.shape[0] == 0 or features.shape[1] == 0:
        raise UserError(f"{name} is empty: its shape is {tuple(features.shape)}")
    if labels is not None and len(labels) != features.shape[0]:
        raise UserError(f"{name} has {features.shape[0]} rows but {len(labels)} labels")
    return Records(_floats(features, columns, name), labels, source=name)


def _like_rows(data: Any) -> bool:
    return _frame_library(data) is not None or hasattr(data, "tocsr") or np.ndim(data) >= 2


def _frame_library(data: Any) -> str | None:
    package = type(data).__module__.partition(".")[0]
    return package if package in ("pandas", "polars") and hasattr(data, "columns") else None


def _features(data: Any, name: str, one_row: bool) -> tuple[Any, Names]:
    library = _frame_library(data)
    if library == "pandas":
        return _from_pandas(data, name)
    if library == "polars":
        return _from_polars(data, name)
    if hasattr(data, "tocsr"):
        return data.tocsr(), None
    array = _array(data, name)
    if array.ndim == 1 and one_row:
        array = array[None, :]
    if array.ndim != 2:
        hint = "; for rows of one feature use reshape(-1, 1)" if array.ndim == 1 else ""
        raise UserError(f"{name} must have two dimensions, rows and features; its shape is {array.shape}{hint}")
    return array, None


def _array(data: Any, name: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise UserError(f"{name} cannot be an array: its rows have different lengths, or {error}") from error
    if array.dtype == object and array.ndim >= 1 and any(np.ndim(row) for row in array.flat):
        raise UserError(f"{name} cannot be an array: its rows have different lengths")
    if array.dtype.kind not in "fiub":
        raise UserError(f"{name} must hold numbers; its type is {array.dtype}")
    return array


def _from_pandas(frame: Any, name: str) -> tuple[npt.NDArray[Any], Names]:
    columns = [str(column) for column in frame.columns]
    for position, column in enumerate(columns):
        kind = frame.dtypes.iloc[position]
        if getattr(kind, "kind", "O") not in "fiub":
            raise UserError(f"{name}: column {column!r} must hold numbers; its type is {kind}")
    if frame.isna().to_numpy().any():
        raise _missing(np.argwhere(frame.isna().to_numpy()), columns, name)
    return frame.to_numpy(dtype=np.float64), columns


def _from_polars(frame: Any, name: str) -> tuple[npt.NDArray[Any], Names]:
    for column, kind in frame.schema.items():
        if not (kind.is_numeric() or str(kind) == "Boolean"):
            raise UserError(f"{name}: column {column!r} must hold numbers; its type is {kind}")
    for column in frame.columns:
        if frame[column].null_count():
            row = int(frame[column].is_null().arg_max())
            raise _missing(np.array([[row, frame.columns.index(column)]]), frame.columns, name)
    arrays = [frame[column].to_numpy().astype(np.float64) for column in frame.columns]
    return np.column_stack(arrays) if arrays else np.empty((0, 0)), list(frame.columns)


def _missing(places: npt.NDArray[np.intp], columns: list[str], name: str) -> DataError:
    row, column = (int(each) for each in places[0])
    return DataError(
        f"column {columns[column]!r} has no value; fill it or leave the row out",
        source=name,
        row=row + 1,
        column=column + 1,
    )


def _floats(features: Any, columns: Names, name: str) -> Floats | csr_matrix:
    """The features as contiguous float32, every one finite."""
    if not isinstance(features, np.ndarray):
        from scipy.sparse import csr_matrix

        if features.dtype.kind not in "fiub":
            raise UserError(f"{name} must hold numbers; its type is {features.dtype}")
        with np.errstate(over="ignore"):
            matrix = csr_matrix(features, dtype=np.float32)
        matrix.sum_duplicates()
        if not np.isfinite(matrix.data).all():
            at = int(np.flatnonzero(~np.isfinite(matrix.data))[0])
            row = int(np.searchsorted(matrix.indptr, at, side="right")) - 1
            raise _not_finite(matrix.data[at], row, int(matrix.indices[at]), columns, name)
        return matrix
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(features, dtype=np.float32)
    finite = np.isfinite(array)
    if not finite.all():
        row, column = (int(each) for each in np.argwhere(~finite)[0])
        raise _not_finite(features[row, column], row, column, columns, name)
    return array


def _not_finite(value: Any, row: int, column: int, columns: Names, name: str) -> DataError:
    called = "" if columns is None else f"column {columns[column]!r}: "
    found = f"{value} is not a finite number" if not np.isfinite(value) else f"{value} is too large for float32"
    return DataError(f"{called}{found}", source=name, row=row + 1, column=column + 1)


def _labels(given: Any, name: str) -> Floats:
    array = _array(given, f"{name} labels")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise UserError(f"{name} labels must have one or two dimensions; their shape is {array.shape}")
    return cast("Floats", _floats(array, None, f"{name} labels"))
