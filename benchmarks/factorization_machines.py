"""Factorization machines on real data and beside PyTorch: rating errors, log loss, rows per second.

    python -m benchmarks.factorization_machines --data FOLDER [--quick] [--json FILE]

FOLDER holds MovieLens 100K (its official folds) and a9a, anywhere below. All five folds are learned with one setting,
which was picked on parts of the training rows. On a9a both algorithms learn from the same rows. The peer in the race
is a factorization machine in PyTorch, written twice: with EmbeddingBag, and with one look-up of all embeddings; both
with sparse gradients, SparseAdam and batches of the same size, from tensors that lie ready in memory, with one thread
and with as many as torch picks. Clary's figure is the throughput that its job reports after the first epoch, which
includes shuffling and cutting batches.
"""

from __future__ import annotations

import argparse
import gzip
import io
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix

from benchmarks import tables
from benchmarks.programs import Channel, TrainingJob, start
from benchmarks.report import Row, keep, met, show
from clary.algorithms import registry
from clary.toolkit import media, tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
RECORDIO = MediaType.parse(media.RECORDIO_PROTOBUF)
USERS, FILMS = 943, 1682
FOLDS = range(1, 6)
# Picked by the error on a fifth of the training rows of folds 1 and 3, set apart.
RATINGS = {
    "predictor_type": "regressor",
    "num_factors": "32",
    "epochs": "20",
    "factors_lr": "0.005",
    "linear_lr": "0.005",
    "bias_lr": "0.001",
    "factors_wd": "0.0003",
    "linear_wd": "0.00003",
    "bias_wd": "0",
    "factors_init_sigma": "0.05",
    "linear_init_sigma": "0",
    "bias_init_method": "constant",
    "bias_init_value": "3.5",
}
# Picked by the log loss on the validation rows.
INCOMES = {
    "predictor_type": "binary_classifier",
    "num_factors": "8",
    "epochs": "30",
    "factors_lr": "0.005",
    "linear_lr": "0.005",
    "factors_wd": "0.002",
    "linear_wd": "0.00001",
    "bias_wd": "0",
    "factors_init_sigma": "0.05",
}
BEST_ERROR, TIMES_AS_FAST = 0.93, 5.0


@dataclass(frozen=True)
class Race:
    """Rows to learn from at full speed: how many, values in each, features to pick them from, factors, batches."""

    rows: int
    values: int
    features: int
    factors: int
    batch: int = 1000

    def data(self) -> tuple[Array, Array, Array]:
        """Columns (rows, values), values of the same shape, and labels; popular features come up often."""
        rng = np.random.default_rng(0)
        drawn = rng.random((self.rows, self.values)) ** 2
        # A range of its own for each place in a row, so that no feature comes up twice in one.
        width = self.features // self.values
        columns = (drawn * width).astype(np.int64) + width * np.arange(self.values)
        return columns, np.ones(columns.shape, np.float32), rng.integers(1, 6, self.rows).astype(np.float32)


RACES = (Race(100_000, 2, 2_600, 32), Race(100_000, 2, 2_600, 64), Race(50_000, 20, 100_000, 16))
TORCH_STEPS = 25  # of each of three runs


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--quick", action="store_true", help="one fold, and the first race with fewer rows")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        if options.data is None:
            print("no --data folder: only the races are run")
        else:
            folds = FOLDS[:1] if options.quick else FOLDS
            results["ratings"] = ratings(options.data, folds, Path(scratch))
            show("MovieLens 100K, official folds, one setting", results["ratings"])
            results["incomes"] = incomes(options.data, Path(scratch))
            show("a9a: log loss on the test rows", results["incomes"])
        races = [Race(20_000, 2, 2_600, 32)] if options.quick else RACES
        results["races"] = [race(each, Path(scratch)) for each in races]
        show("Training on the processor: rows per second", results["races"])
    keep(options.json, results)


