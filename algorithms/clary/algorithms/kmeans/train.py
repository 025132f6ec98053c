"""Trains k-means: stream all rows past k * extra_center_factor centers, then merge those to k."""

from __future__ import annotations

import numpy as np

from clary.algorithms.kmeans.model import Array, Centers, Clustering, Stream, lloyd
from clary.algorithms.kmeans.spec import SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.checkpoint import Arrays
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.passes import Passes
from clary.toolkit.records import Records

AUTO_TRIALS = 10
_FEWEST, _MOST_CENTERS = 10, 2500


def train(job: Job[Hyperparameters]) -> Artifact:
    """Cluster the train channel and score the test channel, where there is one.

    DataError where the data holds fewer rows than clusters.
    """
    hp = job.hyperparameters
    stream = _stream(job)
    found = _merge(job, stream)
    artifact = _artifact(hp, found.centers_KD)
    if job.cluster.leads:
        job.log.metric("train:msd", found.loss)
    stopped = job.stopped()
    if "test" in job.channels and not stopped:
        _score(job, found.centers_KD)
    return artifact


def _stream(job: Job[Hyperparameters]) -> Stream:
    """The streaming phase, from the start or from a checkpoint."""
    hp = job.hyperparameters
    stream: Stream | None = None

    def arrays() -> Arrays:
        return {} if stream is None else {"centers": stream.centers_KD, "counts": stream.counts_K}

    passes = Passes(job, hp.epochs, hp.mini_batch_size, hp.feature_dim, arrays)
    if kept := passes.resume():
        stream = Stream(kept["centers"].copy(), kept["counts"].copy())
    for step in passes:
        if stream is None:
            stream = _start(job, step.records)
        if step.records is None:
            sums_KD, counts_K = np.zeros_like(stream.centers_KD), np.zeros_like(stream.counts_K)
        else:
            sums_KD, counts_K = stream.gather(step.records.features)
        if job.cluster.size > 1:
            both = job.cluster.sum(np.concatenate([sums_KD, counts_K[:, None]], axis=1))
            sums_KD, counts_K = both[:, :-1], both[:, -1]
        stream.follow(sums_KD, counts_K, hp.half_life_time_size)
    if stream is None and passes.stopped:
        raise UserError("the job was stopped before it had a batch of rows to learn from, so it leaves no model")
    if stream is None:
        raise DataError("there is no row to cluster", source="channel train")
    job.log.say(f"processed a total of {passes.rows} examples")
    return stream


def automatic_factor(clusters: int) -> int:
    """What ``extra_center_factor = auto`` comes to.

    The managed algorithm was seen to take 10 for 8 clusters. The loss that the merge leaves grows with the
    number of clusters, so from ten on the factor grows too, as far as there are not too many centers to follow.
    """
    return max(_FEWEST, min(_FEWEST + 6 * (clusters - 10), _MOST_CENTERS // clusters))


def _start(job: Job[Hyperparameters], records: Records | None) -> Stream:
    """The starting centers, picked on the leader from the first batches of all hosts."""
    hp, cluster = job.hyperparameters, job.cluster
    factor = _resolved(job, "extra_center_factor", hp.extra_center_factor, automatic_factor(hp.k))
    own_ND = np.empty((0, hp.feature_dim), np.float32) if records is None else records.dense()
    gathered = cluster.gather(own_ND)
    picked = np.empty((0, hp.feature_dim))
    if gathered is not None:
        points_ND = np.concatenate(gathered)
        if len(points_ND) < hp.mini_batch_size:
            job.log.say(
                f"Batch size {hp.mini_batch_size} is bigger than the first batch data. "
                f"Effective batch size used to initialize is {len(points_ND)}"
            )
        rng = np.random.default_rng([job.seed, 1])
        picked = Stream.start(points_ND, hp.k * factor, hp.init_method, rng).centers_KD
    centers_KD = cluster.broadcast(picked).copy()
    if len(centers_KD) < hp.k:
        raise DataError(
            f"the first batch has {len(centers_KD)} rows, too few for k = {hp.k} clusters; "
            "lower k, or raise mini_batch_size if the data has more rows",
            source="channel train",
        )
    return Stream(centers_KD, np.zeros(len(centers_KD)))


def _merge(job: Job[Hyperparameters], stream: Stream) -> Clustering:
    """The final centers: the best of several runs of Lloyd's method over the streamed ones."""
    hp = job.hyperparameters
    alive_K = stream.counts_K > 0
    points_ND, weights_N = stream.centers_KD[alive_K], stream.counts_K[alive_K]
    if len(stream.centers_KD) == hp.k:
        return Clustering(stream.centers_KD, 0.0, 0)
    if len(points_ND) < hp.k:  # centers that no row came to stand in where the data has too few distinct rows
        points_ND, weights_N = stream.centers_KD, np.maximum(stream.counts_K, 1e-9)
    job.log.say(f"shrinking {len(points_ND)} centers into {hp.k}")
    trials = _resolved(job, "local_lloyd_num_trials", hp.local_lloyd_num_trials, AUTO_TRIALS)
    best: Clustering | None = None
    for trial in range(trials):
        run = lloyd(
            points_ND,
            weights_N,
            hp.k,
            hp.local_lloyd_init_method,
            np.random.default_rng([job.seed, 2, trial]),
            most=hp.local_lloyd_max_iter,
            tolerance=hp.local_lloyd_tol,
        )
        job.log.say(f"local kmeans attempt #{trial}. Current mean square distance {run.loss:.6f}")
        best = run if best is None or run.loss < best.loss else best
    assert best is not None
    job.log.say(f"finished shrinking process. Mean Square Distance = {best.loss:.6f}")
    return best


def _score(job: Job[Hyperparameters], centers_KD: Array) -> None:
    """Report the squared distances of the test rows, over all hosts."""
    hp, cluster = job.hyperparameters, job.cluster
    centers = Centers(centers_KD.astype(np.float32))
    total, rows = 0.0, 0
    for records in job.own_batches("test", hp.mini_batch_size, width=hp.feature_dim):
        _, squared_N = centers.closest(records.dense())
        total += float(squared_N.sum(dtype=np.float64))
        rows += len(records)
    total, rows = cluster.sum(np.array([total, rows])).tolist()
    if not rows:
        raise DataError("there is no row to score", source="channel test")
    if cluster.leads:
        for name in hp.eval_metrics:
            job.log.metric(f"test:{name}", total / rows if name == "msd" else total)


def _resolved(job: Job[Hyperparameters], name: str, value: int | str, automatic: int) -> int:
    if isinstance(value, int):
        return value
    job.log.say(f"'{name}' was set to 'auto', evaluated to {automatic}.")
    return automatic


def _artifact(hp: Hyperparameters, centers_KD: Array) -> Artifact:
    centers = centers_KD.astype(np.float32)
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={"feature_dim": hp.feature_dim},
        tensors={"centers": centers},
        # What the managed algorithm leaves, so that notebooks which open its archive find it there.
        files={"model_algo-1": mxnet_ndarray.encode([centers])},
    )
