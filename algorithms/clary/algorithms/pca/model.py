"""Principal components from the second moments of all rows, or from a sketch of them, and projections onto them.

N rows, D features, K components, L columns of a sketch, F rows that are far. The sketch is Tropp, Yurtsever, Udell
and Cevher, "Fixed-rank approximation of a positive-semidefinite matrix from streaming data" (2017), algorithm 3, with
an orthonormal random matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.algorithms.pca.data import Array, Moments, Summary

Rows = Any  # a float array (N, D), or a SciPy CSR matrix of the same shape

# In float64 the smallest eigenvalues of a plain decomposition have noise of about 1e-16 of the largest one.
_STEEP = 1e-6


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
        values, vectors = _decomposed(whole_DD, moments.axes_DD, found.far_FD, count)
        total = float(np.trace(whole_DD)) + float(np.vdot(found.far_FD, found.far_FD))
    values, vectors = values[-count:], vectors[:, -count:]
    farthest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.where(vectors[farthest, np.arange(count)] < 0, -1.0, 1.0)
    return Components(found.mean_D, np.sqrt(values), np.ascontiguousarray(vectors), total)


def _decomposed(whole_DD: Array, axes_DD: Array | None, far_FD: Array, count: int) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of the matrix, the largest ones at least."""
    from scipy.linalg import eigh

    width = len(whole_DD)
    if axes_DD is None and not len(far_FD):
        values, vectors = eigh(whole_DD, subset_by_index=(width - count, width - 1))
        if values[0] >= _STEEP * values[-1]:
            return values, vectors
    return _graded(whole_DD, axes_DD, far_FD)


def _graded(whole_DD: Array, axes_DD: Array | None, far_FD: Array) -> tuple[Array, Array]:
    """The same where the eigenvalues span so many magnitudes that rounding of the large ones would hide the small.

    With its rows and columns scaled to a diagonal of ones the matrix is far from singular, where the scales are what
    makes it so. Its root then has small relative errors, and the singular values of the root need half of the digits.
    Far rows are rows of a root already.
    """
    scale_D = np.sqrt(np.diag(whole_DD))
    safe_D = np.where(scale_D > 0, scale_D, 1.0)
    values, vectors = np.linalg.eigh(whole_DD / safe_D / safe_D[:, None])
    root_DD = (vectors * np.sqrt(np.maximum(values, 0))).T * scale_D
    if axes_DD is not None:
        root_DD = root_DD @ axes_DD.T
    _, singular, right = np.linalg.svd(np.concatenate([root_DD, far_FD]), full_matrices=False)
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
