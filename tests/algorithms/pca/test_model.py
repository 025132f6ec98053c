"""The mathematics of PCA against NumPy's singular value decomposition in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA

from clary.algorithms.pca.data import Moments
from clary.algorithms.pca.devices import DeviceMoments
from clary.algorithms.pca.model import Components, components, project, random_test, steep_axes
from clary.datasets import samples

Array = npt.NDArray[Any]
ROWS, WIDTH = 3000, 30
SMALL = st.floats(-100, 100, width=32)


def fitted(rows: Any, count: int, *, batch: int = 500, where: str = "numpy", **kind: Any) -> Components:
    """The components as training finds them, batch by batch; ``kind`` holds ``centered``, ``test_DL``, ``steep``."""
    centered, steep = kind.pop("centered", True), kind.pop("steep", True)
    if steep and "test_DL" not in kind:
        first = rows[:batch]
        kind["axes_DD"] = steep_axes(
            first if isinstance(first, np.ndarray) else first.toarray(), count, centered=centered
        )
    width = rows.shape[1]
    moments = (
        Moments(width, centered=centered, **kind)
        if where == "numpy"
        else DeviceMoments(where, width, centered=centered, **kind)
    )
    for start in range(0, rows.shape[0], batch):
        moments.add(rows[start : start + batch])
    return components(moments.settle(), moments, count)


def exact(rows: Array, count: int, *, centered: bool = True) -> tuple[Array, Array, float]:
    """Singular values and components, ascending, and the sum of all squares."""
    rows = rows.astype(np.float64)
    rows = rows - rows.mean(axis=0) if centered else rows
    _, s, right = np.linalg.svd(rows, full_matrices=False)
    return s[:count][::-1], right[:count][::-1].T, float(np.square(s).sum())


def apart(v_DK: Array, w_DK: Array) -> float:
    """The sine of the largest angle between the two subspaces."""
    return float(np.linalg.norm(v_DK - w_DK @ (w_DK.T @ v_DK), 2))


def mixed(scales: Array, seed: int = 0) -> Array:
    """Normal rows whose standard deviations along random orthogonal axes are these."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((len(scales), len(scales))))[0]
    rows: Array = (rng.standard_normal((ROWS, len(scales))) * scales) @ axes
    return rows


EVEN = mixed(np.linspace(5, 1, WIDTH)).astype(np.float32)
CASES: dict[str, tuple[Array, int, bool]] = {
    "even": (EVEN, 8, True),
    "shifted by a million": (np.round(EVEN * 16) / 16 + np.float32(2**20), 8, True),
    "shifted and not centered": (np.round(EVEN * 16) / 16 + np.float32(2**20), 8, False),
    "not centered": (EVEN + 1, 8, False),
    "condition a million": (mixed(np.logspace(0, -6, WIDTH)).astype(np.float32), 25, True),
    "condition ten billion": (mixed(np.logspace(0, -10, WIDTH)), 25, True),
    "columns of every size": (EVEN * np.logspace(6, -6, WIDTH).astype(np.float32), 25, True),
    "large numbers": (EVEN * np.float32(1e30), 8, True),
    "small numbers": (EVEN * np.float32(1e-30), 8, True),
    "a first batch a million away": (np.concatenate([EVEN[:500] + 1e6, EVEN[500:]]).astype(np.float64), 8, True),
    "batches that jump": (EVEN + 1e6 * np.random.default_rng(1).standard_normal((6, WIDTH)).repeat(500, 0), 15, True),
    "a first batch that is constant": (np.concatenate([np.full_like(EVEN[:500], 1e3), EVEN[500:]]), 8, True),
}


@pytest.mark.parametrize("where", ["numpy", "cpu"])
@pytest.mark.parametrize("case", CASES)
def test_the_components_span_what_a_decomposition_of_all_rows_finds(case: str, where: str) -> None:
    rows, count, centered = CASES[case]
    found = fitted(rows, count, centered=centered, where=where)
    s, v, total = exact(rows, count, centered=centered)
    assert apart(found.v_DK, v) < 1e-7
    np.testing.assert_allclose(found.s_K, s, rtol=1e-7)
    assert found.total == pytest.approx(total, rel=1e-9)
    np.testing.assert_allclose(found.v_DK.T @ found.v_DK, np.eye(count), atol=1e-12)


