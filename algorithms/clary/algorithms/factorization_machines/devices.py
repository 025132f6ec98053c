"""Where the parameters live and a step is computed: compiled loops on the processor, torch on a GPU.

B rows of a batch, U features that it touches, D features, K factors, P = K + 1 parameters of a feature. Both devices
keep the parameters of a feature and their two moments side by side, and read and write those of touched ones only.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from clary.algorithms.factorization_machines.data import Batch
from clary.algorithms.factorization_machines.model import KEEP_1, KEEP_2, Adam
from clary.toolkit.device import cores

Array = npt.NDArray[Any]
_STATE = ("weights", "first", "second")
_WORTH_A_THREAD = 1 << 17  # products of two numbers; with fewer, handing them over takes longer than forming them


class Device(ABC):
    """Parameters (D, P) under training. A step is ``scores``, then ``gradient``, then ``move``."""

    @abstractmethod
    def scores(self, batch: Batch, bias: float) -> Array:
        """The score of each row (B), in float64."""

    @abstractmethod
    def gradient(self, slopes_B: Array) -> tuple[Array, Any]:
        """The features (U) that the batch touches, and their gradient (U, P) summed over its rows."""

    @abstractmethod
    def fetched(self, gradient_UP: Any) -> Array:
        """A gradient of this device as an array that another host can be sent."""

    @abstractmethod
    def placed(self, gradient_UP: Array) -> Any:
        """A gradient from another host on this device."""

    @abstractmethod
    def move(self, columns_U: Array, gradient_UP: Any, share: float, correction: float) -> bool:
        """Update those features; False, and nothing is changed, where the gradient is too large for float32."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """The parameters and their moments, each (D, P), as they are now; to be read and not to be kept."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the device holds beside memory."""


