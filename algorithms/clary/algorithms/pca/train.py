"""Trains PCA: one pass that adds the second moments of all rows up, on all hosts, then one decomposition."""

from __future__ import annotations

import time

import numpy as np

from clary.algorithms.pca.data import Array, Moments, Summary
from clary.algorithms.pca.devices import moments_on
from clary.algorithms.pca.model import Components, components, project, random_test, steep_axes
from clary.algorithms.pca.spec import AUTOMATIC, REGULAR, SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.checkpoint import Arrays
from clary.toolkit.cluster import Cluster
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.passes import Passes
from clary.toolkit.records import Records
from clary.toolkit.spec import THROUGHPUT


def train(job: Job[Hyperparameters]) -> Artifact:
    """The components of the train channel; the test channel is scored where there is one.

    DataError where there are fewer rows than components, UserError where the job was stopped before it had enough.
    """
    hp = job.hyperparameters
    job.log.say(f"{hp.feature_dim} feature(s) found in 'data'.")
    if hp.algorithm_mode == REGULAR and hp.extra_components != AUTOMATIC:
        job.log.say("extra_components has no effect with algorithm_mode regular; it acts with randomized")
    moments, found, stopped = _summed(job)
    if found.rows < hp.num_components:
        few = f"{found.rows:.0f} row{'' if found.rows == 1 else 's'}, too few for {hp.num_components} components"
        if stopped:
            raise UserError(f"the job was stopped after {few}, so it leaves no model")
        if not found.rows:
            raise DataError("there is no row to learn from", source="channel train")
        raise DataError(f"the data has {few}; lower num_components", source="channel train")
    result = components(found, moments, hp.num_components)
    _tell(job, result)
    if "test" not in job.channels:
        job.log.say("Test data is not provided.")
    elif not job.stopped():
        _score(job, result)
    return _artifact(hp, result)


def _summed(job: Job[Hyperparameters]) -> tuple[Moments, Summary, bool]:
    """The moments' kind, the sums over all rows of all hosts, and whether the job was stopped before the last."""
    hp, cluster = job.hyperparameters, job.cluster
    moments: Moments | None = None

    def arrays() -> Arrays:
        return {} if moments is None else _gathered(cluster, moments)

    passes = Passes(job, 1, hp.mini_batch_size, hp.feature_dim, arrays, shuffle=False)
    if kept := passes.resume():
        moments = _moments(job, kept["axes"] if kept["axes"].size else None)
        moments.restore({name: each[cluster.rank] for name, each in kept.items() if name != "axes"})
    before, began = passes.rows, time.perf_counter()
    for count, step in enumerate(passes):
        if count == 1:
            _report_pace(job, passes.rows - before, time.perf_counter() - began)
        if moments is None:
            moments = _moments(job, _axes(job, step.records))
        if step.records is not None:
            moments.add(step.records.features)
    if moments is None:
        moments = _moments(job, None)
    return moments, _together(cluster, moments), passes.stopped


def _report_pace(job: Job[Hyperparameters], rows: int, seconds: float) -> None:
    """Say how fast the first batch went, so that whoever waits for the only pass can tell how long it takes."""
    if job.cluster.leads:
        job.log.metric(THROUGHPUT.name, rows / max(seconds, 1e-9))


def _moments(job: Job[Hyperparameters], axes_DD: Array | None) -> Moments:
    """Empty moments of the kind that the job needs, where it computes."""
    hp = job.hyperparameters
    test_DL = None
    if hp.algorithm_mode != REGULAR:
        test_DL = random_test(hp.feature_dim, hp.sketch_width, np.random.default_rng([job.seed, 1]))
    return moments_on(job.device, hp.feature_dim, centered=hp.subtract_mean, axes_DD=axes_DD, test_DL=test_DL)


def _axes(job: Job[Hyperparameters], records: Records | None) -> Array | None:
    """Axes for data whose components span many magnitudes, the same on every host; None for all other data.

    The first batches of all hosts decide.
    """
    hp, cluster = job.hyperparameters, job.cluster
    if hp.algorithm_mode != REGULAR:
        return None
    sample = np.empty((0, hp.feature_dim), np.float32) if records is None else records.dense()
    gathered = cluster.gather(sample)
    axes_DD = None
    if gathered is not None:
        axes_DD = steep_axes(np.concatenate(gathered), hp.num_components, centered=hp.subtract_mean)
    agreed = cluster.broadcast(np.empty((0, 0)) if axes_DD is None else axes_DD)
    return agreed if agreed.size else None


def _gathered(cluster: Cluster, moments: Moments) -> Arrays:
    """The moments of every host, stacked in the order of ranks, on the leader; and the axes that all share."""
    own = moments.state()
    stacked = {name: cluster.gather(array) for name, array in own.items()}
    axes_DD = np.empty((0, 0)) if moments.axes_DD is None else moments.axes_DD
    return {"axes": axes_DD, **{name: np.stack(parts) for name, parts in stacked.items() if parts is not None}}


def _together(cluster: Cluster, moments: Moments) -> Summary:
    """The sums over all hosts, each host's moved to the mean of all."""
    own = moments.settle()
    if cluster.size == 1:
        return own
    rows, sums_D = cluster.sum_all([np.array([own.rows]), own.rows * own.mean_D])
    moved = moments.around(own, sums_D / max(rows[0], 1))
    product_DL, squares = cluster.sum_all([moved.product_DL, np.array([moved.squares])])
    gathered = cluster.gather(moved.far_FD)
    far_FD = cluster.broadcast(None if gathered is None else np.concatenate(gathered))
    return Summary(float(rows[0]), moved.mean_D, product_DL, float(squares[0]), far_FD)


def _tell(job: Job[Hyperparameters], result: Components) -> None:
    if job.cluster.leads and result.total > 0:
        share = float(np.square(result.s_K).sum()) / result.total
        spread = "variance" if job.hyperparameters.subtract_mean else "squares"
        job.log.say(f"the components explain {100 * min(share, 1.0):.2f} % of the {spread} of the training rows")


def _score(job: Job[Hyperparameters], result: Components) -> None:
    """Report the share of the test rows' squares that their projections keep, over all hosts."""
    hp = job.hyperparameters
    mean_D = result.mean_D if hp.subtract_mean else None
    sums = np.zeros(3)
    for records in job.own_batches("test", hp.mini_batch_size, width=hp.feature_dim):
        rows_ND = records.dense().astype(np.float64)
        if mean_D is not None:
            rows_ND -= mean_D
        along_NK = project(rows_ND, None, result.v_DK)
        sums += np.array([len(records), np.vdot(along_NK, along_NK), np.vdot(rows_ND, rows_ND)])
    rows, kept, whole = job.cluster.sum(sums).tolist()
    if not rows:
        raise DataError("there is no row to score", source="channel test")
    if job.cluster.leads:
        # Of rows that are all the mean, nothing is lost.
        job.log.metric("test:explained_variance", kept / whole if whole else 1.0)


def _artifact(hp: Hyperparameters, result: Components) -> Artifact:
    tensors = {"s": result.s_K, "v": result.v_DK, "total": np.array([result.total])}
    managed = {"s": result.s_K.astype(np.float32), "v": result.v_DK.astype(np.float32)}
    if hp.subtract_mean:
        tensors["mean"] = result.mean_D
        managed["mean"] = result.mean_D.astype(np.float32)[None]
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={"feature_dim": hp.feature_dim},
        tensors=tensors,
        # What the managed algorithm leaves, so that notebooks which open its archive find it there.
        files={"model_algo-1": mxnet_ndarray.encode(managed)},
    )
