"""Jobs and endpoints as processes of this machine: no account, no network, no container engine."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clary.runner.endpoint import LocalEndpoint
from clary.runner.folder import STATE, JobFolder
from clary.runner.invocation import Answer, HttpClient, UnreachableError
from clary.runner.metrics import Metrics
from clary.runner.placement import find
from clary.runner.request import ChannelRequest, Distribution, TrainingRequest
from clary.runner.training import start_training
from clary.runner.transform import TransformRequest, transform_file
from clary.runner.view import JobView, LogLine
from clary.sdk.backend import Hosting, JobHandle, ModelSource, Plan, Resources, Status
from clary.sdk.home import jobs_folder
from clary.sdk.inputs import Input, open_first
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from clary.sdk.s3 import S3

_PAYLOAD_LIMIT = 6 << 20
Progress = Callable[[str, int, int], AbstractContextManager[Callable[[int], None]]]


class LocalBackend:
    """Runs everything here. ``output`` is the folder for jobs, by default the user's; ``s3://`` data is fetched."""

    ends_with_caller = True

    def __init__(self, *, endpoint_url: str | None = None, output: str | None = None) -> None:
        if output is not None and output.startswith("s3://"):
            raise UserError(f"output={output!r}: jobs of this machine are kept in a folder; give a path")
        self._endpoint_url = endpoint_url
        self._jobs = Path(output).expanduser().absolute() if output else jobs_folder()

    def open_first(self, given: Input) -> AbstractContextManager[tuple[BinaryIO, str]]:
        """The first file of the channel, open at its start, and its name."""
        return open_first(given, self._s3)

    def train(self, plan: Plan) -> JobHandle:
        """Start the job's processes; a job of that name must not exist yet."""
        folder = self._jobs / plan.name
        if (folder / STATE).exists():
            raise UserError(f"there is a job named {plan.name!r} in {self._jobs} already; choose another name")
        if plan.checkpoints is not None and plan.checkpoints.startswith("s3://"):
            raise UserError(
                f"checkpoints={plan.checkpoints!r}: a job of this machine keeps them in a folder; give a path"
            )
        resources = plan.resources
        try:
            channels = {name: self._channel(given, plan, folder) for name, given in plan.inputs.items()}
            request = TrainingRequest(
                name=plan.name,
                algorithm=plan.spec.name,
                hyperparameters=plan.hyperparameters,
                channels=channels,
                hosts=resources.instance_count,
                instance_type=resources.instance_type or "local",
                environment=resources.environment,
                checkpoints=None if plan.checkpoints is None else Path(plan.checkpoints).expanduser().absolute(),
                seed=plan.seed,
                timeout=plan.max_run,
            )
            view = start_training(request, folder)
        except BaseException:
            if not (folder / STATE).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return LocalJob(view)

    def attach(self, name: str) -> JobHandle:
        """The job of that name among this machine's jobs, or in the folder of that path."""
        folder = Path(name).expanduser()
        if not (folder / STATE).exists():
            folder = self._jobs / name
        if not (folder / STATE).exists():
            raise UserError(f"there is no job {name!r}: neither a job's folder of that path nor one in {self._jobs}")
        return LocalJob(JobView(folder.absolute()))

    def deploy(self, model: ModelSource, hosting: Hosting) -> LocalConnection:
        """A server process over the model, ready to answer."""
        location = self._here(model)
        endpoint = LocalEndpoint(
            location,
            algorithm=model.spec.name,
            port=hosting.port,
            workers=hosting.workers,
            environment=hosting.resources.environment,
        )
        return LocalConnection(hosting.name, endpoint)

    def transform(
        self, model: ModelSource, given: Input, output: str | None, request: TransformRequest, hosting: Hosting
    ) -> list[Path | str]:
        """Score every file of the input through a server that lives as long as this takes."""
        from clary.sdk.progress import bytes_progress

        target = Path(output).expanduser() if output else Path.cwd()
        environment = dict(hosting.resources.environment) | request.environment()
        written: list[Path | str] = []
        with self._materialized(given) as sources:
            files = find(sources, channel="data")
            server = LocalEndpoint(
                self._here(model), algorithm=model.spec.name, workers=hosting.workers, environment=environment
            )
            with server as endpoint:
                client = HttpClient(endpoint.url)
                settled = request.settled(client)
                try:
                    for key, path in files.items():
                        with bytes_progress(key, path.stat().st_size) as progress:
                            transform_file(path, target / f"{key}.out", settled, client, progress=progress)
                        written.append(target / f"{key}.out")
                finally:
                    client.close()
        return written

    @contextmanager
    def _materialized(self, given: Input) -> Iterator[tuple[Path, ...]]:
        if given.paths:
            yield given.paths
            return
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="clary-data-") as scratch:
            yield (self._fetched(given, Path(scratch), shards=1),)

    def _channel(self, given: Input, plan: Plan, folder: Path) -> ChannelRequest:
        hosts = plan.resources.instance_count
        sources, distribution = given.paths, given.distribution
        if not sources:
            shards = plan.shards(given)
            sources = (self._fetched(given, folder / "data" / given.channel, shards=shards),)
            distribution = distribution or sharding(shards)
        return ChannelRequest(
            sources=sources,
            content_type=given.content_type,
            mode=given.mode,
            distribution=distribution if distribution and hosts > 1 else "FullyReplicated",
        )

    def _fetched(self, given: Input, folder: Path, *, shards: int) -> Path:
        """The folder, with the channel's objects or its data from memory written into it."""
        if given.s3 is not None:
            self._s3().download(given.s3, folder)
        else:
            from clary.sdk.shards import write_shards

            write_shards(given, folder, shards)
        return folder

    def _here(self, model: ModelSource) -> Path:
        if isinstance(model.location, Path):
            return model.location
        raise UserError(f"download {model.location} first; an endpoint on this machine needs a local model")

    def _s3(self) -> S3:
        from clary.sdk.s3 import S3

        return S3(endpoint_url=self._endpoint_url)


