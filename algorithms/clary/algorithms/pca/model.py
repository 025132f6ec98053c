"""Principal components of rows seen once: second moments merged batch by batch, then one decomposition.

N rows, D features, K components, B rows of a block, L columns of a sketch. The moments are those of Chan, Golub and
LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979): every block is centered
at its own mean, and the way between two means counts as one more row. So a common offset of all rows, however large,
costs no digit. The sketch is Tropp, Yurtsever, Udell and Cevher, "Fixed-rank approximation of a
positive-semidefinite matrix from streaming data" (2017), algorithm 3, with an orthonormal random matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = Any  # a float array (N, D), or a SciPy CSR matrix of the same shape

# A block should lie in the processor's cache with the product that it goes into. It has more rows where the product
# does not fit in anyway, so that it is gone through less often, as long as the block takes no more than 256 MB.
_BLOCK, _LARGEST_BLOCK = 1 << 17, 1 << 25  # numbers
_FEWEST_ROWS = 256
# Sparse rows are multiplied as such where that is less work, and where no column is so full that its mean would drown
# its variance in sums that are not centered.
_SPARSE, _HALF_FULL = 1 / 32, 0.5
# In float64 the smallest eigenvalues of a plain decomposition have noise of about 1e-16 of the largest one.
_STEEP = 1e-6


class Moments:
    """Number, mean and second moments of the rows added so far, in float64.

    What is kept of the second moments M (D, D) is M itself, of which the upper triangle counts; or, with ``axes_DD``
    (orthonormal), M in their coordinates; or, with ``test_DL``, the product M @ test, a sketch of M. Without
    ``centered`` the moments are those around zero.
    """

    def __init__(
        self, width: int, *, centered: bool, axes_DD: Array | None = None, test_DL: Array | None = None
    ) -> None:
        self.centered, self.axes_DD, self.test_DL = centered, axes_DD, test_DL
        columns = width if test_DL is None else test_DL.shape[1]
        self.mean_D = np.zeros(width)
        self.product_DL = np.zeros((width, columns), order="F" if test_DL is None else "C")
        # Rows that were multiplied as sparse ones: their sums, to be centered when all is put together.
        self._sparse_sums_D = np.zeros(width)
        # Rows, sparse rows, and the sum of the squares of all centered numbers.
        self._counts = np.zeros(3)
        self._rows_at_once = max(_BLOCK // width, min(_FEWEST_ROWS, _LARGEST_BLOCK // width), 1)

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
        kept = {
            "mean": self.mean_D,
            "product": self.product_DL,
            "sparse": self._sparse_sums_D,
            "counts": self._counts,
        }
        return {name: array.copy() for name, array in kept.items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where ``state`` was taken."""
        self.mean_D, self._sparse_sums_D, self._counts = (
            state[name].astype(np.float64) for name in ("mean", "sparse", "counts")
        )
        self.product_DL = np.asarray(state["product"], np.float64, order="F" if self.test_DL is None else "C").copy(
            "K"
        )

    def settle(self) -> Summary:
        """What all rows added so far come to, the sparse ones centered and merged with the others."""
        dense, sparse, squares = self._counts.tolist()
        mean_D, product_DL = self.mean_D.copy(), self.product_DL.copy("K")
        if sparse and self.centered:
            sparse_mean_D = self._sparse_sums_D / sparse
            shift_D = sparse_mean_D - mean_D
            between = dense * sparse / (dense + sparse)
            product_DL -= self.outer(sparse_mean_D, sparse)
            product_DL += self.outer(shift_D, between)
            squares += float(between * (shift_D @ shift_D) - sparse * (sparse_mean_D @ sparse_mean_D))
            mean_D += shift_D * (sparse / (dense + sparse))
        return Summary(dense + sparse, mean_D, product_DL, squares)

    def _add_block(self, part_BD: Array) -> None:
        count, before = len(part_BD), self._counts[0]
        block = np.empty((count + self.centered, part_BD.shape[1]))
        block[:count] = part_BD
        if self.centered:
            mean_D = block[:count].sum(axis=0) / count
            block[:count] -= mean_D
            shift_D = mean_D - self.mean_D
            block[count] = shift_D * np.sqrt(before * count / (before + count))
            self.mean_D += shift_D * (count / (before + count))
        self._counts[0] += count
        self._accumulate(block)

    def _accumulate(self, block_BD: Array) -> None:
        from scipy.linalg.blas import dsyrk

        if self.test_DL is not None:
            self.product_DL += block_BD.T @ (block_BD @ self.test_DL)
            self._counts[2] += np.vdot(block_BD, block_BD)
            return
        if self.axes_DD is not None:
            block_BD = block_BD @ self.axes_DD
        # The upper triangle alone, added in place: half of the work of a product of two matrices.
        self.product_DL = dsyrk(1.0, block_BD.T, beta=1.0, c=self.product_DL, overwrite_c=1)

    def _stays_sparse(self, rows: Any) -> bool:
        if self.axes_DD is not None or rows.nnz > _SPARSE * rows.shape[0] * rows.shape[1]:
            return False
        fullest = np.bincount(rows.indices, minlength=1).max()
        return not self.centered or bool(fullest <= _HALF_FULL * rows.shape[0])

    def _add_sparse(self, rows: Any) -> None:
        if self.test_DL is not None:
            self.product_DL += rows.T @ (rows @ self.test_DL)
        else:
            gram = (rows.T @ rows).tocoo()
            upper = gram.row <= gram.col
            # No place comes twice in a product of sparse matrices, so a plain addition is enough.
            self.product_DL[gram.row[upper], gram.col[upper]] += gram.data[upper]
        self._sparse_sums_D += np.asarray(rows.sum(axis=0)).ravel()
        self._counts[1] += rows.shape[0]
        self._counts[2] += np.vdot(rows.data, rows.data)

    def outer(self, shift_D: Array, weight: float) -> Array:
        """What a centered row of that weight adds to the product."""
        if self.axes_DD is not None:
            shift_D = shift_D @ self.axes_DD
        right = shift_D if self.test_DL is None else shift_D @ self.test_DL
        product_DL: Array = np.multiply.outer(weight * shift_D, right)
        return product_DL


