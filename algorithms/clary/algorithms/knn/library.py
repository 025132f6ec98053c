"""The faiss library, and the one setting that is made for the whole process.

For many queries at a time the library can form distances by matrix products, which is several times as fast and loses
digits. Some of its builds do so only for very many queries; here it is the same with each.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Its stubs know less than the library has.
faiss: Any = import_module("faiss")

MANY = 32  # queries from which on matrix products are formed
faiss.cvar.distance_compute_blas_threshold = MANY

__all__ = ["MANY", "faiss"]
