"""LDA beside scikit-learn's: known topics of made-up documents, and the likelihood of real ones that were held out.

    python -m benchmarks.lda [--data FOLDER] [--only bars|drawn|newsgroups|reuters] [--topics 20 50] [--seeds 3]
        [--quick] [--json FILE]

FOLDER holds, itself or below it, ``20ng-etm-bow.npz`` (20 Newsgroups as bags of words) and ``reuters.ldac``. Both
programs fit the same matrix in this process, in turn, with two threads or processes; compiled code is made before a
clock runs. Where topics are known, the floor is the distance of those that one would count if it were known for each
word which topic it was drawn from: what so many words cannot tell, no program can. The completion is the perplexity
of one half of the words of a test document under the mixture that the program finds for the other half; ``pwll`` is
Clary's bound of the likelihood for a word, computed alike for the topics and the prior of both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from sklearn.decomposition import LatentDirichletAllocation

from benchmarks.report import Row, keep, met, show
from clary.algorithms.lda.data import Corpus
from clary.algorithms.lda.evaluate import log_likelihood
from clary.algorithms.lda.model import mixtures
from clary.algorithms.lda.spec import SPEC, Hyperparameters
from clary.algorithms.lda.train import train
from clary.datasets.generators import bars
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import RECORDIO_PROTOBUF, MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool

Array = npt.NDArray[Any]

THREADS = 2
PASSES, BATCH = 10, 512  # of the peer, as in the published figures of the newsgroups
BAR_DISTANCE = 0.05
# Documents, words in each, concentration: Griffiths and Steyvers' corpus, and that of the managed one's notebook.
BARS = ((2000, 100, 10.0), (2000, 100, 1.0), (6000, 150, 1.0))
# Documents, words in each, topics, vocabulary, of topics that are drawn from a Dirichlet distribution themselves.
DRAWN = ((10_000, 100, 10, 1000), (20_000, 100, 50, 1000), (10_000, 100, 20, 5000), (40_000, 100, 20, 5000))


TITLES = {
    "bars": f"Known bars: largest total variation after matching (bar: {BAR_DISTANCE})",
    "drawn": f"Known topics drawn by chance: the same (bar: {BAR_DISTANCE}, where the floor is below it)",
    "newsgroups": "20 Newsgroups, documents held out (bar: no worse than the peer, in no more time)",
    "reuters": "Reuters, 395 stories, every fourth one held out",
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--only", choices=tuple(TITLES), help="one of the measurements")
    parser.add_argument("--topics", type=int, nargs="+", default=(20, 50), help="numbers of them, of newsgroups")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of both programs")
    parser.add_argument("--quick", action="store_true", help="one seed, few documents and topics: whether all works")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    seeds = range(1 if options.quick else options.seeds)
    fitted(bars(100).dense(), 2)
    works = {"bars": partial(known_bars, seeds, options.quick)}
    if not options.quick:
        works["drawn"] = partial(known_topics, seeds)
    if options.data:
        works["newsgroups"] = partial(newsgroups, options.data, seeds, (5,) if options.quick else options.topics)
        works["reuters"] = partial(reuters, options.data, seeds)
    results: dict[str, list[Row]] = {}
    for name, work in works.items():
        if options.only in (None, name):
            results[name] = work()
            show(TITLES[name], results[name])
    keep(options.json, results)


def fitted(counts: Any, topics: int, alpha0: float = 1.0, seed: int = 0) -> tuple[Array, Array]:
    """What a job leaves of these documents: the prior and the topics."""
    rows = Records(counts.astype(np.float32))
    spool = Spool()
    spool.add(rows)
    given = {"num_topics": topics, "feature_dim": rows.width, "mini_batch_size": len(rows), "alpha0": alpha0}
    hp = SPEC.parse({name: str(value) for name, value in given.items()})
    assert isinstance(hp, Hyperparameters)
    channel = ChannelInput("train", Path("train"), MediaType(RECORDIO_PROTOBUF), kept=spool)
    log = Log(SPEC, "localhost", lambda _line: None)
    made = train(Job(hp, {"train": channel}, Cluster(), log, Checkpoints(None, {}), seed=seed))
    return made.tensors["alpha"].astype(np.float64), made.tensors["beta"].astype(np.float64)


def peer(counts: Any, topics: int, seed: int) -> LatentDirichletAllocation:
    """The peer's model of the same documents."""
    settings = {"learning_method": "online", "max_iter": PASSES, "batch_size": BATCH, "n_jobs": THREADS}
    return LatentDirichletAllocation(topics, random_state=seed, **settings).fit(counts)


def shares(model: LatentDirichletAllocation) -> Array:
    """The peer's topics, as shares that sum up to 1."""
    return np.asarray(model.components_ / model.components_.sum(axis=1, keepdims=True))


# Known topics


Known = tuple[Any, Array, float]  # documents, the topics that they were drawn from, and the floor


def known_bars(seeds: Sequence[int], quick: bool) -> list[Row]:
    """How far the bars that are found are from those that documents were drawn from, at worst over seeds."""
    found = []
    for documents, words, alpha0 in BARS[: 1 if quick else None]:
        even = np.eye(5) / 5
        square = np.concatenate([np.repeat(even, 5, axis=1), np.tile(even, 5)])
        made = [drawn(documents, words, square, alpha0, seed) for seed in seeds]
        found.append(_apart(f"10 bars of 25 words, {documents} x {words} words, alpha0 {alpha0:g}", made, alpha0))
    return found