@dataclass(frozen=True)
class Summary:
    """Rows put together: how many, their mean, their second moments as ``Moments`` keeps them, their squares."""

    rows: float
    mean_D: Array
    product_DL: Array
    squares: float


@dataclass(frozen=True)
class Components:
    """The answer: ``v_DK`` has the components as orthonormal columns, ``s_K`` the singular values, both ascending.

    ``total`` is the sum of the squares of all singular values, of which s squared is the explained part. The sign of
    a component is such that its number farthest from zero is positive.
    """

    mean_D: Array
    s_K: Array
    v_DK: Array
    total: float


def components(found: Summary, moments: Moments, count: int) -> Components:
    """The leading components of the rows, that many of them."""
    if moments.test_DL is not None:
        values, vectors = _sketched(found.product_DL, moments.test_DL)
        total = found.squares
    else:
        whole_DD = np.triu(found.product_DL)
        whole_DD += np.triu(whole_DD, 1).T
        values, vectors = _decomposed(whole_DD, moments.axes_DD, count)
        total = float(np.trace(whole_DD))
    values, vectors = values[-count:], vectors[:, -count:]
    farthest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.where(vectors[farthest, np.arange(count)] < 0, -1.0, 1.0)
    return Components(found.mean_D, np.sqrt(values), np.ascontiguousarray(vectors), total)


def _decomposed(whole_DD: Array, axes_DD: Array | None, count: int) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of the matrix, the largest ones at least."""
    from scipy.linalg import eigh

    width = len(whole_DD)
    if axes_DD is None:
        values, vectors = eigh(whole_DD, subset_by_index=(width - count, width - 1))
        if values[0] >= _STEEP * values[-1]:
            return values, vectors
    return _graded(whole_DD, axes_DD)


def _graded(whole_DD: Array, axes_DD: Array | None) -> tuple[Array, Array]:
    """The same where the eigenvalues span so many magnitudes that rounding of the large ones would hide the small.

    With its rows and columns scaled to a diagonal of ones the matrix is far from singular, where the scales are what
    makes it so. Its root then has small relative errors, and the singular values of the root need half of the digits.
    """
    scale_D = np.sqrt(np.diag(whole_DD))
    safe_D = np.where(scale_D > 0, scale_D, 1.0)
    values, vectors = np.linalg.eigh(whole_DD / safe_D / safe_D[:, None])
    root_DD = (vectors * np.sqrt(np.maximum(values, 0))).T * scale_D
    if axes_DD is not None:
        root_DD = root_DD @ axes_DD.T
    _, singular, right = np.linalg.svd(root_DD)
    return np.square(singular[::-1]), right[::-1].T


def _sketched(product_DL: Array, test_DL: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of the Nyström approximation of the matrix behind the sketch."""
    width = product_DL.shape[0]
    # A hair of the identity keeps the small matrix from being singular; it is taken off again at the end.
    hair = np.sqrt(width) * np.finfo(np.float64).eps * float(np.linalg.norm(product_DL))
    product_DL = product_DL + hair * test_DL
    core_LL = test_DL.T @ product_DL
    values, vectors = np.linalg.eigh((core_LL + core_LL.T) / 2)
    values = np.maximum(values, hair)
    if not values[-1]:  # every row is the mean
        return np.zeros(len(values)), test_DL
    left_DL, singular, _ = np.linalg.svd(product_DL @ (vectors / np.sqrt(values)), full_matrices=False)
    return np.maximum(np.square(singular[::-1]) - hair, 0), left_DL[:, ::-1]


def random_test(width: int, columns: int, rng: np.random.Generator) -> Array:
    """Random orthonormal columns (D, L), which a sketch multiplies the second moments with."""
    found: Array = np.linalg.qr(rng.standard_normal((width, columns)))[0]
    return found


def steep_axes(sample_ND: Array, count: int, *, centered: bool) -> Array | None:
    """Orthonormal axes in which the sample's components stand apart, if the leading ones span many magnitudes.

    In such axes large and small second moments are added up apart, so that the rounding of the one does not touch the
    other. None where that makes no difference, which spares two thirds of the work.
    """
    sample_ND = sample_ND[: 4 * count + 100].astype(np.float64)
    if centered:
        sample_ND -= sample_ND.mean(axis=0)
    small = sample_ND @ sample_ND.T if len(sample_ND) < sample_ND.shape[1] else sample_ND.T @ sample_ND
    values = np.linalg.eigvalsh(small)
    if len(values) >= count and values[-count] >= _STEEP * values[-1]:
        return None
    axes_DD: Array = np.linalg.svd(sample_ND)[2].T
    return axes_DD


def project(rows_ND: Rows, mean_D: Array | None, v_DK: Array) -> Array:
    """The rows along the components (N, K), in float64; sparse rows stay sparse."""
    if not isinstance(rows_ND, np.ndarray):
        along_NK: Array = rows_ND @ v_DK
        return along_NK if mean_D is None else along_NK - mean_D @ v_DK
    return (rows_ND if mean_D is None else rows_ND - mean_D) @ v_DK
