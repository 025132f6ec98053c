"""How long the SDK takes to open, and how long a job takes from ``fit()`` to its first record.

    python -m benchmarks.startup [--repeats 5] [--json FILE]

Each number is the median of several runs in fresh processes, after one run that warms the file cache.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Row, keep, show

_OPEN = "import time; began = time.perf_counter(); {program}; print(time.perf_counter() - began)"
_JOB = """
import sys, time
from datetime import datetime
from clary.sdk import KMeans
began = time.time()
job = KMeans(k=10, output=sys.argv[2]).fit(train=sys.argv[1], logs=False)
ended = time.time()
lines = [line.split(" ", 2) for line in open(f"{sys.argv[2]}/{job.name}/job.log")]
def when(words):
    stamp = next(stamp for stamp, _, text in lines if words in text)
    return datetime.fromisoformat(stamp[:-1] + "+00:00").timestamp() - began
# The line about the batch size comes when the first batch is in memory.
print(when("Docker entrypoint"), when("Effective batch size"), ended - began)
"""
_WORDS = {
    "import_package": "import clary.sdk",
    "import_class": "from clary.sdk import KMeans",
    "process_up": "fit() to the training process's first line",
    "first_record": "fit() to the first batch of rows in memory",
    "whole_job": "fit() to the model, 1,000 rows of 50 numbers",
}


def run(program: str, *arguments: str) -> list[float]:
    """The numbers that the program prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def measure(repeats: int) -> dict[str, float]:
    """Seconds by name, medians."""
    found: dict[str, list[float]] = {name: [] for name in _WORDS}
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch, "rows.csv")
        rows.write_text("".join(",".join(f"{(r * c) % 97 / 7:.4f}" for c in range(50)) + "\n" for r in range(1000)))
        for attempt in range(repeats + 1):
            opened = [run(_OPEN.format(program=_WORDS[name]))[0] for name in ("import_package", "import_class")]
            job = run(_JOB, str(rows), f"{scratch}/jobs")
            if attempt:
                for name, value in zip(_WORDS, [*opened, *job], strict=True):
                    found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each, after one that warms up")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    rows: list[Row] = [
        {"what": _WORDS[name], "seconds": seconds} for name, seconds in measure(options.repeats).items()
    ]
    show(f"Start-up, medians of {options.repeats}", rows)
    keep(options.json, {"startup": rows})


if __name__ == "__main__":
    main()
