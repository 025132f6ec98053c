"""Windows of series as tensors: all series lie in flat arrays once, and a batch is cut out of them by places.

T steps, L lags, I inputs, B windows, P points of all N series, W windows of an epoch. The first step of a window may
lie before its series begins; targets and lags there are 0 and not observed, dynamic features those of the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from clary.algorithms.deepar.data import Series

Array = npt.NDArray[Any]
FEWEST_BATCHES = 10  # in an epoch
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Batch:
    """Some windows: what the network sees at each step, and the targets (T, B) that it is to predict.

    ``inputs_TIB`` holds the lags over the scale, the features of the calendar, the age and the dynamic features;
    ``observed_TB`` is 1 where there is a target and 0 elsewhere; ``cat_BC`` holds the categories.
    """

    inputs_TIB: Tensor
    target_TB: Tensor
    observed_TB: Tensor
    cat_BC: Tensor
    scale_B: Tensor

    def __len__(self) -> int:
        return len(self.scale_B)


class Windows:
    """Series on a device, from which windows are cut.

    ``usual`` is the scale of a window of which nothing is known: the mean absolute target of the training data.
    """

    def __init__(self, series: Series, lags: tuple[int, ...], usual: float, device: torch.device) -> None:
        self._series, self._lags, self._usual, self._device = series, lags, usual, device
        observed_P = ~np.isnan(series.target)
        self._observed_P = torch.from_numpy(observed_P.astype(np.float32)).to(device)
        self._target_P = torch.from_numpy(np.where(observed_P, series.target, 0)).to(device)
        self._filled_P = torch.from_numpy(_carried_on(series, observed_P)).to(device)
        self._sizes = _totals(series, np.where(observed_P, np.abs(series.target), 0))
        self._counts = _totals(series, observed_P)

    def cut(self, index_B: Array, first_B: Array, context: int, steps: int) -> Batch:
        """Windows of that many steps from ``first_B`` on, which counts from the beginning of series ``index_B``.

        The first ``context`` steps tell the scale.
        """
        scale_B = torch.from_numpy(self.scales(index_B, first_B, context)).to(self._device)
        begin_B, length_B = self._series.ends[index_B], self._series.lengths[index_B]
        place_TB = first_B + np.arange(steps)[:, None]
        points_TB, known_TB = self._placed(place_TB, begin_B, length_B)
        return Batch(
            inputs_TIB=torch.cat(self._inputs(index_B, first_B, place_TB, scale_B), dim=1),
            target_TB=self._target_P[points_TB] * known_TB,
            observed_TB=self._observed_P[points_TB] * known_TB,
            cat_BC=torch.from_numpy(self._series.cat[index_B]).to(self._device),
            scale_B=scale_B,
        )

    def scales(self, index_B: Array, first_B: Array, context: int) -> Array:
        """The mean absolute target of the first ``context`` steps of each window (B), which is never 0.

        Where that is 0 it is the mean of all steps before; a series of nothing but zeros has a scale of at most 1.
        """
        begin_B, length_B = self._series.ends[index_B] + index_B, self._series.lengths[index_B]
        stop_B = begin_B + np.clip(first_B + context, 0, length_B)
        mean_B = np.zeros(len(index_B))
        for start_B in (begin_B + np.clip(first_B, 0, length_B), begin_B):
            count_B = self._counts[stop_B] - self._counts[start_B]
            size_B = self._sizes[stop_B] - self._sizes[start_B]
            mean_B = np.where(mean_B > _TINY, mean_B, size_B / np.maximum(count_B, 1))
        nothing_B = self._counts[stop_B] == self._counts[begin_B]
        otherwise_B = np.where(nothing_B, self._usual, min(1.0, self._usual))
        return np.where(mean_B > _TINY, mean_B, otherwise_B).astype(np.float32)

    def _inputs(self, index_B: Array, first_B: Array, place_TB: Array, scale_B: Tensor) -> list[Tensor]:
        """Lags, features of the calendar, age and dynamic features, each (T, *, B)."""
        begin_B, length_B = self._series.ends[index_B], self._series.lengths[index_B]
        steps, farthest = len(place_TB), self._lags[-1]
        past_MB, known_MB = self._placed(first_B + np.arange(-farthest, steps - 1)[:, None], begin_B, length_B)
        values_MB = self._filled_P[past_MB] * (known_MB / scale_B)
        lags = torch.stack([values_MB[farthest - lag : farthest - lag + steps] for lag in self._lags], dim=1)
        frequency = self._series.frequency
        calendar_TBK = frequency.features(self._series.start[index_B] + frequency.multiple * place_TB)
        age_TB = np.log10(2.0 + np.maximum(place_TB, 0)).astype(np.float32)
        return [
            lags,
            self._moved(calendar_TBK.transpose(0, 2, 1)),
            self._moved(age_TB[:, None]),
            *self._dynamic(index_B, place_TB),
        ]

    def _dynamic(self, index_B: Array, place_TB: Array) -> list[Tensor]:
        if not self._series.dynamic.shape[1]:
            return []
        ends, lengths = self._series.dynamic_ends, np.diff(self._series.dynamic_ends)
        place_TB = np.clip(place_TB, 0, lengths[index_B] - 1)
        return [self._moved(self._series.dynamic[ends[index_B] + place_TB].transpose(0, 2, 1))]

    def _placed(self, place_TB: Array, begin_B: Array, length_B: Array) -> tuple[Tensor, Tensor]:
        """Places among all points, and 1 where they lie within their series and 0 elsewhere."""
        known_TB = (place_TB >= 0) & (place_TB < length_B)
        points_TB = begin_B + np.where(known_TB, place_TB, 0)
        return (
            torch.from_numpy(np.minimum(points_TB, len(self._filled_P) - 1)).to(self._device),
            self._moved(known_TB.astype(np.float32)),
        )

    def _moved(self, array: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._device)


def _totals(series: Series, values_P: Array) -> Array:
    """The sums of each series' values up to each of its points, behind a 0 for each series: (P + N).

    They begin anew in each series, so that a large one leaves no trace in the digits of a small one beside it.
    """
    totals = np.zeros(len(values_P) + len(series))
    for index, (begin, end) in enumerate(pairwise(series.ends.tolist())):
        np.cumsum(values_P[begin:end], dtype=np.float64, out=totals[begin + index + 1 : end + index + 1])
    return totals


def _carried_on(series: Series, observed_P: Array) -> Array:
    """The targets, each missing one as the last before it; 0 where there is none in its series."""
    last_P = np.maximum.accumulate(np.where(observed_P, np.arange(len(observed_P)), -1))
    begin_P = np.repeat(series.ends[:-1], series.lengths)
    return np.where(last_P >= begin_P, series.target[np.maximum(last_P, 0)], 0).astype(np.float32)


@dataclass(frozen=True)
class Draws:
    """Which windows an epoch learns from: drawn anew in each, by seed and number of the epoch alone.

    An epoch has about ``FEWEST_BATCHES`` batches where there are few series, by several passes over them; otherwise
    each series has one window on average. A series has as many as its length gives it chances (the expected-number
    sampling of GluonTS), any number of times.
    """

    chances_N: Array
    batch: int

    @property
    def passes(self) -> int:
        """How often an epoch goes through the series."""
        wanted, count = FEWEST_BATCHES * self.batch, len(self.chances_N)
        return -(-wanted // count) if count else 1

    @property
    def probability(self) -> float:
        """How many windows a series of mean length has in a pass, on average."""
        return FEWEST_BATCHES * self.batch / (self.passes * len(self.chances_N)) if self.passes > 1 else 1.0

    @property
    def batches(self) -> float:
        """How many batches an epoch has, on average."""
        return self.passes * self.probability * len(self.chances_N) / self.batch

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Of each batch, the series and the first step of the forecast (B), which is below its chances.

        It is at least 1 where it can be: nothing tells the scale of a window that begins with its series, and no
        request is like that. There is at least one window, unless there is no series.
        """
        if not len(self.chances_N):
            return
        mean_N = self.passes * self.probability * self.chances_N / self.chances_N.mean()
        index_W = np.repeat(np.arange(len(mean_N)), rng.poisson(mean_N))
        if not len(index_W):
            index_W = rng.integers(len(mean_N), size=1)
        rng.shuffle(index_W)
        chances_W = self.chances_N[index_W]
        split_W = rng.integers(np.minimum(1, chances_W - 1), chances_W)
        for start in range(0, len(index_W), self.batch):
            yield index_W[start : start + self.batch], split_W[start : start + self.batch]
