"""Trains a random cut forest: samples the rows in one pass, and builds each tree from its own part of the sample."""

from __future__ import annotations

import numpy as np

from clary.algorithms.random_cut_forest.data import Sample
from clary.algorithms.random_cut_forest.evaluate import metrics
from clary.algorithms.random_cut_forest.model import Array, Forest
from clary.algorithms.random_cut_forest.spec import SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.device import cores
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.passes import Passes
from clary.toolkit.records import Records

_BATCH = 1000  # rows; the managed algorithm's only mini_batch_size
# The sampled rows are held as such, in the trees, twice as their boxes, and twice more while the model is written.
_COPIES = 6


def train(job: Job[Hyperparameters]) -> Artifact:
    """A forest over a sample of the train channel; the test channel is scored where there is one.

    DataError where there are fewer rows than trees, UserError where the sample does not fit into memory.
    """
    hp = job.hyperparameters
    job.log.say("Verifying hyperparamemters...")  # spelled as the managed algorithm does
    job.log.say("Hyperparameters are correct.")
    points_KD, seen, stopped = _sampled(job)
    # The others build nothing: the leading host has all of the sample, and shares the forest for the test rows.
    forest = _built(job, points_KD, seen) if job.cluster.leads else None
    if "test" in job.channels and not stopped:
        _score(job, _everywhere(job, forest))
    elif not stopped:
        job.log.say("Test data is not provided.")
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={"feature_dim": hp.feature_dim},
        tensors=forest.tensors() if forest else {},
    )


def _sampled(job: Job[Hyperparameters]) -> tuple[Array, int, bool]:
    """The sample of all hosts' rows on the leading one, the number of rows, and whether the job was stopped."""
    hp, leads = job.hyperparameters, job.cluster.leads
    # Another host keeps the numbers of its rows only: enough to know which row is not worth sending.
    sample = Sample(hp.num_trees * hp.num_samples_per_tree, hp.feature_dim if leads else 0)
    passes = Passes(job, 1, _BATCH, hp.feature_dim, lambda: {"numbers": sample.numbers(), "points": sample.points()})
    if kept := passes.resume():
        sample.add(kept["numbers"].copy(), kept["points"].copy() if leads else kept["points"][:, :0].copy())
    if leads and not passes.epoch:
        job.log.metric("train:progress", 0.0)
    job.log.say("Validating that feature_dim agrees with dimensions in training data...")
    for place, step in enumerate(passes):
        if not place:
            job.log.say("feature_dim is correct.")
            _announce_memory(job)
            job.log.say("Sampling training data...")
        numbers_N, points_ND = _promising(job, sample, step.number, step.records)
        if leads:
            sample.add(numbers_N, points_ND)
            _check_memory(job, sample)
        else:
            sample.add(numbers_N, points_ND[:, :0])
        if job.cluster.size > 1:
            _handed_in(job, sample, numbers_N, points_ND)
    job.log.say("Sampling training data completed.")
    if passes.stopped and not passes.rows:
        raise UserError("the job was stopped before it had a row to learn from, so it leaves no model")
    return sample.points(), passes.rows, passes.stopped


def _promising(job: Job[Hyperparameters], sample: Sample, step: int, records: Records | None) -> tuple[Array, Array]:
    """The rows of this host's batch that may belong to the sample, and the numbers that they drew."""
    if records is None:
        return np.empty(0), np.empty((0, job.hyperparameters.feature_dim), np.float32)
    numbers_N = np.random.default_rng([job.seed, 1, job.cluster.rank, step]).random(len(records))
    chosen = sample.promising(numbers_N)
    return numbers_N[chosen], records.take(chosen).dense()


def _handed_in(job: Job[Hyperparameters], sample: Sample, numbers_N: Array, points_ND: Array) -> None:
    """Add what the other hosts found to the leading host's sample."""
    numbers, points = job.cluster.gather(numbers_N), job.cluster.gather(points_ND)
    for others_N, others_ND in zip((numbers or [])[1:], (points or [])[1:], strict=True):
        sample.add(others_N, others_ND)


