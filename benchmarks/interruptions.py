"""Jobs that are killed at random moments and started again, beside the same jobs left alone: models and metrics.

    python -m benchmarks.interruptions [--algorithms NAME ...] [--kills 20] [--rows 100000] [--quick] [--json FILE]

A job is started again with the same checkpoint folder until it ends by itself; each time it has a random while to
live, from nothing to somewhat longer than the job takes. Jobs are run until that many of them were killed. Each
finished model is compared with that of the job that was left alone, file by file and by what it is worth on
held-out rows.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import generated
from benchmarks.programs import Channel, TrainingJob, start, timed
from benchmarks.report import Row, keep, met, show

JOBS = {
    "linear_learner": {"predictor_type": "binary_classifier", "epochs": "8", "early_stopping_patience": "100"},
    "kmeans": {"k": "50", "feature_dim": str(generated.WIDTH), "epochs": "8"},
    "xgboost": {"objective": "binary:logistic", "num_round": "100", "subsample": "0.8", "colsample_bytree": "0.8"},
}
IDENTICAL = ("xgboost",)
NOISE = 0.2  # how far the quality of another algorithm's model may be off: percent of it
LONGEST = 1.2  # while to live at most, in times of the job that was left alone
RESUMED = b"resuming from a checkpoint"
ROWS, QUICK_ROWS, QUICK_KILLS = 100_000, 20_000, 4


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", choices=list(JOBS), default=list(JOBS), help="some of them")
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs of each algorithm")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to train on, each of 50 features")
    parser.add_argument("--quick", action="store_true", help="few kills on fewer rows")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    rows, kills = (QUICK_ROWS, QUICK_KILLS) if options.quick else (options.rows, options.kills)
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        path = generated.write_rows(Path(scratch) / "rows.csv", rows)
        results = [compare(algorithm, path, kills, Path(scratch)) for algorithm in options.algorithms]
    show("Killed and started again beside left alone: models and their quality on held-out rows", results)
    keep(options.json, {"interruptions": results})


def compare(algorithm: str, path: Path, kills: int, scratch: Path) -> Row:
    """Jobs of one algorithm, killed that many times in all."""
    alone = laid_out(algorithm, path, scratch)
    seconds = timed(alone.command)
    expected, wanted = contents(alone), generated.quality(alone.predictor())
    rng = np.random.default_rng(0)
    killed = resumed = identical = 0
    found: list[float] = []
    while killed < kills:
        job = laid_out(algorithm, path, scratch)
        while not lives(job, float(rng.uniform(0, LONGEST * seconds)) if killed < kills else None):
            killed += 1
        resumed += (job.layout.root / "log").read_bytes().count(RESUMED)
        identical += contents(job) == expected
        found.append(generated.quality(job.predictor()))
    worst = max(found, key=lambda value: abs(value - wanted))
    off = 100 * abs(worst / wanted - 1)
    exact = algorithm in IDENTICAL
    return {
        "algorithm": algorithm,
        "seconds alone": seconds,
        "kills": killed,
        "jobs": len(found),
        "resumed from a checkpoint": resumed,
        "identical models": f"{identical} of {len(found)}",
        "measure": generated.MEASURES[algorithm],
        "left alone": wanted,
        "farthest off": worst,
        "off by %": off,
        "bar": "identical models" if exact else f"off by <= {NOISE} %",
        "met": met(identical == len(found) if exact else off <= NOISE),
    }


def laid_out(algorithm: str, path: Path, scratch: Path) -> TrainingJob:
    """The job on the file, with an empty checkpoint folder."""
    root = Path(tempfile.mkdtemp(dir=scratch))
    return TrainingJob(root, algorithm, JOBS[algorithm], {"train": Channel((path,))}, checkpoints=True)


def lives(job: TrainingJob, seconds: float | None) -> bool:
    """Whether the job, started now, comes to its end in that time; it is killed otherwise."""
    with (job.layout.root / "log").open("ab") as log, start(job.command, log) as child:
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            return False
    if status:
        raise SystemExit(f"the job failed with status {status}: {job.layout.failure.read_text(encoding='utf-8')}")
    return True


def contents(job: TrainingJob) -> dict[str, bytes]:
    """The files of the model."""
    folder = job.layout.model
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
