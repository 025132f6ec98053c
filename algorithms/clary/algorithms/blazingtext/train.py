"""Trains BlazingText: word vectors by one of three loops, or a classifier with validation and early stopping."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from clary.algorithms.blazingtext import evaluate, files, loops
from clary.algorithms.blazingtext.data import Corpus, labeled_lines, read, sentences
from clary.algorithms.blazingtext.devices import PIECE, Cards, Device, Piece, Processor, matrix, places
from clary.algorithms.blazingtext.files import Arguments, Content
from clary.algorithms.blazingtext.rounds import Rounds
from clary.algorithms.blazingtext.spec import BATCH_SKIPGRAM, CBOW, SPEC, SUPERVISED, Hyperparameters
from clary.algorithms.blazingtext.vocabulary import alias_table, subword_buckets
from clary.toolkit.artifact import Artifact
from clary.toolkit.device import CPU, cores
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job

Array = npt.NDArray[Any]

VECTORS, BINARY, TEXT, EVALUATION = "vectors.bin", "model.bin", "vectors.txt", "eval.json"
_POWER = 0.5  # of a word's count, by which negatives are drawn
_MODELS = {CBOW: files.CBOW, SUPERVISED: files.SUPERVISED}


def train(job: Job[Hyperparameters]) -> Artifact:
    """Word vectors or a classifier of the train channel's text, as ``mode`` says.

    DataError where there is nothing to learn from, UserError where the mode cannot do what the job asks for.
    """
    hp, hosts = job.hyperparameters, job.cluster.size
    if hosts > 1 and hp.mode != BATCH_SKIPGRAM:
        raise UserError(
            f"mode {hp.mode} trains on one host, and the job has {hosts}; mode {BATCH_SKIPGRAM} uses several"
        )
    if job.cluster.leads:
        machines = "single machine" if hosts == 1 else f"{hosts} machines'"
        machines += f" {job.gpus} GPU" if places(job) else " CPU"
        job.log.say(f"Running {machines} BlazingText training using {hp.mode} mode.")
        if job.device != CPU and not places(job):
            wanted = "pip install 'clary[blazingtext_gpu]' brings one"
            job.log.say(f"the GPU is not used: there is no torch with code for it; {wanted}")
    _check_size(job)
    return _train_classifier(job) if hp.supervised else _train_vectors(job)


def _check_size(job: Job[Hyperparameters]) -> None:
    """Raise UserError where the rows of all buckets, which the model file holds, exceed the machine's memory."""
    hp = job.hyperparameters
    size, most = 4 * _buckets(hp) * hp.vector_dim, 2 * job.memory
    if size > most:
        raise UserError(
            f"buckets={hp.buckets} rows of vector_dim={hp.vector_dim} make a model file of {size >> 20} MiB, and "
            f"this machine has {most >> 20} MiB of memory; give fewer buckets, or a smaller vector_dim"
        )


def _buckets(hp: Hyperparameters) -> int:
    return hp.buckets if hp.with_subwords or (hp.supervised and hp.word_ngrams > 1) else 0


def _train_vectors(job: Job[Hyperparameters]) -> Artifact:
    hp, leads = job.hyperparameters, job.cluster.leads
    channel = job.channel("train")
    corpus = sentences(read(channel, hp.mode), hp, job.cluster, channel.sharded)
    words = corpus.vocabulary.words
    _describe(job, corpus)
    ends_V, rows, used = _subwords(corpus, hp)
    inputs, outputs = _started(job.seed, len(words) + len(used), hp.vector_dim), matrix(len(words), hp.vector_dim)
    device = _word_device(job, corpus, (ends_V, rows), inputs, outputs)
    rounds = Rounds(job, corpus.tokens, corpus.words, device, whole=corpus.whole)
    for _ in rounds:
        pass
    vectors_VD = _word_vectors(inputs[:, : hp.vector_dim], ends_V, rows)
    content = Content(
        _arguments(hp, files.NEGATIVES),
        words,
        corpus.vocabulary.counts_V.tolist(),
        (),
        (),
        inputs[:, : hp.vector_dim],
        outputs[:, : hp.vector_dim],
        corpus.words,
        used,
    )
    members = {TEXT: files.write_text(words, vectors_VD), VECTORS: files.write(content)} if leads else {}
    if leads and not rounds.stopped:
        job.log.say("Training finished!")
        job.log.say(f"Average throughput in Million words/sec: {rounds.speed / 1e6:.2f}")
        if hp.evaluation:
            members[EVALUATION] = _evaluated(job, corpus, vectors_VD)
    return Artifact(SPEC.name, hp.spell(), {"mode": hp.mode, "words": len(words)}, files=members)


def _describe(job: Job[Hyperparameters], corpus: Corpus) -> None:
    if job.cluster.leads:
        job.log.say(f"Read {corpus.words / 1e6:.3g}M words")
        job.log.say(f"Number of words:  {len(corpus.vocabulary.words)}")


