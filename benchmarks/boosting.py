"""XGBoost beside the plain library on public tables: the same models, bit for bit, and the same predictions.

    python -m benchmarks.boosting --data FOLDER [--tables NAME ...] [--quick] [--json FILE]

FOLDER holds the public files that ``benchmarks.tables`` reads. Clary trains on a file; ``xgboost.train`` gets
the same rows as arrays, and the same parameters. The models are compared byte by byte, and then each is opened by the
other program, which must predict the same numbers. What a large CSV takes is in ``benchmarks.boosting_large``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from benchmarks.linear_learner import written
from benchmarks.programs import TrainingJob, timed
from benchmarks.report import Row, keep, met, show
from benchmarks.tables import LARGEST, TABLES, Part, Table, at_hand
from clary.container import model
from clary.toolkit.records import Records

MODEL = "xgboost-model"
SETTINGS: tuple[dict[str, str], ...] = (
    {"num_round": "20"},
    {"num_round": "20", "eta": "0.1", "max_depth": "4", "subsample": "0.7", "colsample_bytree": "0.6", "seed": "7"},
)
OBJECTIVES = {
    "regressor": "reg:squarederror",
    "binary_classifier": "binary:logistic",
    "multiclass_classifier": "multi:softprob",
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES), help="some of the tables")
    parser.add_argument("--quick", action="store_true", help="one set of parameters, without the largest table")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    wanted = [name for name in options.tables if not (options.quick and name == LARGEST)]
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as name:
        settings, scratch = SETTINGS[1:] if options.quick else SETTINGS, Path(name)
        rows = [row for table in at_hand(wanted, options.data) for row in compare(table, settings, scratch)]
    show("XGBoost: models and predictions beside those of xgboost.train; bar: everything the same", rows)
    keep(options.json, {"identity": rows})


def compare(table: Table, each_of: Sequence[dict[str, str]], scratch: Path) -> list[Row]:
    """Clary and the library on the table, a row for each of the settings."""
    channels = {"train": written(table, scratch)["train"]}
    rows: list[Row] = []
    for settings in each_of:
        given = {**settings, "objective": OBJECTIVES[table.task]}
        if table.task == "multiclass_classifier":
            given["num_class"] = str(table.classes)
        job = TrainingJob(Path(tempfile.mkdtemp(dir=scratch)), "xgboost", given, channels)
        timed(job.command)
        rows.append(_row(table, settings, job, plain(table, given), scratch))
    return rows


def _row(table: Table, settings: dict[str, str], job: TrainingJob, library: xgboost.Booster, scratch: Path) -> Row:
    test = xgboost.DMatrix(table.test.features)
    content = (job.layout.model / MODEL).read_bytes()
    expected, served = library.predict(test), scores(job.layout.model, table.test)
    return {
        "data": table.name,
        "settings": " ".join(f"{name}={value}" for name, value in settings.items()),
        "measure": "RMSE" if table.task == "regressor" else "accuracy %",
        "xgboost.train": quality(table, expected),
        "Clary": quality(table, served),
        "same model": met(content == bytes(library.save_raw("ubj"))),
        "same predictions": met(np.array_equal(served, expected)),
        "ours loads in xgboost": met(np.array_equal(reloaded(content).predict(test), expected)),
        "theirs serves": met(np.array_equal(scores(saved(library, scratch), table.test), expected)),
    }


def plain(table: Table, given: dict[str, str]) -> xgboost.Booster:
    """What ``xgboost.train`` makes of the rows in memory."""
    parameters = {name: value for name, value in given.items() if name != "num_round"}
    rows = xgboost.DMatrix(table.train.features, table.train.labels)
    return xgboost.train(parameters, rows, int(given["num_round"]))


def reloaded(content: bytes) -> xgboost.Booster:
    """The plain library's reading of a model file."""
    return xgboost.Booster(model_file=bytearray(content))


def saved(booster: xgboost.Booster, scratch: Path) -> Path:
    """A folder with the model as the plain library saves it."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    booster.save_model(folder / f"{MODEL}.json")
    return folder


def scores(folder: Path, part: Part) -> npt.NDArray[Any]:
    """What the model in the folder answers for the rows when it is served."""
    answer: npt.NDArray[Any] = model.load(folder, "xgboost").predictor.predict(Records(part.features))["score"]
    return answer


def quality(table: Table, predicted: npt.NDArray[Any]) -> float:
    """Accuracy on the test rows in percent, or the RMSE."""
    labels = table.test.labels
    if table.task == "regressor":
        return float(np.sqrt(np.mean(np.square(predicted.astype(np.float64) - labels))))
    chosen = predicted.argmax(axis=1) if predicted.ndim > 1 else predicted >= 0.5
    return 100 * float(np.mean(chosen == labels))


if __name__ == "__main__":
    main()
