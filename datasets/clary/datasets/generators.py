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


def bars(documents: int, words: int = 100, *, seed: int = 0, concentration: float = 1.0, side: int = 5) -> Records:
    """Documents of so many words, the pixels of a square; topics are its rows and columns, each an even bar.

    The corpus of Griffiths and Steyvers, "Finding scientific topics" (2004). The concentration is the sum of the even
    Dirichlet prior that mixtures are drawn from.
    """
    rng, even = np.random.default_rng(seed), np.eye(side) / side
    topics = np.concatenate([np.repeat(even, side, axis=1), np.tile(even, side)])
    mixtures = rng.dirichlet(np.full(2 * side, concentration / (2 * side)), documents)
    return Records(rng.multinomial(words, mixtures @ topics).astype(np.float32), source="bars")


def demand(days: int = 60, *, seed: int = 0) -> Records:
    """Half-hourly demand with a rhythm of days and weeks, 48 rows a day of one value; the label is 1 in an anomaly.

    There is one anomaly in every ten days, of two hours: a surge and an outage in turn.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(48 * days) / 2
    weekend = np.where(hours // 24 % 7 >= 5, 0.7, 1.0)
    rhythm = 1 - np.cos(2 * np.pi * (hours - 4) / 24) + 0.4 * np.sin(4 * np.pi * (hours - 9) / 24)
    values = 60 + 50 * weekend * rhythm
    labels = np.zeros(len(values), np.float32)
    for number, day in enumerate(range(7, days, 10)):
        start = 48 * day + int(rng.integers(16, 36))
        anomaly = slice(start, start + 4)
        values[anomaly] = 5.0 if number % 2 else values[anomaly] + 150
        labels[anomaly] = 1
    values += rng.normal(scale=5.0, size=len(values))
    return Records(values.astype(np.float32)[:, None], labels[:, None], "demand")
