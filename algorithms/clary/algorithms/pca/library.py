"""BLAS as SciPy brings it, called without the interpreter's lock, so that threads can work side by side."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt


def gram(rows_BD: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The product of the rows' transpose with the rows (D, D); the upper triangle counts, the rest is zero.

    The rows are C-contiguous. SciPy's own wrapper of ``dsyrk`` keeps the lock while it runs.
    """
    count, width = rows_BD.shape
    product_DD = np.zeros((width, width), order="F")
    sizes = [ctypes.byref(ctypes.c_int(size)) for size in (width, count)]
    one, nothing = (ctypes.byref(ctypes.c_double(factor)) for factor in (1.0, 0.0))
    # For Fortran, rows one after the other are columns: this array is the transposed one already.
    _dsyrk()(b"U", b"N", *sizes, one, rows_BD.ctypes.data, sizes[0], nothing, product_DD.ctypes.data, sizes[0])
    return product_DD


@cache
def _dsyrk() -> Any:
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__["dsyrk"]
    named = ctypes.pythonapi.PyCapsule_GetName
    named.restype, named.argtypes = ctypes.c_char_p, [ctypes.py_object]
    opened = ctypes.pythonapi.PyCapsule_GetPointer
    opened.restype, opened.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, *[ctypes.c_void_p] * 8)(
        opened(capsule, named(capsule))
    )
