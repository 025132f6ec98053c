"""The fitted job as an artifact of the suite: what was chosen, its parameters, and the history it goes on from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.candidates.candidate import State
from clary.forecast.columns import Columns
from clary.forecast.grid import Grid, frequency
from clary.forecast.job import Result
from clary.forecast.panel import Panel, Related, Statics
from clary.forecast.settings import Settings
from clary.toolkit.artifact import Artifact, opened, pack
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
NAME = "forecast"
MODEL = "model.tar.gz"
_JOB = "job.json"


@dataclass(frozen=True)
class Kept:
    """What an artifact holds of a job: enough to forecast again behind newer points; ``forecast`` is the last one."""

    settings: Settings
    columns: Columns
    panel: Panel
    chosen: str
    weights: Mapping[str, float]
    factors: Mapping[str, Array]
    states: Mapping[str, State]
    forecast: Array

    @classmethod
    def of(cls, result: Result) -> Kept:
        """What is kept of a result."""
        return cls(
            result.settings,
            result.columns,
            result.panel,
            result.chosen,
            result.weights,
            result.factors,
            result.states,
            result.forecast,
        )


def save(kept: Kept, folder: Path) -> Path:
    """Write ``model.tar.gz`` into the folder, whole; its path comes back."""
    with tempfile.TemporaryDirectory(prefix="clary-forecast-") as scratch:
        artifact(kept).write(Path(scratch))
        pack(Path(scratch), folder / MODEL)
    return folder / MODEL


def load(path: Path) -> Kept:
    """What the archive, or a folder with one in it, holds; UserError if it is no forecast job."""
    if path.is_dir() and (path / MODEL).exists():
        path = path / MODEL
    with opened(path) as folder:
        found = Artifact.read(folder)
    if found.algorithm != NAME:
        raise UserError(f"{path} holds a model of {found.algorithm}, and not a forecast job")
    return _kept(found)


def artifact(kept: Kept) -> Artifact:
    """The job in the form of every artifact: plain values as JSON, arrays as tensors, and candidates' own files."""
    panel = kept.panel
    tensors: dict[str, Array] = {
        "history": np.concatenate(panel.values),
        "lengths": panel.lengths,
        "first": panel.first,
        "forecast": kept.forecast,
    }
    if panel.related is not None:
        tensors["related"] = np.concatenate(panel.related.values)
        tensors["related_lengths"] = np.array([len(each) for each in panel.related.values])
    if panel.statics is not None:
        tensors["statics"] = panel.statics.values
    tensors |= {f"factors.{name}": each for name, each in kept.factors.items()}
    job = {
        "settings": kept.settings.as_json(),
        "columns": vars(kept.columns),
        "grid": {**vars(panel.grid), "frequency": str(panel.grid.frequency)},
        "names": panel.names,
        "keys": panel.keys,
        "end": panel.end,
        "related": panel.related and {"names": panel.related.names, "known": panel.related.known},
        "statics": panel.statics and {"names": panel.statics.names, "sizes": panel.statics.sizes},
        "chosen": kept.chosen,
        "weights": kept.weights,
        "states": {name: state.settings for name, state in kept.states.items()},
        "files": {name: sorted(state.files) for name, state in kept.states.items()},
    }
    files = {name: content for state in kept.states.values() for name, content in state.files.items()}
    schema = {"horizon": kept.settings.horizon, "frequency": str(panel.grid.frequency), "series": len(panel)}
    hyperparameters = {"models": ",".join(kept.settings.models), "chosen": kept.chosen}
    return Artifact(NAME, hyperparameters, schema, tensors, {_JOB: json.dumps(job).encode(), **files})


def _kept(found: Artifact) -> Kept:
    try:
        job = json.loads(found.files[_JOB])
        tensors = found.tensors
        states = {
            name: State(values, {file: found.files[file] for file in job["files"][name]})
            for name, values in job["states"].items()
        }
        factors = {
            name.removeprefix("factors."): each for name, each in tensors.items() if name.startswith("factors.")
        }
        columns = Columns(**{**job["columns"], "dimensions": tuple(job["columns"]["dimensions"])})
        settings = Settings.from_json(job["settings"])
        panel, chosen = _panel(job, tensors), job["chosen"]
        return Kept(settings, columns, panel, chosen, job["weights"], factors, states, tensors["forecast"])
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"the forecast job is damaged: {error!r}") from error


def _panel(job: Mapping[str, Any], tensors: Mapping[str, Array]) -> Panel:
    grid = Grid(**{**job["grid"], "frequency": frequency(job["grid"]["frequency"])})
    related = statics = None
    if job["related"]:
        values = _parts(tensors["related"], tensors["related_lengths"])
        related = Related(tuple(job["related"]["names"]), tuple(job["related"]["known"]), values)
    if job["statics"]:
        statics = Statics(tuple(job["statics"]["names"]), tensors["statics"], tuple(job["statics"]["sizes"]))
    return Panel(
        grid=grid,
        names=tuple(job["names"]),
        keys=tuple(tuple(key) for key in job["keys"]),
        first=tensors["first"],
        end=int(job["end"]),
        values=_parts(tensors["history"], tensors["lengths"]),
        related=related,
        statics=statics,
    )


def _parts(flat: Array, lengths: Array) -> tuple[Array, ...]:
    return tuple(np.split(flat, np.cumsum(lengths)[:-1]))
