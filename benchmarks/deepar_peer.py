"""GluonTS's DeepAREstimator as a program: from JSON Lines to sample paths, and the seconds of each part.

    python -m benchmarks.deepar_peer SETTINGS OUTPUT

SETTINGS is a JSON file with the paths ``train`` and ``test``, ``horizon``, ``context``, ``batch``, ``epochs``,
``batches`` (in an epoch), ``samples`` and ``seed``. OUTPUT.npy gets the samples (N, S, T), OUTPUT.json the seconds.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
from gluonts.dataset.common import ProcessDataEntry
from gluonts.dataset.jsonl import JsonLinesFile
from gluonts.torch import DeepAREstimator
from gluonts.torch.distributions import StudentTOutput


class Clock(lightning.Callback):
    """The seconds of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[float] = []

    def on_train_epoch_start(self, *_: object) -> None:
        """Begin to count."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        """Write the seconds down."""
        self.epochs.append(time.perf_counter() - self._began)


def main() -> None:
    """Train, forecast, and write what came out."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    settings, output = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    began, clock = time.perf_counter(), Clock()
    lightning.seed_everything(settings["seed"], verbose=False)
    entry = ProcessDataEntry("h")
    train = [entry(each) for each in JsonLinesFile(Path(settings["train"]))]
    estimator = DeepAREstimator(
        freq="h",
        prediction_length=settings["horizon"],
        context_length=settings["context"],
        batch_size=settings["batch"],
        num_batches_per_epoch=settings["batches"],
        distr_output=StudentTOutput(),
        trainer_kwargs={
            "max_epochs": settings["epochs"],
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
            "default_root_dir": str(output.parent),
            "callbacks": [clock],
        },
    )
    predictor = estimator.train(train)
    trained = time.perf_counter()
    test = [entry(each) for each in JsonLinesFile(Path(settings["test"]))]
    histories = [{**each, "target": each["target"][: -settings["horizon"]]} for each in test]
    asked = time.perf_counter()
    paths = np.stack([each.samples for each in predictor.predict(histories, num_samples=settings["samples"])])
    answered = time.perf_counter()
    np.save(output.with_suffix(".npy"), paths)
    seconds = {"epochs": clock.epochs, "train": trained - began, "predict": answered - asked}
    output.with_suffix(".json").write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
