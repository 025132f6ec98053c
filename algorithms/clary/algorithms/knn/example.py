"""The smallest honest k-NN job: the digit that an image shows, by the images most like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from clary.datasets import samples
from clary.toolkit.example import Example, Variant
from clary.toolkit.records import Records

_SHARES = {"train": (0.0, 0.7), "test": (0.7, 1.0)}


def _channels(load: Callable[[], Records]) -> Mapping[str, Callable[[], Records]]:
    """Channels that share the rows of the set out among themselves, in an order that means nothing."""

    def part(name: str) -> Callable[[], Records]:
        def rows() -> Records:
            whole = load()
            start, stop = (int(share * len(whole)) for share in _SHARES[name])
            return whole.take(np.random.default_rng(0).permutation(len(whole))[start:stop])

        return rows

    return {name: part(name) for name in _SHARES}


EXAMPLE = Example(
    title="Read handwritten digits of 8 by 8 pixels by the five images most like each",
    hyperparameters={
        "feature_dim": "64",
        "k": "5",
        "predictor_type": "classifier",
        "sample_size": "1200",
        "dimension_reduction_type": "sign",
        "dimension_reduction_target": "40",
        "mini_batch_size": "200",
    },
    channels=_channels(samples.digits),
    metric="test:accuracy",
    # Scikit-learn's brute force on all 64 pixels labels 533 of these 540 right; 40 random dimensions cost a few.
    reach=0.965,
    fixed=("predictor_type",),
    variants={
        "regressor": Variant(
            hyperparameters={"feature_dim": "10", "k": "20", "predictor_type": "regressor", "sample_size": "1000"},
            channels=_channels(samples.diabetes),
        ),
        "cosine in cells": Variant(
            hyperparameters={
                "feature_dim": "64",
                "k": "3",
                "predictor_type": "classifier",
                "sample_size": "1000",
                "index_type": "faiss.IVFFlat",
                "index_metric": "COSINE",
            },
            channels=_channels(samples.digits),
        ),
        "compressed": Variant(
            hyperparameters={
                "feature_dim": "64",
                "k": "3",
                "predictor_type": "classifier",
                "sample_size": "1000",
                "dimension_reduction_type": "fjlt",
                "dimension_reduction_target": "50",
                "index_type": "faiss.IVFPQ",
                "faiss_index_pq_m": "16",
            },
            channels=_channels(samples.digits),
        ),
        "graph": Variant(
            hyperparameters={
                "feature_dim": "64",
                "k": "3",
                "predictor_type": "classifier",
                "sample_size": "1000",
                "index_type": "faiss.HNSW",
            },
            channels=_channels(samples.digits),
        ),
    },
)
