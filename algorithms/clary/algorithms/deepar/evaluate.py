"""How good forecasts are: quantile losses and RMSE of withheld points, as the managed algorithm defines them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass
class Errors:
    """Sums over withheld points, from which the scores come; sums of several hosts may be added.

    ``losses`` holds for each level twice the sum of the quantile losses; ``size`` is the sum of absolute targets.
    """

    levels: tuple[float, ...]
    losses: Array
    squares: float = 0.0
    size: float = 0.0
    points: float = 0.0

    @classmethod
    def none(cls, levels: Sequence[float]) -> Errors:
        """No point yet."""
        return cls(tuple(levels), np.zeros(len(levels)))

    def add(self, paths_NST: Array, target_NT: Array) -> None:
        """Count forecasts by sample paths of targets; targets that are missing (NaN) do not count."""
        known_NT = ~np.isnan(target_NT)
        target, paths = target_NT[known_NT].astype(np.float64), paths_NST.transpose(0, 2, 1)[known_NT]
        for place, level in enumerate(self.levels):
            over = np.quantile(paths, level, axis=1) - target
            self.losses[place] += 2 * np.where(over > 0, (1 - level) * over, -level * over).sum()
        self.squares += float(np.square(paths.mean(axis=1, dtype=np.float64) - target).sum())
        self.size += float(np.abs(target).sum())
        self.points += len(target)

    def numbers(self) -> Array:
        """All sums in a row, to be added up over hosts."""
        return np.array([*self.losses, self.squares, self.size, self.points])

    def of(self, numbers: Array) -> Errors:
        """These levels with other sums."""
        count = len(self.levels)
        return Errors(self.levels, numbers[:count], *numbers[count:].tolist())

    @property
    def rmse(self) -> float:
        """Root of the mean squared difference of the mean forecast and the target."""
        return float(np.sqrt(self.squares / self.points))

    @property
    def quantile_losses(self) -> Array:
        """The loss of each level over the sum of absolute targets, which counts as 1 where it is 0."""
        return self.losses / (self.size or 1.0)

    @property
    def mean_quantile_loss(self) -> float:
        """The mean of the levels' weighted losses."""
        return float(self.quantile_losses.mean())
