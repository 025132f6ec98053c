"""Runs every benchmark in turn, the text to the terminal and the JSON into a folder.

python -m benchmarks [--data FOLDER] [--gigabytes 2] [--quick] [--output out/bench]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

# In the order in which they run; the short form of each is for a look at whether all works, not for figures.
BENCHMARKS = {
    "startup": ["--repeats", "2"],
    "codecs": ["--megabytes", "8", "--runs", "1"],
    "kmeans": ["--runs", "1"],
    "knn": ["--quick"],
    "lda": ["--quick"],
    "linear_learner": ["--quick"],
    "linear_learner_large": ["--quick"],
    "pca": ["--quick"],
    "factorization_machines": ["--quick"],
    "boosting": ["--quick"],
    "boosting_large": ["--quick"],
    "random_cut_forest": ["--quick"],
    "ntm": ["--quick"],
    "blazingtext": ["--seeds", "1", "--epochs", "1", "--modes", "batch_skipgram"],
    "deepar": ["--quick"],
    "forecast": ["--quick"],
    "hosts": ["--quick"],
    "interruptions": ["--quick"],
    "serving": ["--seconds", "1", "--rounds", "1"],
}
ON_PUBLIC_DATA_ALONE = ("ntm", "blazingtext")
ON_PUBLIC_DATA = (
    *ON_PUBLIC_DATA_ALONE,
    "kmeans",
    "knn",
    "lda",
    "linear_learner",
    "factorization_machines",
    "boosting",
    "random_cut_forest",
    "deepar",
    "forecast",
)


def main() -> int:
    """Run them all; 1 if one of them failed, after the others have run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files (see clary.datasets.public)")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the CSV for k-means' memory figure")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs, without that figure")
    parser.add_argument("--output", type=Path, default=Path("out/bench"), help="folder for the JSON files")
    options = parser.parse_args()
    failed = []
    for name, quick in BENCHMARKS.items():
        if name == "serving" and shutil.which("wrk") is None:
            print("\nserving is left out: it needs wrk, which is not installed")
            continue
        if name in ON_PUBLIC_DATA_ALONE and not options.data:
            print(f"\n{name} is left out: it needs --data")
            continue
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(options.output / f"{name}.json")]
        if name in ON_PUBLIC_DATA and options.data:
            command += ["--data", str(options.data)]
        if name == "kmeans" and not options.quick:
            command += ["--gigabytes", str(options.gigabytes)]
        if subprocess.run(command + quick if options.quick else command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