def known_topics(seeds: Sequence[int]) -> list[Row]:
    """The same for topics of a larger vocabulary."""
    found = []
    for documents, words, topics, width in DRAWN:
        made = []
        for seed in seeds:
            true = np.random.default_rng([seed, width]).dirichlet(np.full(width, 0.1), topics)
            made.append(drawn(documents, words, true, 1.0, seed))
        found.append(_apart(f"{topics} topics of {width} words, {documents} x {words} words", made, 1.0))
    return found


def drawn(documents: int, words: int, true: Array, alpha0: float, seed: int) -> Known:
    """Documents of so many words each, drawn from these topics."""
    rng = np.random.default_rng(seed)
    counts, own = csr_matrix((documents, true.shape[1]), dtype=np.float32), np.zeros_like(true)
    from_topics = rng.multinomial(words, rng.dirichlet(np.full(len(true), alpha0 / len(true)), documents))
    rows = np.arange(documents)
    for topic, chances in enumerate(true):
        places = np.repeat(rows, from_topics[:, topic])
        seen = rng.choice(len(chances), len(places), p=chances)
        own[topic] = np.bincount(seen, minlength=len(chances))
        counts += csr_matrix((np.ones(len(places), np.float32), (places, seen)), shape=counts.shape)
    floor = np.abs(own / own.sum(axis=1, keepdims=True) - true).sum(axis=1) / 2
    return counts, true, float(floor.max())


def _apart(name: str, corpora: Sequence[Known], alpha0: float) -> Row:
    ours, theirs, times = [], [], []
    for seed, (counts, true, _) in enumerate(corpora):
        began = time.perf_counter()
        ours.append(distance(true, fitted(counts, len(true), alpha0, seed)[1]))
        between = time.perf_counter()
        theirs.append(distance(true, shares(peer(counts, len(true), seed))))
        times.append((between - began, time.perf_counter() - between))
    seconds = np.median(times, axis=0).tolist()
    return {
        "corpus": name,
        "Clary": max(ours),
        "scikit-learn": max(theirs),
        "floor": max(floor for *_, floor in corpora),
        "Clary, s": seconds[0],
        "scikit-learn, s": seconds[1],
        "bar met": met(max(ours) < BAR_DISTANCE),
    }


def distance(true: Array, found: Array) -> float:
    """The largest total variation between a true topic and the one that the best matching gives it."""
    table = np.abs(true[:, None] - found[None]).sum(axis=2) / 2
    return float(table[linear_sum_assignment(table)].max())


# Real documents


def newsgroups(folder: Path, seeds: Sequence[int], numbers: Sequence[int]) -> list[Row]:
    """Time of the fit and likelihood of the held out documents, for each number of topics and seed."""
    with np.load(next(folder.rglob("20ng-etm-bow.npz"))) as stored:
        train_, test, first, second = (_matrix(stored, name) for name in ("tr", "ts", "ts_h1", "ts_h2"))
    return [_beside(train_, test, first, second, topics, seed) for topics in numbers for seed in seeds]


def _matrix(stored: Any, name: str) -> Any:
    ends = stored[f"{name}_indptr"]
    parts = (stored[f"{name}_counts"].astype(np.float32), stored[f"{name}_indices"].astype(np.int32), ends)
    return csr_matrix(parts, shape=(len(ends) - 1, 3072))


def reuters(folder: Path, seeds: Sequence[int]) -> list[Row]:
    """The same for a few stories, whose words are halved by chance."""
    lines = next(folder.rglob("reuters.ldac")).read_text().splitlines()
    counts = np.zeros((len(lines), 4258), np.float32)
    for row, line in zip(counts, lines, strict=True):
        for word, count in (pair.split(":") for pair in line.split()[1:]):
            row[int(word)] = int(count)
    test = counts[::4]
    first = np.random.default_rng(0).binomial(test.astype(int), 0.5).astype(np.float32)
    train_ = np.delete(counts, np.s_[::4], axis=0)
    rest = csr_matrix(test - first)
    return [_beside(csr_matrix(train_), csr_matrix(test), csr_matrix(first), rest, 20, seed) for seed in seeds]


def _beside(train_: Any, test: Any, first: Any, second: Any, topics: int, seed: int) -> Row:
    began = time.perf_counter()
    alpha, beta = fitted(train_, topics, seed=seed)
    between = time.perf_counter()
    model = peer(train_, topics, seed)
    seconds = between - began, time.perf_counter() - between
    ours, theirs = likelihood(test, alpha, beta), likelihood(test, np.full(topics, 1 / topics), shares(model))
    table = np.ascontiguousarray(beta.T, np.float32)
    completions = (
        completion(second, mixtures(first, table, alpha, threads=THREADS), beta),
        completion(second, model.transform(first), shares(model)),
    )
    return {
        "topics": topics,
        "seed": seed,
        "Clary, s": seconds[0],
        "scikit-learn, s": seconds[1],
        "Clary, pwll": ours,
        "scikit-learn, pwll": theirs,
        "Clary, completion": completions[0],
        "scikit-learn, completion": completions[1],
        "bar met": met(ours >= theirs and completions[0] <= completions[1] and seconds[0] <= seconds[1]),
    }


def likelihood(test: Any, alpha: Array, beta: Array) -> float:
    """The bound of the log-likelihood of the test documents, for each of their words."""
    table = np.ascontiguousarray(beta.T, np.float32)
    return log_likelihood(Corpus.of(test), table, alpha, threads=THREADS) / float(test.sum())


def completion(second: Any, mixture: Array, beta: Array) -> float:
    """The perplexity of the second halves of documents under the mixtures of the first."""
    rows, words = second.nonzero()
    chances = np.einsum("zk,kz->z", mixture[rows].astype(np.float64), beta[:, words])
    return float(np.exp(-(second.data @ np.log(np.maximum(chances, 1e-300))) / second.sum()))


if __name__ == "__main__":
    main()
