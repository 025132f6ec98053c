"""PCA beside NumPy and scikit-learn: accuracy, time of the fit, time from a CSV to a saved model, peak memory.

    python -m benchmarks.pca [--only accuracy|fit|csv|memory] [--runs 5] [--rows 1000000] [--quick] [--json FILE]

The accuracy is the sine of the largest angle between the components and those of NumPy's singular value decomposition
of all rows in float64. The fit is from an array in memory, both programs in this process and in turn; the other two
measure whole processes. The memory part needs Linux.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from benchmarks.programs import Channel, Command, TrainingJob, timed, watched
from benchmarks.report import Row, keep, met, show
from clary.algorithms.pca.data import Moments
from clary.algorithms.pca.model import Components, components, random_test, steep_axes
from clary.toolkit import tabular
from clary.toolkit.artifact import Artifact
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

Floats = npt.NDArray[np.floating]
CSV = MediaType.parse("text/csv;label_size=0")
SECTIONS = ("accuracy", "fit", "csv", "memory")
WIDTH, COMPONENTS, BATCH = 100, 10, 500
ROWS, QUICK_ROWS = 1_000_000, 50_000
SMALL = 20_000  # rows that a decomposition of all of them is taken of
# The largest angle, and Clary's time as a multiple of the peer's.
BAR_ACCURACY, BAR_FIT, BAR_CSV = 1e-5, 1.0, 0.5
_BLOCK = 50_000

# The peer as its users run it: pandas reads, scikit-learn fits, NumPy saves.
PEER = """
import sys
import numpy, pandas
from sklearn.decomposition import PCA
path, count, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rows = pandas.read_csv(path, header=None)
numpy.save(out, PCA(count, svd_solver="covariance_eigh").fit(rows.to_numpy()).components_)
"""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, help="one of the measurements")
    parser.add_argument("--runs", type=int, default=5, help="runs of each program")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of {WIDTH} numbers")
    parser.add_argument("--quick", action="store_true", help="one run, on few rows")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.rows = 1, QUICK_ROWS
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        for name in SECTIONS:
            if options.only in (None, name):
                results[name] = _measured(name, options.rows, options.runs, Path(scratch))
    keep(options.json, results)


def _measured(name: str, rows: int, runs: int, scratch: Path) -> list[Row]:
    if name == "accuracy":
        found = accuracy()
        show("PCA: largest angle to the components of a decomposition of all rows in float64", found)
    elif name == "fit":
        found = fit(rows, runs)
        show("PCA: seconds of the fit of an array in memory, medians", found)
    elif name == "csv":
        found = from_csv(rows, runs, scratch)
        show("PCA: seconds from CSV to saved model, medians", found)
    else:
        found = memory(rows, scratch)
        show("PCA: peak memory of the whole process", found)
    return found


def accuracy() -> list[Row]:
    """A row for each kind of data: Clary's and scikit-learn's angle."""
    even = mixed(np.linspace(5, 1, WIDTH))
    steep = mixed(np.logspace(0, -6, WIDTH))
    jumped = even.copy()
    jumped[:BATCH] += 1e6
    cases: dict[str, tuple[Floats, int, bool]] = {
        "standard deviations of 5 to 1": (even.astype(np.float32), COMPONENTS, True),
        "the same, shifted by 2**20": ((np.round(even * 16) / 16 + 2**20).astype(np.float32), COMPONENTS, True),
        "the same, not centered": ((np.round(even * 16) / 16 + 2**20).astype(np.float32), COMPONENTS, False),
        "the same, the first batch a million away": (jumped, COMPONENTS, True),
        "of 1 to 1e-6, 10 kept": (steep.astype(np.float32), COMPONENTS, True),
        "of 1 to 1e-6, 80 kept": (steep.astype(np.float32), 80, True),
        "of 1 to 1e-10 in float64, 80 kept": (mixed(np.logspace(0, -10, WIDTH)), 80, True),
    }
    found: list[Row] = []
    for name, (rows, count, centered) in cases.items():
        exact = rows.astype(np.float64)
        exact -= exact.mean(axis=0) if centered else 0
        leading = np.linalg.svd(exact, full_matrices=False)[2][:count].T
        angle = apart(fitted(rows, count, centered=centered).v_DK, leading)
        peer = PCA(count, svd_solver="covariance_eigh").fit(rows).components_.T if centered else None
        found.append(
            {
                "data": name,
                "Clary": f"{angle:.1e}",
                "covariance_eigh": "" if peer is None else f"{apart(peer, leading):.1e}",
                "bar": met(angle <= BAR_ACCURACY),
            }
        )
    return found


def fit(rows: int, runs: int) -> list[Row]:
    """Both programs on the same array, in both types that scikit-learn takes as they are; and the sketch."""
    found: list[Row] = []
    narrow = np.concatenate(list(blocks(rows)))
    for points in (narrow, narrow.astype(np.float64)):
        programs: dict[str, Callable[[Floats], object]] = {
            "covariance_eigh": PCA(COMPONENTS, svd_solver="covariance_eigh").fit,
            "Clary": partial(fitted, count=COMPONENTS),
            "Clary, randomized": partial(fitted, count=COMPONENTS, sketch=2 * COMPONENTS),
        }
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(runs):
            for name, program in programs.items():
                began = time.perf_counter()
                program(points)
                seconds[name].append(time.perf_counter() - began)
        found += _beside(seconds, {"Clary": BAR_FIT}, array=str(points.dtype))
    return found


def from_csv(rows: int, runs: int, scratch: Path) -> list[Row]:
    """Both programs on the same file, each a process of its own."""
    path = written(scratch / "rows.csv", rows)
    seconds: dict[str, list[float]] = {"pandas and covariance_eigh": [], "Clary": []}
    for _ in range(runs):
        job = laid_out(path, scratch)
        seconds["pandas and covariance_eigh"].append(timed(peer_command(path, scratch / "peer.npy")))
        seconds["Clary"].append(timed(job.command))
    ours, peer = Artifact.read(job.layout.model).tensors["v"], np.load(scratch / "peer.npy").T
    angle = f"{apart(ours, peer):.0e}"
    return _beside(seconds, {"Clary": BAR_CSV}, **{"csv MB": f"{path.stat().st_size / 1e6:.0f}", "angle": angle})


def memory(rows: int, scratch: Path) -> list[Row]:
    """Clary's peak on a file and on one of four times the size, and the peer's on the smaller one."""
    small, large = (written(scratch / f"{count}.csv", count) for count in (rows // 4, rows))
    commands = {
        ("Clary", small): laid_out(small, scratch).command,
        ("Clary", large): laid_out(large, scratch).command,
        ("pandas and covariance_eigh", small): peer_command(small, scratch / "peer.npy"),
    }
    return [
        {
            "program": name,
            "csv MB": f"{path.stat().st_size / 1e6:.0f}",
            "peak MiB": f"{watched(command).resident / 2**20:.0f}",
        }
        for (name, path), command in commands.items()
    ]


def fitted(points: Floats, count: int, *, centered: bool = True, sketch: int = 0) -> Components:
    """What training does with the batches of an array, without what reads them."""
    test = random_test(points.shape[1], sketch, np.random.default_rng(0)) if sketch else None
    axes = None if sketch else steep_axes(points[:BATCH], count, centered=centered)
    moments = Moments(points.shape[1], centered=centered, axes_DD=axes, test_DL=test)
    for start in range(0, len(points), BATCH):
        moments.add(points[start : start + BATCH])
    return components(moments.settle(), moments, count)


def mixed(scales: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Normal rows whose standard deviations along random axes are these."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((len(scales), len(scales))))[0]
    rows: npt.NDArray[np.float64] = (rng.standard_normal((SMALL, len(scales))) * scales) @ axes
    return rows


def blocks(rows: int) -> Iterator[npt.NDArray[np.float32]]:
    """That many rows of columns that have to do with each other, off center, with 5 decimals."""
    axes = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)) * np.linspace(1, 0.1, WIDTH)[:, None]
    for seed, start in enumerate(range(0, rows, _BLOCK)):
        normal = np.random.default_rng([1, seed]).standard_normal((min(_BLOCK, rows - start), WIDTH))
        yield (10 + normal @ axes).round(5).astype(np.float32)


def written(path: Path, rows: int) -> Path:
    """The file, filled with that many rows."""
    with path.open("wb") as stream:
        for part in blocks(rows):
            tabular.write(stream, Records(part), CSV)
    return path


def laid_out(path: Path, scratch: Path) -> TrainingJob:
    """The job that trains on the file."""
    settings = {"feature_dim": str(WIDTH), "num_components": str(COMPONENTS), "mini_batch_size": str(BATCH)}
    root = Path(tempfile.mkdtemp(dir=scratch))
    return TrainingJob(root, "pca", settings, {"train": Channel((path,), str(CSV))})


def peer_command(path: Path, out: Path) -> Command:
    """The command that trains the peer and leaves its components in ``out``."""
    return [sys.executable, "-c", PEER, str(path), str(COMPONENTS), str(out)]


def apart(found_DK: Floats, expected_DK: Floats) -> float:
    """The sine of the largest angle between the two subspaces."""
    return float(np.linalg.norm(found_DK - expected_DK @ (expected_DK.T @ found_DK), 2))


def _beside(seconds: dict[str, list[float]], bars: dict[str, float], **more: str) -> list[Row]:
    """A row for each program; the first one is the peer."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    peer = next(iter(medians.values()))
    return [
        {
            **more,
            "program": name,
            "seconds": f"{found:.2f}",
            "ratio": f"{found / peer:.2f}",
            "bar": met(found <= bars[name] * peer) if name in bars else "",
        }
        for name, found in medians.items()
    ]


if __name__ == "__main__":
    main()
