"""Trains LDA: the moments of all documents, restarts of their decomposition, then rounds over the documents."""

from __future__ import annotations

import time

import numpy as np

from clary.algorithms.lda.data import Array, Corpus, check_counts, joined, sparse
from clary.algorithms.lda.evaluate import log_likelihood
from clary.algorithms.lda.model import Refinement, Topics, completed, priors, spectral_topics
from clary.algorithms.lda.moments import FEWEST_WORDS, Documents, Moments, moments
from clary.algorithms.lda.spec import SPEC, Hyperparameters
from clary.algorithms.lda.tensor import Decomposition, decompose
from clary.toolkit.artifact import Artifact
from clary.toolkit.batches import checked
from clary.toolkit.channels import StoppedError
from clary.toolkit.checkpoint import Arrays
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.device import cores
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.spec import THROUGHPUT

# Rounds end where the topics move by less than that, in total variation, or after so many. The first one takes more
# steps for the posterior of each document, the others go on from there.
_STILL, _ROUNDS = 5e-4, 100
_FIRST_STEPS, _STEPS = 20, 5
_AT_ONCE = 1000  # documents that are scored together
# Bytes at the highest: of a place where a document has a word, and of a number for a document and a topic.
_PLACE, _NUMBER = 80, 24
# Arrays of a checkpoint, with the shape that stands in their names: between restarts, and between rounds.
_MOMENTS = {"mean": "V", "axes": "VK", "values": "K", "tensor": "KKK"}
_REFINED = ("alpha", "topics", "posterior")


def train(job: Job[Hyperparameters]) -> Artifact:
    """The topics of the train channel; the test channel is scored where there is one.

    DataError where no document can be learned from, UserError where the job does not fit into memory, or was stopped
    before it had a document.
    """
    began = time.perf_counter()
    corpus = _read(job)
    topics = _Training(job, corpus).run()
    stopped = job.stop.is_set()
    if not stopped:
        job.log.metric(THROUGHPUT.name, len(corpus) / max(time.perf_counter() - began, 1e-9))
    if "test" not in job.channels:
        job.log.say("Test data is not provided.")
    elif not stopped:
        _score(job, topics)
    return _artifact(job.hyperparameters, topics)


def _read(job: Job[Hyperparameters]) -> Corpus:
    """All documents of the train channel."""
    hp = job.hyperparameters
    _check_memory(job)
    counts_NV = joined(checked(job.channel("train").records(width=hp.feature_dim), check_counts), hp.feature_dim)
    if not counts_NV.shape[0] and job.stop.is_set():
        raise UserError("the job was stopped before it had a document to learn from, so it leaves no model")
    if not counts_NV.shape[0]:
        raise DataError("there is no document to learn from", source="channel train")
    job.log.say(f"Loaded all data into matrix with shape: {counts_NV.shape}")
    if hp.mini_batch_size != counts_NV.shape[0]:
        job.log.say(f"mini_batch_size is {hp.mini_batch_size}; all documents are learned from at once")
    if counts_NV.sum(axis=1).max() < FEWEST_WORDS:
        raise DataError(
            f"no document has {FEWEST_WORDS} words or more, and topics are learned from words that stand together; "
            "counts are used as they come, so give counts and not shares",
            source="channel train",
        )
    if np.any(counts_NV.data % 1):
        job.log.say("some counts are not whole numbers; LDA takes them as they come, but is made for counts of words")
    _check_memory(job, counts_NV.shape[0], counts_NV.nnz)
    return Corpus.of(counts_NV)


def _check_memory(job: Job[Hyperparameters], documents: int = 0, places: int = 0) -> None:
    """UserError where the job needs more memory than there is: the job's share is half of the machine's."""
    hp = job.hyperparameters
    size = 8 * (4 * hp.fitted**3 + 6 * hp.feature_dim * (hp.fitted + 10))
    size += documents * hp.num_topics * _NUMBER + places * _PLACE
    if size > 2 * job.memory:
        held = f", {documents} documents with {places} different words" if documents else ""
        raise UserError(
            f"num_topics {hp.num_topics} and feature_dim {hp.feature_dim}{held} need {size / 2**30:.4g} GiB, more "
            "than fits into memory; lower num_topics, leave rare words out, or give the job more memory"
        )