def test_components_are_ascending_and_each_has_its_sign() -> None:
    found = fitted(EVEN, 8)
    s, v, _ = exact(EVEN, 8)
    assert (np.diff(found.s_K) > 0).all()
    assert found.s_K[-1] == pytest.approx(s.max())
    assert (np.abs(np.einsum("dk,dk->k", found.v_DK, v)) > 1 - 1e-9).all()
    farthest = np.abs(found.v_DK).argmax(axis=0)
    assert (found.v_DK[farthest, np.arange(8)] > 0).all()


def test_the_components_are_those_of_scikit_learn_in_reverse() -> None:
    rows = samples.digits().dense()
    peer = PCA(10, svd_solver="full").fit(rows.astype(np.float64))
    found = fitted(rows, 10)
    np.testing.assert_allclose(found.mean_D, peer.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.s_K[::-1], peer.singular_values_, rtol=1e-9)
    assert apart(found.v_DK, peer.components_.T) < 1e-9
    np.testing.assert_allclose(np.square(found.s_K[::-1]) / found.total, peer.explained_variance_ratio_, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (23, 4), elements=SMALL), st.integers(1, 23), st.booleans())
def test_batches_of_any_size_come_to_the_same_moments(rows: Array, batch: int, centered: bool) -> None:
    moments = Moments(4, centered=centered)
    for start in range(0, len(rows), batch):
        moments.add(rows[start : start + batch])
    found, exactly = moments.settle(), rows.astype(np.float64)
    apart_ND = exactly - exactly.mean(axis=0) if centered else exactly
    np.testing.assert_allclose(np.triu(found.product_DL), np.triu(apart_ND.T @ apart_ND), rtol=1e-9, atol=1e-9)
    assert found.rows == 23
    if centered:
        np.testing.assert_allclose(found.mean_D, exactly.mean(axis=0), rtol=1e-12, atol=1e-12)


def sparse_rows(full_column: bool = False) -> Any:
    rng = np.random.default_rng(3)
    rows = np.where(rng.random((ROWS, 80)) < 0.02, 2 + rng.standard_normal((ROWS, 80)) * np.linspace(1, 5, 80), 0)
    if full_column:
        rows[:, 3] = 1e6 + rng.standard_normal(ROWS)
    return csr_matrix(rows.astype(np.float32))


@pytest.mark.parametrize("where", ["numpy", "cpu"])
@pytest.mark.parametrize("full_column", [False, True])
@pytest.mark.parametrize("centered", [False, True])
def test_sparse_rows_have_the_components_of_dense_ones(centered: bool, full_column: bool, where: str) -> None:
    rows = sparse_rows(full_column)
    found = fitted(rows, 6, centered=centered, where=where)
    s, v, total = exact(rows.toarray(), 6, centered=centered)
    assert apart(found.v_DK, v) < 1e-9
    np.testing.assert_allclose(found.s_K, s, rtol=1e-9)
    assert found.total == pytest.approx(total)


def test_dense_rows_may_come_between_sparse_ones() -> None:
    rows, dense = sparse_rows(), sparse_rows().toarray() + 100
    for test in (None, random_test(80, 20, np.random.default_rng(0))):
        moments = Moments(80, centered=True, test_DL=test)
        for part in (rows[:1000], dense[:500], rows[1000:], dense[500:]):
            moments.add(part)
        found, whole = moments.settle(), np.concatenate([rows.toarray(), dense]).astype(np.float64)
        whole -= whole.mean(axis=0)
        scatter = whole.T @ whole
        np.testing.assert_allclose(
            np.triu(found.product_DL) if test is None else found.product_DL,
            np.triu(scatter) if test is None else scatter @ test,
            rtol=1e-9,
            atol=1e-6,
        )


def test_few_sparse_rows_of_a_wide_matrix_stay_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = csr_matrix((np.ones(50, np.float32), (np.arange(50), np.arange(50) * 1000)), shape=(200, 50_000))
    moments = Moments(50_000, centered=True, test_DL=np.eye(50_000, 4))
    monkeypatch.setattr(csr_matrix, "toarray", lambda *_: pytest.fail("the rows were made dense"))
    moments.add(rows)
    assert moments.settle().rows == 200