def sharding(shards: int) -> Distribution:
    """How rows in memory are given to the hosts."""
    return "ShardedByS3Key" if shards > 1 else "FullyReplicated"


class LocalJob:
    """A job of this machine, seen through its folder."""

    def __init__(self, view: JobView) -> None:
        self._view = view
        state = view.state()
        self.name, self.algorithm, self._several = state.name, state.algorithm, len(state.hosts) > 1
        self.hyperparameters: Mapping[str, str] = state.hyperparameters
        self.resources = Resources(instance_count=len(state.hosts))

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return self._view.folder.path

    def status(self) -> Status:
        """Where the job stands."""
        return self._view.state().status

    def failure(self) -> str | None:
        """Why the job failed, or None."""
        return self._view.state().failure

    def lines(self) -> Iterator[str]:
        """The log from its beginning; waits for more while the job runs. Several hosts are named in front."""
        return map(self._shown, self._view.lines())

    def log(self) -> str:
        """The log so far."""
        return "\n".join(map(self._shown, self._view.log()))

    def metrics(self) -> Metrics:
        """What has been reported so far."""
        return self._view.metrics()

    def wait(self, timeout: float | None) -> Status:
        """Wait for the end, for at most that many seconds."""
        return self._view.wait(timeout).status

    def stop(self) -> None:
        """Ask for an early end; the model so far is kept."""
        self._view.stop()

    def model(self) -> Path:
        """The model archive; UserError if the job has none."""
        archive = JobFolder(self.folder).model
        if not archive.exists():
            raise UserError(f"job {self.name} has no model: its status is {self.status()}")
        return archive

    def _shown(self, line: LogLine) -> str:
        return f"{line.host} | {line.text}" if self._several else line.text


class LocalConnection:
    """An endpoint of this machine."""

    payload_limit = _PAYLOAD_LIMIT

    def __init__(self, name: str, endpoint: LocalEndpoint) -> None:
        self.name, self.url, self._endpoint = name, endpoint.url, endpoint
        self._client = HttpClient(endpoint.url)
        # A server that nobody can ask any more ends with the last reference to it.
        weakref.finalize(self, _end, self._client, endpoint)

    @property
    def log(self) -> str:
        """The last lines that the server printed."""
        return self._endpoint.log

    def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """The endpoint's answer, whatever its status."""
        from clary.sdk.failures import EndpointFailedError

        try:
            return self._client.invoke(body, {"Content-Type": content_type, "Accept": accept})
        except UnreachableError as error:
            said = " / ".join(self._endpoint.log.splitlines()[-3:])
            raise EndpointFailedError(0, f"{error}; it said last: {said}") from error

    def close(self) -> None:
        """Stop the server."""
        _end(self._client, self._endpoint)


def _end(client: HttpClient, endpoint: LocalEndpoint) -> None:
    client.close()
    endpoint.close()