def ratings(folder: Path, folds: range, scratch: Path) -> list[Row]:
    """The error on the test rows of each fold, and their mean."""
    rows: list[Row] = []
    for fold in folds:
        began = time.perf_counter()
        parts = {name: films(part) for name, part in movielens(folder, fold).items()}
        found = trained(parts, {**RATINGS, "feature_dim": str(USERS + FILMS)}, scratch)
        seconds = time.perf_counter() - began
        rows.append({"fold": f"u{fold}", "RMSE": found["test:rmse"][-1], "MAE": found["test:absolute_loss"][-1]})
        rows[-1] |= {"seconds": seconds, "bar": "", "met": ""}
    means = {name: statistics.mean(row[name] for row in rows) for name in ("RMSE", "MAE", "seconds")}
    bar = {"bar": f"RMSE <= {BEST_ERROR}", "met": met(means["RMSE"] <= BEST_ERROR)}
    return [*rows, {"fold": "mean", **means, **bar}]


def movielens(folder: Path, fold: int) -> dict[str, Array]:
    """Users, films, ratings and times of a fold's parts; what is not for the test is for training."""
    whole, test = (_table(folder, name) for name in ("u.data.gz", f"u{fold}.test.gz"))
    pairs_N, tested_N = (part[:, 0] * (FILMS + 1) + part[:, 1] for part in (whole, test))
    return {"train": whole[~np.isin(pairs_N, tested_N)], "test": test}


def films(part: Array) -> Records:
    """A row for each rating: a 1 for the user and a 1 for the film."""
    places = np.stack([part[:, 0] - 1, USERS + part[:, 1] - 1], axis=1)
    return sparse(places, np.ones(places.shape, np.float32), USERS + FILMS, part[:, 2])


def sparse(columns: Array, values: Array, width: int, labels: Array) -> Records:
    """Rows with as many values each."""
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    features = csr_matrix((values.reshape(-1), columns.reshape(-1), ends), shape=(len(columns), width))
    return Records(features, labels.astype(np.float32)[:, None])


def _table(folder: Path, name: str) -> Array:
    found = sorted(folder.rglob(name))
    if not found:
        raise SystemExit(f"{name} of MovieLens 100K is not in or below {folder}")
    table: Array = np.loadtxt(io.StringIO(gzip.decompress(found[0].read_bytes()).decode()), dtype=np.int64)
    return table


def incomes(folder: Path, scratch: Path) -> list[Row]:
    """The log loss of both algorithms; the linear learner chooses among its candidates on the validation rows."""
    table = tables.load("a9a", folder)
    parts = {
        name: Records(part.features, part.labels[:, None])
        for name, part in (("train", table.train), ("validation", table.validation), ("test", table.test))
    }
    width = {"feature_dim": str(table.train.features.shape[1])}
    ours = trained({name: parts[name] for name in ("train", "test")}, {**INCOMES, **width}, scratch)
    loss = ours["test:binary_classification_cross_entropy"][-1]
    settings = {"predictor_type": "binary_classifier"}
    linear = trained(parts, settings, scratch, "linear_learner")["test:objective_loss"][-1]
    bar = {"bar": "at most the linear learner's", "met": met(loss <= linear)}
    return [{"factorization machine": loss, "linear learner": linear, "ratio": loss / linear, **bar}]


def trained(
    parts: dict[str, Records], settings: dict[str, str], scratch: Path, algorithm: str = "factorization_machines"
) -> dict[str, list[float]]:
    """Every metric that a job of the train program reports."""
    channels = {}
    for name, records in parts.items():
        path = Path(tempfile.mkdtemp(dir=scratch)) / f"{name}.recordio"
        with path.open("wb") as stream:
            tabular.write(stream, records, RECORDIO)
        channels[name] = Channel((path,), str(RECORDIO))
    job = TrainingJob(Path(tempfile.mkdtemp(dir=scratch)), algorithm, settings, channels)
    with tempfile.TemporaryFile() as log:
        code = start(job.command, log).wait()
        log.seek(0)
        text = log.read().decode()
    if code:
        raise SystemExit(text[-2000:])
    return {each.name: [*map(float, re.findall(each.regex, text))] for each in registry.spec(algorithm).metrics}