@pytest.mark.parametrize("where", ["numpy", "cpu"])
@pytest.mark.parametrize("axes", [False, True])
def test_moments_go_on_where_they_were_saved(where: str, axes: bool) -> None:
    rows = np.concatenate([EVEN[:1000], sparse_rows().toarray()[:1000, :WIDTH]])
    kind: dict[str, Any] = (
        {"axes_DD": np.linalg.qr(np.random.default_rng(1).standard_normal((WIDTH, WIDTH)))[0]} if axes else {}
    )

    def fresh() -> Moments:
        if where == "numpy":
            return Moments(WIDTH, centered=True, **kind)
        return DeviceMoments(where, WIDTH, centered=True, **kind)

    whole, saved, resumed = fresh(), fresh(), fresh()
    for moments in (whole, saved):
        moments.add(rows[:900])
    state = saved.state()
    saved.add(rows[:5])
    resumed.restore(state)
    for moments in (whole, resumed):
        moments.add(csr_matrix(rows[900:]))
    one, other = whole.settle(), resumed.settle()
    assert np.array_equal(one.product_DL, other.product_DL)
    assert np.array_equal(one.mean_D, other.mean_D)


# The sketch


def sketched(rows: Any, count: int, columns: int, seed: int = 0, **settings: Any) -> Components:
    return fitted(rows, count, test_DL=random_test(rows.shape[1], columns, np.random.default_rng(seed)), **settings)


@pytest.mark.parametrize("where", ["numpy", "cpu"])
@pytest.mark.parametrize("shift", [0, 2**20])
def test_a_sketch_keeps_nearly_as_much_as_the_best_components(shift: int, where: str) -> None:
    rows = samples.digits().dense() + np.float32(shift)
    s, _, total = exact(rows, 10)
    best = np.square(s).sum() / total
    for seed in range(5):
        found = sketched(rows, 10, 20, seed, where=where)
        apart_ND = rows.astype(np.float64) - found.mean_D
        kept = np.square(apart_ND @ found.v_DK).sum() / total
        assert best - 0.03 < kept <= best + 1e-9
        assert found.total == pytest.approx(total, rel=1e-9)
        # The approximation never exceeds the matrix, so no singular value is too large.
        assert (found.s_K <= s * (1 + 1e-9)).all()
        np.testing.assert_allclose(found.s_K, s, rtol=0.2)


def test_more_columns_bring_a_sketch_closer() -> None:
    rows = samples.digits().dense()
    _, v, _ = exact(rows, 5)
    errors = [
        np.mean([apart(sketched(rows, 5, columns, seed).v_DK, v) for seed in range(5)]) for columns in (7, 15, 40)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_a_sketch_as_wide_as_the_rows_is_exact() -> None:
    found, (s, v, _) = sketched(EVEN, 8, WIDTH), exact(EVEN, 8)
    assert apart(found.v_DK, v) < 1e-7
    np.testing.assert_allclose(found.s_K, s, rtol=1e-7)


def test_a_sketch_of_rows_of_low_rank_is_exact() -> None:
    rng = np.random.default_rng(5)
    rows = (rng.standard_normal((400, 6)) @ rng.standard_normal((6, 300))).astype(np.float32)
    found, (s, v, _) = sketched(rows, 6, 12), exact(rows, 6)
    assert apart(found.v_DK, v) < 1e-5
    np.testing.assert_allclose(found.s_K, s, rtol=1e-5)


@pytest.mark.parametrize("test", [None, random_test(4, 3, np.random.default_rng(0))])
def test_rows_that_are_all_alike_have_singular_values_of_zero(test: Array | None) -> None:
    rows = np.full((10, 4), 7, np.float32)
    found = fitted(rows, 2) if test is None else fitted(rows, 2, test_DL=test)
    assert found.s_K.tolist() == [0, 0]
    assert found.total == 0
    assert found.mean_D.tolist() == [7] * 4
    np.testing.assert_allclose(found.v_DK.T @ found.v_DK, np.eye(2), atol=1e-12)


# Projection


def test_projections_of_sparse_rows_are_those_of_dense_ones() -> None:
    rows, rng = sparse_rows(), np.random.default_rng(1)
    v, mean = np.linalg.qr(rng.standard_normal((80, 3)))[0], rng.standard_normal(80)
    for center in (mean, None):
        expected = (rows.toarray() - (0 if center is None else center)) @ v
        np.testing.assert_allclose(project(rows, center, v), expected, atol=1e-12)
        np.testing.assert_allclose(project(rows.toarray(), center, v), expected, atol=1e-12)
