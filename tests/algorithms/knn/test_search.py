"""The indexes against brute force in float64, whatever the batch and the device; their files against the library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.algorithms.knn import devices, search
from clary.algorithms.knn.devices import WIDE, DeviceProducts
from clary.algorithms.knn.search import Index, cells_of, decode, empty_index, encode, parts_of
from clary.algorithms.knn.spec import INDEX_TYPES, SPEC, Hyperparameters
from clary.toolkit.errors import PlatformError, UserError

Array = npt.NDArray[Any]
MANY = 100  # queries that are searched by products of matrices
METRICS = ("L2", "INNER_PRODUCT")
PLACES = ("processor", "torch")  # torch on the processor stands for torch on a GPU


def hyperparameters(width: int, **given: Any) -> Hyperparameters:
    usual = {"feature_dim": width, "k": 1, "predictor_type": "classifier", "sample_size": 10**6}
    hp = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(hp, Hyperparameters)
    return hp


def built(rows: Array, **given: Any) -> Any:
    """The library's index of these rows."""
    hp = hyperparameters(rows.shape[1], **given)
    index = empty_index(hp, rows.shape[1], hp.faiss_index_pq_m or 1, len(rows), 0)
    index.train(rows)
    index.add(rows)
    return index


def flat(rows: Array, where: str = "processor", **given: Any) -> Index:
    """An exact index that forms its products there."""
    with pytest.MonkeyPatch.context() as patch:
        if where == "torch":
            patch.setattr(search, "products_on", lambda _, rows, **kind: DeviceProducts("cpu", rows, **kind))
        return Index(built(rows, **given))


def brute(rows: Array, queries: Array, count: int, metric: str = "L2") -> tuple[Array, Array]:
    """Distances and numbers of the nearest rows in float64; of equally near ones the lower number."""
    exact, asked = rows.astype(np.float64), queries.astype(np.float64)
    if metric == "L2":
        distance = np.sqrt(np.square(asked[:, None] - exact).sum(axis=2))
        order = np.lexsort((np.broadcast_to(np.arange(len(rows)), distance.shape), distance), axis=1)[:, :count]
    else:
        distance = asked @ exact.T
        order = np.lexsort((np.broadcast_to(np.arange(len(rows)), distance.shape), -distance), axis=1)[:, :count]
    return np.take_along_axis(distance, order, axis=1), order


def grid(rows: int, width: int, seed: int = 0, values: int = 4) -> Array:
    """Rows of few whole numbers, not all zero in six columns, so that many distances are equal and all are exact."""
    found = np.zeros((rows, width), np.float32)
    found[:, :6] = np.random.default_rng(seed).integers(0, values, (rows, min(6, width)))
    return found


# Exact search


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [1, 10, 150])
@pytest.mark.parametrize(("queries", "width"), [(1, 24), (31, WIDE), (MANY, 24), (MANY, WIDE)])
def test_a_flat_index_finds_what_brute_force_finds(
    where: str, metric: str, count: int, queries: int, width: int
) -> None:
    rng = np.random.default_rng(0)
    rows, asked = (rng.normal(size=(each, width)).astype(np.float32) for each in (400, queries))
    near, number = flat(rows, where, index_metric=metric).search(asked, count)
    expected, order = brute(rows, asked, count, metric)
    # Two rows may change places where float32 cannot tell their distances apart.
    assert (number == order).mean() > 0.999
    assert near == pytest.approx(expected, rel=1e-5, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(
    where=st.sampled_from(PLACES),
    rows=st.integers(1, 120),
    width=st.sampled_from([1, 2, 6, WIDE]),
    queries=st.sampled_from([1, 5, MANY]),
    share=st.floats(0, 1),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 5),
)
def test_of_equally_near_rows_the_lower_number_comes_first(
    where: str, rows: int, width: int, queries: int, share: float, metric: str, seed: int
) -> None:
    sample, asked = grid(rows, width, seed), grid(queries, width, seed + 100)
    count = max(1, int(share * rows))
    near, number = flat(sample, where, index_metric=metric).search(asked, count)
    expected, order = brute(sample, asked, count, metric)
    assert (number == order).all()
    assert near == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_rows_far_from_the_origin_lose_no_neighbor(offset: float, where: str) -> None:
    rng = np.random.default_rng(0)
    rows, asked = ((rng.normal(size=(each, WIDE)) * 10 + offset).astype(np.float32) for each in (2000, MANY))
    near, number = flat(rows, where).search(asked, 10)
    expected, order = brute(rows, asked, 10)
    assert near == pytest.approx(expected, rel=1e-5)
    assert (number == order).mean() > 0.99


