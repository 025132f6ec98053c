"""What an endpoint answers for rows: columns by name, as arrays, and rows when one wants rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from clary.toolkit.spec import Field

_SHOWN, _SHORT = 10, 3


class Predictions:
    """N answers; ``answers["closest_cluster"]`` and ``answers.closest_cluster`` are the same array of N values.

    ``answers[3]`` is one answer as a mapping, ``answers[2:5]`` a part; iteration goes over the answers.
    """

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self.columns = dict(columns)

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> Predictions:
        """The columns of answers that were given one by one; fields that no answer has are left out.

        Vectors of one length make a matrix, vectors of vectors an array of three dimensions; null is NaN.
        """
        names = list(rows[0]) if rows else [field.name for field in fields if not field.optional]
        return cls({name: _column([row[name] for row in rows]) for name in names})

    @classmethod
    def join(cls, parts: Sequence[Predictions]) -> Predictions:
        """All answers, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls({name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns})

    def to_pandas(self) -> Any:
        """A pandas data frame with a column for each field; vectors are lists in their column."""
        import pandas

        return pandas.DataFrame({n: list(c) if c.ndim > 1 else c for n, c in self.columns.items()})

    def to_dict(self) -> dict[str, list[Any]]:
        """The columns as plain lists."""
        return {name: column.tolist() for name, column in self.columns.items()}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @overload
    def __getitem__(self, key: str) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> Row: ...
    @overload
    def __getitem__(self, key: slice) -> Predictions: ...
    def __getitem__(self, key: str | int | slice) -> npt.NDArray[Any] | Row | Predictions:
        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"the answers have no {key!r}; they have {', '.join(self.columns)}")
            return self.columns[key]
        if isinstance(key, slice):
            return Predictions({name: column[key] for name, column in self.columns.items()})
        return Row({name: column[key] for name, column in self.columns.items()})

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        columns: dict[str, npt.NDArray[Any]] = self.__dict__.get("columns", {})
        if name not in columns:
            raise AttributeError(f"the answers have no {name!r}; they have {', '.join(columns)}")
        return columns[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns]

    def __iter__(self) -> Iterator[Row]:
        return (self[position] for position in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Predictions):
            return NotImplemented
        same = self.columns.keys() == other.columns.keys()
        return same and all(np.array_equal(column, other.columns[name]) for name, column in self.columns.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [" ".join(f"{name:>20}" for name in self.columns)]
        for row in self[:_SHOWN]:
            shown.append(" ".join(f"{_cell(value):>20}" for value in row.values()))
        left = len(self) - _SHOWN
        return "\n".join([*shown, *([f"... and {left} more"] if left > 0 else [])])


class Row(Mapping[str, Any]):
    """One answer. ``label`` is the form in which the classic SDK's record deserializer gives it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @property
    def label(self) -> dict[str, Value]:
        """The values as ``row.label["closest_cluster"].float32_tensor.values[0]`` reads them."""
        return {name: Value(Tensor([float(each) for each in np.ravel(value)])) for name, value in self.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr({name: _plain(value) for name, value in self.items()})


class Tensor:
    """The numbers of one value, flat."""

    def __init__(self, values: list[float]) -> None:
        self.values = values


class Value:
    """One value of a record's label."""

    def __init__(self, float32_tensor: Tensor) -> None:
        self.float32_tensor = float32_tensor


def _column(values: Sequence[Any]) -> npt.NDArray[Any]:
    """The values of one field; whole numbers stay whole, and what is of no one length stays a list in its cell."""
    try:
        column = np.array(values)
        return column.astype(np.float64) if column.dtype == object else column
    except (ValueError, TypeError):
        cells = np.empty(len(values), object)
        cells[:] = values
        return cells


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _cell(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > _SHORT:
        return f"[{value.size} values]"
    if isinstance(value, np.ndarray):
        return f"[{' '.join(f'{each:.3g}' for each in value.flat)}]"
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)
