"""Runs every benchmark in turn, the text to the terminal and the JSON into a folder.

python -m benchmarks [--data FOLDER] [--gigabytes 2] [--output out/bench]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run them all; 1 if one of them failed, after the others have run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files (see clary.datasets.public)")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the CSV for the memory figure")
    parser.add_argument("--output", type=Path, default=Path("out/bench"), help="folder for the JSON files")
    options = parser.parse_args()
    kmeans = ["--gigabytes", str(options.gigabytes)]
    kmeans += ["--data", str(options.data)] if options.data else []
    failed = []
    for name, arguments in (("startup", []), ("codecs", []), ("kmeans", kmeans), ("serving", [])):
        if name == "serving" and shutil.which("wrk") is None:
            print("\nserving is left out: it needs wrk, which is not installed")
            continue
        print(f"\n== {name}", flush=True)
        target = options.output / f"{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(target), *arguments]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
