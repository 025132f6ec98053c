"""The rough part of an exact search: products of matrices, by BLAS on the processor and by torch on a GPU.

N sampled rows, B queries, E dimensions of the index, C candidates. Roughly, a row costs half its squared distance to
the query less half the query's squared length, or its inner product with the sign turned round.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs.optional import available
from clary.toolkit.errors import PlatformError

faiss: Any = import_module("faiss")
Array = npt.NDArray[Any]
CPU = "cpu"
MANY, WIDE = 32, 48  # queries and dimensions from which on products are faster than differences on the processor
_BLOCK, _GPU_BLOCK = 1 << 22, 1 << 26  # costs that are formed at a time


def usable(device: str) -> bool:
    """Whether products can be formed there: on the processor always, on a GPU where torch has been built for it."""
    if device == CPU:
        return True
    if not available("torch"):
        return False
    import torch

    return bool(torch.cuda.is_available())


def free_memory(device: str) -> int:
    """Bytes that are free on the GPU; 0 on the processor."""
    if device == CPU or not usable(device):
        return 0
    import torch

    return int(torch.cuda.mem_get_info()[0])


def products_on(device: str, rows_NE: Array, *, euclidean: bool) -> Products:
    """Products with these rows on that device: the processor for ``cpu``, otherwise what torch calls so.

    PlatformError where the rows do not fit into its memory.
    """
    if device == CPU or not usable(device):
        return Products(rows_NE, euclidean=euclidean)
    return DeviceProducts(device, rows_NE, euclidean=euclidean)


class Products:
    """Rough costs of all rows, and the rows that cost least. ``longest`` is the length of the longest row."""

    def __init__(self, rows_NE: Array, *, euclidean: bool) -> None:
        self._rows_NE = rows_NE
        with np.errstate(over="ignore"):
            half_N = np.einsum("ne,ne->n", rows_NE, rows_NE) / 2
        self.longest = (2 * float(half_N.max(initial=0))) ** 0.5
        self._half_N = half_N if euclidean else np.zeros_like(half_N)

    def pay(self, queries: int) -> bool:
        """Whether so many queries are searched faster this way than by differences."""
        return queries >= MANY and self._rows_NE.shape[1] >= WIDE

    def cheapest(self, queries_BE: Array, candidates: int) -> tuple[Array, Array]:
        """The cost (B) of the last of so many candidates, and their numbers (B, C); -1 where no more are finite."""
        found = faiss.ResultHeap(len(queries_BE), candidates)
        step = max(1, _BLOCK // len(queries_BE))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(self._rows_NE), step):
                part = slice(start, start + step)
                cost_BN = queries_BE @ self._rows_NE[part].T
                np.subtract(self._half_N[part], cost_BN, out=cost_BN)
                found.heaps.addn(cost_BN.shape[1], faiss.swig_ptr(cost_BN), start)
            found.finalize()
        return found.D[:, -1], found.I


class DeviceProducts(Products):
    """The same on a device of torch, where the rows stay. It is always worth the way there."""

    def __init__(self, device: str, rows_NE: Array, *, euclidean: bool) -> None:
        import torch

        super().__init__(rows_NE, euclidean=euclidean)
        self._torch, self._device = torch, torch.device(device)
        # The bound on the rounding is that of float32; some machines are set up to round products to less.
        torch.set_float32_matmul_precision("highest")
        try:
            self._rows, self._half = self._placed(rows_NE), self._placed(self._half_N)
        except torch.OutOfMemoryError as error:
            size = rows_NE.nbytes >> 20
            raise PlatformError(
                f"the index takes {size} MiB, which the GPU has not free; "
                "set CLARY_DEVICE to cpu, or serve with fewer workers"
            ) from error

    def pay(self, queries: int) -> bool:
        """Always: differences are formed on the processor."""
        return True

    def cheapest(self, queries_BE: Array, candidates: int) -> tuple[Array, Array]:
        """The cost (B) of the last of so many candidates, and their numbers (B, C); -1 where no more are finite."""
        torch, queries = self._torch, self._placed(queries_BE)
        step = max(1, _GPU_BLOCK // len(queries_BE))
        cost_BC = torch.empty((len(queries_BE), 0), device=self._device)
        number_BC = torch.empty((len(queries_BE), 0), dtype=torch.int64, device=self._device)
        for start in range(0, len(self._rows_NE), step):
            part = slice(start, start + step)
            cost_BN = torch.addmm(self._half[part], queries, self._rows[part].T, alpha=-1)
            near_BC, place_BC = cost_BN.topk(min(candidates, cost_BN.shape[1]), largest=False)
            both_BC = torch.cat([cost_BC, near_BC], dim=1)
            cost_BC, order_BC = both_BC.topk(min(candidates, both_BC.shape[1]), largest=False)
            number_BC = torch.cat([number_BC, place_BC + start], dim=1).gather(1, order_BC)
        number_BC[~cost_BC.isfinite()] = -1
        return cost_BC[:, -1].cpu().numpy(), number_BC.cpu().numpy()

    def _placed(self, array: Array) -> Any:
        return self._torch.tensor(array, device=self._device)
