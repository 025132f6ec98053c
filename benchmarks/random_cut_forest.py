"""The random cut forest beside AWS's open library (krcf), the paper's package (rrcf) and the isolation forest.

    python -m benchmarks.random_cut_forest [--data FOLDER] [--seeds 10] [--quick] [--json FILE]

Agreement and speed are measured on made-up rows. FOLDER holds, itself or below it, files of the Numenta Anomaly
Benchmark (``nab-data.zip``, ``windows.json``, ``aws-rcf-anomaly-scores.zip``, ``aws-rcf-file-scores.csv``), and the
ODDS tables as ``NAME.npz`` with ``X`` and ``y``. All compiled code is made before a clock runs.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from benchmarks import nab
from benchmarks.report import Row, keep, met, show
from clary.algorithms.random_cut_forest.model import Forest

Array = npt.NDArray[Any]

TREES, SLOTS = 100, 256
THREADS = 2
TABLES = ("cardio", "ionosphere", "lympho", "musk", "pendigits", "satellite", "shuttle", "vowels")
_PROFILES = {
    "standard": "standard",
    "reward_low_FP_rate": "reward low FP",
    "reward_low_FN_rate": "reward low FN",
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument(
        "--seeds", type=int, default=10, help="seeds of the figures on tables; NAB takes three of them"
    )
    parser.add_argument("--quick", action="store_true", help="few rows, trees and seeds: whether all works")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    seeds = range(1 if options.quick else options.seeds)
    results = {
        "agreement": agreement(60 if options.quick else 1000),
        "speed": speed(300 if options.quick else 3000),
    }
    show("Rank correlation of scores on the same rows (bar: 0.95)", results["agreement"])
    show(f"Batch scoring, {TREES} trees of {SLOTS} points: rows a second (bar: 3 times krcf)", results["speed"])
    if options.data:
        results["tables"] = tables(options.data, seeds)
        show(
            "ODDS: mean ROC AUC, fitted and scored on all rows (bar: at least the peer's on most sets)",
            results["tables"],
        )
        results["series"] = series(options.data, seeds[:3])
        show("NAB, half A (bar: 52.0, the managed algorithm's standard score)", results["series"])
    keep(options.json, results)


# The same scores


def agreement(trees: int) -> list[Row]:
    """Rank correlations with each peer, and of each peer with itself under another seed: the noise that there is."""
    rows = np.random.default_rng(0).standard_t(1.5, size=(SLOTS, 3)).astype(np.float32)
    ours = [streamed(rows, trees, seed) for seed in (0, 1)]
    scores = [forest.scores(rows, threads=THREADS) for forest in ours]
    krcf = [
        np.array([each.score(row) for row in rows]) for each in (library(rows, trees, 3), library(rows, trees, 4))
    ]
    moved = [displacement(forest) for forest in ours]
    trees_rrcf = min(trees, 300)
    rrcf = [codisp(rows, trees_rrcf, first) for first in (0, trees_rrcf)]
    return [
        _agreed("score, beside krcf's score", scores[0], krcf),
        _agreed("displacement in our trees, beside rrcf's CoDisp", moved[0], rrcf),
        _agreed("score, beside rrcf's CoDisp", scores[0], rrcf),
        {**_agreed("krcf's score, beside rrcf's CoDisp", krcf[0], rrcf), "bar met": "not ours"},
        {**_agreed("score, beside that of another seed", scores[0], scores), "bar met": "not a peer's"},
    ]


def _agreed(what: str, ours: Array, theirs: Sequence[Array]) -> Row:
    found = rank_correlation(ours, theirs[-1])
    return {
        "what": what,
        "rank correlation": found,
        "peer with itself": rank_correlation(theirs[0], theirs[1]),
        "bar met": met(found >= 0.95),
    }


def rank_correlation(one: Array, two: Array) -> float:
    """Spearman's rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, two)[0])


def streamed(rows: Array, trees: int, seed: int, slots: int = SLOTS) -> Forest:
    """A forest that all rows were given to, as the library's is."""
    forest = Forest.empty(trees, slots, rows.shape[1], seed)
    forest.update(rows, threads=THREADS)
    return forest


def library(rows: Array, trees: int, seed: int) -> Any:
    """A forest of AWS's open library over the same rows."""
    import krcf

    forest = krcf.RandomCutForest(
        {
            "dimensions": rows.shape[1],
            "shingle_size": 1,
            "num_trees": trees,
            "sample_size": SLOTS,
            "output_after": 1,
            "random_seed": seed,
        }
    )
    for row in rows:
        forest.update(row)
    return forest


def codisp(rows: Array, trees: int, first_seed: int) -> Array:
    """The paper's collusive displacement of each row, by its package: the mean over trees that hold all of them."""
    # The package asks for its own version by a module that newer releases of setuptools lack.
    stand_in = ModuleType("pkg_resources")
    stand_in.get_distribution = lambda _: mock.Mock(version="")  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {"pkg_resources": stand_in}):
        import rrcf
    total = np.zeros(len(rows))
    for seed in range(first_seed, first_seed + trees):
        tree = rrcf.RCTree(rows.astype(np.float64), random_state=seed)
        total += [tree.codisp(number) for number in range(len(rows))]
    return total / trees


