"""DeepAR: our own algorithm, trained by a job of its own that is asked to stop when its time is up."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.candidates.candidate import LeftOutError, Outcome, State, Task
from clary.forecast.panel import Panel
from clary.forecast.weekdays import UNIT
from clary.toolkit import media
from clary.toolkit.artifact import Artifact, opened

Array = npt.NDArray[Any]
_SAMPLES = 200
_FEWEST = 300  # observations, as the algorithm itself asks for
_START = 15.0  # seconds that a job takes at least, to load its libraries
_BATCH, _STEPS = 64, 1500
_SHARE_OF_TRAINING = 0.85  # of the time; the rest is for sample paths
_WORTH_FITTING = 0.05  # of the points that are new: from there on the network is fitted again to all of them
_WHOLE = 0.9  # of the first training's epochs that the second must come to
_LEAST_EPOCH = 50  # batches, so that a job looks at the clock often enough
_LONGEST = 3000  # points of a series that it learns from
_LOOK = 0.2


class DeepAR:
    """The candidate. It is fitted before the oldest end, and its network forecasts at the later ones, too.

    It is fitted again to all points where those behind the oldest end are more than a few of them.
    """

    name, title, parallel = "deepar", "DeepAR", False

    def run(self, task: Task) -> Outcome:
        """Train, then draw sample paths at every end."""
        if importlib.util.find_spec("torch") is None or importlib.util.find_spec("numba") is None:
            raise LeftOutError("it needs torch: pip install 'clary[deepar]'")
        if task.panel.grid.frequency.unit == UNIT:
            raise LeftOutError("it knows no business days; with --frequency D it does")
        begin = task.panel.until(task.ends[0])
        if begin.lengths.sum() < _FEWEST or begin.lengths.max(initial=0) <= task.horizon:
            raise LeftOutError(f"it learns from {_FEWEST} points and more, and series longer than the horizon")
        if task.left() < 2 * _START:
            raise LeftOutError(f"it takes {2 * _START:.0f} s at least, and had {max(0.0, task.left()):.0f} s")
        twice = 1 - begin.lengths.sum() / task.panel.lengths.sum() > _WORTH_FITTING
        files, epochs = _trained(task, begin, _SHARE_OF_TRAINING / (2 if twice else 1))
        state = State({"epochs": epochs}, files)
        windows = [self.again(state, task.panel.until(end), task.horizon, task.levels) for end in task.ends]
        if twice:
            state = _again_fitted(task, state)
        return Outcome(np.stack(windows), self.again(state, task.panel, task.horizon, task.levels), state)

    def again(self, state: State, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Array:
        """Quantiles of sample paths behind the panel's end."""
        from clary.algorithms.deepar.data import instances
        from clary.algorithms.deepar.model import Forecaster

        with tempfile.TemporaryDirectory(prefix="clary-forecast-") as scratch:
            for name, content in state.files.items():
                (Path(scratch) / name.removeprefix("deepar-")).write_bytes(content)
            model = Forecaster.load(Artifact.read(Path(scratch)), "cpu")
        rows = [row for row, values in enumerate(panel.values) if len(values)]
        found = np.full((len(panel), horizon, len(levels)), np.nan)
        records = list(_records(panel, rows, horizon))
        for start in range(0, len(rows), 256):
            part = instances(records[start : start + 256], model.fields, model.prediction_length, model.frequency)
            paths_NST = model.sample(part, _SAMPLES)
            found[rows[start : start + 256]] = np.quantile(paths_NST, levels, axis=1).transpose(1, 2, 0)
        return found


def _again_fitted(task: Task, first: State) -> State:
    """The network of all points; the first one where the time did not suffice for as good a training."""
    try:
        files, epochs = _trained(task, task.panel, _SHARE_OF_TRAINING)
    except LeftOutError:
        return first
    return State({"epochs": epochs}, files) if epochs >= _WHOLE * first.settings["epochs"] else first


def _trained(task: Task, panel: Panel, share: float) -> tuple[Mapping[str, bytes], int]:
    """The files of the model that a training job leaves in that share of the time, by name, and its epochs."""
    from clary.runner.request import ChannelRequest, TrainingRequest
    from clary.runner.training import start_training

    with tempfile.TemporaryDirectory(prefix="clary-forecast-") as scratch:
        folder = Path(scratch)
        data = folder / "train.json"
        rows = [row for row, values in enumerate(panel.values) if len(values) > 1]
        lines = [json.dumps(record) + "\n" for record in _records(panel, rows, 0)]
        data.write_text("".join(lines), encoding="utf-8")
        epochs = max(1, _STEPS // max(_LEAST_EPOCH, 1))
        request = TrainingRequest(
            name="deepar",
            algorithm="deepar",
            hyperparameters=_hyperparameters(task, panel, epochs),
            channels={"train": ChannelRequest(sources=(data,), content_type=media.JSON_LINES)},
            seed=task.seed,
        )
        view = start_training(request, folder / "job")
        stop = time.monotonic() + task.left() * share if task.deadline else None
        seen = 0
        while not (state := view.state()).over:
            history = view.metrics().get("train:loss")
            if history is not None and len(history) != seen:
                seen = len(history)
                task.tell(seen, epochs)
            if stop is not None and time.monotonic() >= stop:
                view.stop()
                stop = None
            time.sleep(_LOOK)
        if state.status == "Failed" or not view.folder.model.exists():
            raise LeftOutError(f"its training failed: {state.failure or 'it left no model in the time that it had'}")
        seen = len(view.metrics().get("train:loss") or ())
        with opened(view.folder.model) as found:
            files = {f"deepar-{path.name}": path.read_bytes() for path in found.iterdir() if path.is_file()}
        return files, seen


def _hyperparameters(task: Task, panel: Panel, epochs: int) -> dict[str, str]:
    together = np.concatenate(panel.values)
    counts = bool((together >= 0).all() and (together % 1 == 0).all() and np.median(together) < 100)
    shortest = int(np.median(panel.lengths[panel.lengths > 0])) - task.horizon
    context = int(np.clip(max(task.horizon, panel.grid.season), 1, max(1, shortest)))
    return {
        "time_freq": str(panel.grid.frequency),
        "context_length": str(context),
        "prediction_length": str(task.horizon),
        "epochs": str(epochs),
        "learning_rate": "0.003",
        "mini_batch_size": str(_BATCH),
        "likelihood": "negative-binomial" if counts else "student-T",
    }


def _records(panel: Panel, rows: list[int], horizon: int) -> Iterator[dict[str, Any]]:
    """The series as the algorithm reads them; features that are known ahead reach so far behind the end."""
    statics, related = panel.statics, panel.related
    known = [] if related is None else [place for place, ahead in enumerate(related.known) if ahead]
    for row in rows:
        values = panel.values[row][-_LONGEST:]
        first = panel.end - len(values)
        record: dict[str, Any] = {
            "start": str(panel.grid.times(first)).replace("T", " "),
            "target": values.tolist(),
        }
        if known and related is not None:
            start = first - int(panel.first[row])
            part = related.values[row][start : start + len(values) + horizon, known]
            record["dynamic_feat"] = part.T.tolist()
        if statics is not None and statics.categories:
            record["cat"] = [int(statics.values[row, place]) for place in statics.categories]
        yield record


DEEPAR = DeepAR()
