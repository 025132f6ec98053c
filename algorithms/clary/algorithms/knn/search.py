"""The index of the sampled rows: how it is built, searched, written and read.

N sampled rows, B queries, E dimensions of the index, K neighbors. Searches may come from several threads at once;
each uses the library's own threads, of which ``OMP_NUM_THREADS`` is the number.
"""

from __future__ import annotations

import io
import math
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.knn.devices import CPU, MANY, products_on
from clary.algorithms.knn.spec import FLAT, HNSW, IVF_FLAT, L2, PARTS, Hyperparameters
from clary.toolkit.errors import UserError

# The stubs of the library know less than it has.
faiss: Any = import_module("faiss")
Array = npt.NDArray[Any]

_SPARE = 16  # candidates beyond k that an exact search looks at again, at least
_GATHERED = 1 << 24  # numbers of candidates' rows that lie in memory at a time
_NUMBERS = 10_000  # a limit above this is one of numbers, not of queries
_UNIT = 2.0**-24  # the relative error of one rounding in float32


def parts_of(hp: Hyperparameters, width: int) -> int:
    """Into how many parts faiss.IVFPQ cuts a row of that width; 1 for the other types."""
    if not hp.compresses:
        return 1
    return hp.faiss_index_pq_m or max(part for part in PARTS if part <= max(1, width // 2))


def cells_of(hp: Hyperparameters, rows: int) -> int:
    """Number of cells of the types that have some, for so many rows."""
    given = hp.faiss_index_ivf_nlists
    return max(1, math.isqrt(rows)) if isinstance(given, str) else given


def empty_index(hp: Hyperparameters, width: int, parts: int, rows: int, seed: int) -> Any:
    """A faiss index for so many rows of that width, to be trained and filled; faiss.IVFPQ cuts them into parts."""
    metric = faiss.METRIC_L2 if hp.index_metric == L2 else faiss.METRIC_INNER_PRODUCT
    if hp.index_type == FLAT:
        return faiss.IndexFlatL2(width) if hp.index_metric == L2 else faiss.IndexFlatIP(width)
    if hp.index_type == HNSW:
        index = faiss.IndexHNSWFlat(width, hp.faiss_index_hnsw_m, metric)
        index.hnsw.efConstruction = hp.faiss_index_hnsw_ef_construction
        index.hnsw.efSearch = hp.faiss_index_hnsw_ef_search
        return index
    cells = cells_of(hp, rows)
    quantizer = faiss.IndexFlat(width, metric)
    if hp.index_type == IVF_FLAT:
        index = faiss.IndexIVFFlat(quantizer, width, cells, metric)
    else:
        # A byte for each part; fewer bits where there are not rows enough to choose 256 values from.
        bits = min(8, rows.bit_length() - 1)
        index = faiss.IndexIVFPQ(quantizer, width, cells, parts, bits)
        _settle(index.pq.cp, seed)
    _settle(index.cp, seed)
    index.nprobe = hp.faiss_index_nprobe
    return index


def _settle(clustering: Any, seed: int) -> None:
    clustering.seed = seed & 0x7FFFFFFF
    # Few rows for each center are what the user asked for; the library would grumble on standard error.
    clustering.min_points_per_centroid = 1


def encode(index: Any) -> bytes:
    """The index as a file that ``faiss.read_index`` loads."""
    file = io.BytesIO()
    faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))
    return file.getvalue()


def decode(content: bytes, name: str) -> Any:
    """The faiss index in the file; UserError where it is damaged or of a type that is not used here."""
    try:
        index = faiss.read_index(faiss.PyCallbackIOReader(io.BytesIO(content).read))
    except (RuntimeError, MemoryError) as error:
        raise UserError(f"{name} cannot be read as a faiss index: {str(error).splitlines()[-1]}") from error
    if not isinstance(index, (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexIVFPQ, faiss.IndexHNSWFlat)):
        raise UserError(
            f"{name} holds a faiss index of type {type(index).__name__}; "
            "possible are IndexFlat, IndexIVFFlat, IndexIVFPQ and IndexHNSWFlat"
        )
    return index


