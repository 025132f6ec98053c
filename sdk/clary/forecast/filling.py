"""The rules by which rows of one step become one value, and steps without a value get one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
AUTO, ZERO, PREVIOUS, NEXT, LINEAR = "auto", "zero", "previous", "next", "linear"
_STATISTICS: Mapping[str, Callable[[Array], float]] = {
    "mean": lambda values: float(values.mean()),
    "median": lambda values: float(np.median(values)),
    "min": lambda values: float(values.min()),
    "max": lambda values: float(values.max()),
}
RULES = (AUTO, ZERO, PREVIOUS, NEXT, LINEAR, *_STATISTICS)
AGGREGATES = ("sum", "mean", "min", "max", "first", "last", "median")
# From this share of zeros or gaps on, a step without a row means that nothing was sold.
_INTERMITTENT = 0.25


def aggregated(groups: Array, values: Array, rule: str) -> Array:
    """One value for each run of equal groups, NaN where all of its values are missing."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    if len(starts) == len(groups):
        return values
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(np.int64), starts)
    if rule in ("sum", "mean"):
        found = np.add.reduceat(np.where(known, values, 0.0), starts)
        found = found / np.maximum(counts, 1) if rule == "mean" else found
    elif rule in ("min", "max"):
        extreme = np.fmin if rule == "min" else np.fmax
        found = extreme.reduceat(values, starts)
    else:
        ends = np.append(starts[1:], len(values))
        found = np.array([_one(values[a:b][known[a:b]], rule) for a, b in zip(starts, ends, strict=True)])
    return np.where(counts > 0, found, np.nan)


def _one(values: Array, rule: str) -> float:
    if not len(values):
        return np.nan
    return float(np.median(values)) if rule == "median" else float(values[0 if rule == "first" else -1])


def chosen(rule: str, values: Array) -> str:
    """The rule for a series: what ``auto`` means for it, or the rule itself.

    ``auto`` is ``zero`` where the series is one of sporadic demand (no value below zero, and a quarter of its steps
    zero or without a row), otherwise ``linear``.
    """
    if rule != AUTO:
        return rule
    known = values[~np.isnan(values)]
    sporadic = ((known == 0).sum() + len(values) - len(known)) / len(values) >= _INTERMITTENT
    return ZERO if sporadic and known.min() >= 0 else LINEAR


def filled(values: Array, rule: str) -> Array:
    """The values with every NaN replaced; there is at least one value.

    Before the first value ``previous`` and ``linear`` take it, behind the last one ``next`` and ``linear`` take that.
    """
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    known = np.flatnonzero(~gaps)
    out = values.copy()
    if rule in (PREVIOUS, NEXT):
        steps = np.arange(len(values))
        place = np.searchsorted(known, steps, "right") - 1 if rule == PREVIOUS else np.searchsorted(known, steps)
        found: Array = values[known[np.clip(place, 0, len(known) - 1)]]
        return found
    if rule == LINEAR:
        out[gaps] = np.interp(np.flatnonzero(gaps), known, values[known])
    elif rule == ZERO:
        out[gaps] = 0.0
    elif rule in _STATISTICS:
        out[gaps] = _STATISTICS[rule](values[known])
    else:
        out[gaps] = float(rule)
    return out
