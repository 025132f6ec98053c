"""The linear learner beside scikit-learn on public tables: quality with defaults alone.

    python -m benchmarks.linear_learner --data FOLDER [--tables NAME ...] [--seeds 5] [--splits 10] [--quick]

FOLDER holds the public files that ``benchmarks.tables`` reads. Clary is told the kind of label and no more.
LogisticRegression or Ridge learns from standardized features, at the strength of regularization, of a wide grid,
that is best on the validation rows. Both learn from the same training rows and are judged on the same test rows.
A small test part says little, so small tables are also split anew at random. What a large CSV takes is in
``benchmarks.linear_learner_large``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from benchmarks.programs import Channel, TrainingJob, timed
from benchmarks.report import Row, keep, met, show
from benchmarks.tables import LARGEST, TABLES, Part, Table, at_hand
from clary.toolkit import tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
# Where a fit takes long: the part of the grid that holds the best.
NARROW = {"letter": (1.0, 10.0, 100.0), LARGEST: (0.003, 0.03)}
ITERATIONS = {LARGEST: 60}
# How far behind Clary may be: points of accuracy or F1, percent of the RMSE.
BARS = {"accuracy": 0.3, "RMSE": 1.0}
FEW = 6000  # rows of a table that is split anew


@dataclass(frozen=True)
class Quality:
    """How well a model labels the test rows, in percent, or how far it is off; F1 is None of a regression."""

    value: float
    f1: float | None = None


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES), help="some of the tables")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each table, one seed each; 0 for none")
    parser.add_argument("--splits", type=int, default=10, help="random splits of each small table; 0 for none")
    parser.add_argument("--quick", action="store_true", help="one seed, two splits, without the largest table")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    seeds, splits = (1, 2) if options.quick else (options.seeds, options.splits)
    wanted = [name for name in options.tables if not (options.quick and name == LARGEST)]
    results: dict[str, list[Row]] = {"quality": [], "splits": []}
    for table in at_hand(wanted, options.data):
        # The files of one table at a time.
        with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
            if seeds:
                results["quality"].append(compare(table, seeds, Path(scratch)))
            if splits and len(whole(table).labels) < FEW:
                results["splits"].append(compare_splits(table, splits, Path(scratch)))
    show("Linear learner on the test rows (accuracy and F1 in %), means over seeds", results["quality"])
    show("Small tables split anew at random: means and the standard error of the difference", results["splits"])
    keep(options.json, results)


def compare(table: Table, seeds: int, scratch: Path) -> Row:
    """Both on the table's own parts; ``ahead`` is in points, or percent of the peer's RMSE, and good above 0."""
    peer, strength = scikit_learn(table)
    job_files = written(table, scratch)
    began = time.perf_counter()
    ours = [clary(table, job_files, seed, scratch) for seed in range(seeds)]
    seconds = (time.perf_counter() - began) / seeds
    gains = [ahead(each, peer) for each in ours]
    values = [each.value for each in ours]
    row: Row = {
        "data": table.name,
        "rows": len(table.train.labels),
        "measure": measure(table),
        "scikit-learn": peer.value,
        "at": f"{'alpha' if table.task == 'regressor' else 'C'}={strength:g}",
        "Clary": statistics.mean(values),
        "ratio": statistics.mean(values) / peer.value,
        "ahead, mean": statistics.mean(gains),
        "ahead, median": statistics.median(gains),
    }
    f1 = [each.f1 for each in ours if each.f1 is not None]
    both = f1 and peer.f1 is not None
    return row | {
        "F1 scikit-learn": peer.f1 if both else "",
        "F1 Clary": statistics.mean(f1) if both else "",
        "bar": f"ahead, mean >= -{BARS[measure(table)]}",
        "met": met(statistics.mean(gains) >= -BARS[measure(table)]),
        "seconds": seconds,
    }


def compare_splits(table: Table, splits: int, scratch: Path) -> Row:
    """Both on random splits into parts of the same sizes, and how sure the difference between them is."""
    peers, ours, gains = [], [], []
    for seed in range(splits):
        split = split_anew(table, seed)
        peers.append(scikit_learn(split)[0])
        ours.append(clary(split, written(split, scratch), seed, scratch))
        gains.append(ahead(ours[-1], peers[-1]))
    mean = statistics.mean(gains)
    return {
        "data": table.name,
        "splits": splits,
        "measure": measure(table),
        "scikit-learn": statistics.mean(each.value for each in peers),
        "Clary": statistics.mean(each.value for each in ours),
        "ahead, mean": mean,
        "standard error": statistics.stdev(gains) / splits**0.5 if splits > 1 else float("nan"),
        "bar": f"ahead, mean >= -{BARS[measure(table)]}",
        "met": met(mean >= -BARS[measure(table)]),
    }


def scikit_learn(table: Table) -> tuple[Quality, float]:
    """The best of the grid by the validation rows, on the test rows, and its C or alpha."""
    scaler = StandardScaler(with_mean=isinstance(table.train.features, np.ndarray))
    train, validation, test = (
        Part(prepare(part.features.astype(np.float64)), part.labels)
        for prepare, part in (
            (scaler.fit_transform, table.train),
            (scaler.transform, table.validation),
            (scaler.transform, table.test),
        )
    )
    found = []
    for strength in NARROW.get(table.name, GRID):
        model = _estimator(table, strength)
        with warnings.catch_warnings():
            # Some fits are cut short on purpose, see ITERATIONS.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train.features, train.labels)
        on_validation = judged(table, model.predict(validation.features), validation)
        found.append((on_validation, strength, model))
    sign = -1 if table.task == "regressor" else 1
    _, strength, model = max(found, key=lambda each: sign * each[0].value)
    return judged(table, model.predict(test.features), test), strength


def _estimator(table: Table, strength: float) -> Any:
    if table.task == "regressor":
        return Ridge(strength)
    return LogisticRegression(C=strength, max_iter=ITERATIONS.get(table.name, 1000))


def written(table: Table, scratch: Path) -> dict[str, Channel]:
    """The parts as files: sparse ones as RecordIO-protobuf, dense ones as CSV."""
    sparse = not isinstance(table.train.features, np.ndarray)
    content_type = "application/x-recordio-protobuf" if sparse else "text/csv"
    folder = Path(tempfile.mkdtemp(dir=scratch))
    channels = {}
    for name in ("train", "validation", "test"):
        part: Part = getattr(table, name)
        path = folder / f"{table.name}-{name}"
        with path.open("wb") as stream:
            tabular.write(stream, Records(part.features, part.labels[:, None]), MediaType.parse(content_type))
        channels[name] = Channel((path,), content_type)
    return channels


def clary(table: Table, channels: dict[str, Channel], seed: int, scratch: Path) -> Quality:
    """The train program with defaults alone, and its model on the test rows."""
    settings: dict[str, str] = {"predictor_type": table.task}
    if table.task == "multiclass_classifier":
        settings["num_classes"] = str(table.classes)
    job = TrainingJob(Path(tempfile.mkdtemp(dir=scratch)), "linear_learner", settings, channels)
    timed(job.command, CLARY_SEED=str(seed))
    answer = job.predictor().predict(Records(table.test.features))
    return judged(table, answer["score" if table.task == "regressor" else "predicted_label"], table.test)


def judged(table: Table, predicted: npt.NDArray[Any], part: Part) -> Quality:
    """Accuracy and F1 (macro for several classes) in percent, or the RMSE."""
    if table.task == "regressor":
        return Quality(float(np.sqrt(np.mean(np.square(predicted.astype(np.float64) - part.labels)))))
    average = "binary" if table.task == "binary_classifier" else "macro"
    f1 = f1_score(part.labels, predicted, average=average, zero_division=0.0)
    return Quality(100 * float(np.mean(predicted == part.labels)), 100 * float(f1))


def ahead(ours: Quality, peer: Quality) -> float:
    """By how much ours is better: points, or percent of the peer's RMSE."""
    return 100 * (1 - ours.value / peer.value) if ours.f1 is None else ours.value - peer.value


def measure(table: Table) -> str:
    """What the table's models are judged by."""
    return "RMSE" if table.task == "regressor" else "accuracy"


def whole(table: Table) -> Part:
    """All rows of the table."""
    learned, test = table.learned, table.test
    features = [learned.features, test.features]
    joined = np.concatenate(features) if isinstance(test.features, np.ndarray) else csr_matrix(vstack(features))
    return Part(joined, np.concatenate([learned.labels, test.labels]))


def split_anew(table: Table, seed: int) -> Table:
    """The table with its rows shared out at random, as many to each part as before."""
    everything = whole(table)
    order = np.random.default_rng([2, seed]).permutation(len(everything.labels))
    ends = np.cumsum([len(table.train.labels), len(table.validation.labels)])
    train, validation, test = (everything.take(numbers) for numbers in np.split(order, ends))
    return Table(table.name, table.task, train, validation, test)


if __name__ == "__main__":
    main()
