"""Two hosts with a core each beside one host with one core: time and quality of the same job.

    python -m benchmarks.hosts [--algorithms NAME ...] [--rows N] [--columns N] [--runs 3] [--quick] [--json FILE]

The hosts are processes on this machine, each bound to a core of its own and with one thread for its arithmetic. The
train channel has two files; two hosts get one each. Time runs from the start of the first process to the end of the
last. Needs two cores and ``taskset``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import generated
from benchmarks.programs import Channel, Command, TrainingJob, timed
from benchmarks.report import Row, keep, met, show

JOBS = {
    # Patience enough for all epochs, so that both jobs have the same number of them.
    "linear_learner": {"predictor_type": "binary_classifier", "epochs": "15", "early_stopping_patience": "100"},
    "kmeans": {"k": "50", "epochs": "5"},
    "xgboost": {"objective": "binary:logistic", "tree_method": "hist", "num_round": "50"},
}
BARS = {"linear_learner": 1.6}
ROWS, QUICK_ROWS = 300_000, 50_000
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")} | {"ARROW_IO_THREADS": "1"}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", choices=list(JOBS), default=list(JOBS), help="some of them")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to train on")
    parser.add_argument("--columns", type=int, default=generated.WIDTH, help="features of each row")
    parser.add_argument("--runs", type=int, default=3, help="runs of each job")
    parser.add_argument("--quick", action="store_true", help="one run on fewer rows")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    if shutil.which("taskset") is None or len(os.sched_getaffinity(0)) < 2:
        print("hosts are left out: they need two cores, and taskset, which binds a process to one")
        return
    rows, runs = (QUICK_ROWS, 1) if options.quick else (options.rows, options.runs)
    width = options.columns
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as name:
        scratch = Path(name)
        files = [
            generated.write_rows(scratch / f"part-{part}.csv", rows // 2, first=part << 20, width=width)
            for part in (0, 1)
        ]
        results = [row for each in options.algorithms for row in compare(each, files, width, runs, scratch)]
    show("One host and two, a core each: seconds of the whole job, medians", results)
    keep(options.json, {"hosts": results})


def compare(algorithm: str, files: Sequence[Path], width: int, runs: int, scratch: Path) -> list[Row]:
    """One host and two in turn, a row each."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    quality: dict[int, float] = {}
    for _ in range(runs):
        for hosts in seconds:
            taken, leader = run(algorithm, files, width, hosts, scratch)
            seconds[hosts].append(taken)
            quality[hosts] = generated.quality(leader.predictor(), width)
    medians = {hosts: statistics.median(values) for hosts, values in seconds.items()}
    bar = BARS.get(algorithm)
    return [
        {
            "algorithm": algorithm,
            "columns": width,
            "hosts": hosts,
            "seconds": medians[hosts],
            "times as fast": medians[1] / medians[hosts],
            "bar": f">= {bar}" if bar and hosts > 1 else "",
            "met": met(medians[1] >= bar * medians[hosts]) if bar and hosts > 1 else "",
            "measure": generated.MEASURES[algorithm],
            "quality": quality[hosts],
        }
        for hosts in seconds
    ]


def run(algorithm: str, files: Sequence[Path], width: int, hosts: int, scratch: Path) -> tuple[float, TrainingJob]:
    """Seconds of one job on that many hosts, and the leader's side of it."""
    names = [f"algo-{number}" for number in range(1, hosts + 1)]
    jobs = [
        TrainingJob(
            Path(tempfile.mkdtemp(dir=scratch)),
            algorithm,
            {**JOBS[algorithm], "feature_dim": str(width)} if algorithm == "kmeans" else JOBS[algorithm],
            {"train": Channel(files[rank::hosts], sharded=True)},
            hosts=names,
            current=name,
        )
        for rank, name in enumerate(names)
    ]
    cores = sorted(os.sched_getaffinity(0))
    commands = [_bound(job.command, core) for job, core in zip(jobs, cores, strict=False)]
    return timed(*commands, **ONE_THREAD, CLARY_RENDEZVOUS=f"127.0.0.1:{_free_port()}"), jobs[0]


def _bound(command: Command, core: int) -> Command:
    return ["taskset", "-c", str(core), *command]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
