"""Made-up time series from a seed, each a record with a start, a target and, where they are asked for, features."""

from __future__ import annotations

from typing import Any

import numpy as np

Record = dict[str, Any]
GROUPS = 3
_BEGIN = np.datetime64("2024-01-01T00")


def seasonal(
    count: int, steps: int, *, seed: int = 0, features: bool = False, counts: bool = False, missing: float = 0.0
) -> list[Record]:
    """Hourly series with a rhythm of days, a trend, noise and a level of their own, as JSON can hold them.

    They begin at different hours. With ``features`` each has ``cat``, its group, which moves its busiest hour, and
    ``dynamic_feat``, one row that is 1 in hours with half as much again. With ``counts`` targets are whole numbers.
    That share of the values is ``missing``, which is None.
    """
    rng = np.random.default_rng(seed)
    return [_record(rng, number, steps, features, counts, missing) for number in range(count)]


def _record(
    rng: np.random.Generator, number: int, steps: int, features: bool, counts: bool, missing: float
) -> Record:
    begin = _BEGIN + np.timedelta64(5 * number, "h")
    hours = (5 * number + np.arange(steps)) % 24
    group = number % GROUPS if features else 0
    level, trend, noise = rng.uniform(8, 40), rng.uniform(-0.3, 0.6), rng.normal(scale=0.25, size=steps)
    values = 1 + 0.6 * np.sin(2 * np.pi * (hours - 9 - 8 * group) / 24) + trend * np.arange(steps) / steps + noise
    busy = (rng.random(steps) < 0.2).astype(float) * features
    values = level * np.maximum(values, 0) * (1 + busy / 2)
    values = rng.poisson(values).astype(float) if counts else values.round(2)
    gone = rng.random(steps) < missing
    record: Record = {
        "start": str(begin).replace("T", " ") + ":00:00",
        "target": [None if absent else value for value, absent in zip(values.tolist(), gone, strict=True)],
    }
    return {**record, "cat": [group], "dynamic_feat": [busy.tolist()]} if features else record
