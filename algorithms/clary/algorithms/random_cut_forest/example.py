"""The smallest honest random cut forest: two anomalies in four weeks of demand."""

from __future__ import annotations

from clary.datasets import generators
from clary.datasets.shingles import shingled
from clary.toolkit.example import Example
from clary.toolkit.records import Records

SHINGLE = 4


def rows() -> Records:
    """Two hours of demand in a row, which is an anomaly where one of its four steps is."""
    series = generators.demand(27)
    assert series.labels is not None
    labels = shingled(series.labels, SHINGLE).max(axis=1, keepdims=True)
    return Records(shingled(series.dense(), SHINGLE), labels, "demand")


EXAMPLE = Example(
    title="Find a surge and an outage in 1,296 half-hours of demand",
    hyperparameters={"feature_dim": str(SHINGLE), "num_trees": "60", "num_samples_per_tree": "64"},
    channels={"train": rows, "test": rows},
    metric="test:f1",
    reach=0.95,
)
