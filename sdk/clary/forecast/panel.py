"""Series on one clock, without gaps, that all end together; with what else is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.grid import Grid

Array = npt.NDArray[Any]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Related:
    """Features of each series' steps (T, F) from its first on, and of those ahead where they are known.

    ``known`` says for each feature whether it is known into the future; the others are NaN behind the last point.
    """

    names: tuple[str, ...]
    known: tuple[bool, ...]
    values: tuple[Array, ...]


@dataclass(frozen=True)
class Statics:
    """What holds for a series at all times: numbers and codes of categories (N, S); ``sizes`` is 0 for a number."""

    names: tuple[str, ...]
    values: Array
    sizes: tuple[int, ...]

    @property
    def categories(self) -> tuple[int, ...]:
        """The places of those that are categories."""
        return tuple(place for place, size in enumerate(self.sizes) if size)


@dataclass(frozen=True)
class Panel:
    """N series. That of ``keys[i]`` has the points ``values[i]`` (float64) at the steps from ``first[i]`` to ``end``.

    ``names`` are the columns that make up a key. A series of a panel that was cut may have no points.
    """

    grid: Grid
    names: tuple[str, ...]
    keys: tuple[Key, ...]
    first: Array
    end: int
    values: tuple[Array, ...]
    related: Related | None = None
    statics: Statics | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def lengths(self) -> Array:
        """How many points each series has."""
        return np.array([len(each) for each in self.values], np.int64)

    def until(self, end: int) -> Panel:
        """The panel as it was at an earlier end; features of later steps stay."""
        kept = [max(0, end - int(first)) for first in self.first]
        return replace(self, end=end, values=tuple(v[:k] for v, k in zip(self.values, kept, strict=True)))

    def actual(self, end: int, horizon: int) -> Array:
        """The points (N, H) behind that end, NaN before a series begins."""
        found = np.full((len(self), horizon), np.nan)
        for row, (first, values) in enumerate(zip(self.first, self.values, strict=True)):
            start = end - int(first)
            if start >= 0:
                points = values[start : start + horizon]
                found[row, : len(points)] = points
        return found

    def ahead(self, horizon: int) -> Array:
        """The steps (H) behind the end."""
        return np.arange(self.end, self.end + horizon)

    def take(self, rows: Sequence[int]) -> Panel:
        """The series of those places, in their order."""
        related, statics = self.related, self.statics
        if related is not None:
            related = replace(related, values=tuple(related.values[row] for row in rows))
        if statics is not None:
            statics = replace(statics, values=statics.values[list(rows)])
        keys, values = tuple(self.keys[row] for row in rows), tuple(self.values[row] for row in rows)
        return replace(self, keys=keys, first=self.first[list(rows)], values=values, related=related, statics=statics)
