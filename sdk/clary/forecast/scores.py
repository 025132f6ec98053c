"""How far forecasts are from what came. W windows, N series, H steps, Q levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.panel import Panel

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scores:
    """Errors over all windows, series and steps: those of the quantiles weighted by the sum of the absolute targets.

    ``coverage`` is the share of points up to each quantile, ``below`` of those below it;
    ``weighted_losses`` is by level, and ``loss`` their mean.
    """

    weighted_losses: Mapping[float, float]
    wape: float
    rmse: float
    mase: float
    coverage: Mapping[float, float]
    below: Mapping[float, float]

    @property
    def loss(self) -> float:
        """The mean weighted quantile loss, by which candidates are chosen."""
        return float(np.mean(list(self.weighted_losses.values())))

    def between(self, low: float, high: float) -> float:
        """The share of points between two quantiles, those on them among them."""
        return self.coverage[high] - self.below[low]


def losses(actual: Array, forecast: Array, levels: Sequence[float]) -> Array:
    """Twice the pinball loss of each point and level (..., Q), NaN where nothing came."""
    error = actual[..., None] - forecast
    wanted = np.array(levels)
    found: Array = 2 * np.maximum(wanted * error, (wanted - 1) * error)
    return found


def scored(actual: Array, forecast: Array, levels: Sequence[float], wanted: Sequence[float], naive: Array) -> Scores:
    """The scores of forecasts (W, N, H, Q) of those levels, of which ``wanted`` count.

    ``naive`` (W, N) is the mean error of the seasonal naive forecast within each history, for MASE.
    """
    known = ~np.isnan(actual) & ~np.isnan(forecast).any(axis=-1)
    size = max(float(np.abs(actual[known]).sum()), 1e-12)
    loss = losses(actual, forecast, levels)
    places = {level: list(levels).index(level) for level in wanted}
    weighted = {level: float(loss[..., place][known].sum()) / size for level, place in places.items()}
    error = np.where(known, actual - forecast[..., list(levels).index(0.5)], 0.0)
    count = np.maximum(known.sum(axis=-1), 1)
    scaled = np.abs(error).sum(axis=-1) / count / np.maximum(naive, 1e-12)
    usable = known.any(axis=-1) & (naive > 0)
    upto = {level: float((actual <= forecast[..., place])[known].mean()) for place, level in enumerate(levels)}
    below = {level: float((actual < forecast[..., place])[known].mean()) for place, level in enumerate(levels)}
    return Scores(
        weighted_losses=weighted,
        wape=float(np.abs(error).sum()) / size,
        rmse=float(np.sqrt((error**2).sum() / max(1, known.sum()))),
        mase=float(scaled[usable].mean()) if usable.any() else float("nan"),
        coverage=upto,
        below=below,
    )


def naive_errors(panel: Panel, ends: Sequence[int]) -> Array:
    """The mean absolute error (W, N) of repeating the last season within each series up to each end."""
    found = np.zeros((len(ends), len(panel)))
    season = panel.grid.season
    for window, end in enumerate(ends):
        for row, (first, values) in enumerate(zip(panel.first, panel.values, strict=True)):
            history = values[: max(0, end - int(first))]
            lag = season if len(history) > season else 1
            if len(history) > lag:
                found[window, row] = np.abs(history[lag:] - history[:-lag]).mean()
    return found
