"""The smallest honest factorization machine: even and odd digits, which no single pixel tells apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clary.datasets import samples
from clary.toolkit.example import Example, Variant
from clary.toolkit.records import Records

_TRAINING = 1200  # rows; the others are for the test


def _even_or_odd(test: bool) -> Records:
    """Digits with pixels from 0 to 1, labeled 1 where the digit is odd."""
    digits = samples.digits()
    order = np.random.default_rng(0).permutation(len(digits))
    chosen = digits.take(order[_TRAINING:] if test else order[:_TRAINING])
    assert chosen.labels is not None
    odd = (chosen.labels % 2).astype(np.float32)
    return replace(chosen, features=chosen.dense() / 16, labels=odd)


def _diabetes() -> Records:
    """Patients with measures of about 1, and the progression in tens, in an order that means nothing."""
    patients = samples.diabetes()
    assert patients.labels is not None
    scaled = replace(patients, features=patients.dense() * 20, labels=patients.labels / np.float32(10))
    return scaled.take(np.random.default_rng(0).permutation(len(scaled)))


_RATES = {"factors_lr": "0.02", "linear_lr": "0.02", "factors_init_sigma": "0.1", "mini_batch_size": "100"}

EXAMPLE = Example(
    title="Tell even from odd handwritten digits by pairs of pixels",
    hyperparameters={
        **_RATES,
        "predictor_type": "binary_classifier",
        "feature_dim": "64",
        "num_factors": "8",
        "epochs": "15",
    },
    channels={"train": lambda: _even_or_odd(False), "test": lambda: _even_or_odd(True)},
    metric="test:binary_classification_accuracy",
    # Scikit-learn's LogisticRegression, which knows no pairs, labels 91% of these rows right.
    reach=0.95,
    longer={"epochs": "1000000"},
    fixed=("predictor_type", "feature_dim"),
    variants={
        "regressor": Variant(
            hyperparameters={
                **_RATES,
                "predictor_type": "regressor",
                "feature_dim": "10",
                "num_factors": "4",
                "epochs": "5",
            },
            channels={"train": _diabetes, "test": _diabetes},
        ),
    },
)
