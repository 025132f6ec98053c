"""Conformal scaling: how much wider or narrower the quantiles must be so that backtests hold what they promise.

For each level the distance of the quantile from the median is multiplied by the factor with which the wanted share of
the backtest's points would have been on the right side, as in split conformal prediction with a scaled score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_NARROWEST, _WIDEST = 0.2, 5.0
_PRIOR = 50  # points that a factor of 1 counts as, so that a few do not decide


def factors(actual: Array, forecast: Array, levels: Sequence[float]) -> Array:
    """The factor (Q) of each level for forecasts (..., Q) of points (...); 1 for the median."""
    middle = forecast[..., list(levels).index(0.5)]
    found = np.ones(len(levels))
    for place, level in enumerate(levels):
        if level == 0.5:
            continue
        side = 1 if level > 0.5 else -1
        width = side * (forecast[..., place] - middle)
        error = side * (actual - middle)
        usable = ~np.isnan(error) & ~np.isnan(width) & (width > 0)
        if not usable.any():
            continue
        wanted = level if side > 0 else 1 - level
        needed = float(np.clip(np.quantile(error[usable] / width[usable], wanted), _NARROWEST, _WIDEST))
        count = int(usable.sum())
        found[place] = np.exp(np.log(needed) * count / (count + _PRIOR))
    return found


def scaled(forecast: Array, levels: Sequence[float], by: Array) -> Array:
    """The forecast (..., Q) with each quantile's distance from the median multiplied, in order again."""
    middle = forecast[..., [list(levels).index(0.5)]]
    found: Array = np.sort(middle + by * (forecast - middle), axis=-1)
    return found


def crossed(actual: Array, forecast: Array, levels: Sequence[float]) -> Array:
    """The forecasts (W, N, H, Q), each window scaled by what the others say; a single one by halves of the series."""
    out = forecast.copy()
    if len(actual) > 1:
        for window in range(len(actual)):
            others = np.arange(len(actual)) != window
            out[window] = scaled(forecast[window], levels, factors(actual[others], forecast[others], levels))
        return out
    for half in (0, 1):
        own = np.arange(actual.shape[1]) % 2 == half
        by = factors(actual[:, ~own], forecast[:, ~own], levels)
        out[:, own] = scaled(forecast[:, own], levels, by)
    return out
