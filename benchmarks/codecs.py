"""Reading training files: MB/s of each format beside a peer on the same bytes, and memory against file size.

    python -m benchmarks.codecs [--megabytes 32] [--runs 3] [--json FILE]

The peer is pandas for CSV and a plain loop over records and fields for RecordIO-protobuf; scikit-learn's reader for
LIBSVM. Clary and its peer take turns, and the best run of each counts. Memory is the peak of a process that
reads a file of each of two sizes and keeps nothing.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.report import Row, keep, show
from clary.toolkit import tabular
from clary.toolkit.codecs import record_message, recordio
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

CSV, PROTOBUF = "text/csv;label_size=0", "application/x-recordio-protobuf"

# The system's own high-water mark: what getrusage reports begins with the memory of the process that forked.
READS_ALL = """
import re, sys
from clary.toolkit import tabular
from clary.toolkit.media import MediaType
with open(sys.argv[1], "rb") as stream:
    for _ in tabular.read(stream, MediaType.parse(sys.argv[2]), source="file"):
        pass
with open("/proc/self/status") as status:
    print(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
"""


@dataclass(frozen=True)
class Case:
    """A file of one format: how its rows are made, what is written, and who else reads it."""

    name: str
    content_type: str
    rows: Callable[[int], Records]
    peer_name: str
    peer: Callable[[Path], object]
    share: float = 1.0


def floats(count: int) -> Records:
    """Rows of 50 floats, about 530 bytes each as CSV."""
    return Records(np.random.default_rng(0).normal(size=(count, 50)).astype(np.float32))


def pixels(count: int) -> Records:
    """Rows of 784 pixels, half of them zero."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, size=(count, 784)) * (rng.random((count, 784)) < 0.5)
    return Records(values.astype(np.float32))


def sparse(count: int) -> Records:
    """Rows of 5,000 features of which 50 are set, and a label."""
    from scipy.sparse import random as random_matrix

    matrix = random_matrix(count, 5000, 0.01, format="csr", dtype=np.float32, random_state=0)
    return Records(matrix, np.arange(count, dtype=np.float32).reshape(-1, 1) % 3)


def pandas_reads(path: Path) -> npt.NDArray[np.float32]:
    """What a user of pandas writes."""
    import pandas

    found: npt.NDArray[np.float32] = pandas.read_csv(path, header=None, dtype=np.float32).to_numpy()
    return found


def loop_reads(path: Path) -> list[npt.NDArray[np.float32]]:
    """Each record by itself, field by field."""
    with path.open("rb") as stream:
        found = (record_message.tensors(payload)[0]["values"] for payload in recordio.read(stream))
        return [record_message.numbers(each.kind, each.values) for each in found]


def scikit_learn_reads(path: Path) -> object:
    """The usual reader of LIBSVM files."""
    from sklearn.datasets import load_svmlight_file

    return load_svmlight_file(str(path), zero_based=True, dtype=np.float32)


CASES = (
    Case("CSV, 50 floats", CSV, floats, "pandas", pandas_reads),
    Case("CSV, 784 pixels", CSV, pixels, "pandas", pandas_reads),
    Case("protobuf, 50 floats", PROTOBUF, floats, "loop", loop_reads, share=0.5),
    Case("protobuf, sparse", PROTOBUF, sparse, "loop", loop_reads, share=0.5),
    Case("LIBSVM", "text/libsvm", sparse, "scikit-learn", scikit_learn_reads, share=0.2),
)


def make(case: Case, path: Path, megabytes: float) -> None:
    """Write a file of about that size by repeating a block of rows."""
    block = io.BytesIO()
    if case.rows is pixels:
        np.savetxt(block, pixels(500).dense(), fmt="%d", delimiter=",")
    else:
        tabular.write(block, case.rows(2000), MediaType.parse(case.content_type))
    content = block.getvalue()
    with path.open("wb") as stream:
        for _ in range(max(1, round(megabytes * 1e6 / len(content)))):
            stream.write(content)


def reads(case: Case, path: Path) -> None:
    """Clary's reading of the whole file, part by part."""
    with path.open("rb") as stream:
        for _ in tabular.read(stream, MediaType.parse(case.content_type), source=path.name):
            pass


def speed(case: Case, folder: Path, megabytes: float, runs: int) -> Row:
    """MB/s of both, the best of several runs in turn."""
    path = folder / "speed"
    make(case, path, megabytes * case.share)
    size = path.stat().st_size / 1e6
    ours = theirs = float("inf")
    for _ in range(runs):
        ours = min(ours, _seconds(lambda: reads(case, path)))
        theirs = min(theirs, _seconds(lambda: case.peer(path)))
    return {
        "format": case.name,
        "MB": size,
        "clary MB/s": size / ours,
        "peer": case.peer_name,
        "peer MB/s": size / theirs,
        "ratio": theirs / ours,
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def memory(case: Case, folder: Path, megabytes: float) -> Row:
    """Peak memory of reading a file and one four times as large; Linux only."""
    row: Row = {"format": case.name}
    for factor in (1, 4):
        path = folder / "memory"
        make(case, path, megabytes * factor)
        command = [sys.executable, "-c", READS_ALL, str(path), case.content_type]
        peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        row[f"peak MB at {megabytes * factor:.0f} MB"] = int(peak) / 1024
    return row


def main() -> None:
    """Run all cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=32, help="size of the files read")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, of which the best counts")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speeds = [speed(case, folder, options.megabytes, options.runs) for case in CASES]
        show("Reading, best run", speeds)
        peaks = [memory(case, folder, options.megabytes) for case in CASES[:3]] if sys.platform == "linux" else []
        show("Peak memory of the reading process", peaks)
    keep(options.json, {"speed": speeds, "memory": peaks})


if __name__ == "__main__":
    main()
