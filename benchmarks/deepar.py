"""DeepAR on real series beside GluonTS: quantile losses, seconds of an epoch and of forecasts, memory.

    python -m benchmarks.deepar --data FOLDER [--only quality|tuned|speed|memory|kills] [--seeds 3] [--json FILE]

FOLDER holds m4-hourly, ETTh1 and the PJM load, anywhere below. Both programs read the same JSON Lines, have the same
layers, context and batches and take as many steps; each forecasts with 100 samples, and both are scored by the same
code. On ETTh1 and PJM the last week is forecast day by day. Needs gluonts with torch and lightning.
``tuned`` chooses among a few settings by the last window before the test of m4-hourly, then scores the chosen one.
``kills`` ends jobs at random moments and starts them again, beside the same job left alone.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import series
from benchmarks.interruptions import LONGEST, contents, lives
from benchmarks.programs import Channel, TrainingJob, timed, watched
from benchmarks.report import Row, keep, met, show
from benchmarks.series import Series
from clary.algorithms.deepar.data import Series as Histories
from clary.algorithms.deepar.data import instances
from clary.algorithms.deepar.evaluate import Errors
from clary.algorithms.deepar.model import Forecaster
from clary.algorithms.registry import spec
from clary.toolkit.artifact import Artifact

Array = npt.NDArray[Any]
LEVELS = tuple(number / 10 for number in range(1, 10))
SAMPLES = 100
# What the data's publishers and others report; none of them learned with this setting.
PUBLISHED = {
    "m4-hourly": "GluonTS tuned 0.04-0.06; DeepAR untuned 0.133; Chronos-Bolt 0.025",
    "ett-h1": "DeepAR 0.233 (48 steps)",
    "pjm-hourly": "",
}
# What is chosen from, beside the defaults, for m4-hourly, and how long each trains.
SETTINGS: tuple[dict[str, str], ...] = (
    {"context_length": "48"},
    {"context_length": "168"},
    {"context_length": "168", "learning_rate": "0.003"},
    {"context_length": "168", "num_cells": "80"},
    {"context_length": "168", "num_layers": "3", "dropout_rate": "0.05"},
)
NAIVE_MASE = 1.193
TIMES_FASTER = {"epoch": 2.0, "forecasts": 2.0}
MOST_MEMORY = 4 << 30


@dataclass(frozen=True)
class Size:
    """How long both train: steps in all, in batches of so many windows."""

    batch: int = 32
    steps: int = 600


@dataclass(frozen=True)
class Run:
    """What a program came to: its sample paths (N, S, T) and its seconds; ``steps`` is how many it took."""

    paths: Array
    train: float
    epoch: float
    predict: float
    steps: int


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--only", choices=("quality", "tuned", "speed", "memory", "kills"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few steps, one seed, small memory run")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        if options.data is None:
            print("no --data folder: only the memory is measured")
        elif options.only in (None, "quality"):
            size, seeds = (Size(steps=20), 1) if options.quick else (Size(), options.seeds)
            results["quality"] = quality(options.data, size, range(seeds), Path(scratch))
            show("Weighted quantile loss (mean of 0.1 to 0.9), mean over seeds", results["quality"])
        if options.data is not None and options.only in (None, "tuned"):
            size = Size(64, 20 if options.quick else 500)
            results["tuned"] = tuned(series.m4_hourly(options.data), size, Path(scratch))
            show("MASE on m4-hourly, settings chosen on the window before", results["tuned"])
        if options.data is not None and options.only in (None, "speed"):
            size = Size(128, 20 if options.quick else 60)
            results["speed"] = speed(options.data, size, Path(scratch))
            show("Seconds on m4-hourly, 128 windows in a batch", results["speed"])
        if options.only in (None, "memory"):
            results["memory"] = [memory(1_000 if options.quick else 10_000, 1_000, Path(scratch))]
            show("Peak memory of a training program", results["memory"])
        if options.data is not None and options.only in (None, "kills"):
            results["kills"] = [killed(series.m4_hourly(options.data), 2 if options.quick else 10, Path(scratch))]
            show("Killed and started again beside left alone", results["kills"])
    keep(options.json, results)


def quality(folder: Path, size: Size, seeds: Sequence[int], scratch: Path) -> list[Row]:
    """The losses of both on each set, the mean over the seeds."""
    rows: list[Row] = []
    for data in series.at_hand(folder):
        ours, theirs = [], []
        for seed in seeds:
            print(f"{data.name}, seed {seed} ...", file=sys.stderr, flush=True)
            ours.append(clary(data, size, seed, scratch))
            theirs.append(gluonts(data, size, ours[-1].steps, seed, scratch))
        losses = [[loss(data, run.paths) for run in runs] for runs in (ours, theirs)]
        own, other = (statistics.mean(each) for each in losses)
        naive = data.seasonal_naive()
        rows.append(
            {
                "set": data.name,
                "Clary": own,
                "GluonTS": other,
                "ratio": own / other,
                "Clary each": " ".join(f"{each:.4f}" for each in losses[0]),
                "GluonTS each": " ".join(f"{each:.4f}" for each in losses[1]),
                "seasonal naive": loss(data, naive[:, None, :]),
                "MASE": statistics.mean(data.scaled_error(np.median(run.paths, axis=1)) for run in ours),
                "naive MASE": data.scaled_error(naive),
                "published": PUBLISHED[data.name],
                "bar": "ratio <= 1",
                "met": met(own <= other),
            }
        )
    return rows


def tuned(data: Series, size: Size, scratch: Path) -> list[Row]:
    """MASE of each choice of settings on the last window of the training data, and of the best one on the test's."""
    validation = data.before()
    found = []
    for settings in SETTINGS:
        print(f"{settings} ...", file=sys.stderr, flush=True)
        run = clary(validation, size, 0, scratch, settings)
        found.append(validation.scaled_error(np.median(run.paths, axis=1)))
    best = int(np.argmin(found))
    run = clary(data, size, 0, scratch, SETTINGS[best])
    error = data.scaled_error(np.median(run.paths, axis=1))
    told = ["" if place != best else f"{error:.3f}" for place in range(len(SETTINGS))]
    bar = {"bar": f"test < {NAIVE_MASE}", "met": met(error < NAIVE_MASE)}
    return [
        {"settings": str(each), "validation": mase, "test": test, **(bar if test else {"bar": "", "met": ""})}
        for each, mase, test in zip(SETTINGS, found, told, strict=True)
    ]


