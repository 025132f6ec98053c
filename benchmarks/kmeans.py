"""K-means beside scikit-learn: inertia on real data, time from a CSV on disk to a saved model, peak memory.

    python -m benchmarks.kmeans --data FOLDER [--runs 5] [--gigabytes 2] [--json FILE]

FOLDER holds the public files of Fashion-MNIST and Letter Recognition (see ``clary.datasets.public``); without
it only the packaged digits are used. Each program is a process of its own, started in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.programs import Channel, TrainingJob, timed, watched
from benchmarks.report import Row, keep, show
from clary.datasets import generators, public, samples
from clary.toolkit import tabular
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

Floats = npt.NDArray[np.float32]
CSV = MediaType.parse("text/csv;label_size=0")
# As it comes, and with more centers in the streaming phase, which brings the loss closer to that of full k-means.
SETTINGS: tuple[dict[str, str], ...] = ({}, {"extra_center_factor": "100"})

# The peer as its users run it: pandas reads, scikit-learn fits, NumPy saves.
PEER = """
import sys
import numpy, pandas
from sklearn.cluster import KMeans, MiniBatchKMeans
path, kind, k, seed, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
rows = pandas.read_csv(path, header=None)
model = KMeans(k, n_init=1, random_state=seed) if kind == "KMeans" else MiniBatchKMeans(k, random_state=seed)
numpy.save(out, model.fit(rows.to_numpy()).cluster_centers_)
"""


@dataclass(frozen=True)
class Case:
    """One data set, its number of clusters, and the hyperparameters that are not the defaults."""

    name: str
    load: Callable[[], Floats]
    k: int
    settings: dict[str, str]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--runs", type=int, default=5, help="runs of each program, one seed each")
    parser.add_argument(
        "--gigabytes", type=float, default=0.0, help="size of a CSV for the memory figure; 0 leaves it out"
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        rows = [row for case in cases(options.data) for row in compare(case, options.runs, Path(scratch))]
        show("K-means: inertia and seconds from CSV to saved model, medians", rows)
        results["kmeans"] = rows
        if options.gigabytes:
            results["large"] = memory(options.gigabytes, Path(scratch))
            show("K-means: a large CSV, time and peak memory of the whole process", results["large"])
    keep(options.json, results)


def cases(folder: Path | None) -> list[Case]:
    """The sets that are at hand; what is not is said and left out."""
    found = [Case("digits", lambda: samples.digits().dense(), 10, settings) for settings in SETTINGS]
    if folder is None:
        print("no --data folder: only the packaged digits are compared")
        return found
    sets: tuple[tuple[str, Callable[[], Floats], int], ...] = (
        ("letter", lambda: public.letter(folder).dense(), 26),
        ("fashion-mnist", lambda: public.fashion_mnist(folder).dense(), 10),
    )
    for name, load, k in sets:
        try:
            load()
        except UserError as error:
            print(error)
        else:
            found += [Case(name, load, k, settings) for settings in SETTINGS]
    return found


def compare(case: Case, runs: int, scratch: Path) -> list[Row]:
    """Clary, KMeans and MiniBatchKMeans in turn, ``runs`` times; a row each."""
    points = case.load()
    path = scratch / f"{case.name}.csv"
    if not path.exists():
        with path.open("wb") as stream:
            integral = bool((points == np.rint(points)).all())
            np.savetxt(stream, points, fmt="%d" if integral else "%.9g", delimiter=",")
    seconds: dict[str, list[float]] = {}
    inertia: dict[str, list[float]] = {}
    for seed in range(runs):
        for name in ("Clary", "MiniBatchKMeans", "KMeans"):
            began = time.perf_counter()
            if name == "Clary":
                centers = train(path, case, points.shape[1], seed, scratch)
            else:
                centers = peer(path, name, case.k, seed, scratch)
            seconds.setdefault(name, []).append(time.perf_counter() - began)
            inertia.setdefault(name, []).append(loss(points, centers))
    settings = " ".join(f"{key}={value}" for key, value in case.settings.items()) or "defaults"
    return [
        {
            "data": case.name,
            "program": name,
            "settings": settings if name == "Clary" else "n_init=1" if name == "KMeans" else "defaults",
            "inertia": statistics.median(inertia[name]),
            "to KMeans": statistics.median(inertia[name]) / statistics.median(inertia["KMeans"]),
            "to MiniBatch": statistics.median(inertia[name]) / statistics.median(inertia["MiniBatchKMeans"]),
            "seconds": statistics.median(seconds[name]),
            "time to MiniBatch": statistics.median(seconds[name]) / statistics.median(seconds["MiniBatchKMeans"]),
        }
        for name in seconds
    ]


def train(path: Path, case: Case, width: int, seed: int, scratch: Path) -> Floats:
    """The centers of one run of the train program over the file."""
    job = laid_out(path, {"k": str(case.k), "feature_dim": str(width), **case.settings}, scratch)
    timed(job.command, CLARY_SEED=str(seed))
    return Artifact.read(job.layout.model).tensors["centers"]


def laid_out(path: Path, settings: dict[str, str], scratch: Path) -> TrainingJob:
    """The job that trains on the file."""
    channels = {"train": Channel((path,), str(CSV))}
    return TrainingJob(Path(tempfile.mkdtemp(dir=scratch)), "kmeans", settings, channels)


def peer(path: Path, kind: str, k: int, seed: int, scratch: Path) -> Floats:
    """The centers of one run of the scikit-learn program over the file."""
    out = scratch / "peer.npy"
    timed(peer_command(path, kind, k, seed, out))
    centers: Floats = np.load(out)
    return centers


def peer_command(path: Path, kind: str, k: int, seed: int, out: Path) -> list[str]:
    """The command that trains the peer and leaves its centers in ``out``."""
    return [sys.executable, "-c", PEER, str(path), kind, str(k), str(seed), str(out)]


def loss(points: Floats, centers: npt.NDArray[np.floating]) -> float:
    """The inertia in float64: the sum of squared distances to the nearest center."""
    total = 0.0
    exact = centers.astype(np.float64)
    for start in range(0, len(points), 5000):
        part = points[start : start + 5000].astype(np.float64)
        squared = np.square(part).sum(1)[:, None] - 2 * part @ exact.T + np.square(exact).sum(1)
        total += float(squared.min(axis=1).sum())
    return total


def memory(gigabytes: float, scratch: Path) -> list[Row]:
    """Peak memory and time of both programs on a generated CSV of that size, 50 features, 10 clusters."""
    path = scratch / "large.csv"
    with path.open("wb") as stream:
        block = Records(generators.blobs(100_000, 50, 10).features)
        while stream.tell() < gigabytes * 1e9:
            tabular.write(stream, block, CSV)
    size = path.stat().st_size
    programs = {
        "Clary": laid_out(path, {"k": "10", "feature_dim": "50"}, scratch).command,
        "MiniBatchKMeans": peer_command(path, "MiniBatchKMeans", 10, 0, scratch / "peer.npy"),
    }
    rows: list[Row] = []
    for name, command in programs.items():
        usage = watched(command)
        rows.append(
            {
                "program": name,
                "csv MB": size / 1e6,
                "seconds": usage.seconds,
                "MB/s": size / usage.seconds / 1e6,
                "peak MiB": usage.resident / 2**20,
            }
        )
    return rows


if __name__ == "__main__":
    main()
