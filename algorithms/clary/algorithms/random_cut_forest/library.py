"""Numba, as the loops over trees are compiled with it: without the global lock, and kept on disk where there is room.

The threads that share the work are Python's own, because Numba's may not be entered from two requests at once, nor
survive a fork; a loop that holds no lock needs no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be formed in any order, which lets the processor add several numbers at once. Rows hold no NaN.
_FREEDOMS = {"reassoc", "contract", "nsz", "nnan"}


def compiled(function: Function) -> Function:
    """The function in machine code, made at its first call, or read from the cache that an earlier process left."""
    settings = {"nogil": True, "error_model": "numpy", "fastmath": _FREEDOMS}
    try:
        made = njit(cache=True, **settings)(function)
    except RuntimeError:  # there is no folder that this user may write to, so each process compiles for itself
        made = njit(**settings)(function)
    return cast(Function, made)