def _subwords(corpus: Corpus, hp: Hyperparameters) -> tuple[Array, Array, Array]:
    """Where the rows of each word end, the rows: its own, then its n-grams', and the bucket of each n-gram row."""
    words = corpus.vocabulary.words
    if not hp.with_subwords:
        return np.arange(len(words) + 1), np.arange(len(words), dtype=np.int32), np.empty(0, np.int64)
    buckets = [subword_buckets(word, hp.min_char, hp.max_char, hp.buckets) for word in words]
    used, places = np.unique(np.concatenate(buckets), return_inverse=True)
    sizes = np.array([1 + len(each) for each in buckets])
    ends_V = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.empty(ends_V[-1], np.int32)
    own = np.zeros(len(rows), bool)
    own[ends_V[:-1]] = True
    rows[own], rows[~own] = np.arange(len(words)), len(words) + places
    return ends_V, rows, used


def _started(seed: int, rows: int, dim: int) -> Array:
    """Inputs (rows, width), evenly drawn from -1 / dim to 1 / dim."""
    inputs, rng = matrix(rows, dim), np.random.default_rng([seed, 1])
    for start in range(0, rows, PIECE):
        part = inputs[start : start + PIECE, :dim]
        part[:] = (rng.random(part.shape, np.float32) * 2 - 1) / dim
    return inputs


def _word_device(
    job: Job[Hyperparameters], corpus: Corpus, subwords: tuple[Array, Array], inputs: Array, outputs: Array
) -> Device:
    """Where word vectors are learned, and from what draws."""
    hp, vocabulary, matrices = job.hyperparameters, corpus.vocabulary, {"inputs": inputs, "outputs": outputs}
    keep_V = vocabulary.kept_shares(hp.sampling_threshold)
    counts_V = vocabulary.counts_V.astype(np.float64)
    alias = alias_table(counts_V**_POWER)
    # A window is never longer than the part of a sentence that is learned at a time.
    window = min(hp.window_size, loops.LONGEST)
    cards = places(job)
    if cards:
        from clary.algorithms.blazingtext.layers import words_on
        from clary.algorithms.blazingtext.windows import Draws, stale_words

        weights = counts_V * np.minimum(keep_V, 1), counts_V**_POWER
        stale = stale_words(hp.mode, window, hp.negative_samples, hp.learning_rate, *weights, subwords)
        draws = Draws(hp.mode, window, hp.negative_samples, hp.batch_size, keep_V, *alias, *subwords, stale)
        return Cards(matrices, [(place, words_on(draws, corpus.tokens, place)) for place in cards])
    loop = getattr(loops, hp.mode)
    rows = (min(hp.batch_size, 2 * window),) if hp.mode == BATCH_SKIPGRAM else subwords
    rest = (window, hp.negative_samples, keep_V, *alias, *rows)
    rest += (inputs.reshape(-1), outputs.reshape(-1), inputs.shape[1], loops.sigmoids())
    return Processor(matrices, lambda piece: loop(corpus.tokens, *_place(piece), *rest))


def _place(piece: Piece) -> tuple[int, int, Any, float, float]:
    return piece.start, piece.stop, piece.seed, piece.rate, piece.fall


def _word_vectors(inputs_RD: Array, ends_V: Array, rows: Array) -> Array:
    """The vector of each word (V, D): the mean of its rows."""
    if len(rows) == len(ends_V) - 1:
        return inputs_RD[: len(rows)]
    sums_VD = np.add.reduceat(inputs_RD[rows], ends_V[:-1], axis=0, dtype=np.float64)
    vectors_VD: Array = (sums_VD / np.diff(ends_V)[:, None]).astype(np.float32)
    return vectors_VD


def _evaluated(job: Job[Hyperparameters], corpus: Corpus, vectors_VD: Array) -> bytes:
    job.log.say("Evaluating word embeddings....")
    job.log.say(f"Vectors read from: {TEXT}")
    found = evaluate.word_similarity(corpus.vocabulary.words, vectors_VD)
    job.log.line(orjson.dumps(found).decode())
    job.log.metric("train:mean_rho", found[evaluate.MEAN])
    return orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n"


def _arguments(hp: Hyperparameters, loss: int) -> Arguments:
    most = 2**31 - 1  # that the format can say; only training reads these
    return Arguments(
        dim=hp.vector_dim,
        ws=min(hp.window_size, most),
        epoch=min(hp.epochs, most),
        min_count=min(hp.min_count, most),
        neg=min(hp.negative_samples, most),
        word_ngrams=min(hp.word_ngrams, most) if hp.supervised else 1,
        loss=loss,
        model=_MODELS.get(hp.mode, files.SKIPGRAM),
        bucket=_buckets(hp),
        minn=min(hp.min_char, most) if hp.with_subwords else 0,
        maxn=min(hp.max_char, most) if hp.with_subwords else 0,
        t=hp.sampling_threshold,
    )