class Index:
    """A filled faiss index, ready to be asked; an exact one searches on the device, the others on the processor."""

    def __init__(self, index: Any, device: str = CPU) -> None:
        self._index = index
        self.rows, self.width = int(index.ntotal), int(index.d)
        self._euclidean = index.metric_type == faiss.METRIC_L2
        self._compressed = isinstance(index, faiss.IndexIVFPQ)
        self._exact = _Exact(index, device) if isinstance(index, faiss.IndexFlat) else None

    def search(self, queries_BE: Array, neighbors: int) -> tuple[Array, Array]:
        """Distances and numbers of the nearest rows (B, K), nearest first; of equally near ones the lower number.

        Distances are Euclidean, or the inner products themselves. Where too few are finite, the last numbers are -1
        and the distances beside them are not finite.
        """
        if self._exact is not None:
            near_BK, number_BK = self._exact.search(queries_BE, neighbors)
        else:
            near_BK, number_BK = self._approximate(queries_BE, neighbors)
        _settle_ties(near_BK, number_BK)
        if self._compressed:
            # Rounding can leave the squared distance of a compressed row a hair below zero.
            np.maximum(near_BK, 0, out=near_BK)
        if self._euclidean:
            np.sqrt(near_BK, out=near_BK)
        return near_BK, number_BK

    def _approximate(self, queries_BE: Array, neighbors: int) -> tuple[Array, Array]:
        """What the index finds; where it visits fewer than K rows, all rows are looked at instead."""
        near_BK, number_BK = self._index.search(queries_BE, neighbors)
        short_B = number_BK[:, -1] < 0
        if np.count_nonzero(short_B):
            near_BK[short_B], number_BK[short_B] = self._everywhere(queries_BE[short_B], neighbors)
            near_BK[number_BK < 0] = np.nan
        return near_BK, number_BK

    def _everywhere(self, queries_BE: Array, neighbors: int) -> Any:
        if isinstance(self._index, faiss.IndexHNSWFlat):
            return self._index.storage.search(queries_BE, neighbors)
        every = faiss.SearchParametersIVF(nprobe=self._index.nlist)
        return self._index.search(queries_BE, neighbors, params=every)


def _settle_ties(near_BK: Array, number_BK: Array) -> None:
    """Put equally near rows in the order of their numbers, in place."""
    tied_BK = near_BK[:, 1:] == near_BK[:, :-1]
    if np.count_nonzero(tied_BK):
        tied_B = np.flatnonzero(tied_BK.any(axis=1))
        # The rank of a distance stands for it, so that one rule serves rising distances and falling similarities.
        rank_BK = np.zeros(near_BK[tied_B].shape, np.int64)
        np.cumsum(near_BK[tied_B, 1:] != near_BK[tied_B, :-1], axis=1, out=rank_BK[:, 1:])
        order_BK = np.lexsort((number_BK[tied_B], rank_BK), axis=1)
        number_BK[tied_B] = np.take_along_axis(number_BK[tied_B], order_BK, axis=1)