def _announce_memory(job: Job[Hyperparameters]) -> None:
    """Say what the largest sample and its forest take; fewer rows take less, so nothing is refused here."""
    hp = job.hyperparameters
    sample = hp.num_trees * hp.num_samples_per_tree * hp.feature_dim * 4
    job.log.say("Validating memory limits...")
    job.log.say(f"Available memory in bytes: {job.memory}")
    job.log.say(f"Estimated sample size in bytes: {sample}")
    job.log.say(f"Estimated memory needed to build the forest in bytes: {_COPIES * sample}")
    if _COPIES * sample <= job.memory:
        job.log.say("Memory limits validated.")
    else:
        job.log.say("a full sample does not fit into memory; the job goes on as long as its rows do")


def _check_memory(job: Job[Hyperparameters], sample: Sample) -> None:
    hp, needed = job.hyperparameters, _COPIES * sample.nbytes
    if needed > job.memory:
        raise UserError(
            f"num_trees = {hp.num_trees} times num_samples_per_tree = {hp.num_samples_per_tree} rows of "
            f"{hp.feature_dim} features need more memory than the {job.memory >> 20} MiB that there are; "
            "lower num_trees or num_samples_per_tree, or give the job more memory (CLARY_MEMORY_MB)"
        )


def _built(job: Job[Hyperparameters], points_KD: Array, seen: int) -> Forest:
    """A tree for each part of the sample; the parts are of one size, and a rest is left out."""
    hp, found = job.hyperparameters, len(points_KD)
    job.log.say("Master node: building Random Cut Forest...")
    job.log.say("Gathering samples...")
    job.log.say(f"{found} samples gathered")
    each = found // hp.num_trees
    if not found:
        raise DataError("there is no row to sample", source="channel train")
    if not each:
        raise DataError(
            f"there are too few rows for num_trees = {hp.num_trees}: {found}, and each tree needs one of its own; "
            "give more rows, or lower num_trees (50 at least)",
            source="channel train",
        )
    if each < hp.num_samples_per_tree:
        job.log.say(f"there are rows for {each} samples in each tree, not for {hp.num_samples_per_tree}")
    job.log.say("Building Random Cut Forest...")
    points_TSD = points_KD[: hp.num_trees * each].reshape(hp.num_trees, each, hp.feature_dim)
    forest = Forest.grow(points_TSD, seen, seed=job.seed, threads=cores())
    facts = ", ".join(f"{name}: {value}" for name, value in forest.describe().items())
    job.log.say("Random Cut Forest built:")
    job.log.say(f"ForestInfo{{{facts}}}")
    return forest


def _everywhere(job: Job[Hyperparameters], forest: Forest | None) -> Forest:
    """The leading host's forest, on every host."""
    if job.cluster.size == 1 and forest:
        return forest
    names = ("points", "left", "right", "feature", "value", "mass", "root", "state", "seen")
    given = forest.tensors() if forest else {}
    return Forest.read({name: job.cluster.broadcast(given.get(name)) for name in names})


def _score(job: Job[Hyperparameters], forest: Forest) -> None:
    """Report how well the scores tell the anomalies among the test rows, over all hosts."""
    hp, cluster = job.hyperparameters, job.cluster
    scores, labels = [np.empty(0)], [np.empty(0, np.bool_)]
    for records in job.own_batches("test", _BATCH, width=hp.feature_dim, check=_anomalous):
        labels.append(_anomalous(records))
        scores.append(forest.scores(records.dense(), threads=cores()))
    all_scores, all_labels = cluster.gather(np.concatenate(scores)), cluster.gather(np.concatenate(labels))
    if all_scores is None or all_labels is None:
        return
    scores_N, anomalous_N = np.concatenate(all_scores), np.concatenate(all_labels)
    if not len(scores_N):
        raise DataError("there is no row to score", source="channel test")
    for name, value in metrics(scores_N, anomalous_N, hp.eval_metrics).items():
        job.log.metric(f"test:{name}", value)


def _anomalous(records: Records) -> Array:
    """Whether each row is labeled 1; DataError where a label is neither 0 nor 1, or not there."""
    labels_N = records.expect_label(
        "Test rows are labeled 1 for an anomaly or 0; in CSV that is the first column, and the content type text/csv "
        "or text/csv;label_size=1"
    )
    wrong = np.flatnonzero((labels_N != 0) & (labels_N != 1))
    if len(wrong):
        raise DataError(
            f"the label must be 1 for an anomaly or 0 for a normal row; got {labels_N[wrong[0]]:g}",
            source=records.source,
            row=records.first_row + int(wrong[0]),
        )
    return np.asarray(labels_N == 1)