class _Training:
    """The way from documents to topics, which a stop may end anywhere and a checkpoint takes up again."""

    def __init__(self, job: Job[Hyperparameters], corpus: Corpus) -> None:
        self._job, self._hp, self._corpus = job, job.hyperparameters, corpus
        # Where the stop came before the last document, the next run must not go on from what the first ones gave.
        self._whole = not job.stop.is_set()

    def run(self) -> Topics:
        """The topics, or where the job is stopped what there is of them."""
        kept = self._job.checkpoints.load()
        arrays, done = (kept.arrays, int(kept.state["done"])) if kept else ({}, 0)
        if kept:
            self._job.log.say("resuming from a checkpoint")
        if "posterior" in arrays:
            return self._refined(Topics(arrays["alpha"], arrays["topics"].T), done, arrays["posterior"])
        try:
            found = Moments(*(arrays[name] for name in _MOMENTS)) if kept else self._moments()
        except StoppedError:
            self._job.log.say("stopping early, before words were counted together: topics are documents by chance")
            return self._undecided()
        best = Decomposition(arrays["directions"], arrays["weights"], float(arrays["error"][0]), 0) if done else None
        return self._refined(self._begun(found, self._decomposed(found, best, done)))

    def _moments(self) -> Moments:
        job, hp = self._job, self._hp
        documents = Documents(self._corpus.counts, hp.alpha0, job.stop.is_set)
        return moments(documents, hp.fitted, np.random.default_rng([job.seed, 1]), job.log.say)

    def _decomposed(self, found: Moments, best: Decomposition | None, done: int) -> Decomposition:
        """The best of all restarts."""
        job, hp, dimensions = self._job, self._hp, len(found.values_K)
        # Fewer directions than topics still tell them apart, up to Kruskal's bound for a sum of cubes.
        count = min(hp.fitted, max(dimensions, min(hp.num_topics, (3 * dimensions - 2) // 2)))
        job.log.say(f"Running LDA for {count} topics ({hp.num_topics} requested)")
        for restart in range(done, hp.max_restarts):
            job.log.say(f"Restart {restart + 1}/{hp.max_restarts}")
            rng = np.random.default_rng([job.seed, 2, restart])
            tried = decompose(
                found.tensor_KKK, count, restart, rng, most=hp.max_iterations, tol=hp.tol, stop=job.stop.is_set
            )
            before, best = best, tried if best is None or tried.error < best.error else best
            if job.stop.is_set():  # maybe cut short, so that the next run tries it again
                job.log.say(f"stopping early, in restart {restart + 1}/{hp.max_restarts}")
                self._save(restart, _held(found, before))
                break
            job.log.say(f"Restart ended after {tried.steps} iterations, error={tried.error:.6g}")
            self._advance(restart + 1, hp.max_restarts + _ROUNDS)
            self._save(restart + 1, _held(found, best))
        assert best is not None, "there is at least one restart"
        job.log.say(f"Best reconstruction error: {best.error:.8g}")
        return best

    def _undecided(self) -> Topics:
        """Topics of which nothing is known but how often each word occurs, and a document for each."""
        hp, counts_NV = self._hp, self._corpus.counts
        mean_V = np.asarray(counts_NV.sum(axis=0, dtype=np.float64)).ravel() / counts_NV.sum(dtype=np.float64)
        rng, none_RV = np.random.default_rng([self._job.seed, 3]), np.empty((0, hp.feature_dim))
        beta_KV = completed(self._corpus, mean_V, none_RV, hp.num_topics, rng)
        return Topics(priors(np.empty(0), hp.num_topics, hp.alpha0), beta_KV)

    def _begun(self, found: Moments, best: Decomposition) -> Topics:
        """The topics that the decomposition stands for, and others where they are too few."""
        hp, rng = self._hp, np.random.default_rng([self._job.seed, 3])
        weights_R, beta_RV = spectral_topics(found, best, hp.num_topics)
        if len(weights_R) < hp.num_topics:
            self._job.log.say(
                f"how words stand together tells {len(weights_R)} topics apart; the others begin at documents by "
                "chance"
            )
        beta_KV = completed(self._corpus, found.mean_V, beta_RV, hp.num_topics, rng)
        return Topics(priors(weights_R, hp.num_topics, hp.alpha0), beta_KV)

    def _refined(self, topics: Topics, done: int = 0, posterior: Array | None = None) -> Topics:
        """The topics after rounds over the documents, until they stay."""
        job, restarts = self._job, self._hp.max_restarts
        refinement = Refinement(self._corpus, topics, self._hp.alpha0, cores())
        if posterior is not None:
            refinement.posterior_NK = posterior
        for number in range(done, _ROUNDS):
            if job.stop.is_set():
                job.log.say(f"stopping early, after {number} rounds over the documents")
                break
            moved = refinement.round(_STEPS if number else _FIRST_STEPS)
            last = moved < _STILL or number + 1 == _ROUNDS
            self._advance(1 if last else restarts + number + 1, 1 if last else restarts + _ROUNDS)
            held = (refinement.alpha_K, refinement.topics_VK, refinement.posterior_NK)
            self._save(_ROUNDS if last else number + 1, dict(zip(_REFINED, held, strict=True)), last)
            if last:
                job.log.say(f"Topics stay after {number + 1} rounds over the documents")
                break
        return refinement.topics()

    def _advance(self, done: int, whole: int) -> None:
        self._job.log.metric("train:progress", 100.0 * done / whole)

    def _save(self, done: int, arrays: Arrays, last: bool = False) -> None:
        checkpoints = self._job.checkpoints
        if self._whole and checkpoints.kept and (checkpoints.due or last or self._job.stop.is_set()):
            checkpoints.save(arrays, {"done": done})


def _held(found: Moments, best: Decomposition | None) -> Arrays:
    """What a checkpoint keeps between restarts."""
    held = {name: getattr(found, f"{name}_{shape}") for name, shape in _MOMENTS.items()}
    if best is None:
        return held
    return {**held, "directions": best.directions_KR, "weights": best.weights_R, "error": np.array([best.error])}


def _score(job: Job[Hyperparameters], topics: Topics) -> None:
    """Report how likely the test documents are."""
    hp, total, words = job.hyperparameters, 0.0, 0.0
    topics_VK = np.ascontiguousarray(topics.beta_KV.T, np.float32)
    for records in job.own_batches("test", _AT_ONCE, width=hp.feature_dim, check=check_counts):
        corpus = Corpus.of(sparse(records))
        total += log_likelihood(corpus, topics_VK, topics.alpha_K, threads=cores())
        words += float(corpus.counts_Z.sum(dtype=np.float64))
    if not words:
        raise DataError("there is no word to score", source="channel test")
    job.log.metric("test:pwll", total / words)


def _artifact(hp: Hyperparameters, topics: Topics) -> Artifact:
    alpha_K, beta_KV = topics.alpha_K.astype(np.float32), topics.beta_KV.astype(np.float32)
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={"feature_dim": hp.feature_dim},
        tensors={"alpha": alpha_K, "beta": beta_KV},
        # What the managed algorithm leaves, so that notebooks which open its archive find it there.
        files={"model_algo-1": mxnet_ndarray.encode([alpha_K, beta_KV])},
    )