def speed(folder: Path, size: Size, scratch: Path) -> list[Row]:
    """Seconds of both for an epoch of the same number of windows, for the forecasts, and from files to a model."""
    data = series.m4_hourly(folder)
    ours = clary(data, size, 0, scratch)
    theirs = gluonts(data, size, ours.steps, 0, scratch)
    pairs = {
        "epoch": (ours.epoch, theirs.epoch),
        "forecasts": (ours.predict, theirs.predict),
        "from files to model": (ours.train, theirs.train),
    }
    return [
        {
            "part": part,
            "Clary": own,
            "GluonTS": other,
            "times faster": other / own,
            "bar": f">= {TIMES_FASTER[part]:g}" if part in TIMES_FASTER else "",
            "met": met(other / own >= TIMES_FASTER[part]) if part in TIMES_FASTER else "",
        }
        for part, (own, other) in pairs.items()
    ]


def memory(count: int, length: int, scratch: Path) -> Row:
    """The peak of a program that trains on that many series for one epoch."""
    rng, path = np.random.default_rng(0), scratch / "many.json"
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(count):
            points = np.round(rng.lognormal(3, 1) * (1 + np.sin(np.arange(length) / 4)) + rng.normal(size=length), 3)
            stream.write(json.dumps({"start": "2024-01-01 00:00:00", "target": points.tolist()}) + "\n")
    settings = {"time_freq": "H", "context_length": "48", "prediction_length": "24", "epochs": "1"}
    job = TrainingJob(
        Path(tempfile.mkdtemp(dir=scratch)) / "job", "deepar", settings, {"train": Channel((path,), "json")}
    )
    usage = watched(job.command)
    bar = {"bar": f"<= {MOST_MEMORY >> 30} GiB", "met": met(usage.resident <= MOST_MEMORY)}
    return {"series": count, "points": length, "seconds": usage.seconds, "MiB": usage.resident / 2**20, **bar}


