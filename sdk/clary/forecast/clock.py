"""The time that a job may take, and how it is shared out among what is still to be tried."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

# How much of the remaining time each candidate may use, beside those behind it.
WEIGHTS: Mapping[str, float] = {
    "seasonal_naive": 0.2,
    "npts": 0.3,
    "linear": 0.3,
    "theta": 1.0,
    "intermittent": 0.3,
    "ets": 2.5,
    "trees": 3.0,
    "mstl": 2.0,
    "arima": 2.5,
    "deepar": 5.0,
}
_MOST = 0.3  # of the remaining time, that a candidate may have whatever its weight


class Clock:
    """Counts from its making, or from the ``began`` of ``time.monotonic``; without a budget there is no end."""

    def __init__(self, budget: float | None, began: float | None = None) -> None:
        self.began = time.monotonic() if began is None else began
        # Choosing, calibrating, writing and drawing come behind the candidates.
        self.end = None if budget is None else self.began + budget - (2.0 + 0.05 * budget)

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float | None:
        """Seconds until the last candidate must be done; None without a budget."""
        return None if self.end is None else max(0.0, self.end - time.monotonic())

    def share(self, names: Sequence[str]) -> float | None:
        """When the first of the names must be done, so that the others get a part; None without a budget."""
        if self.end is None:
            return None
        weights = [WEIGHTS[name] for name in names]
        # Fewer candidates that are done are worth more than many that were given up.
        part = max(weights[0] / sum(weights), _MOST)
        return time.monotonic() + (self.left or 0.0) * part