class Processor(Device):
    """Compiled loops on all cores. The number of cores changes nothing in the result."""

    def __init__(self, weights_DP: Array, rule: Adam, state: Mapping[str, Array] | None = None) -> None:
        # Imported here, because a server has no use for the compiler.
        from clary.algorithms.factorization_machines import loops

        self._loops = loops
        features, self._size = weights_DP.shape
        # The parameters of a feature lie beside their moments, so that a step has one place in memory to go to.
        self._state_D3P = np.empty((features, len(_STATE), self._size), np.float32)
        for place, name in enumerate(_STATE):
            self._state_D3P[:, place] = (state or {"weights": weights_DP}).get(name, 0)
        self._flat = self._state_D3P.reshape(-1)
        self._rule, self._batch, self._sums_BK = rule, Batch.of(None), np.zeros(0, np.float32)
        self._place_D = np.full(features, -1, np.int32)
        self._kept: dict[str, Array] = {}
        self._threads = cores()
        self._pool = ThreadPoolExecutor(self._threads - 1, "clary-step") if self._threads > 1 else None

    def scores(self, batch: Batch, bias: float) -> Array:
        """The score of each row (B), in float64."""
        factors = self._size - 1
        self._batch, self._sums_BK = batch, self._room("sums", len(batch) * factors)
        scores_B = np.empty(len(batch))
        given = (batch.ends_B, batch.columns, batch.values, bias, factors, self._flat, self._sums_BK, scores_B)
        self._shared_out(self._loops.score, batch.ends_B, *given)
        return scores_B

    def gradient(self, slopes_B: Array) -> tuple[Array, Array]:
        """The features (U) that the batch touches, and their gradient (U, P) summed over its rows."""
        batch, count, size = self._batch, len(self._batch.values), self._size
        columns = np.empty(count, batch.columns.dtype)
        places, rows = self._room("places", count, np.int32), self._room("rows", count, np.int32)
        ends, values = self._room("ends", count + 1, np.int64), self._room("values", count)
        rows_of = (batch.ends_B, batch.columns, batch.values)
        touched = self._loops.turned(*rows_of, self._place_D, places, columns, ends, rows, values)
        columns_U, ends_U = columns[:touched], ends[: touched + 1]
        gradient = self._room("gradient", touched * size)
        given = (columns_U, ends_U, rows, values, slopes_B, size - 1, self._sums_BK, self._flat, gradient)
        self._shared_out(self._loops.slope, ends_U, *given)
        return columns_U, gradient.reshape(touched, size)

    def fetched(self, gradient_UP: Array) -> Array:
        """The gradient, as it is."""
        return gradient_UP

    def placed(self, gradient_UP: Array) -> Array:
        """The gradient, as it is."""
        return gradient_UP

    def move(self, columns_U: Array, gradient_UP: Array, share: float, correction: float) -> bool:
        """Update those features; False, and nothing is changed, where the gradient is too large for float32."""
        rule, flat = self._rule, gradient_UP.reshape(-1)
        if not np.isfinite(self._loops.squared(flat, share)):
            return False
        numbers = (rule.rates_P, rule.decays_P, correction, share, rule.most, rule.eps, KEEP_1, KEEP_2)
        self._shared_out(self._loops.move, np.arange(len(columns_U) + 1), columns_U, flat, self._flat, *numbers)
        return True

    def state(self) -> dict[str, Array]:
        """The parameters and their moments, each (D, P), as they are now; to be read and not to be kept."""
        return {name: self._state_D3P[:, place] for place, name in enumerate(_STATE)}

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()

    def _room(self, name: str, size: int, kind: type[np.generic] = np.float32) -> Array:
        """An array of that size in memory that is used again at each step: fresh pages are slow to come by."""
        if name not in self._kept or len(self._kept[name]) < size:
            self._kept[name] = np.empty(size + size // 4, kind)
        return self._kept[name][:size]

    def _shared_out(self, loop: Callable[..., None], ends: Array, *given: Any) -> None:
        """Run the loop over everything, cut into ranges of about as much work where there is enough of it."""
        count, work = len(ends) - 1, int(ends[-1]) * self._size
        parts = min(self._threads, max(1, work // _WORTH_A_THREAD))
        if self._pool is None or parts == 1:
            loop(0, count, *given)
            return
        cuts = np.searchsorted(ends, np.linspace(0, int(ends[-1]), parts + 1)[1:-1]).tolist()
        cuts = [0, *cuts, count]
        waiting = [self._pool.submit(loop, cuts[part], cuts[part + 1], *given) for part in range(1, parts)]
        loop(0, cuts[1], *given)
        for each in waiting:
            each.result()


class Card(Device):
    """Torch on a GPU, or wherever torch computes: sparse products with the parameters of touched features."""

    def __init__(
        self, weights_DP: Array, rule: Adam, state: Mapping[str, Array] | None = None, place: str = "cuda"
    ) -> None:
        import torch

        self._torch, self._place, self._rule = torch, place, rule
        self._weights, self._first, self._second = (
            torch.tensor((state or {"weights": weights_DP}).get(name, np.zeros((1, 1), np.float32)), device=place)
            for name in _STATE
        )
        if state is None:
            self._first, self._second = torch.zeros_like(self._weights), torch.zeros_like(self._weights)
        self._decays_P = self._number(rule.decays_P)
        self._rates_P = self._number(rule.rates_P)

    def scores(self, batch: Batch, bias: float) -> Array:
        """The score of each row (B), in float64."""
        rows = csr_matrix(
            (batch.values, batch.columns, batch.ends_B), shape=(len(batch), len(self._weights)), copy=True
        )
        rows.eliminate_zeros()
        self._columns_U, places = np.unique(rows.indices, return_inverse=True)
        shape = (len(batch), len(self._columns_U))
        rows = csr_matrix((rows.data, places.reshape(-1), rows.indptr), shape=shape)
        self._touched = self._torch.tensor(self._columns_U.astype(np.int64), device=self._place)
        turned = rows.T.tocsr()
        self._turned, self._turned_squares = self._sparse(turned), self._sparse(turned.multiply(turned))
        self._weights_UP = self._weights.index_select(0, self._touched)
        product_BP = self._sparse(rows) @ self._weights_UP
        self._sums_BK = product_BP[:, :-1]
        own_U1 = self._weights_UP[:, :-1].square().sum(dim=1, keepdim=True)
        own_B = (self._sparse(rows.multiply(rows)) @ own_U1)[:, 0]
        scores_B = bias + product_BP[:, -1] + (self._sums_BK.square().sum(dim=1) - own_B) / 2
        found: Array = scores_B.double().cpu().numpy()
        return found

    def gradient(self, slopes_B: Array) -> tuple[Array, Any]:
        """The features (U) that the batch touches, and their gradient (U, P) summed over its rows."""
        slopes_B1 = self._number(slopes_B)[:, None]
        pulls_BP = self._torch.cat([slopes_B1 * self._sums_BK, slopes_B1], dim=1)
        gradient_UP = self._turned @ pulls_BP
        gradient_UP[:, :-1] -= (self._turned_squares @ slopes_B1) * self._weights_UP[:, :-1]
        return self._columns_U, gradient_UP

    def fetched(self, gradient_UP: Any) -> Array:
        """The gradient in the machine's own memory."""
        found: Array = gradient_UP.cpu().numpy()
        return found

    def placed(self, gradient_UP: Array) -> Any:
        """The gradient on the GPU."""
        return self._torch.tensor(gradient_UP, device=self._place)

    def move(self, columns_U: Array, gradient_UP: Any, share: float, correction: float) -> bool:
        """Update those features; False, and nothing is changed, where the gradient is too large for float32."""
        rule, torch = self._rule, self._torch
        if not bool(torch.isfinite((gradient_UP * share).square().sum())):
            return False
        touched = torch.tensor(columns_U.astype(np.int64), device=self._place)
        weights, first, second = (
            each.index_select(0, touched) for each in (self._weights, self._first, self._second)
        )
        pull = (gradient_UP * share + self._decays_P * weights).clamp(-rule.most, rule.most)
        first = KEEP_1 * first + (1 - KEEP_1) * pull
        second = KEEP_2 * second + (1 - KEEP_2) * pull.square()
        weights = weights - correction * self._rates_P * first / (second.sqrt() + rule.eps)
        self._weights.index_copy_(0, touched, weights)
        self._first.index_copy_(0, touched, first)
        self._second.index_copy_(0, touched, second)
        return True

    def state(self) -> dict[str, Array]:
        """The parameters and their moments, each (D, P), as they are now; to be read and not to be kept."""
        arrays = (self._weights, self._first, self._second)
        return {name: each.cpu().numpy() for name, each in zip(_STATE, arrays, strict=True)}

    def close(self) -> None:
        """Nothing is held beside memory."""

    def _number(self, values: Array) -> Any:
        return self._torch.tensor(values, dtype=self._torch.float32, device=self._place)

    def _sparse(self, rows: Any) -> Any:
        parts = (self._torch.tensor(part, device=self._place) for part in (rows.indptr, rows.indices, rows.data))
        # Torch warns once that its sparse tensors are in beta; products of matrices are all that is asked of them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self._torch.sparse_csr_tensor(*parts, size=rows.shape, check_invariants=False)
