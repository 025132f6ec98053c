"""A job's folder: where its parts lie, and the small state file that every process can read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from clary.container.layout import Layout
from clary.toolkit.artifact import write_whole
from clary.toolkit.errors import UserError

Status = Literal["InProgress", "Stopping", "Completed", "Failed", "Stopped"]
STATE = "job.json"
_LOST_AFTER = 30.0
_TRIES = 50
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class State:
    """What job.json holds. ``failure`` is one text for people; times are seconds since 1970."""

    name: str
    algorithm: str
    hyperparameters: Mapping[str, str]
    hosts: tuple[str, ...]
    status: Status = "InProgress"
    secondary: str = "Starting"
    failure: str | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the job has ended, one way or another."""
        return self.status in ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class JobFolder:
    """The parts of one job: ``job.json``, ``job.log``, ``model.tar.gz``, ``metrics.json``, a root for each host."""

    path: Path

    @property
    def log(self) -> Path:
        """The log of all hosts: time, host and text in each line."""
        return self.path / "job.log"

    @property
    def model(self) -> Path:
        """The model archive, present once the job has ended with a model."""
        return self.path / "model.tar.gz"

    @property
    def output(self) -> Path:
        """The archive of other artifacts, present if the job wrote any."""
        return self.path / "output.tar.gz"

    @property
    def metrics(self) -> Path:
        """Every metric's goal, final value and history."""
        return self.path / "metrics.json"

    @property
    def data(self) -> Path:
        """Input that exists only for this job; it goes when the job ends."""
        return self.path / "data"

    @property
    def stop_request(self) -> Path:
        """Its presence asks the process that runs the job to stop it."""
        return self.path / "stop"

    def host(self, name: str) -> Layout:
        """The contract's folders of one host."""
        return Layout(self.path / "hosts" / name)

    def write(self, state: State) -> None:
        """Put the state where others read it, whole."""
        content = json.dumps(asdict(state), indent=2).encode() + b"\n"
        _patiently(lambda: write_whole(self.path / STATE, content))

    def read(self) -> State:
        """The job's state; UserError if the folder holds no job.

        The process that runs a job keeps the state file's time fresh. If that stops, the job ended with it,
        and reads as failed.
        """
        path = self.path / STATE
        try:
            content = json.loads(_patiently(path.read_bytes))
            state = State(**(content | {"hosts": tuple(content["hosts"])}))
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            raise UserError(f"{self.path} holds no job: there is no {STATE} in it") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} cannot be read as the state of a job: {error!r}") from error
        if not state.over and age > _LOST_AFTER:
            lost = "InternalServerError: the program that ran the job ended before the job did"
            return replace(state, status="Failed", secondary="Failed", failure=lost)
        return state


def _patiently(action: Callable[[], Result]) -> Result:
    """The action's result; on Windows a file cannot be replaced while another process reads it, for a moment."""
    for _ in range(_TRIES):
        try:
            return action()
        except PermissionError:
            time.sleep(0.01)
    return action()