class _Exact:
    """An exact search, the same for one query and for many; of equally near rows the lower number comes first.

    Some more candidates are taken than asked for, and their distances are formed anew from the differences. Many
    queries find their candidates by products of matrices, which is several times as fast and loses digits. Where that
    loss could have hidden a nearer row, the query is searched again without products; and where so many rows are
    equally near that the candidates do not settle which of them to take, all rows are looked at.
    """

    def __init__(self, index: Any, device: str) -> None:
        self._index = index
        self._rows, self._width = int(index.ntotal), int(index.d)
        self._euclidean = index.metric_type == faiss.METRIC_L2
        self._rows_NE = faiss.rev_swig_ptr(index.get_xb(), self._rows * self._width).reshape(self._rows, self._width)
        self._products = products_on(device, self._rows_NE, euclidean=self._euclidean)
        # From so many queries on the library forms products itself; late versions count the numbers in them instead.
        most = int(faiss.cvar.distance_compute_blas_threshold) - 1
        self._few = max(1, most // self._width if most > _NUMBERS else most)

    def search(self, queries_BE: Array, neighbors: int) -> tuple[Array, Array]:
        """Squared distances or inner products, and numbers, of the nearest rows (B, K)."""
        candidates = min(self._rows, neighbors + max(_SPARE, neighbors // 4))
        near_BK = np.empty((len(queries_BE), neighbors), np.float32)
        number_BK = np.empty(near_BK.shape, np.int64)
        step = max(MANY, _GATHERED // (candidates * self._width))
        for start in range(0, len(queries_BE), step):
            part = slice(start, start + step)
            self._find(queries_BE[part], candidates, near_BK[part], number_BK[part])
        return near_BK, number_BK

    def _find(self, queries_BE: Array, candidates: int, near_BK: Array, number_BK: Array) -> None:
        """Fill in the nearest rows of these queries."""
        left_B = np.arange(len(queries_BE))
        if self._products.pay(len(queries_BE)):
            least_B, number_BC = self._by_products(queries_BE, candidates)
            left_B = self._settled(queries_BE, left_B, least_B, number_BC, near_BK, number_BK)
        unsettled = []
        for start in range(0, len(left_B), self._few):
            part_B = left_B[start : start + self._few]
            least_B, number_BC = self._plainly(queries_BE[part_B], candidates, near_BK.shape[1])
            unsettled += self._settled(queries_BE, part_B, least_B, number_BC, near_BK, number_BK).tolist()
        for query in unsettled:
            self._thoroughly(queries_BE[query : query + 1], near_BK[query], number_BK[query])

    def _settled(
        self, queries_BE: Array, part_B: Array, least_B: Array, number_BC: Array, near_BK: Array, number_BK: Array
    ) -> Array:
        """Fill in the nearest of the candidates of a part of the queries; those for which others may be as near.

        No row that is not a candidate costs less than ``least_B``.
        """
        cost_BC = self._cost(queries_BE[part_B], self._rows_NE[number_BC])
        order_BK = np.lexsort((number_BC, cost_BC), axis=1)[:, : near_BK.shape[1]]
        cost_BK = np.take_along_axis(cost_BC, order_BK, axis=1)
        near_BK[part_B] = cost_BK if self._euclidean else -cost_BK
        number_BK[part_B] = np.take_along_axis(number_BC, order_BK, axis=1)
        # Written so that what is not a number is not settled.
        settled_B = least_B > cost_BK[:, -1] if number_BC.shape[1] < self._rows else np.isfinite(cost_BK[:, -1])
        open_B: Array = part_B[~(settled_B & (number_BC.min(axis=1) >= 0))]
        return open_B

    def _by_products(self, queries_BE: Array, candidates: int) -> tuple[Array, Array]:
        """What any other row costs at least (B), and the numbers of the candidates (B, C), by matrix products."""
        # |q - x|^2 = |q|^2 + 2 (|x|^2 / 2 - q x), and |q|^2 is the same for every row.
        last_B, number_BC = self._products.cheapest(queries_BE, candidates)
        squared_B = np.einsum("be,be->b", queries_BE, queries_BE, dtype=np.float64)
        loss_B = 2 * (self._width + 4) * _UNIT * (np.sqrt(squared_B) + self._products.longest) ** 2
        cost_B = last_B.astype(np.float64)
        if self._euclidean:
            cost_B = 2 * cost_B + squared_B
        with np.errstate(invalid="ignore"):
            return cost_B - loss_B, number_BC

    def _plainly(self, queries_BE: Array, candidates: int, neighbors: int) -> tuple[Array, Array]:
        """The same by the library's plain search, which forms each distance from the differences.

        Its last candidates are left out where they are surely farther than the neighbors: their rows lie
        anywhere in memory, and to fetch them takes longer than all the rest.
        """
        near_BC, number_BC = self._index.search(queries_BE, candidates)
        cost_BC = near_BC if self._euclidean else -near_BC
        loss_B = 2 * (self._width + 4) * _UNIT * abs(cost_BC[:, -1].astype(np.float64))
        if not self._euclidean:
            length_B = np.sqrt(np.einsum("be,be->b", queries_BE, queries_BE, dtype=np.float64))
            loss_B = 2 * (self._width + 4) * _UNIT * length_B * self._products.longest
        far_BC = cost_BC[:, neighbors:] > (cost_BC[:, neighbors - 1] + 2 * loss_B)[:, None]
        kept = neighbors + int(np.count_nonzero(~far_BC.all(axis=0)))
        return cost_BC[:, min(kept, candidates - 1)] - loss_B, number_BC[:, :kept]

    def _thoroughly(self, query_1E: Array, near_K: Array, number_K: Array) -> None:
        """Fill in the nearest rows of one query, found by a look at all rows; -1 where no distance is finite."""
        step = max(1, _GATHERED // self._width)
        blocks = (self._rows_NE[start : start + step] for start in range(0, self._rows, step))
        cost_N = np.concatenate([self._cost(query_1E, block[None])[0] for block in blocks])
        cost_N[~np.isfinite(cost_N)] = np.inf
        last = np.partition(cost_N, len(number_K) - 1)[len(number_K) - 1]
        near_N = np.flatnonzero(cost_N <= last)
        number_K[:] = near_N[np.argsort(cost_N[near_N], kind="stable")[: len(number_K)]]
        near_K[:] = cost_N[number_K] if self._euclidean else -cost_N[number_K]
        number_K[~np.isfinite(near_K)] = -1

    def _cost(self, queries_BE: Array, rows_BCE: Array) -> Array:
        """Squared distances of each query's rows, or their inner products with the sign turned round."""
        with np.errstate(over="ignore", invalid="ignore"):
            if not self._euclidean:
                products_BC: Array = np.einsum("bce,be->bc", rows_BCE, queries_BE)
                return -products_BC
            apart_BCE = rows_BCE - queries_BE[:, None]
            squares_BC: Array = np.einsum("bce,bce->bc", apart_BCE, apart_BCE)
            return squares_BC
