"""What is kept of rows that are seen once: their number, mean and second moments, in float64.

N rows, D features, B rows of a block, L columns of a sketch, F rows that are far. The moments are those of Chan,
Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979): the rows of a
batch are centered at their own mean, and the way between two means counts as one more row. So a common offset of all
rows, however large, costs no digit. Where that way is far, beside what the rows differ by themselves, it is kept as a
row, so that its square does not hide theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.pca.library import gram
from clary.toolkit import device

Array = npt.NDArray[Any]
Rows = Any  # a float array (N, D), or a SciPy CSR matrix of the same shape

# A block should lie in the processor's cache with the product that it goes into. It has more rows where the product
# does not fit in anyway, so that it is gone through less often, as long as the block takes no more than 256 MB.
_BLOCK, _LARGEST_BLOCK = 1 << 17, 1 << 25  # numbers
_FEWEST_ROWS = 256
_MOST_THREADS = 4
# Sparse rows are multiplied as such where that is less work, and where no column is so full that its mean would drown
# its variance in sums that are not centered.
_SPARSE, _HALF_FULL = 1 / 32, 0.5
# The way between two means is far where its square is so many times that of a row, of which a batch's first ones
# tell. So many far ones are kept.
SAMPLE = 32
_FAR, _MOST_FAR = 100.0, 64


@dataclass(frozen=True)
class Summary:
    """Rows put together: how many, their mean, their second moments as ``Moments`` keeps them, their squares.

    ``far_FD`` are rows of which the second moments are to be added, too large to be added before the decomposition.
    """

    rows: float
    mean_D: Array
    product_DL: Array
    squares: float
    far_FD: Array


class Moments:
    """Number, mean and second moments of the rows added so far, in float64.

    What is kept of the second moments M (D, D) is M itself, of which the upper triangle counts; or, with ``axes_DD``
    (orthonormal), M in their coordinates; or, with ``test_DL``, the product M @ test, a sketch of M. Without
    ``centered`` the moments are those around zero.

    Blocks of rows are summed up by a few threads and put together in their order, so the bits are the same whatever
    their number. Until ``state`` or ``settle``, the arrays that were added must stay as they are.
    """

    def __init__(
        self, width: int, *, centered: bool, axes_DD: Array | None = None, test_DL: Array | None = None
    ) -> None:
        self.centered, self.axes_DD, self.test_DL = centered, axes_DD, test_DL
        columns = width if test_DL is None else test_DL.shape[1]
        self.mean_D, self.far_FD = np.zeros(width), np.empty((0, width))
        self.product_DL = np.zeros((width, columns), order="F" if test_DL is None else "C")
        # Rows that were multiplied as sparse ones: their sums, to be centered when all is put together.
        self._sparse_sums_D = np.zeros(width)
        # Rows, sparse rows, and the sum of the squares of all centered numbers.
        self._counts = np.zeros(3)
        self._rows_at_once = max(_BLOCK // width, min(_FEWEST_ROWS, _LARGEST_BLOCK // width), 1)
        # Rows that are no block yet, in parts that are centered each at its own mean.
        self._held: list[Array] = []
        self._most_held = self._rows_at_once
        # Products with the axes or the test are NumPy's, which uses all cores by itself.
        threads = min(_MOST_THREADS, device.cores()) if axes_DD is None and test_DL is None else 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="clary-moments") if threads > 1 else None
        self._running: deque[Callable[[], Summary]] = deque()
        self._own = local()
        self._threads = threads

    def add(self, rows_ND: Rows) -> None:
        """Count these rows in; sparse ones are never made dense as a whole."""
        if not isinstance(rows_ND, np.ndarray) and self._stays_sparse(rows_ND):
            self._add_sparse(rows_ND.astype(np.float64))
            return
        for start in range(0, rows_ND.shape[0], self._rows_at_once):
            part = rows_ND[start : start + self._rows_at_once]
            self._add_block(part if isinstance(part, np.ndarray) else part.toarray())

    def state(self) -> dict[str, Array]:
        """Everything that ``restore`` needs, as arrays that are not changed by what is added later."""
        self._finish()
        width = len(self.mean_D)
        # Their shapes are the same on every host.
        far_FD, held_BD = np.zeros((_MOST_FAR, width)), np.zeros((self._most_held, width))
        lengths = np.zeros(self._most_held)
        far_FD[: len(self.far_FD)] = self.far_FD
        lengths[: len(self._held)] = [len(part) for part in self._held]
        if self._held:
            held_BD[: int(lengths.sum())] = np.concatenate(self._held)
        kept = {
            "mean": self.mean_D,
            "product": self.product_DL,
            "sparse": self._sparse_sums_D,
            "counts": np.append(self._counts, len(self.far_FD)),
        }
        return {name: array.copy() for name, array in kept.items()} | {
            "far": far_FD,
            "held": held_BD,
            "lengths": lengths,
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where ``state`` was taken."""
        self._running.clear()
        self.mean_D, self._sparse_sums_D, counts, far_FD, held_BD = (
            state[name].astype(np.float64) for name in ("mean", "sparse", "counts", "far", "held")
        )
        self._counts, self.far_FD = counts[:3], far_FD[: int(counts[3])]
        self.product_DL = np.asarray(state["product"], np.float64, order="F" if self.test_DL is None else "C").copy(
            "K"
        )
        lengths = state["lengths"][state["lengths"] > 0].astype(int)
        self._held = np.split(held_BD[: lengths.sum()], np.cumsum(lengths)[:-1]) if len(lengths) else []

    def settle(self) -> Summary:
        """What all rows added so far come to, the sparse ones centered and merged with the others."""
        if self._held:
            self._start()
        self._finish()
        dense, sparse, squares = self._counts.tolist()
        mean_D, product_DL = self.mean_D.copy(), self.product_DL.copy("K")
        if sparse and self.centered:
            sparse_mean_D = self._sparse_sums_D / sparse
            shift_D = sparse_mean_D - mean_D
            between = dense * sparse / (dense + sparse)
            product_DL -= self._outer(sparse_mean_D, sparse)
            product_DL += self._outer(shift_D, between)
            squares += float(between * (shift_D @ shift_D) - sparse * (sparse_mean_D @ sparse_mean_D))
            mean_D += shift_D * (sparse / (dense + sparse))
        return Summary(dense + sparse, mean_D, product_DL, squares, self.far_FD)

    def _add_block(self, part_BD: Array) -> None:
        if self._held and len(self._held[-1]) < SAMPLE:
            self._held[-1] = np.concatenate([self._held[-1], part_BD])
        else:
            self._held.append(part_BD)
        if sum(map(len, self._held)) >= self._rows_at_once:
            self._start()
            # As many again may wait, so that no thread has to.
            self._finish(2 * self._threads - 1)

    def _start(self) -> None:
        """Sum up the rows held, in a thread where there is one."""
        parts, self._held = self._held, []
        if self._pool is None:
            found = self._summed(parts)
            self._running.append(lambda: found)
        else:
            future: Future[Summary] = self._pool.submit(self._summed, parts)
            self._running.append(future.result)

    def _finish(self, but: int = 0) -> None:
        """Merge what was started, in the order in which it was, until no more than so many are left."""
        while len(self._running) > but:
            self._merge(self._running.popleft()())

    def _summed(self, parts: Sequence[Array]) -> Summary:
        """What the rows of the parts come to, each part centered at its own mean."""
        rows, width = sum(map(len, parts)), len(self.mean_D)
        block_BD, between_FD = self._scratch(rows + len(parts)), np.zeros((len(parts), width))
        mean_D, count, usual = np.zeros(width), 0, 0.0
        for number, part in enumerate(parts):
            own = block_BD[count : count + len(part)]
            own[:] = part
            if self.centered:
                own_mean_D = own.sum(axis=0) / len(part)
                own -= own_mean_D
                shift_D = own_mean_D - mean_D
                between_FD[number] = shift_D * np.sqrt(count * len(part) / (count + len(part)))
                mean_D += shift_D * (len(part) / (count + len(part)))
                first = own[:SAMPLE]
                usual += float(np.vdot(first, first)) / (len(first) * len(parts))
            count += len(part)
        far = self._far(np.square(between_FD).sum(axis=1), usual)
        block_BD[rows:] = np.where(far[:, None], 0, between_FD)
        return Summary(rows, mean_D, self._multiplied(block_BD), self._square_sum(block_BD), between_FD[far])

    def _scratch(self, count: int) -> Array:
        """So many rows to write to, of this thread's own; new memory for every block would take longer to get."""
        kept = getattr(self._own, "rows", None)
        if kept is None or len(kept) < count:
            kept = self._own.rows = np.empty((count, len(self.mean_D)))
        return kept[:count]

    def _far(self, squares: Any, usual: Any) -> Any:
        """Whether a way of that square is far where a row has the usual one; a sketch keeps none."""
        return (squares > _FAR * usual) & (self.test_DL is None)

    def _square_sum(self, block_BD: Array) -> float:
        return 0.0 if self.test_DL is None else float(np.vdot(block_BD, block_BD))

    def _multiplied(self, block_BD: Array) -> Array:
        if self.test_DL is not None:
            sketch: Array = block_BD.T @ (block_BD @ self.test_DL)
            return sketch
        # The upper triangle alone: half of the work of a product of two matrices.
        return gram(block_BD if self.axes_DD is None else block_BD @ self.axes_DD)

    def _merge(self, found: Summary) -> None:
        before = float(self._counts[0])
        self._counts += found.rows, 0, found.squares
        self.product_DL += found.product_DL
        far_FD = found.far_FD
        if self.centered:
            shift_D = found.mean_D - self.mean_D
            self.mean_D += shift_D * (found.rows / (before + found.rows))
            between = before * found.rows / (before + found.rows)
            square = between * float(shift_D @ shift_D)
            if self._far(np.array(square), float(np.trace(self.product_DL)) / self._counts[0]):
                far_FD = np.concatenate([far_FD, shift_D[None] * np.sqrt(between)])
            else:
                self.product_DL += self._outer(shift_D, between)
                self._counts[2] += square
        if len(far_FD):
            self._keep(np.concatenate([self.far_FD, far_FD]))

    def _keep(self, far_FD: Array) -> None:
        """Keep these rows, or their largest singular directions where they are too many; the others are added up."""
        if len(far_FD) > _MOST_FAR:
            _, singular, right = np.linalg.svd(far_FD, full_matrices=False)
            far_FD, rest = np.split(right * singular[:, None], [_MOST_FAR // 2])
            self._count_in(np.ascontiguousarray(rest))
        self.far_FD = far_FD

    def _count_in(self, centered_BD: Array) -> None:
        """Add the second moments of rows that are no further rows."""
        self.product_DL += self._multiplied(centered_BD)

    def _stays_sparse(self, rows: Any) -> bool:
        if self.axes_DD is not None or rows.nnz > _SPARSE * rows.shape[0] * rows.shape[1]:
            return False
        fullest = np.bincount(rows.indices, minlength=1).max()
        return not self.centered or bool(fullest <= _HALF_FULL * rows.shape[0])

    def _add_sparse(self, rows: Any) -> None:
        self._finish()
        if self.test_DL is not None:
            self.product_DL += rows.T @ (rows @ self.test_DL)
        else:
            found = (rows.T @ rows).tocoo()
            upper = found.row <= found.col
            # No place comes twice in a product of sparse matrices, so a plain addition is enough.
            self.product_DL[found.row[upper], found.col[upper]] += found.data[upper]
        self._sparse_sums_D += np.asarray(rows.sum(axis=0)).ravel()
        self._counts[1] += rows.shape[0]
        self._counts[2] += np.vdot(rows.data, rows.data)

    def around(self, found: Summary, mean_D: Array) -> Summary:
        """The same rows, their moments taken around another mean."""
        if not self.centered:
            return replace(found, mean_D=mean_D)
        shift_D = found.mean_D - mean_D
        square = found.rows * float(shift_D @ shift_D)
        if self._far(np.array(square), float(np.trace(found.product_DL)) / max(found.rows, 1)):
            row_D = shift_D[None] * np.sqrt(found.rows)
            return replace(found, mean_D=mean_D, far_FD=np.concatenate([found.far_FD, row_D]))
        product_DL = found.product_DL + self._outer(shift_D, found.rows)
        return replace(found, mean_D=mean_D, product_DL=product_DL, squares=found.squares + square)

    def _outer(self, shift_D: Array, weight: float) -> Array:
        """What a centered row of that weight adds to the product."""
        if self.axes_DD is not None:
            shift_D = shift_D @ self.axes_DD
        right = shift_D if self.test_DL is None else shift_D @ self.test_DL
        product_DL: Array = np.multiply.outer(weight * shift_D, right)
        return product_DL
