"""A weighted mean of candidates' quantiles: the further behind the best one a candidate is, the less it weighs.

How far is counted in standard errors of the difference, as chance would have it: e to the minus that many is the
candidate's share. A few windows or a few large series are a small sample whatever the number of points, so that the
points within a window, and within a series, count as one each, and the larger of both errors counts. W windows, N
series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.scores import losses

Array = npt.NDArray[Any]
_LEAST = 0.02
NAME, TITLE = "ensemble", "Ensemble"


def weights(actual: Array, forecasts: Mapping[str, Array], levels: Sequence[float]) -> dict[str, float]:
    """The weights of the candidates, which add up to 1; those far behind the best are left out."""
    lost = {name: lost_in(actual, each, levels) for name, each in forecasts.items()}
    best = lost[min(lost, key=lambda name: lost[name].sum())]
    shares = {name: float(np.exp(-behind(each, best))) for name, each in lost.items()}
    kept = {name: share for name, share in shares.items() if share >= _LEAST * sum(shares.values())}
    return {name: share / sum(kept.values()) for name, share in kept.items()}


def lost_in(actual: Array, forecast: Array, levels: Sequence[float]) -> Array:
    """The loss of a forecast (W, N, H, Q) in each window and series (W, N), nothing where nothing came."""
    found: Array = np.nansum(losses(actual, forecast, levels), axis=(2, 3))
    return found


def behind(lost_WN: Array, best_WN: Array) -> float:
    """How many standard errors more was lost than by the best; 0 where it was less."""
    more = lost_WN - best_WN
    if more.sum() <= 0:
        return 0.0
    # With one window and one series there is no telling, and the share of what was lost stands in for the error.
    errors = [_error(more.sum(axis=axis)) for axis in (0, 1)]
    return float(more.sum() / (max(errors) or 0.1 * lost_WN.sum()))


def _error(parts: Array) -> float:
    """The standard error of the sum of the parts."""
    return float(np.sqrt(len(parts) * np.var(parts, ddof=1))) if len(parts) > 1 else 0.0


def combined(forecasts: Mapping[str, Array], by: Mapping[str, float]) -> Array:
    """The weighted mean of the candidates' forecasts (..., Q)."""
    return np.asarray(sum(weight * forecasts[name] for name, weight in by.items()))


def crossed(actual: Array, forecasts: Mapping[str, Array], levels: Sequence[float]) -> Array:
    """The ensemble's forecasts (W, N, H, Q), each window with the weights that the others give."""
    out = np.full_like(next(iter(forecasts.values())), np.nan)
    for window in range(len(actual)):
        others = np.arange(len(actual)) != window if len(actual) > 1 else np.array([True])
        by = weights(actual[others], {name: each[others] for name, each in forecasts.items()}, levels)
        out[window] = combined({name: each[window] for name, each in forecasts.items()}, by)
    return out
