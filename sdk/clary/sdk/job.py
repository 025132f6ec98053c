"""A training job as Python sees it: status, log, metrics, and what its model can do next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.algorithms import registry
from clary.runner.metrics import Metrics
from clary.sdk.backend import Backend, JobHandle, Resources, Status, resolve
from clary.sdk.failures import TrainingFailedError
from clary.sdk.model import Model
from clary.sdk.progress import follow
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from clary.sdk.predictor import Predictor


class TrainingJob:
    """One job, running or over, wherever it runs. ``Estimator.fit`` gives one; so does ``TrainingJob.attach``."""

    def __init__(self, handle: JobHandle, backend: Backend, resources: Resources | None = None) -> None:
        self._handle, self._backend = handle, backend
        self._resources = resources or handle.resources
        self._spec = registry.spec(handle.algorithm)

    @classmethod
    def attach(
        cls, name: str | Path, *, backend: str | Backend = "local", endpoint_url: str | None = None
    ) -> TrainingJob:
        """The job of that name, or in that folder; UserError if there is none."""
        resolved = resolve(backend, endpoint_url=endpoint_url)
        return cls(resolved.attach(str(name)), resolved)

    @property
    def name(self) -> str:
        """The job's name."""
        return self._handle.name

    @property
    def algorithm(self) -> str:
        """The algorithm's name."""
        return self._spec.name

    @property
    def status(self) -> Status:
        """``InProgress``, ``Stopping``, ``Completed``, ``Failed`` or ``Stopped``."""
        return self._handle.status()

    @property
    def failure(self) -> str | None:
        """Why the job failed, or None."""
        return self._handle.failure()

    @property
    def hyperparameters(self) -> Mapping[str, str]:
        """The hyperparameters as the job was given them."""
        return self._handle.hyperparameters

    @property
    def metrics(self) -> Metrics:
        """What the job has reported so far, each metric with its history."""
        return self._handle.metrics()

    @property
    def logs(self) -> str:
        """The log so far."""
        return self._handle.log()

    @property
    def model_path(self) -> Path | str:
        """Where ``model.tar.gz`` is: a path, or an address on SageMaker; UserError if the job has no model."""
        return self._handle.model()

    @property
    def model_data(self) -> str:
        """``model_path`` as text, by the classic name."""
        return str(self.model_path)

    def wait(self, timeout: float | None = None, *, logs: bool = False) -> TrainingJob:
        """This job, once it is over or that many seconds have passed; TrainingFailedError if it failed.

        With ``logs`` the log is shown meanwhile, and there is no timeout.
        """
        if logs:
            rounds = self.hyperparameters.get("num_round", "")
            follow(self._handle.lines(), self.name, rounds=int(rounds) if rounds.isdigit() else None)
            timeout = None
        status = self._handle.wait(timeout)
        if status == "Failed":
            raise TrainingFailedError(self.name, self.failure or "no reason was given")
        return self

    def stop(self, *, wait: bool = True) -> TrainingJob:
        """Ask the job to end early; the model so far is kept. This job comes back, over unless told not to wait."""
        self._handle.stop()
        if wait:
            self._handle.wait(None)
        return self

    def plot(self, path: str | Path | None = None) -> Figure:
        """A matplotlib figure of every metric's history, written to ``path`` if one is given."""
        from clary.sdk.plot import curves

        step = "round" if "num_round" in self._spec.hyperparameters.parameters() else "epoch"
        figure = curves(self.metrics, f"{self._spec.title}, job {self.name}", step=step)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    def save(self, folder: str | Path) -> Path:
        """The folder, with ``model.tar.gz`` and ``metrics.json`` of this job copied into it."""
        model, target = self.model_path, Path(folder).expanduser()
        if not isinstance(model, Path):
            raise UserError(f"the model is at {model}; download it from there")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model, target / model.name)
        (target / "metrics.json").write_text(json.dumps(self.metrics.as_json(), indent=2) + "\n", encoding="utf-8")
        return target

    @property
    def model(self) -> Model:
        """The model that the job made, to deploy or to score files with."""
        return Model.of_job(self.model_path, self._spec, self.name, self._backend, self._resources)

    def deploy(self, *args: Any, **options: Any) -> Predictor:
        """A predictor over an endpoint with this job's model; the arguments are those of ``Model.deploy``."""
        return self.model.deploy(*args, **options)

    def transform(self, data: Any, output: str | Path | None = None, **options: Any) -> list[Path | str]:
        """Score whole files with this job's model; the arguments are those of ``Model.transform``."""
        return self.model.transform(data, output, **options)

    def __repr__(self) -> str:
        failure = f": {self.failure}" if self.status == "Failed" else ""
        return f"TrainingJob({self.name!r}, {self._spec.title}, {self.status}{failure})"