def test_one_query_has_the_same_answer_alone_and_among_many() -> None:
    rng = np.random.default_rng(0)
    rows, asked = (rng.normal(size=(each, WIDE + 1)).astype(np.float32) for each in (3000, 2 * MANY))
    index = Index(built(rows))
    near, number = index.search(asked, 7)
    for place in range(0, len(asked), 20):
        alone = index.search(asked[place : place + 1], 7)
        assert (alone[1] == number[place]).all()
        assert alone[0] == pytest.approx(near[place : place + 1], rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("queries", [1, MANY])
def test_torch_finds_the_same_to_the_last_bit(metric: str, queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rows, asked = (rng.normal(size=(each, WIDE)).astype(np.float32) for each in (700, queries))
    rows[600:] = rows[:100]
    # Blocks of fewer rows than there are candidates.
    monkeypatch.setattr(devices, "_GPU_BLOCK", 20 * queries)
    (near, number), (other_near, other_number) = (
        flat(rows, where, index_metric=metric).search(asked, 9) for where in PLACES
    )
    assert (near == other_near).all()
    assert (number == other_number).all()


def test_rows_that_do_not_fit_on_the_gpu_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    def full(*_given: Any, **_more: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "tensor", full)
    with pytest.raises(PlatformError, match="the index takes 1 MiB, which the GPU has not free; set CLARY_DEVICE"):
        flat(np.zeros((1 << 15, 8), np.float32), "torch")


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("queries", [1, MANY])
def test_where_no_distance_is_finite_there_is_no_neighbor(queries: int, where: str) -> None:
    rows = np.full((50, WIDE), 3e38, np.float32)
    near, number = flat(rows, where).search(-rows[:1].repeat(queries, axis=0), 3)
    assert (number == -1).all()
    assert not np.isfinite(near).any()


def test_a_graph_has_no_neighbor_either_where_no_distance_is_finite() -> None:
    rows = np.full((50, 4), 3e38, np.float32)
    near, number = Index(built(rows, index_type="faiss.HNSW")).search(-rows[:2], 3)
    assert (number == -1).all()
    assert not np.isfinite(near).any()


# Approximate search


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({"index_type": "faiss.IVFFlat", "faiss_index_nprobe": 10}, 0.95),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 8, "faiss_index_nprobe": 10}, 0.6),
        ({"index_type": "faiss.HNSW"}, 0.95),
        ({"index_type": "faiss.IVFFlat", "faiss_index_nprobe": 10, "index_metric": "COSINE"}, 0.95),
        ({"index_type": "faiss.HNSW", "index_metric": "INNER_PRODUCT"}, 0.95),
    ],
    ids=str,
)
def test_an_approximate_index_finds_most_of_the_neighbors(given: dict[str, Any], least: float) -> None:
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(30, 16)) * 4
    rows, asked = (
        (middle[rng.integers(0, 30, n)] + rng.normal(size=(n, 16))).astype(np.float32) for n in (3000, 200)
    )
    metric = "L2" if given.get("index_metric", "L2") == "L2" else "INNER_PRODUCT"
    if metric != "L2":
        rows, asked = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (rows, asked))
    _, number = Index(built(rows, **given)).search(asked, 10)
    _, order = brute(rows, asked, 10, metric)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(number, order, strict=True)])
    assert recall >= least


@pytest.mark.parametrize("index_type", INDEX_TYPES[1:])
def test_all_cells_together_find_as_many_rows_as_are_asked_for(index_type: str) -> None:
    rows = grid(300, 5, values=9)
    index = Index(built(rows, index_type=index_type, faiss_index_nprobe=1, faiss_index_ivf_nlists=20))
    near, number = index.search(rows[:40], 300)
    assert (np.sort(number, axis=1) == np.arange(300)).all()
    assert (np.diff(near, axis=1) >= 0).all()


