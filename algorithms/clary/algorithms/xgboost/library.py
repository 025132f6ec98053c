"""The XGBoost library, imported without scikit-learn, whose half of the start-up time nothing here has a use for.

Where scikit-learn is installed, the library loads it for its own wrapper classes, which takes a second or more and
100 MB. A process that has loaded it already keeps it, and its wrapper classes with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_COSTLY = "sklearn"


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Let imports of the package fail, as they do where it is not installed; not if it is loaded already."""
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[name]


with _absent(_COSTLY):
    import xgboost
    from xgboost import collective
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

__all__ = ["RabitTracker", "XGBoostError", "collective", "xgboost"]
