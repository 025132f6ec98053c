"""Runs one training job of this machine to its end, and leaves its results in a folder of the user's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from clary.runner.metrics import Metrics
from clary.runner.view import JobView
from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.spec import AlgorithmSpec

_CLIENT = "ClientError:"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a job that went well has left."""

    model: Path
    metrics_file: Path
    metrics: Metrics
    hyperparameters: Mapping[str, str]


def run(
    spec: AlgorithmSpec,
    data: Mapping[str, Sequence[str]],
    output: Path,
    *,
    hyperparameters: Mapping[str, Any],
    watch: Callable[[JobView], None],
    content_types: Mapping[str, str] | None = None,
    shared: Sequence[str] = (),
    **options: Any,
) -> Result:
    """Train, and put ``model.tar.gz`` and ``metrics.json`` into the folder ``output``, each whole.

    ``watch`` shows the job until it is over; the hosts share out the files of the channels in ``shared``;
    ``options`` are those of ``Estimator``. UserError says what the job found wrong, PlatformError any other
    failure. An interrupt stops the job and keeps its model so far.
    """
    with _scratch(output) as jobs:
        from clary.sdk.estimator import Estimator
        from clary.sdk.inputs import TrainingInput

        estimator = Estimator(spec.name, hyperparameters=hyperparameters, output=jobs, **options)
        sources = {
            name: TrainingInput(
                paths[0] if len(paths) == 1 else list(paths),
                distribution="ShardedByS3Key" if name in shared else None,
            )
            for name, paths in data.items()
        }
        job = estimator.fit(sources, wait=False, logs=False, content_type=content_types or None)
        view = JobView(jobs / job.name)
        try:
            watch(view)
        except KeyboardInterrupt:
            _stop(view, output)
            raise
        state = view.state()
        if state.status == "Failed":
            raise _failure(state.failure or "the job failed without a reason")
        _keep(view, output)
        return Result(
            model=output / view.folder.model.name,
            metrics_file=output / view.folder.metrics.name,
            metrics=job.metrics,
            hyperparameters=job.hyperparameters,
        )


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder beside the results for the running job, so that these can be moved into place at once."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".job-", dir=output.absolute()))
    except OSError as error:
        raise UserError(f"the output folder {output} cannot be written: {error.strerror}") from error
    # After a second interrupt the job still runs here. What is registered first is called last at the end of
    # this program, so the runner, which is loaded later, has stopped the job before the folder goes.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _stop(view: JobView, output: Path) -> None:
    click.echo("stopping the job; once more ends it at once", err=True)
    view.stop()
    view.wait()
    if view.folder.model.exists():
        _keep(view, output)
        click.echo(f"stopped; the model so far is {output / view.folder.model.name}", err=True)
    else:
        click.echo("stopped; there is no model yet", err=True)


def _keep(view: JobView, output: Path) -> None:
    for path in (view.folder.model, view.folder.output, view.folder.metrics):
        if path.exists():
            os.replace(path, output / path.name)


def _failure(reason: str) -> Exception:
    if reason.startswith(_CLIENT):
        return UserError(reason.removeprefix(_CLIENT).strip())
    return PlatformError(f"{reason}; --verbose shows the whole log")
