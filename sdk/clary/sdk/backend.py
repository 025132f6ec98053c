"""Where jobs and endpoints run, behind one small protocol; local processes and SageMaker are two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, runtime_checkable

from clary.runner.metrics import Metrics
from clary.runner.transform import TransformRequest
from clary.sdk.inputs import Input
from clary.toolkit.errors import UserError
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from clary.runner.invocation import Answer

Status = Literal["InProgress", "Stopping", "Completed", "Failed", "Stopped"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a job or an endpoint runs on and as whom; a backend takes what means something to it."""

    instance_count: int = 1
    instance_type: str | None = None
    role: str | None = None
    volume_size: int = 30
    image_uri: str | None = None
    tags: Sequence[Mapping[str, str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One training job, complete and checked. ``max_run`` is in seconds."""

    name: str
    spec: AlgorithmSpec
    hyperparameters: Mapping[str, str]
    inputs: Mapping[str, Input]
    resources: Resources
    output: str | None = None
    checkpoints: str | None = None
    seed: int | None = None
    max_run: int | None = None

    def shards(self, given: Input) -> int:
        """In how many files rows in memory travel: one for each host where the hosts share them out, else one."""
        shared = given.channel == "train" and self.spec.capabilities.hosts
        if given.distribution is not None:
            shared = given.distribution == "ShardedByS3Key"
        return self.resources.instance_count if shared else 1


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A trained model: a local archive or folder, or the address of an archive."""

    location: Path | str
    spec: AlgorithmSpec
    name: str


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """How an endpoint is started; ``workers`` and ``port`` mean something on this machine only."""

    name: str
    resources: Resources
    workers: int | None = None
    port: int | None = None


class JobHandle(Protocol):
    """A training job where it runs."""

    @property
    def name(self) -> str:
        """The job's name."""

    @property
    def algorithm(self) -> str:
        """The algorithm's name or image repository."""

    @property
    def hyperparameters(self) -> Mapping[str, str]:
        """The job's hyperparameters as strings."""

    @property
    def resources(self) -> Resources:
        """What the job ran on."""

    def status(self) -> Status:
        """Where the job stands."""

    def failure(self) -> str | None:
        """Why the job failed, or None."""

    def lines(self) -> Iterator[str]:
        """The log from its beginning; waits for more while the job runs."""

    def log(self) -> str:
        """The log so far."""

    def metrics(self) -> Metrics:
        """What has been reported so far."""

    def wait(self, timeout: float | None) -> Status:
        """Wait for the end, for at most that many seconds."""

    def stop(self) -> None:
        """Ask for an early end; returns at once."""

    def model(self) -> Path | str:
        """Where the model archive is; UserError if the job has none."""


class Connection(Protocol):
    """A running endpoint."""

    @property
    def name(self) -> str:
        """The endpoint's name."""

    @property
    def url(self) -> str:
        """Where the endpoint listens."""

    @property
    def payload_limit(self) -> int:
        """The most bytes that one request may have."""

    def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """The endpoint's answer, whatever its status."""

    def close(self) -> None:
        """Delete the endpoint."""


@runtime_checkable
class Backend(Protocol):
    """A place where jobs and endpoints run."""

    @property
    def ends_with_caller(self) -> bool:
        """Whether an interrupt of the program that waits for a job should stop the job."""

    def open_first(self, given: Input) -> AbstractContextManager[tuple[BinaryIO, str]]:
        """The first file of a channel that is no data in memory, open at its start, and its name."""

    def train(self, plan: Plan) -> JobHandle:
        """Start the job."""

    def attach(self, name: str) -> JobHandle:
        """The job of that name, running or over; UserError if there is none."""

    def deploy(self, model: ModelSource, hosting: Hosting) -> Connection:
        """An endpoint that is ready to answer."""

    def transform(
        self, model: ModelSource, given: Input, output: str | None, request: TransformRequest, hosting: Hosting
    ) -> list[Path | str]:
        """Score whole files; where the answers are comes back, in the order of the inputs."""


def resolve(
    backend: str | Backend, *, endpoint_url: str | None = None, output: str | None = None, store: str | None = None
) -> Backend:
    """The backend of that name, made now so that only what is used is loaded; an object passes unchanged.

    ``store`` is the address under which SageMaker finds data that is uploaded from here.
    """
    if backend == "local":
        from clary.sdk.local import LocalBackend

        return LocalBackend(endpoint_url=endpoint_url, output=output)
    if backend == "sagemaker":
        from clary.sdk.sagemaker import SageMakerBackend

        return SageMakerBackend(endpoint_url=endpoint_url, bucket_prefix=store)
    if isinstance(backend, Backend):
        return backend
    raise UserError(f"backend must be 'local', 'sagemaker' or an object with their methods; got {backend!r}")
