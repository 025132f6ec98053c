"""Loops as machine code, by Numba: without the interpreter's lock, and kept on disk where there is room.

Only modules of loops import this one, and only where they are needed, so that nobody else loads the compiler. The
threads that share a loop's work are Python's own: Numba's may not be entered from two requests at once, nor survive
a fork.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiler(*freedoms: str) -> Callable[[Function], Function]:
    """A decorator that compiles a function at its first call, or reads what an earlier process has left.

    ``freedoms`` are what LLVM may assume of floating-point numbers, such as ``contract``.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(freedoms)}

    def compiled(function: Function) -> Function:
        try:
            made = njit(cache=True, **settings)(function)
        except RuntimeError:  # there is no folder that this user may write to, so each process compiles for itself
            made = njit(**settings)(function)
        return cast(Function, made)

    return compiled