def displacement(forest: Forest) -> Array:
    """The same measure in our trees: the most points that would move up for each point that leaves, on the way up."""
    tensors = forest.tensors()
    trees, slots = tensors["mass"].shape
    found = np.zeros((trees, slots))
    for t in range(trees):
        left, right, mass = (tensors[name][t] for name in ("left", "right", "mass"))

        def held(node: int, left: Array = left, right: Array = right, mass: Array = mass) -> int:
            return int(mass[~node]) if node < 0 else held(left[node]) + held(right[node])

        waiting = [(int(tensors["root"][t]), 0.0)]
        while waiting:
            node, most = waiting.pop()
            if node < 0:
                found[t, ~node] = most
                continue
            one, two = held(left[node]), held(right[node])
            waiting += [(int(left[node]), max(most, two / one)), (int(right[node]), max(most, one / two))]
    return np.asarray(found.mean(axis=0))


# Speed


def speed(count: int) -> list[Row]:
    """Rows a second of both programs, the best of five runs each."""
    found: list[Row] = []
    for width in (1, 4, 10, 30, 100):
        rng = np.random.default_rng(width)
        seen, rows = (rng.normal(size=(size, width)).astype(np.float32) for size in (2 * SLOTS, count))
        forest, peer = streamed(seen, TREES, 0), library(seen, TREES, 1)
        forest.scores(rows, threads=THREADS)
        ours, theirs = best_rates(rows, partial(forest.scores, threads=THREADS), partial(one_by_one, peer))
        found.append(
            {
                "features": width,
                f"Clary, {THREADS} threads": ours,
                "krcf": theirs,
                "times as fast": ours / theirs,
                "bar met": met(ours >= 3 * theirs),
            }
        )
    return found


def one_by_one(peer: Any, rows: Array) -> None:
    """Let the library score the rows, as it takes them."""
    for row in rows:
        peer.score(row)


def best_rates(rows: Array, *works: Callable[[Array], object]) -> list[float]:
    """Rows a second of each, which run in turn: the best of five runs."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(5):
        for work, taken in zip(works, times, strict=True):
            began = time.perf_counter()
            work(rows)
            taken.append(time.perf_counter() - began)
    return [len(rows) / min(taken) for taken in times]


# Public data


def tables(folder: Path, seeds: Sequence[int]) -> list[Row]:
    """ROC AUC on each table beside that of an isolation forest of as many trees, and of as many rows in each.

    The first column follows the paper: every tree has a sample of its own, as the peer's have, and columns are
    brought to one scale, which the peer has no need of. The others say what becomes of it with rows as they are, and
    in a job, whose trees share one sample.
    """
    found: list[Row] = []
    for name in TABLES:
        with np.load(next(folder.rglob(f"{name}.npz"))) as stored:
            raw, labels = stored["X"], stored["y"].ravel()
        rows = (raw - raw.mean(axis=0)) / np.maximum(raw.std(axis=0), 1e-9)
        areas = [_areas(rows.astype(np.float32), raw.astype(np.float32), labels, seed) for seed in seeds]
        means = {kind: float(np.mean([each[kind] for each in areas])) for kind in areas[0]}
        found.append({"set": name, **means, "bar met": met(means["own samples"] >= means["isolation forest"])})
    reached = {kind: sum(row[kind] >= row["isolation forest"] for row in found) for kind in means}
    return [*found, {"set": "sets at the bar", **reached, "bar met": met(2 * reached["own samples"] > len(TABLES))}]


def _areas(rows: Array, raw: Array, labels: Array, seed: int) -> dict[str, float]:
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    order = np.random.default_rng(seed).permutation(len(rows))
    found = {}
    for scale, given in (("", rows), (", raw", raw)):
        for kind, forest in (
            ("own samples", streamed(given[order], TREES, seed)),
            ("a job", as_job(given[order], seed)),
        ):
            found[kind + scale] = float(roc_auc_score(labels, forest.scores(given, threads=THREADS)))
    peer = IsolationForest(n_estimators=TREES, max_samples=min(SLOTS, len(rows)), random_state=seed).fit(rows)
    return {**found, "isolation forest": float(roc_auc_score(labels, -peer.score_samples(rows)))}


def as_job(rows: Array, seed: int) -> Forest:
    """A forest as a job with the default settings builds it over these rows: equal parts of one sample."""
    each = min(len(rows) // TREES, SLOTS)
    points = rows[: TREES * each].reshape(TREES, each, rows.shape[1])
    return Forest.grow(points, len(rows), seed=seed, threads=THREADS)


def series(folder: Path, seeds: Sequence[int]) -> list[Row]:
    """What the streaming forest reaches by the rules of the benchmark, behind what the managed one does."""
    place = next(folder.rglob("nab-data.zip")).parent
    corpus = nab.load(place)
    published = {each.name: each.published for each in corpus}
    computed = {
        _PROFILES[profile]: nab.score(corpus, published, _PROFILES[profile], threshold)
        for profile, threshold in thresholds(place / "aws-rcf-file-scores.csv").items()
    }
    found = [{"detector": "managed, its published scores and thresholds", **computed, "bar met": ""}]
    for seed in seeds:
        scores = {each.name: followed(each.values, seed) for each in corpus}
        row = {profile: nab.score(corpus, scores, profile) for profile in nab.PROFILES}
        found.append({"detector": f"Clary, seed {seed}", **row, "bar met": met(row["standard"] >= 52.0)})
    return found


def followed(values: Array, seed: int) -> Array:
    """The score of each row before the forest takes it; trees, points and memory as in the published run."""
    return Forest.empty(TREES, SLOTS, 1, seed).update(values[:, None], memory=100_000, threads=THREADS)


def thresholds(path: Path) -> dict[str, float]:
    """The published threshold of each profile."""
    with path.open(encoding="utf-8") as stream:
        return {row["profile"]: float(row["threshold"]) for row in csv.DictReader(stream)}


if __name__ == "__main__":
    main()
