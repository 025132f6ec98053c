"""The linear learner beside scikit-learn on a large CSV: time for each candidate model and epoch.

    python -m benchmarks.linear_learner_large [--rows 1000000] [--runs 3] [--quick] [--json FILE]

Clary trains its 32 candidates for all epochs, SGDClassifier one model. The time of the whole process, from the CSV
to the saved model, is divided by candidates and epochs. Clary with one candidate alone is there to see what the
candidates share.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import generated
from benchmarks.programs import Channel, TrainingJob, timed
from benchmarks.report import Row, keep, met, show

EPOCHS = 15
# Patience enough for all epochs; the rest are defaults.
SETTINGS = {"predictor_type": "binary_classifier", "epochs": str(EPOCHS), "early_stopping_patience": "100"}
CANDIDATES = {"Clary, 32 candidates": 32, "Clary, num_models=1": 1}
PEER = "SGDClassifier"
BAR = 0.2
ROWS, QUICK_ROWS = 1_000_000, 50_000

# The peer as its users run it: pandas reads, scikit-learn fits, NumPy saves.
PROGRAM = """
import sys
import numpy, pandas
from sklearn.linear_model import SGDClassifier
path, epochs, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rows = pandas.read_csv(path, header=None).to_numpy()
model = SGDClassifier(loss="log_loss", max_iter=epochs, tol=None, random_state=0).fit(rows[:, 1:], rows[:, 0])
numpy.savez(out, weights=model.coef_[0], bias=model.intercept_)
"""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the CSV, each of 50 features")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program")
    parser.add_argument("--quick", action="store_true", help="one run on fewer rows")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    rows, runs = (QUICK_ROWS, 1) if options.quick else (options.rows, options.runs)
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        results = compare(rows, runs, Path(scratch))
    show("Linear learner: seconds from CSV to saved model, medians", results)
    keep(options.json, {"speed": results})


def compare(rows: int, runs: int, scratch: Path) -> list[Row]:
    """All programs in turn; a row each."""
    path = generated.write_rows(scratch / "rows.csv", rows)
    seconds: dict[str, list[float]] = {}
    accuracy: dict[str, float] = {}
    for _ in range(runs):
        for name in (*CANDIDATES, PEER):
            taken, accuracy[name] = peer(path, scratch) if name == PEER else clary(path, CANDIDATES[name], scratch)
            seconds.setdefault(name, []).append(taken)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    each = {name: median / CANDIDATES.get(name, 1) / EPOCHS for name, median in medians.items()}
    return [
        {
            "program": name,
            "rows": rows,
            "seconds": medians[name],
            "seconds per candidate and epoch": each[name],
            "ratio": each[name] / each[PEER],
            "bar": f"ratio <= {BAR}" if CANDIDATES.get(name, 1) > 1 else "",
            "met": met(each[name] <= BAR * each[PEER]) if CANDIDATES.get(name, 1) > 1 else "",
            "accuracy %": accuracy[name],
        }
        for name in medians
    ]


def clary(path: Path, candidates: int, scratch: Path) -> tuple[float, float]:
    """Seconds and accuracy of the train program."""
    settings = {**SETTINGS, "num_models": "1"} if candidates == 1 else SETTINGS
    root = Path(tempfile.mkdtemp(dir=scratch))
    job = TrainingJob(root, "linear_learner", settings, {"train": Channel((path,))})
    seconds = timed(job.command)
    return seconds, generated.quality(job.predictor())


def peer(path: Path, scratch: Path) -> tuple[float, float]:
    """Seconds and accuracy of scikit-learn behind pandas."""
    out = scratch / "peer.npz"
    seconds = timed([sys.executable, "-c", PROGRAM, str(path), str(EPOCHS), str(out)])
    with np.load(out) as saved:
        predicted = generated.held_out().dense() @ saved["weights"] + saved["bias"] > 0
    return seconds, generated.accuracy(predicted)


if __name__ == "__main__":
    main()
