"""The smallest honest linear classifier, of tumors; and a regressor and a multiclass classifier beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from clary.datasets import samples
from clary.toolkit.example import Example, Variant
from clary.toolkit.records import Records

_SHARES = {"train": (0.0, 0.7), "validation": (0.7, 0.85), "test": (0.85, 1.0)}
_SMALL = {"epochs": "5", "mini_batch_size": "32", "num_models": "4"}
_REGRESSOR = {**_SMALL, "predictor_type": "regressor"}
_CLASSES = {**_SMALL, "predictor_type": "multiclass_classifier", "num_classes": "10", "accuracy_top_k": "2"}


def _channels(load: Callable[[], Records], *names: str) -> Mapping[str, Callable[[], Records]]:
    """Channels that share the rows of the set out among themselves, in an order that means nothing."""

    def part(name: str) -> Callable[[], Records]:
        def rows() -> Records:
            whole = load()
            start, stop = (int(share * len(whole)) for share in _SHARES[name])
            return whole.take(np.random.default_rng(0).permutation(len(whole))[start:stop])

        return rows

    return {name: part(name) for name in names}


EXAMPLE = Example(
    title="Tell benign from malignant tumors by 30 measures of their cells",
    hyperparameters={**_SMALL, "predictor_type": "binary_classifier"},
    channels=_channels(samples.breast_cancer, "train", "validation", "test"),
    metric="test:binary_classification_accuracy",
    # Scikit-learn's LogisticRegression on standardized features labels 81 of these 86 rows right; one more may fail.
    reach=80 / 86,
    longer={"epochs": "1000000", "early_stopping_patience": "1000001"},
    fixed=("predictor_type", "feature_dim"),
    variants={
        "without validation": Variant(
            hyperparameters={**_SMALL, "predictor_type": "binary_classifier"},
            channels=_channels(samples.breast_cancer, "train"),
        ),
        "regressor": Variant(
            hyperparameters=_REGRESSOR, channels=_channels(samples.diabetes, "train", "validation", "test")
        ),
        "regressor without validation": Variant(
            hyperparameters=_REGRESSOR, channels=_channels(samples.diabetes, "train")
        ),
        "multiclass": Variant(
            hyperparameters=_CLASSES, channels=_channels(samples.digits, "train", "validation", "test")
        ),
        "multiclass without validation": Variant(
            hyperparameters=_CLASSES, channels=_channels(samples.digits, "train")
        ),
    },
)
