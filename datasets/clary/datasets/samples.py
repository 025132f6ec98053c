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
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise PlatformError("the sample data comes with scikit-learn; pip install 'clary[samples]'") from error
    pixels, labels = load_digits(return_X_y=True)
    return Records(
        np.ascontiguousarray(pixels, dtype=np.float32), labels.astype(np.float32)[:, None], source="digits"
    )