def race(case: Race, scratch: Path) -> Row:
    """Rows per second of Clary and of both peers, in turn."""
    columns, values, labels = case.data()
    settings = {"predictor_type": "regressor", "feature_dim": str(case.features), "num_factors": str(case.factors)}
    settings |= {"mini_batch_size": str(case.batch), "epochs": "4", "factors_lr": "0.005", "linear_lr": "0.005"}
    found = trained({"train": sparse(columns, values, case.features, labels)}, settings, scratch)
    ours = statistics.median(found["train:throughput"][1:])
    peers = {
        f"torch {name}, {count} thread{'' if count == 1 else 's'}": torch_rate(case, model, count)
        for name, model in (("EmbeddingBag", Bags), ("Embedding", LookUp))
        for count in sorted({1, torch.get_num_threads()})
    }
    bags = max(rate for name, rate in peers.items() if "Bag" in name)
    return {
        "rows": case.rows,
        "values": case.values,
        "features": case.features,
        "factors": case.factors,
        "Clary": ours,
        **peers,
        "to the faster EmbeddingBag": ours / bags,
        "to the fastest": ours / max(peers.values()),
        "bar": f"EmbeddingBag, {TIMES_AS_FAST:g} times",
        "met": met(ours / bags >= TIMES_AS_FAST),
    }


class Bags(torch.nn.Module):  # type: ignore[misc]
    """Sums and sums of squares by EmbeddingBag over the rows' own embeddings."""

    def __init__(self, case: Race) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))
        self.linear = torch.nn.EmbeddingBag(case.features, 1, mode="sum", sparse=True)
        self.factors = torch.nn.EmbeddingBag(case.features, case.factors, mode="sum", sparse=True)
        torch.nn.init.normal_(self.linear.weight, std=0.01)
        torch.nn.init.normal_(self.factors.weight, std=0.001)

    def forward(self, columns: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The score of each row."""
        linear = self.linear(columns, per_sample_weights=values)[:, 0]
        sums = self.factors(columns, per_sample_weights=values)
        each = torch.nn.functional.embedding(columns, self.factors.weight, sparse=True) * values[..., None]
        return self.bias + linear + 0.5 * (sums.square() - each.square().sum(dim=1)).sum(dim=1)


class LookUp(Bags):
    """The same from one look-up, which only rows of one length allow."""

    def forward(self, columns: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The score of each row."""
        linear = self.linear(columns, per_sample_weights=values)[:, 0]
        each = torch.nn.functional.embedding(columns, self.factors.weight, sparse=True) * values[..., None]
        return self.bias + linear + 0.5 * (each.sum(dim=1).square() - each.square().sum(dim=1)).sum(dim=1)


def torch_rate(case: Race, kind: Callable[[Race], Bags], threads: int) -> float:
    """Rows per second of the peer with that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return statistics.median(torch_rates(case, kind))
    finally:
        torch.set_num_threads(before)


def torch_rates(case: Race, kind: Callable[[Race], Bags]) -> Iterator[float]:
    """Rows per second of three runs, after one that warms up."""
    torch.manual_seed(0)
    model = kind(case)
    rules = (
        torch.optim.SparseAdam([model.linear.weight, model.factors.weight], lr=0.005),
        torch.optim.Adam([model.bias], lr=0.1),
    )
    rows, amounts, wanted = map(torch.tensor, case.data())
    for run in range(4):
        began = time.perf_counter()
        order = torch.randperm(case.rows)[: TORCH_STEPS * case.batch]
        for batch in order.split(case.batch):
            loss = (model(rows[batch], amounts[batch]) - wanted[batch]).square().mean()
            for rule in rules:
                rule.zero_grad()
            loss.backward()
            for rule in rules:
                rule.step()
        if run:
            yield len(order) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
