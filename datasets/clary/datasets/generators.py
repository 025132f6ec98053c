"""Made-up data of any size from a seed, for tests, benchmarks and first tries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clary.toolkit.records import Records


def blobs(rows: int, width: int, centers: int, *, seed: int = 0, spread: float = 1.0) -> Records:
    """Rows around that many random centers; the label is the center's index."""
    return next(blob_stream(rows, width, centers, seed=seed, spread=spread, block=rows))


def blob_stream(
    rows: int, width: int, centers: int, *, seed: int = 0, spread: float = 1.0, block: int = 10_000
) -> Iterator[Records]:
    """The same kind of rows in blocks, so that data larger than memory can be written."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(scale=5.0, size=(centers, width)).astype(np.float32)
    for start in range(0, rows, block):
        count = min(block, rows - start)
        index = rng.integers(centers, size=count)
        noise = rng.standard_normal((count, width), dtype=np.float32) * np.float32(spread)
        yield Records(middles[index] + noise, index.astype(np.float32)[:, None], "blobs", start + 1)