class _Classifier:
    """A classifier under training, and its accuracy on lines."""

    def __init__(self, job: Job[Hyperparameters], corpus: Corpus) -> None:
        hp = job.hyperparameters
        rows, labels = len(corpus.vocabulary.words) + len(corpus.used), len(corpus.vocabulary.labels)
        # Behind the last row, one of zeros for what training has never met.
        self.inputs = _started(job.seed, rows + 1, hp.vector_dim)
        self.inputs[rows] = 0
        self.outputs = matrix(labels, hp.vector_dim)
        self._rest = labels, self.inputs.reshape(-1), self.outputs.reshape(-1), self.inputs.shape[1]
        self._corpus = corpus

    def device(self, job: Job[Hyperparameters]) -> Device:
        """Where it is learned; one GPU, as a step is too small for several."""
        matrices, tokens = {"inputs": self.inputs, "outputs": self.outputs}, self._corpus.tokens
        if cards := places(job)[:1]:
            from clary.algorithms.blazingtext.layers import lines_on

            return Cards(matrices, [(place, lines_on(tokens, place)) for place in cards])
        return Processor(matrices, lambda piece: loops.supervised(tokens, *_place(piece), *self._rest))

    def accuracy(self, corpus: Corpus) -> float:
        """The share of lines whose best label is one of theirs."""
        tokens = corpus.tokens
        starts = range(0, len(tokens), PIECE)
        threads = max(1, min(cores(), len(starts)))

        def judged(start: int) -> tuple[int, int]:
            return loops.judged(tokens, start, min(start + PIECE, len(tokens)), *self._rest)

        with ThreadPoolExecutor(threads, "clary-judge") as pool:
            lines, right = np.sum(list(pool.map(judged, starts)), axis=0).tolist()
        return float(right / lines)


def _train_classifier(job: Job[Hyperparameters]) -> Artifact:
    hp = job.hyperparameters
    if hp.early_stopping and "validation" not in job.channels:
        raise UserError("early_stopping needs the channel validation, whose accuracy it follows; give that channel")
    corpus = labeled_lines(read(job.channel("train"), hp.mode), hp)
    _describe(job, corpus)
    validation = None
    if "validation" in job.channels:
        validation = labeled_lines(read(job.channel("validation"), hp.mode), hp, corpus)
    model = _Classifier(job, corpus)
    device = model.device(job)
    own = device.matrices
    rounds = Rounds(job, corpus.tokens, corpus.words, device, whole=corpus.whole)
    for epoch in rounds:
        if hp.early_stopping and validation is not None and epoch >= hp.min_epochs:
            _look(job, rounds, own, model.accuracy(validation))
    for name, array in own.items():
        if f"best {name}" in rounds.kept:
            array[:] = rounds.kept[f"best {name}"]
    if not rounds.stopped:
        job.log.say("Training finished.")
        job.log.say(f"Average throughput in Million words/sec: {rounds.speed / 1e6:.2f}")
        job.log.metric("train:accuracy", round(model.accuracy(corpus), 4))
        job.log.say(f"Number of train examples: {corpus.lines}")
        if validation is not None:
            job.log.metric("validation:accuracy", round(model.accuracy(validation), 4))
            job.log.say(f"Number of validation examples: {validation.lines}")
    return _classifier_artifact(hp, corpus, model)


def _look(job: Job[Hyperparameters], rounds: Rounds, own: Mapping[str, Array], accuracy: float) -> None:
    """Keep the weights where the accuracy is the best so far, and end the training where it has not been for long."""
    job.log.say(f"Validation accuracy: {accuracy:.6g}")
    if accuracy > rounds.notes.get("best", -1.0):
        job.log.say("Validation accuracy improved! Storing best weights...")
        rounds.notes = {"best": accuracy, "since": 0}
        rounds.kept = {f"best {name}": array.copy() for name, array in own.items()}
        return
    rounds.notes["since"] += 1
    job.log.say(f"Validation accuracy has not improved for last {rounds.notes['since']:.0f} epochs.")
    if rounds.notes["since"] >= job.hyperparameters.patience:
        rounds.finish()


def _classifier_artifact(hp: Hyperparameters, corpus: Corpus, model: _Classifier) -> Artifact:
    words, labels = corpus.vocabulary.words, corpus.vocabulary.labels
    content = Content(
        _arguments(hp, files.SOFTMAX),
        words,
        corpus.vocabulary.counts_V.tolist(),
        labels,
        corpus.vocabulary.label_counts_L.tolist(),
        model.inputs[:-1, : hp.vector_dim],
        model.outputs[:, : hp.vector_dim],
        corpus.words,
        corpus.used,
    )
    schema = {"mode": hp.mode, "words": len(words), "labels": len(labels)}
    return Artifact(SPEC.name, hp.spell(), schema, files={BINARY: files.write(content)})
