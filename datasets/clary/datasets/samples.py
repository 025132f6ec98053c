"""Small real data that reaches this machine inside a package, so that nothing is downloaded."""

from __future__ import annotations

import numpy as np

from clary.toolkit.errors import PlatformError
from clary.toolkit.records import Records


def digits() -> Records:
    """1,797 handwritten digits: 64 pixel values from 0 to 16, and the digit as the label.

    From the UCI "Optical Recognition of Handwritten Digits" set (CC BY 4.0) as scikit-learn ships it.
    PlatformError where scikit-learn is not installed.
    """
    return _bundled("digits")


def breast_cancer() -> Records:
    """569 tumors: 30 measures of their cells, and as the label 0 for malignant and 1 for benign.

    From the UCI "Breast Cancer Wisconsin (Diagnostic)" set (CC BY 4.0) as scikit-learn ships it.
    PlatformError where scikit-learn is not installed.
    """
    return _bundled("breast_cancer")


def diabetes() -> Records:
    """442 patients: 10 measures, centered and scaled, and the progression of diabetes in a year as the label.

    The data of Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression" (2004), published without
    terms, as scikit-learn ships them. PlatformError where scikit-learn is not installed.
    """
    return _bundled("diabetes")


def _bundled(name: str) -> Records:
    """The set of that name in scikit-learn."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise PlatformError("the sample data comes with scikit-learn; pip install 'clary[samples]'") from error
    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return Records(np.ascontiguousarray(features, dtype=np.float32), labels.astype(np.float32)[:, None], source=name)
