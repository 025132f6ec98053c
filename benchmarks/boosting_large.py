"""XGBoost beside the plain library on a large CSV: time from the file to a saved model, and memory.

    python -m benchmarks.boosting_large [--only speed|memory] [--runs 3] [--quick] [--json FILE]

Each program is a process of its own. One peer is ``xgboost.train`` on the file as the library itself reads it, the
other reads with pandas. The library's reader takes a float32 next to the nearest one for some numbers (seen in
version 3.2), so its model is another one. The memory part trains on a file that is larger than the memory that Clary
is given; it needs Linux, and free disk space of two and a half times the file.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import xgboost

from benchmarks import generated
from benchmarks.boosting import MODEL, reloaded
from benchmarks.programs import Channel, Command, TrainingJob, timed, watched
from benchmarks.report import Row, keep, met, show

SECTIONS = ("speed", "memory")
PARAMETERS = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": "6"}
ROUNDS = "20"
MEGABYTES, QUICK_MEGABYTES = 500.0, 40.0
GIGABYTES, QUICK_GIGABYTES = 3.0, 0.1
LIBRARY, PANDAS = "xgboost.train, library's reader", "xgboost.train, pandas"
# Clary's time as a multiple of the peer's.
BARS = {LIBRARY: 1.1, PANDAS: 1.0}
LIMIT = 2000  # megabytes: what Clary is given, and what it may hold
DISK = 2.5  # sizes of the file
PANDAS_MEMORY = 5.0  # sizes of the file, so that pandas and the library have room enough

# The peers as their users run them. The library says each time that its reader will go.
PEERS = {
    LIBRARY: """
import sys, warnings
import xgboost
path, rounds, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
warnings.simplefilter("ignore")
rows = xgboost.DMatrix(f"{path}?format=csv&label_column=0")
xgboost.train(dict(each.split("=") for each in sys.argv[4:]), rows, rounds).save_model(out)
""",
    PANDAS: """
import sys
import pandas, xgboost
path, rounds, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
frame = pandas.read_csv(path, header=None)
rows = xgboost.DMatrix(frame.iloc[:, 1:], frame[0])
xgboost.train(dict(each.split("=") for each in sys.argv[4:]), rows, rounds).save_model(out)
""",
}


@dataclass(frozen=True)
class Program:
    """A command that trains, and the file that it leaves its model in."""

    command: Command
    model: Path

    def accuracy(self) -> float:
        """Percent of held-out rows that the model labels right."""
        return generated.accuracy(self._booster().inplace_predict(generated.held_out().dense()) >= 0.5)

    def trees(self) -> bytes:
        """The model as the library writes it."""
        return bytes(self._booster().save_raw("ubj"))

    def _booster(self) -> xgboost.Booster:
        booster = reloaded(self.model.read_bytes())
        # What pandas calls the columns is no part of what was learned.
        booster.feature_names = booster.feature_types = None
        return booster


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, help="one of the two measurements")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program for the speed")
    parser.add_argument("--megabytes", type=float, default=MEGABYTES, help="size of the CSV for the speed")
    parser.add_argument("--gigabytes", type=float, default=GIGABYTES, help="size of the CSV for the memory")
    parser.add_argument("--quick", action="store_true", help="one run, on small files")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.megabytes, options.gigabytes = 1, QUICK_MEGABYTES, QUICK_GIGABYTES
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        if options.only in (None, "speed"):
            results["speed"] = speed(options.megabytes * 1e6, options.runs, Path(scratch))
            show("XGBoost: seconds from CSV to saved model, medians", results["speed"])
        if options.only in (None, "memory"):
            results["memory"] = memory(options.gigabytes * 1e9, Path(scratch))
            show("XGBoost: peak memory of the whole process", results["memory"])
    keep(options.json, results)


def speed(size: float, runs: int, scratch: Path) -> list[Row]:
    """Clary and both peers in turn on a CSV of that many bytes, medians of the runs."""
    path = generated.write_bytes(scratch / "rows.csv", size)
    programs: dict[str, Program] = {}
    seconds: dict[str, list[float]] = {}
    for _ in range(runs):
        programs = {"Clary": clary(path, scratch), **{name: peer(name, path, scratch) for name in PEERS}}
        for name, program in programs.items():
            seconds.setdefault(name, []).append(timed(program.command))
    megabytes, trees = path.stat().st_size / 1e6, programs["Clary"].trees()
    path.unlink()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return [
        {
            "program": name,
            "csv MB": megabytes,
            "seconds": median,
            "ratio of Clary to it": medians["Clary"] / median,
            "bar": f"<= {BARS[name]}" if name in BARS else "",
            "met": met(medians["Clary"] <= BARS[name] * median) if name in BARS else "",
            "accuracy %": programs[name].accuracy(),
            "Clary's model": met(programs[name].trees() == trees),
        }
        for name, median in medians.items()
    ]


def memory(size: float, scratch: Path) -> list[Row]:
    """Peak memory of Clary with little memory and as it comes, and of the pandas peer where it has room."""
    if sys.platform != "linux":
        print("memory is left out: it is read where Linux keeps it")
        return []
    if (free := shutil.disk_usage(scratch).free) < DISK * size:
        print(f"memory is left out: it needs {DISK * size / 1e9:.1f} GB of disk space, and {free / 1e9:.1f} are free")
        return []
    path = generated.write_bytes(scratch / "rows.csv", size)
    limited = f"Clary, CLARY_MEMORY_MB={LIMIT}"
    programs = {limited: clary(path, scratch), "Clary": clary(path, scratch)}
    if (room := _available_memory()) < PANDAS_MEMORY * size:
        print(f"pandas is left out: {room / 1e9:.1f} GB of memory may be too little for it")
    else:
        programs[PANDAS] = peer(PANDAS, path, scratch)
    rows: list[Row] = []
    for name, program in programs.items():
        usage = watched(program.command, **({"CLARY_MEMORY_MB": str(LIMIT)} if name == limited else {}))
        rows.append(
            {
                "program": name,
                "csv MB": path.stat().st_size / 1e6,
                "seconds": usage.seconds,
                "peak MB": usage.resident / 1e6,
                "of these no file's": usage.anonymous / 1e6,
                "ratio to the file": usage.resident / path.stat().st_size,
                "bar": f"peak MB <= {LIMIT}" if name == limited else "",
                "met": met(usage.resident <= LIMIT * 1e6) if name == limited else "",
                "accuracy %": program.accuracy(),
            }
        )
    path.unlink()
    return rows


def clary(path: Path, scratch: Path) -> Program:
    """The train program on the file."""
    root = Path(tempfile.mkdtemp(dir=scratch))
    job = TrainingJob(root, "xgboost", {**PARAMETERS, "num_round": ROUNDS}, {"train": Channel((path,))})
    return Program(job.command, job.layout.model / MODEL)


def peer(name: str, path: Path, scratch: Path) -> Program:
    """The peer of that name on the file."""
    out = Path(tempfile.mkdtemp(dir=scratch)) / "model.ubj"
    parameters = [f"{name}={value}" for name, value in PARAMETERS.items()]
    return Program([sys.executable, "-c", PEERS[name], str(path), ROUNDS, str(out), *parameters], out)


def _available_memory() -> int:
    """Bytes that a program may take without harm to others."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return 1024 * int(found[1]) if found else 0


if __name__ == "__main__":
    main()
