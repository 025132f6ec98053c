"""A weighted mean of candidates' quantiles, with weights that lower the loss of the backtests most.

Half of the weight is by greedy selection with replacement (Caruana et al. 2004): the candidate that helps most is
added, again and again. A few backtests are a small sample, so the other half is shared out by the candidates' own
losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.scores import losses

Array = npt.NDArray[Any]
_PICKS = 24
_PATIENCE = 6
_POINTS = 15_000
_GREEDY = 0.5  # share of the greedy weights
_STEEPNESS, _FAR = 3, 1.5  # how fast a share falls with the loss, and from which multiple of the best on it is none
_LEAST = 0.02
NAME, TITLE = "ensemble", "Ensemble"


def weights(actual: Array, forecasts: Mapping[str, Array], levels: Sequence[float]) -> dict[str, float]:
    """The weights of the candidates, which add up to 1; those far behind the best are left out."""
    known = ~np.isnan(actual)
    # A forecast may be perfect.
    floor = 1e-9 * float(np.abs(actual[known]).sum()) + 1e-300
    loss = {name: float(losses(actual[known], each[known], levels).sum()) + floor for name, each in forecasts.items()}
    best = min(loss.values())
    near = {name: (best / each) ** _STEEPNESS for name, each in loss.items() if each <= _FAR * best}
    picked = _picked(actual, forecasts, levels)
    shares = {
        name: _GREEDY * picked.get(name, 0.0) + (1 - _GREEDY) * near.get(name, 0.0) / sum(near.values())
        for name in forecasts
    }
    kept = {name: share for name, share in shares.items() if share >= _LEAST}
    return {name: share / sum(kept.values()) for name, share in kept.items()}


def _picked(actual: Array, forecasts: Mapping[str, Array], levels: Sequence[float]) -> dict[str, float]:
    """The weights of greedy selection."""
    names = list(forecasts)
    places = np.flatnonzero(~np.isnan(actual).ravel())
    # Some ten thousand points tell the same as all.
    places = places[:: max(1, len(places) // _POINTS)]
    target = actual.ravel()[places]
    own = np.stack([forecasts[name].reshape(-1, len(levels))[places] for name in names])
    total = np.zeros_like(own[0])
    picks: list[int] = []
    best, best_count = np.inf, 0
    for count in range(1, _PICKS + 1):
        tried = [float(losses(target, (total + each) / count, levels).sum()) for each in own]
        picked = int(np.argmin(tried))
        picks.append(picked)
        total += own[picked]
        if tried[picked] < best * (1 - 1e-6):
            best, best_count = tried[picked], count
        elif count - best_count >= _PATIENCE:
            break
    counts = np.bincount(picks[:best_count], minlength=len(names))
    return {name: float(n) / best_count for name, n in zip(names, counts, strict=True) if n}


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
