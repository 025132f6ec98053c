"""Jobs: predictions are those of scikit-learn, each hyperparameter does what it says, the log has its lines."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from clary.algorithms.knn import devices
from clary.algorithms.knn.managed import INDEX, Settings
from clary.algorithms.knn.search import decode
from clary.algorithms.knn.serve import Predictor
from clary.algorithms.knn.spec import SPEC, Hyperparameters
from clary.algorithms.knn.train import train
from clary.datasets import samples
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job, Log
from clary.toolkit.records import Records
from linear import channel, on_hosts, records

Array = npt.NDArray[Any]
Rows = tuple[Any, Any]


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    def last(self, metric: str) -> float:
        found = re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))
        return float(found[-1])

    @property
    def index(self) -> Any:
        return decode(self.artifact.files[INDEX], INDEX)

    def answers(self, features: Any, **options: str) -> Mapping[str, Array]:
        return Predictor.load(self.artifact, "cpu").predict_with(records(features), options)


def job(
    channels: Mapping[str, ChannelInput], cluster: Cluster | None = None, seed: int = 0, **given: Any
) -> tuple[Job[Hyperparameters], list[str]]:
    """A job with these hyperparameters, and the lines of its log."""
    lines: list[str] = []
    hp = SPEC.parse({name: str(value) for name, value in given.items()})
    assert isinstance(hp, Hyperparameters)
    hosts = cluster or Cluster()
    made: Job[Hyperparameters] = Job(
        hyperparameters=hp,
        channels=channels,
        cluster=hosts,
        log=Log(SPEC, hosts.current, lines.append),
        checkpoints=Checkpoints(None, {}),
        seed=seed,
        stop=threading.Event(),
    )
    return made, lines


def learned(rows: Mapping[str, Rows], seed: int = 0, **given: Any) -> Trained:
    """What comes of a job with these rows in its channels."""
    usual = {"feature_dim": rows["train"][0].shape[1], "k": 3, "predictor_type": "classifier", "sample_size": 10**6}
    made, lines = job({name: channel(name, each) for name, each in rows.items()}, seed=seed, **{**usual, **given})
    return Trained(train(made), lines)


def halves(loaded: Records) -> dict[str, Rows]:
    """Rows to learn from and rows to score."""
    assert loaded.labels is not None
    order = np.random.default_rng(0).permutation(len(loaded))
    features, labels = loaded.dense()[order], loaded.labels[order, 0]
    middle = len(loaded) // 2
    return {"train": (features[:middle], labels[:middle]), "test": (features[middle:], labels[middle:])}


def few(rows: int = 40, width: int = 4, classes: int = 3) -> Rows:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, width)).astype(np.float32), rng.integers(0, classes, rows).astype(np.float32)


# Against scikit-learn


@pytest.mark.parametrize("k", [1, 4, 25])
def test_a_classifier_predicts_what_brute_force_predicts(k: int) -> None:
    rows = halves(samples.digits())
    oracle = KNeighborsClassifier(k, algorithm="brute").fit(*rows["train"])
    expected = oracle.predict(rows["test"][0])
    found = learned(rows, k=k)
    answers = found.answers(rows["test"][0], verbose="true")
    assert (answers["predicted_label"] == expected).all()
    assert answers["distances"] == pytest.approx(oracle.kneighbors(rows["test"][0])[0], rel=1e-5)
    assert found.last("test:accuracy") == pytest.approx(np.mean(expected == rows["test"][1]))


@pytest.mark.parametrize("k", [1, 10])
def test_a_regressor_predicts_what_brute_force_predicts(k: int) -> None:
    rows = halves(samples.diabetes())
    expected = KNeighborsRegressor(k, algorithm="brute").fit(*rows["train"]).predict(rows["test"][0])
    found = learned(rows, k=k, predictor_type="regressor")
    assert found.answers(rows["test"][0])["predicted_label"] == pytest.approx(expected, rel=1e-6)
    assert found.last("test:mse") == pytest.approx(np.mean((expected - rows["test"][1]) ** 2), rel=1e-5)


def test_cosine_is_the_similarity_of_scikit_learn() -> None:
    rows = halves(samples.digits())
    oracle = KNeighborsClassifier(5, algorithm="brute", metric="cosine").fit(*rows["train"])
    answers = learned(rows, k=5, index_metric="COSINE").answers(rows["test"][0], verbose="true")
    assert (answers["predicted_label"] == oracle.predict(rows["test"][0])).mean() > 0.998
    assert answers["distances"] == pytest.approx(1 - oracle.kneighbors(rows["test"][0])[0], abs=1e-5)


def test_an_inner_product_ranks_by_itself() -> None:
    features, labels = few()
    answers = learned({"train": (features, labels)}, index_metric="INNER_PRODUCT").answers(features, verbose="true")
    products = features @ features.T
    assert answers["distances"] == pytest.approx(-np.sort(-products, axis=1)[:, :3], rel=1e-5)
    assert (answers["labels"] == labels[np.argsort(-products, axis=1)[:, :3]]).all()


def test_sparse_rows_give_the_model_of_dense_ones() -> None:
    features, labels = few(60, 12)
    features[np.random.default_rng(1).random(features.shape) < 0.7] = 0
    dense, sparse = (learned({"train": (form, labels)}).artifact for form in (features, csr_matrix(features)))
    assert dense.files == sparse.files


# The sample


def test_the_sample_has_its_size_and_depends_on_the_seed() -> None:
    rows = {"train": few(500)}
    found = [learned(rows, seed=seed, sample_size=50, k=1) for seed in (1, 1, 2)]
    assert found[0].index.ntotal == len(found[0].artifact.tensors["labels"]) == 50
    assert found[0].artifact.files == found[1].artifact.files
    assert found[0].artifact.files != found[2].artifact.files


def test_each_sampled_row_keeps_its_label() -> None:
    features, labels = few(500)
    found = learned({"train": (features, labels)}, sample_size=50, k=1)
    kept = found.index.reconstruct_n(0, 50)
    place = {row.tobytes(): label for row, label in zip(features, labels, strict=True)}
    assert [place[row.tobytes()] for row in kept] == found.artifact.tensors["labels"].tolist()


def test_where_all_rows_fit_they_stay_in_order() -> None:
    features, labels = few(70)
    found = learned({"train": (features, labels)}, mini_batch_size=11)
    assert (found.index.reconstruct_n(0, 70) == features).all()
    assert (found.artifact.tensors["labels"] == labels).all()


@pytest.mark.parametrize("sharded", [True, False])
def test_hosts_sample_in_proportion_to_what_they_have_read(sharded: bool) -> None:
    features, labels = few(1000)
    labels[:] = np.arange(1000) >= 900
    features[900:] += 9
    shares = [slice(0, 900), slice(900, 1000)] if sharded else [slice(None)] * 2

    def work(cluster: Cluster) -> Trained:
        own = shares[cluster.rank]
        rows = {name: channel(name, (features[own], labels[own]), sharded=sharded) for name in ("train", "test")}
        given: dict[str, Any] = {"feature_dim": 4, "k": 1, "predictor_type": "classifier", "sample_size": 300}
        made, lines = job(rows, cluster, **given, mini_batch_size=50)
        return Trained(train(made), lines)

    leader, follower = on_hosts(2, work)
    found = leader.artifact.tensors["labels"]
    assert len(found) == 300
    # A draw of 300 of 1000 rows has 30 of the last hundred, give or take a standard deviation of 4.3.
    assert 12 <= found.sum() <= 48
    assert leader.last("test:accuracy") > 0.9
    assert not any("_metric" in line for line in follower.lines)


def test_hosts_keep_every_row_where_the_sample_has_room() -> None:
    features, labels = few(300)

    def work(cluster: Cluster) -> Artifact:
        own = slice(0, 290) if cluster.leads else slice(290, 300)
        rows = {"train": channel("train", (features[own], labels[own]), sharded=True)}
        return train(job(rows, cluster, feature_dim=4, k=1, predictor_type="classifier", sample_size=300)[0])

    leader, _ = on_hosts(2, work)
    assert (decode(leader.files[INDEX], INDEX).reconstruct_n(0, 300) == features).all()


# Reduction and compression


@pytest.mark.parametrize("kind", ["sign", "fjlt"])
def test_a_reduction_shrinks_the_index_and_is_served(kind: str) -> None:
    rows = halves(samples.digits())
    given: dict[str, Any] = {"dimension_reduction_type": kind, "dimension_reduction_target": 40, "k": 5}
    found = learned(rows, **given)
    assert found.index.d == 40
    assert found.last("test:accuracy") > 0.94
    assert (found.answers(rows["train"][0], verbose="true")["distances"][:, 0] < 1e-2).all()
    settings = Settings.read(found.artifact.files["model_algo-1.json"])
    assert settings.reduction == {"type": kind, "seed": 0, "input_dim": 64, "target_dim": 40}


@pytest.mark.parametrize(
    ("given", "width", "words"),
    [
        ({}, 72, "rows are padded with zeros from 70 to 72 dimensions, a multiple of 8 parts"),
        (
            {"dimension_reduction_type": "sign", "dimension_reduction_target": 50},
            56,
            "dimension_reduction_target is raised from 50 to 56 dimensions, a multiple of 8 parts",
        ),
        (
            {"dimension_reduction_type": "fjlt", "dimension_reduction_target": 69},
            72,
            "dimension_reduction_target is raised from 69 to 72 dimensions, a multiple of 8 parts",
        ),
    ],
    ids=str,
)
def test_the_dimension_is_raised_to_a_multiple_of_the_parts(given: dict[str, Any], width: int, words: str) -> None:
    rows = few(300, 70)
    found = learned({"train": rows}, index_type="faiss.IVFPQ", faiss_index_pq_m=8, **given)
    assert (found.index.d, found.index.pq.M) == (width, 8)
    assert any(words in line for line in found.lines)
    assert found.answers(rows[0][:5])["predicted_label"].shape == (5,)


@pytest.mark.parametrize("width", [1, 5, 54, 200])
def test_compression_finds_a_number_of_parts_by_itself(width: int) -> None:
    rows = few(300, width)
    found = learned({"train": rows}, index_type="faiss.IVFPQ")
    assert found.index.d % found.index.pq.M == 0
    assert np.isfinite(found.answers(rows[0][:40], verbose="true")["distances"]).all()


# The log and what is refused


def test_the_log_has_the_lines_of_the_contract() -> None:
    rows = few(300)
    found = learned({"train": rows, "test": rows}, sample_size=200, mini_batch_size=150)
    text = "\n".join(found.lines)
    for line in (
        r"Using per-worker sample size = 200 \(Available virtual memory = \d+ bytes, GPU free memory = \d+ bytes, ",
        r"number of workers = 1\)\. If an out-of-memory error occurs, choose a larger instance type, use dimension ",
        r"Getting reservoir sample from localhost\.\.\.",
        r"\.\.\.Got reservoir sample from localhost: data=\(200, 4\), labels=\(200,\), NaNs=0",
        r"Training index\.\.\.\n\.\.\.Finished training index in \d+ second\(s\)",
        r"Adding data to index\.\.\.\n\.\.\.Finished adding data to index in \d+ second\(s\)",
        r"Searching index\.\.\.\nSearching index\.\.\.\n#test_score",
        r"#test_score \(localhost\) : \('accuracy', 0\.\d+\)\n#quality_metric: host=localhost, test accuracy <score>",
        r"#test_score \(localhost\) : \('macro_f_1\.000', 0\.\d+\)\n#quality_metric: host=localhost, test macro_f_1",
        r"#progress_metric: host=localhost, completed 100\.0 % of epochs",
    ):
        assert re.search(line, text), line


@pytest.mark.parametrize(
    ("rows", "given", "words"),
    [
        (few(2), {}, "channel train: there are 2 rows, too few for k = 3; lower k"),
        (
            few(9),
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": 10},
            "channel train: there are 9 rows, too few for faiss_index_ivf_nlists = 10; lower it, or leave it at auto",
        ),
        (
            (few(4)[0], np.array([0, 1, 1.5, 2], np.float32)),
            {},
            "channel train, file rows, row 3: the label must be a whole number for a classifier; got 1.5",
        ),
        ((few(4)[0], None), {}, "channel train, file rows, row 1: each row needs one label; found none"),
        ((few(4)[0], few(4)[1]), {"feature_dim": 5}, "the row has 4 features, feature_dim is 5"),
    ],
    ids=["k", "cells", "class", "no label", "width"],
)
def test_what_cannot_be_learned_from_is_refused_in_a_sentence(rows: Rows, given: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        learned({"train": rows}, **given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("index_type", "words"),
    [
        ("faiss.Flat", "the GPU is not used: there is no torch with code for it"),
        (
            "faiss.IVFFlat",
            "index_type faiss.IVFFlat is built and searched on the CPU; only faiss.Flat is searched on",
        ),
    ],
)
def test_the_log_says_why_a_gpu_is_not_used(index_type: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available", lambda _: False)
    rows = {name: channel(name, few(300)) for name in ("train", "test")}
    given: dict[str, Any] = {"feature_dim": 4, "k": 3, "predictor_type": "classifier", "sample_size": 300}
    made, lines = job(rows, **given, index_type=index_type)
    made.device = "cuda"
    train(made)
    assert sum(words in line for line in lines) == 1
    assert any("GPU free memory = 0 bytes" in line for line in lines)
    assert any("#test_score" in line for line in lines)


def test_a_job_that_is_stopped_too_early_leaves_no_model() -> None:
    made, _ = job(
        {"train": channel("train", few(40))},
        feature_dim=4,
        k=10,
        predictor_type="classifier",
        sample_size=40,
        mini_batch_size=5,
    )
    made.stop.set()
    with pytest.raises(UserError, match="stopped when it had 5 rows, too few for k = 10"):
        train(made)


def test_files_are_those_of_the_managed_algorithm(tmp_path: Path) -> None:
    found = learned({"train": few(30)}, k=2)
    found.artifact.write(tmp_path)
    labels = np.fromfile(tmp_path / "model_algo-1.labels", np.float32)
    assert (labels == found.artifact.tensors["labels"]).all()
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).unlink()
    (tmp_path / "model_algo-1").rename(tmp_path / "model_algo-1-x")
    (tmp_path / "model_algo-1.json").rename(tmp_path / "model_algo-1-x.json")
    (tmp_path / "model_algo-1.labels").rename(tmp_path / "model_algo-1-x.labels")
    adopted = Predictor.load(Predictor.adopt(tmp_path), "cpu")
    assert (
        adopted.predict(records(few(30)[0]))["predicted_label"] == found.answers(few(30)[0])["predicted_label"]
    ).all()
