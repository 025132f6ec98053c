"""Trains a neural topic model: epochs over documents in random order, until the loss has stopped falling."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from clary.algorithms.ntm import evaluate
from clary.algorithms.ntm.data import Corpus
from clary.algorithms.ntm.evaluate import Patience
from clary.algorithms.ntm.layers import Counts, one_thread
from clary.algorithms.ntm.model import Array, Network, TopicModel, optimizer
from clary.algorithms.ntm.spec import Hyperparameters
from clary.algorithms.ntm.vocabulary import WORDS, Vocabulary
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.loop import Epoch, Loop
from clary.toolkit.replicas import Replicas

TRAIN, VALIDATION, TEST, AUXILIARY = "train", "validation", "test", "auxiliary"
_COPIES = 5  # of each weight: itself, its gradient, two moments, and the best so far


def train(job: Job[Hyperparameters]) -> Artifact:
    """A topic model of the train channel's documents; the test channel is scored where there is one.

    DataError where a document cannot be read or there is none, UserError where the training diverges.
    """
    hp = job.hyperparameters
    _check_size(job)
    for sentence in hp.without_effect():
        job.log.say(sentence)
    vocabulary = Vocabulary.read(job.channel(AUXILIARY), hp.feature_dim) if AUXILIARY in job.channels else None
    corpora = {
        name: Corpus.read(job.channel(name), hp.feature_dim)
        for name in (TRAIN, VALIDATION, TEST)
        if name in job.channels
    }
    _check_documents(job, corpora)
    frequencies_W = corpora[TRAIN].frequencies()
    if corpora[TRAIN].sharded:
        frequencies_W = job.cluster.sum(frequencies_W)
    model = Replicas.of(job).run(_fit, job, corpora, frequencies_W)
    if not job.stopped():
        _show(job, model.weights, corpora[TRAIN], vocabulary)
    return model.artifact({WORDS: vocabulary.content()} if vocabulary else {})


def _check_size(job: Job[Hyperparameters]) -> None:
    hp = job.hyperparameters
    weights = hp.feature_dim * (hp.widths()[0] + hp.num_topics)
    weights += sum(before * behind for before, behind in pairwise((*hp.widths(), 2 * hp.num_topics)))
    size = 4 * _COPIES * weights
    # The job's share of memory is half of the machine's; nothing helps where the weights exceed it all.
    if size > 2 * job.memory:
        raise UserError(
            f"feature_dim {hp.feature_dim}, num_topics {hp.num_topics} and encoder_layers {list(hp.widths())} make "
            f"{size / 2**30:.4g} GiB of weights and moments, more than fits into memory; lower one of them"
        )


def _check_documents(job: Job[Hyperparameters], corpora: Mapping[str, Corpus]) -> None:
    """DataError where no host has a document of a channel; UserError where a stop is why."""
    counts = job.cluster.sum(np.array([len(each) for each in corpora.values()]))
    empty = [name for name, count in zip(corpora, counts.tolist(), strict=True) if not count]
    if not empty:
        return
    if job.stopped():
        raise UserError("the job was stopped before it had a document to learn from, so it leaves no model")
    raise DataError("there is no document", source=f"channel {empty[0]}")


def _fit(
    job: Job[Hyperparameters], replicas: Replicas, corpora: Mapping[str, Corpus], frequencies_W: Array
) -> TopicModel:
    """Train in this process, together with the others; the model of the best epoch where a loss is watched."""
    hp = job.hyperparameters
    network = Network(hp, frequencies_W).to(replicas.device)
    loop = Loop(job, replicas, network, optimizer(network, hp), epochs=hp.epochs, parts=2)
    with one_thread():
        for epoch in loop:
            job.log.say(f"# Starting training for epoch {epoch.number + 1}")
            for counts in epoch.steps(_batches(job, replicas, corpora[TRAIN], epoch.number)):
                loss, *parts = loop.module(counts)
                # The managed algorithm adds up the gradients of a batch's documents.
                epoch.learn(loss * hp.mini_batch_size, len(counts), *parts)
            if not loop.stopped:
                watched = _look(job, replicas, network, corpora, loop, epoch)
                _be_patient(job, loop, watched)
        if hp.stops_early and loop.best_epoch is not None:
            loop.restore_best()
            job.log.say(
                f"Best model based on early stopping at epoch {loop.best_epoch + 1}. Best loss: {loop.best_score}"
            )
        if not loop.stopped:
            _report(job, replicas, network, corpora, loop.epoch)
    return TopicModel(network, hp, replicas.device)


def _batches(job: Job[Hyperparameters], replicas: Replicas, corpus: Corpus, epoch: int) -> Iterator[Counts]:
    """This process's batches of an epoch: its part of each batch of its host."""
    hp, hosts = job.hyperparameters, replicas.size // replicas.local
    host, own = divmod(replicas.rank, replicas.local)
    rng = np.random.default_rng([job.seed, epoch, host if corpus.sharded else 0])
    drawn = -(-len(corpus) * hp.sub_sample // 1)
    order = rng.permutation(len(corpus))[: max(1, int(drawn))]
    step = hp.mini_batch_size * (1 if corpus.sharded else hosts)
    first = 0 if corpus.sharded else host * hp.mini_batch_size
    for start in range(first, len(order), step):
        numbers = order[start : start + hp.mini_batch_size][own :: replicas.local]
        if len(numbers):
            yield Counts.of(corpus.take(numbers), replicas.device)


@dataclass(frozen=True)
class _Losses:
    """The losses per word, means over so many documents."""

    documents: int
    divergence: float
    reconstruction: float

    @property
    def total(self) -> float:
        return self.divergence + self.reconstruction

    def describe(self, job: Job[Hyperparameters], purpose: str) -> None:
        """Print them as the managed algorithm does."""
        job.log.say(f"Metrics for {purpose}:")
        for name, value in (
            ("total", self.total),
            ("kld", self.divergence),
            ("recons", self.reconstruction),
            ("logppx", self.total),
        ):
            job.log.say(f"Loss (name: value) {name}: {value}")


def _look(
    job: Job[Hyperparameters],
    replicas: Replicas,
    network: Network,
    corpora: Mapping[str, Corpus],
    loop: Loop,
    epoch: Epoch,
) -> float:
    """Report an epoch; the loss that early stopping watches."""
    number, size = epoch.number + 1, job.hyperparameters.mini_batch_size
    losses = _Losses(epoch.records, *epoch.means[1:])
    job.log.say(
        f"# Finished training epoch {number} on {epoch.records} examples from {loop.step} batches, "
        f"each of size {size}."
    )
    losses.describe(job, "Training")
    if replicas.leads:
        job.log.metric("train:total_loss", losses.total, epoch=number)
    began = time.perf_counter()
    if VALIDATION in corpora:
        losses = _score(job, replicas, network, corpora[VALIDATION])
        losses.describe(job, "Inference")
        job.log.say(f"#validation_score ({number}): {losses.total}")
    scored = time.perf_counter() - began
    job.log.say(f"Timing: train: {epoch.seconds:.2f}s, val: {scored:.2f}s, epoch: {epoch.seconds + scored:.2f}s")
    return losses.total


def _be_patient(job: Job[Hyperparameters], loop: Loop, watched: float) -> None:
    """Keep the model if it is the best so far, and end the training where it has not become better for too long."""
    hp = job.hyperparameters
    if not hp.stops_early:
        return
    loop.keep_best(watched)
    patience = Patience(hp.num_patience_epochs, hp.tolerance, **loop.notes)
    for line in patience.watch(watched):
        job.log.say(line)
    loop.notes = {"losses": patience.losses, "bad": patience.bad}
    if patience.exceeded:
        job.log.say("Bad epochs exceeded patience. Stopping training early!")
        loop.finish()


def _score(job: Job[Hyperparameters], replicas: Replicas, network: Network, corpus: Corpus) -> _Losses:
    """The losses of a channel's documents, of which each process scores a part."""
    rank, size = (
        (replicas.rank % replicas.local, replicas.local) if corpus.sharded else (replicas.rank, replicas.size)
    )
    own, width = np.arange(rank, len(corpus), size), job.hyperparameters.mini_batch_size
    for buffer in network.buffers():  # moments of batches, of which each process has seen others
        buffer.copy_(replicas.first(buffer.cpu()))
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=replicas.device)
    with torch.inference_mode():
        for start in range(0, len(own), width):
            sums += torch.stack(network.score(Counts.of(corpus.take(own[start : start + width]), replicas.device)))
    documents, divergence, loss = replicas.sum([len(own), *sums.tolist()])
    batches = -(-int(documents) // width)
    job.log.say(f"Finished scoring on {int(documents)} examples from {batches} batches, each of size {width}.")
    return _Losses(int(documents), divergence / documents, loss / documents)


def _report(
    job: Job[Hyperparameters], replicas: Replicas, network: Network, corpora: Mapping[str, Corpus], epochs: int
) -> None:
    """Score the final model on the channels that there are for it."""
    if VALIDATION in corpora:
        losses = _score(job, replicas, network, corpora[VALIDATION])
        if replicas.leads:
            job.log.metric("validation:total_loss", losses.total, epoch=epochs)
    if TEST in corpora:
        losses = _score(job, replicas, network, corpora[TEST])
        losses.describe(job, "Inference")
        if replicas.leads:
            job.log.metric("test:total_loss", losses.total)


def _show(job: Job[Hyperparameters], topics_WK: Array, corpus: Corpus, vocabulary: Vocabulary | None) -> None:
    """Print the topics by their words, and how coherent and unique they are."""
    top_KT = evaluate.top_words(topics_WK)
    documents, together_KTT = len(corpus), evaluate.together(corpus, top_KT)
    if corpus.sharded:
        documents = int(job.cluster.sum(np.array([documents]))[0])
        together_KTT = job.cluster.sum(together_KTT)
    wetc_K = None
    if vocabulary is None:
        job.log.say("Vocab file is not provided")
    elif vocabulary.vectors is None:
        wetc_K = evaluate.cosines(together_KTT)
    else:
        wetc_K = evaluate.likeness(top_KT, vocabulary.vectors)
        if vocabulary.unknown:
            job.log.say(
                f"{vocabulary.unknown} out of {len(vocabulary.words)} in vocabulary do not have embeddings! "
                "Default vector used for unknown embedding!"
            )
    words = vocabulary.words if vocabulary else None
    for line in evaluate.described(top_KT, wetc_K, evaluate.uniqueness(top_KT), words):
        job.log.say(line)
    npmi = evaluate.mutual_information(together_KTT, documents).mean()
    job.log.say(f"Coherence of the top {evaluate.COHERENT_WORDS} words in the training documents (npmi): {npmi:.4f}")
