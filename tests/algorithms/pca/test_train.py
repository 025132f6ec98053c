"""A PCA job: what its artifact and its log say, on one host and on several, with and without an interruption."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix

from clary.datasets import samples
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, HyperparameterError, UserError
from components import Trained, learned
from linear import on_hosts

Array = npt.NDArray[Any]
DIGITS = samples.digits().dense()
STEEP = (np.random.default_rng(0).standard_normal((900, 12)) * np.logspace(0, -6, 12)).astype(np.float32) + 1
KINDS: dict[str, tuple[Array, dict[str, Any]]] = {
    "regular": (DIGITS, {"num_components": 7}),
    "steep": (STEEP, {"num_components": 11}),
    "randomized": (DIGITS, {"num_components": 7, "algorithm_mode": "randomized"}),
    "uncentered": (DIGITS, {"num_components": 7, "subtract_mean": "false"}),
}


def oracle(rows: Array, count: int, *, centered: bool = True) -> tuple[Array, Array]:
    exact = rows.astype(np.float64)
    _, s, right = np.linalg.svd(exact - exact.mean(axis=0) if centered else exact, full_matrices=False)
    return s[:count][::-1], right[:count][::-1].T


def same(one: Trained, other: Trained, rtol: float = 1e-7) -> None:
    """The two models have the same numbers."""
    assert set(one.artifact.tensors) == set(other.artifact.tensors)
    for name, tensor in one.artifact.tensors.items():
        np.testing.assert_allclose(tensor, other.artifact.tensors[name], rtol=rtol, atol=1e-9, err_msg=name)


def test_the_artifact_holds_mean_singular_values_and_components() -> None:
    tensors = learned(DIGITS, num_components=7).artifact.tensors
    s, v = oracle(DIGITS, 7)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "mean": (64,),
        "s": (7,),
        "v": (64, 7),
        "total": (1,),
    }
    np.testing.assert_allclose(tensors["mean"], DIGITS.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(tensors["s"], s)
    assert (np.abs(np.einsum("dk,dk->k", tensors["v"], v)) > 1 - 1e-9).all()
    centered = DIGITS - DIGITS.mean(axis=0, dtype=np.float64)
    assert tensors["total"][0] == pytest.approx(np.square(centered).sum())


def test_the_managed_file_has_the_same_arrays_in_the_managed_shapes() -> None:
    artifact = learned(DIGITS, num_components=7).artifact
    arrays = mxnet_ndarray.decode(artifact.files["model_algo-1"])
    shapes = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    assert shapes == {
        "s": ((7,), np.dtype(np.float32)),
        "v": ((64, 7), np.dtype(np.float32)),
        "mean": ((1, 64), np.dtype(np.float32)),
    }
    for name, array in arrays.items():
        np.testing.assert_allclose(array.ravel(), artifact.tensors[name].ravel(), rtol=1e-6, atol=1e-30)


def test_without_the_mean_there_is_none_in_the_artifact() -> None:
    artifact = learned(DIGITS, num_components=7, subtract_mean="False").artifact
    s, v = oracle(DIGITS, 7, centered=False)
    assert "mean" not in artifact.tensors
    assert set(mxnet_ndarray.decode(artifact.files["model_algo-1"])) == {"s", "v"}
    np.testing.assert_allclose(artifact.tensors["s"], s)
    assert (np.abs(np.einsum("dk,dk->k", artifact.tensors["v"], v)) > 1 - 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_the_batch_size_does_not_change_the_model(kind: str, batch: int) -> None:
    rows, settings = KINDS[kind]
    same(learned(rows[:300], **settings), learned(rows[:300], **settings, mini_batch_size=batch), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sharded", [False, True])
def test_several_hosts_come_to_the_model_of_one(kind: str, sharded: bool) -> None:
    rows, settings = KINDS[kind]

    def work(cluster: Any) -> Trained:
        # The second of three hosts has nothing at all where each has rows of its own.
        own = {0: rows[:200], 1: rows[:0], 2: rows[200:]}[cluster.rank] if sharded else rows
        return learned(own, rows, cluster=cluster, sharded=sharded, **settings)

    alone, together = learned(rows, rows, **settings), on_hosts(3, work)
    for each in together:
        same(alone, each, rtol=1e-6)
    assert together[0].last("test:explained_variance") == pytest.approx(alone.last("test:explained_variance"))
    assert not any("#" in line for line in together[1].lines)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_job_goes_on_to_the_same_model(kind: str, tmp_path: Path) -> None:
    rows, settings = KINDS[kind]
    stop = threading.Event()
    stopped = learned(rows, kept=tmp_path, stop=stop, watch=lambda line: stop.set(), **settings)
    assert any("stopping early, after 100 rows" in line for line in stopped.lines)
    resumed, whole = learned(rows, kept=tmp_path, **settings), learned(rows, **settings)
    for name, tensor in whole.artifact.tensors.items():
        assert np.array_equal(resumed.artifact.tensors[name], tensor), name
    assert any("resuming from a checkpoint, after 100 rows" in line for line in resumed.lines)


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_hosts_go_on_to_the_same_model(kind: str, tmp_path: Path) -> None:
    rows, settings = KINDS[kind]

    def work(kept: Path | None, stopping: bool) -> list[Trained]:
        def one(cluster: Any) -> Trained:
            stop = threading.Event()
            if stopping:
                stop.set()
            own = rows[cluster.rank :: 2]
            folder = kept / str(cluster.rank) if kept else None
            if folder:
                folder.mkdir(exist_ok=True)
            return learned(own, cluster=cluster, sharded=True, kept=folder, every=0, stop=stop, **settings)

        return on_hosts(2, one)

    work(tmp_path, True)
    for whole, resumed in zip(work(None, False), work(tmp_path, False), strict=True):
        for name, tensor in whole.artifact.tensors.items():
            assert np.array_equal(resumed.artifact.tensors[name], tensor), name


def test_sparse_rows_come_to_the_model_of_dense_ones() -> None:
    rows = np.where(np.random.default_rng(2).random((500, 60)) < 0.02, 3.0, 0).astype(np.float32)
    for mode in ("regular", "randomized"):
        dense = learned(rows, rows, num_components=4, algorithm_mode=mode)
        sparse = learned(csr_matrix(rows), csr_matrix(rows), num_components=4, algorithm_mode=mode)
        same(dense, sparse, rtol=1e-6)
        assert sparse.last("test:explained_variance") == pytest.approx(dense.last("test:explained_variance"))


def test_another_device_comes_to_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from clary.algorithms.pca import train as training
    from clary.algorithms.pca.devices import DeviceMoments

    for rows, settings in KINDS.values():
        expected = learned(rows, **settings)
        # Torch's processor stands for a GPU.
        with monkeypatch.context() as patch:
            patch.setattr(training, "moments_on", lambda _, width, **kind: DeviceMoments("cpu", width, **kind))
            same(expected, learned(rows, **settings, device="cuda"), rtol=1e-6)


def test_the_seed_draws_the_sketch_and_nothing_else() -> None:
    def models(mode: str) -> list[Array]:
        settings: dict[str, Any] = {"num_components": 7, "algorithm_mode": mode}
        return [learned(DIGITS, seed=seed, **settings).artifact.tensors["v"] for seed in (1, 1, 2)]

    for mode, equal in (("regular", True), ("randomized", False)):
        one, again, other = models(mode)
        assert np.array_equal(one, again)
        assert np.array_equal(one, other) is equal


def test_extra_components_set_the_width_of_the_sketch() -> None:
    settings: dict[str, Any] = {"num_components": 5, "algorithm_mode": "randomized"}
    s, _ = oracle(DIGITS, 5)
    lost = [
        np.abs(learned(DIGITS, **settings, extra_components=extra).artifact.tensors["s"] - s).sum()
        for extra in (0, 10, 59)
    ]
    assert lost[0] > lost[1] > lost[2]
    assert lost[2] < 1e-6
    automatic = learned(DIGITS, **settings).artifact.tensors["v"]
    assert np.array_equal(automatic, learned(DIGITS, **settings, extra_components=10).artifact.tensors["v"])


# The score and the log


@pytest.mark.parametrize("centered", ["true", "false"])
def test_the_score_is_the_share_that_projections_keep(centered: str) -> None:
    found = learned(DIGITS[:1000], DIGITS[1000:], num_components=7, subtract_mean=centered)
    v, rows = found.artifact.tensors["v"], DIGITS[1000:].astype(np.float64)
    rows = rows - found.artifact.tensors["mean"] if centered == "true" else rows
    lost = np.square(rows - rows @ v @ v.T).sum()
    assert found.last("test:explained_variance") == pytest.approx(1 - lost / np.square(rows).sum())


def test_nothing_is_lost_of_rows_that_are_all_the_mean() -> None:
    rows = np.full((5, 3), 2, np.float32)
    assert learned(rows, rows, num_components=1).last("test:explained_variance") == 1


def test_the_log_has_the_sentences_of_the_managed_one() -> None:
    lines = learned(DIGITS, num_components=7).lines
    assert "64 feature(s) found in 'data'." in lines
    assert "Test data is not provided." in lines
    assert [line for line in lines if "progress" in line] == [
        "#progress_metric: host=localhost, completed 100.0 % of epochs"
    ]
    assert not any("Test data" in line for line in learned(DIGITS, DIGITS, num_components=7).lines)


def test_the_pace_is_told_behind_the_first_batch_and_at_the_end() -> None:
    def told(**settings: Any) -> list[int]:
        lines = [line for line in learned(DIGITS, num_components=7, **settings).lines if line.startswith("#")]
        return [number for number, line in enumerate(lines) if "throughput" in line]

    assert told() == [0, 2]
    assert told(mini_batch_size=5000) == [1]


def test_extra_components_without_effect_are_said_to_be_so() -> None:
    assert any("no effect" in line for line in learned(DIGITS, num_components=7, extra_components=3).lines)
    assert not any("no effect" in line for line in learned(DIGITS, num_components=7).lines)


# Refusals


def test_more_components_than_features_are_refused_by_name() -> None:
    with pytest.raises(HyperparameterError, match="num_components must be at most feature_dim, which is 64; got 65"):
        learned(DIGITS, num_components=65)


def test_fewer_rows_than_components_are_refused() -> None:
    with pytest.raises(DataError, match="the data has 1 row, too few for 7 components; lower num_components"):
        learned(DIGITS[:1], num_components=7)
    with pytest.raises(DataError, match="channel train: there is no row to learn from"):
        learned(DIGITS[:0], num_components=7)
    assert learned(DIGITS[:7], num_components=7).artifact.tensors["v"].shape == (64, 7)


def test_a_stop_before_there_are_enough_rows_is_named() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(UserError, match="stopped after 5 rows, too few for 7 components, so it leaves no model"):
        learned(DIGITS, num_components=7, mini_batch_size=5, stop=stop)


def test_a_test_channel_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="there is no row to score"):
        learned(DIGITS, DIGITS[:0], num_components=7)