def test_all_cells_visited_is_an_exact_search() -> None:
    rows, asked = grid(500, 4, values=50), grid(60, 4, seed=1, values=50)
    index = Index(built(rows, index_type="faiss.IVFFlat", faiss_index_nprobe=22))
    near, _ = index.search(asked, 9)
    assert near == pytest.approx(brute(rows, asked, 9)[0], rel=1e-6)


# Settings


def test_automatic_values() -> None:
    assert cells_of(hyperparameters(4, index_type="faiss.IVFFlat"), 200_000) == 447
    assert cells_of(hyperparameters(4, index_type="faiss.IVFFlat", faiss_index_ivf_nlists=7), 200_000) == 7
    chosen = {width: parts_of(hyperparameters(width, index_type="faiss.IVFPQ"), width) for width in (1, 5, 54, 900)}
    assert chosen == {1: 1, 5: 2, 54: 24, 900: 96}
    assert parts_of(hyperparameters(54, index_type="faiss.IVFPQ", faiss_index_pq_m=8), 54) == 8
    assert parts_of(hyperparameters(54), 54) == 1


def test_the_settings_reach_the_library() -> None:
    rows = grid(400, 8)
    pq = built(rows, index_type="faiss.IVFPQ", faiss_index_pq_m=4, faiss_index_ivf_nlists=6, faiss_index_nprobe=3)
    assert (pq.pq.M, pq.pq.nbits, pq.nlist, pq.nprobe) == (4, 8, 6, 3)
    graph = built(
        rows,
        index_type="faiss.HNSW",
        faiss_index_hnsw_m=9,
        faiss_index_hnsw_ef_construction=33,
        faiss_index_hnsw_ef_search=21,
    )
    assert (graph.hnsw.nb_neighbors(0), graph.hnsw.efConstruction, graph.hnsw.efSearch) == (18, 33, 21)


@pytest.mark.parametrize(("rows", "bits"), [(2, 1), (3, 1), (100, 6), (256, 8)])
def test_few_rows_are_compressed_with_fewer_bits(rows: int, bits: int) -> None:
    index = built(grid(rows, 4), index_type="faiss.IVFPQ", faiss_index_pq_m=2)
    assert index.pq.nbits == bits
    assert Index(index).search(grid(3, 4), 2)[1].min() >= 0


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_the_same_seed_gives_the_same_file(index_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = grid(600, 8, values=100)
    threads = faiss.omp_get_max_threads()
    # Several threads link the rows of a graph in the order in which they get their turn.
    faiss.omp_set_num_threads(1 if index_type == "faiss.HNSW" else threads)
    try:
        files = [encode(built(rows, index_type=index_type)) for _ in range(2)]
    finally:
        faiss.omp_set_num_threads(threads)
    assert files[0] == files[1]


# Files


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_the_file_is_one_that_the_library_reads(index_type: str, tmp_path: Path) -> None:
    rows = grid(500, 8, values=30)
    index = built(rows, index_type=index_type, faiss_index_nprobe=4)
    (tmp_path / "index").write_bytes(encode(index))
    near, number = faiss.read_index(os.fspath(tmp_path / "index")).search(rows[:5], 3)
    ours = Index(decode(encode(index), "index")).search(rows[:5], 3)
    assert ours[0] == pytest.approx(np.sqrt(np.maximum(near, 0)))
    assert near.shape == number.shape == (5, 3)


def test_a_file_that_is_no_index_is_refused() -> None:
    whole = encode(built(grid(50, 4)))
    for content in (b"", whole[:3], whole[:50], whole[:-1], b"\xff" * 64):
        with pytest.raises(UserError, match="damaged-one cannot be read as a faiss index"):
            decode(content, "damaged-one")
    with pytest.raises(UserError, match="type IndexLSH; possible are IndexFlat"):
        decode(encode(faiss.IndexLSH(8, 8)), "strange-one")
