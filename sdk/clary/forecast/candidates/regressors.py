"""What known features explain of a series, taken away before a model is fitted and given back to its forecast.

This is regression with ARIMA errors in two steps: the coefficients come from points and features that are differenced
as the ARIMA model does it, so that neither a trend nor a season is taken for an effect. T points, K features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_PRIOR = 3.0  # points that an effect of zero counts as; it also settles features that say the same


def effects(values_T: Array, features_TK: Array, season: int) -> Array:
    """The effect (K) of one unit of each feature, 0 for one that never changes; no season is 1."""
    target, features = _differenced(values_T, season), _differenced(features_TK, season)
    size = np.sqrt(np.mean(features**2, axis=0)) if len(features) else np.zeros(features.shape[1])
    usable = size > 1e-12
    found = np.zeros(features.shape[1])
    if usable.any():
        scaled = features[:, usable] / size[usable]
        gram = scaled.T @ scaled + _PRIOR * np.eye(scaled.shape[1])
        found[usable] = np.linalg.solve(gram, scaled.T @ target) / size[usable]
    return found


def _differenced(points: Array, season: int) -> Array:
    if season > 1:
        points = points[season:] - points[:-season]
    found: Array = np.diff(points, axis=0)
    return found
