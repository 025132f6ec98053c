"""Trains k-NN: samples the rows of all hosts, projects them where asked to, and builds the index. There is one pass.

S sampled rows, E dimensions of the index.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.knn.devices import CPU, free_memory, usable
from clary.algorithms.knn.evaluate import Tally
from clary.algorithms.knn.managed import INDEX, LABELS, SETTINGS, Settings
from clary.algorithms.knn.model import Preparation, Projection, Reservoir, shares
from clary.algorithms.knn.search import empty_index, encode, parts_of
from clary.algorithms.knn.serve import Predictor
from clary.algorithms.knn.spec import CLASSIFIER, COSINE, FLAT, SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.passes import Passes
from clary.toolkit.records import Records

Array = npt.NDArray[Any]

# Salts of the seed, so that each use of it has numbers of its own.
_SAMPLE, _SHARES, _PROJECTION = 1, 2, 3


def train(job: Job[Hyperparameters]) -> Artifact:
    """The index of a sample of the train channel; the test channel is scored with it, where there is one.

    DataError where there are fewer rows than neighbors, UserError where the job was stopped before there were enough.
    """
    hp = job.hyperparameters
    for sentence in hp.without_effect():
        job.log.say(sentence)
    if job.device != CPU:
        job.log.say(_use_of_gpu(hp, job.device))
    projection, width, parts = _planned(job)
    reservoir, stopped = _sampled(job, Preparation(width, projection, hp.index_metric == COSINE))
    rows_SE, labels_S = _brought_together(job, reservoir, stopped)
    content = b""
    if job.cluster.leads:
        index = _filled(job, rows_SE, parts)
        # From here on the index holds the rows, so these need not lie in memory twice.
        del rows_SE
        content = encode(index)
        del index
    stopped = job.stopped(here=stopped)
    scoring = "test" in job.channels and not stopped
    if scoring and job.cluster.size > 1:
        labels_S = job.cluster.broadcast(labels_S)
        content = job.cluster.broadcast(np.frombuffer(content, np.uint8)).tobytes()
    artifact = _artifact(job, content, labels_S, projection)
    if scoring:
        _score(job, artifact)
    return artifact


def _use_of_gpu(hp: Hyperparameters, device: str) -> str:
    """A sentence that says what the GPU does in this job."""
    if hp.index_type != FLAT:
        return f"index_type {hp.index_type} is built and searched on the CPU; only {FLAT} is searched on a GPU"
    if not usable(device):
        return "the GPU is not used: there is no torch with code for it; pip install 'clary[knn_gpu]' brings one"
    return f"the test channel is scored on the GPU, which searches {FLAT}"


def _planned(job: Job[Hyperparameters]) -> tuple[Projection | None, int, int]:
    """The projection that every host draws alike, the width of the index, and into how many parts it cuts a row.

    faiss.IVFPQ needs a multiple of its parts: with a projection its target is raised, otherwise zeros are added.
    """
    hp = job.hyperparameters
    reduced = bool(hp.dimension_reduction_type)
    wanted = (hp.dimension_reduction_target or 0) if reduced else hp.feature_dim
    parts = parts_of(hp, wanted)
    width = -(-wanted // parts) * parts
    if width > wanted:
        how = "dimension_reduction_target is raised" if reduced else "rows are padded with zeros"
        job.log.say(f"{how} from {wanted} to {width} dimensions, a multiple of {parts} parts of faiss.IVFPQ")
    if not hp.dimension_reduction_type:
        return None, width, parts
    rng = np.random.default_rng([job.seed, _PROJECTION])
    return Projection.draw(hp.dimension_reduction_type, hp.feature_dim, width, rng), width, parts


def _sampled(job: Job[Hyperparameters], prepare: Preparation) -> tuple[Reservoir, bool]:
    """This host's sample of its rows, of the full size, and whether the job was stopped early.

    Each host keeps as many rows as the whole sample may take, because it may turn out to have seen nearly all there
    are; only its share of them travels.
    """
    hp, cluster = job.hyperparameters, job.cluster
    job.log.say(
        f"Using per-worker sample size = {hp.sample_size} (Available virtual memory = {job.memory} bytes, GPU free "
        f"memory = {free_memory(job.device)} bytes, number of workers = {cluster.size}). If an out-of-memory error "
        "occurs, choose a larger instance type, use dimension reduction, decrease sample_size, and/or decrease "
        "mini_batch_size."
    )
    rng = np.random.default_rng([job.seed, _SAMPLE, cluster.rank])
    reservoir = Reservoir(hp.sample_size, prepare.width, rng, prepare)
    passes = Passes(job, 1, hp.mini_batch_size, hp.feature_dim, dict, partial(_check, hp=hp), shuffle=False)
    for step in passes:
        if step.records is not None:
            assert step.records.labels is not None
            reservoir.add(step.records.features, step.records.labels[:, 0])
    return reservoir, passes.stopped


def _check(records: Records, hp: Hyperparameters) -> None:
    """DataError that names the first row whose label cannot be."""
    labels_N = records.expect_label("In CSV the label is the first column")
    bad = np.flatnonzero(labels_N != np.floor(labels_N))
    if hp.predictor_type == CLASSIFIER and len(bad):
        reason = f"the label must be a whole number for a classifier; got {labels_N[bad[0]]:g}"
        raise DataError(reason, source=records.source, row=records.first_row + int(bad[0]))


def _brought_together(job: Job[Hyperparameters], reservoir: Reservoir, stopped: bool) -> tuple[Array, Array]:
    """The rows (S, E) and labels (S) of the sample on the leader, and none on the other hosts.

    Each host gives as many rows as a draw from the rows of all hosts would take from its own.
    """
    hp, cluster = job.hyperparameters, job.cluster
    job.log.say(f"Getting reservoir sample from {cluster.current}...")
    seen_H = np.zeros(cluster.size, np.int64)
    seen_H[cluster.rank] = reservoir.seen
    seen_H = cluster.sum(seen_H)
    share_H = shares(seen_H, hp.sample_size, np.random.default_rng([job.seed, _SHARES]))
    size = int(share_H.sum())
    _expect_enough(hp, size, stopped)
    rows_SE, labels_S = reservoir.take()
    if share_H[cluster.rank] < len(rows_SE):
        rng = np.random.default_rng([job.seed, _SHARES, cluster.rank])
        chosen = np.sort(rng.choice(len(rows_SE), int(share_H[cluster.rank]), replace=False))
        rows_SE, labels_S = rows_SE[chosen], labels_S[chosen]
    found = f"data=({len(rows_SE)}, {rows_SE.shape[1]}), labels=({len(labels_S)},), NaNs=0"
    job.log.say(f"...Got reservoir sample from {cluster.current}: {found}")
    if cluster.size == 1:
        return rows_SE, labels_S
    rows, labels = cluster.gather(rows_SE), cluster.gather(labels_S)
    if rows is None or labels is None:
        return rows_SE[:0], labels_S[:0]
    return np.concatenate(rows), np.concatenate(labels)


def _expect_enough(hp: Hyperparameters, size: int, stopped: bool) -> None:
    """UserError where so many sampled rows are too few for the neighbors and the cells that the job asks for."""
    rows = f"{size} row{'' if size == 1 else 's'}"
    if stopped and size < hp.k:
        raise UserError(f"the job was stopped when it had {rows}, too few for k = {hp.k}, so it leaves no model")
    if not size:
        raise DataError("there is no row to learn from", source="channel train")
    if size < hp.k:
        raise DataError(f"there are {rows}, too few for k = {hp.k}; lower k", source="channel train")
    cells, given = hp.faiss_index_ivf_nlists, "faiss_index_ivf_nlists"
    if hp.uses_cells and not isinstance(cells, str) and size < cells:
        reason = f"there are {rows}, too few for {given} = {cells}; lower it, or leave it at auto"
        raise DataError(reason, source="channel train")
    if hp.compresses and size < 2:
        raise DataError("there is one row, and index_type faiss.IVFPQ needs at least 2", source="channel train")


def _filled(job: Job[Hyperparameters], rows_SE: Array, parts: int) -> Any:
    """The index of these rows, trained where its type needs it."""
    index = empty_index(job.hyperparameters, rows_SE.shape[1], parts, len(rows_SE), job.seed)
    for doing, done, work in (
        ("Training index...", "training index", index.train),
        ("Adding data to index...", "adding data to index", index.add),
    ):
        job.log.say(doing)
        began = time.perf_counter()
        work(rows_SE)
        job.log.say(f"...Finished {done} in {time.perf_counter() - began:.0f} second(s)")
    return index


def _artifact(job: Job[Hyperparameters], content: bytes, labels_S: Array, projection: Projection | None) -> Artifact:
    hp = job.hyperparameters
    reduction = None
    if projection:
        reduction = {"type": projection.kind, "seed": job.seed, "input_dim": hp.feature_dim}
        reduction["target_dim"] = projection.target
    settings = Settings(hp.k, hp.predictor_type, hp.index_metric == COSINE, reduction)
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={"feature_dim": hp.feature_dim},
        tensors={"labels": labels_S, **(projection.parts if projection else {})},
        # The three files that the managed algorithm leaves, under its names.
        files={INDEX: content, LABELS: labels_S.astype("<f4").tobytes(), SETTINGS: settings.spell()},
    )


def _score(job: Job[Hyperparameters], artifact: Artifact) -> None:
    """Report how good the labels of the test rows are, over all hosts."""
    hp, cluster = job.hyperparameters, job.cluster
    predictor, tally = Predictor.load(artifact, job.device), Tally(hp.predictor_type)
    check = partial(_check, hp=hp)
    for records in job.own_batches("test", hp.mini_batch_size, width=hp.feature_dim, check=check):
        assert records.labels is not None
        job.log.say("Searching index...")
        tally.update(records.labels[:, 0], predictor.predict(records)["predicted_label"])
    tally.collect(cluster)
    if not tally.rows:
        raise DataError("there is no row to score", source="channel test")
    if cluster.leads:
        for name, value in tally.scores().items():
            job.log.say(f"#test_score ({cluster.current}) : ({name!r}, {value})")
            job.log.metric(f"test:{name}", value)