def killed(data: Series, kills: int, scratch: Path) -> Row:
    """Jobs that are killed so many times in all: their last losses, and how many models are the other's."""
    size = Size(64, 150)
    alone = laid_out(data, size, Path(tempfile.mkdtemp(dir=scratch)))
    began = time.perf_counter()
    lives(alone, None)
    seconds = time.perf_counter() - began
    rng, died, found = np.random.default_rng(0), 0, list[TrainingJob]()
    while died < kills:
        found.append(laid_out(data, size, Path(tempfile.mkdtemp(dir=scratch)), checkpoints=True))
        while not lives(found[-1], float(rng.uniform(0, LONGEST * seconds)) if died < kills else None):
            died += 1
    losses = [_last_loss(each) for each in (alone, *found)]
    identical = sum(contents(each) == contents(alone) for each in found)
    return {
        "kills": died,
        "jobs": len(found),
        "loss alone": losses[0],
        "farthest": max(losses[1:], key=lambda each: abs(each - losses[0])),
        "identical models": f"{identical} of {len(found)}",
        "bar": "the same loss",
        "met": met(all(each == losses[0] for each in losses)),
    }


def _last_loss(job: TrainingJob) -> float:
    log = (job.layout.root / "log").read_text(encoding="utf-8")
    return float(re.findall(spec("deepar").metric("train:final_loss").regex, log)[-1])


def laid_out(
    data: Series, size: Size, folder: Path, given: Mapping[str, str] | None = None, *, checkpoints: bool = False
) -> TrainingJob:
    """A job in the folder that learns from the set."""
    train, _ = data.write(folder)
    epochs = max(1, round(size.steps / batches(data, size)))
    settings = {"time_freq": "H", "context_length": str(data.horizon), "prediction_length": str(data.horizon)}
    settings |= {"epochs": str(epochs), "mini_batch_size": str(size.batch), **(given or {})}
    channels = {"train": Channel((train,), "json")}
    return TrainingJob(folder / "job", "deepar", settings, channels, checkpoints=checkpoints)


def batches(data: Series, size: Size) -> int:
    """How many batches an epoch of both has."""
    return -(-max(10 * size.batch, len(data.train)) // size.batch)


def clary(data: Series, size: Size, seed: int, scratch: Path, given: Mapping[str, str] | None = None) -> Run:
    """A training job of the train program, and the forecasts of its model."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    job = laid_out(data, size, folder, given)
    log = folder / "log.txt"
    seconds = timed(["sh", "-c", f"{' '.join(job.command)} > {log}"], CLARY_SEED=str(seed))
    text = log.read_text(encoding="utf-8")
    rates = [*map(float, re.findall(spec("deepar").metric("train:throughput").regex, text))]
    windows = sum(map(int, re.findall(r"processed a total of (\d+) examples", text)))
    forecaster = Forecaster.load(Artifact.read(job.layout.model), "cpu")
    histories = _histories(data, forecaster)
    forecaster.sample(histories.take(np.arange(2)), SAMPLES)
    began = time.perf_counter()
    paths = forecaster.sample(histories, SAMPLES)
    asked = time.perf_counter() - began
    each = size.batch * batches(data, size) / statistics.median(rates[1:] or rates)
    return Run(paths, seconds, each, asked, round(windows / size.batch))


def gluonts(data: Series, size: Size, steps: int, seed: int, scratch: Path) -> Run:
    """The peer's program with the same number of steps."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    train, test = data.write(folder)
    each = batches(data, size)
    epochs = max(1, round(steps / each))
    settings = {"train": str(train), "test": str(test), "horizon": data.horizon, "context": data.horizon}
    settings |= {
        "batch": size.batch,
        "batches": batches(data, size),
        "epochs": epochs,
        "samples": SAMPLES,
        "seed": seed,
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    output = folder / "peer"
    timed([sys.executable, "-m", "benchmarks.deepar_peer", str(folder / "settings.json"), str(output)])
    found = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    epoch = statistics.median(found["epochs"][1:] or found["epochs"])
    return Run(
        np.load(output.with_suffix(".npy")), found["train"], epoch, found["predict"], epochs * batches(data, size)
    )


def loss(data: Series, paths: Array) -> float:
    """The mean weighted quantile loss of sample paths (N, S, T)."""
    errors = Errors.none(LEVELS)
    errors.add(paths, data.target)
    return errors.mean_quantile_loss


def _histories(data: Series, forecaster: Forecaster) -> Histories:
    given = [
        {"start": start, "target": [None if np.isnan(each) else float(each) for each in points[: -data.horizon]]}
        for start, points in data.test
    ]
    return instances(given, forecaster.fields, forecaster.prediction_length, forecaster.frequency)


if __name__ == "__main__":
    main()
