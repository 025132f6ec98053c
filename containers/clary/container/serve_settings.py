"""How a server is set up: what the platform and the operator say through the environment and the command line.

From the platform: ``SAGEMAKER_BIND_TO_PORT``, ``SAGEMAKER_BATCH``, ``SAGEMAKER_MAX_PAYLOAD_IN_MB``,
``SAGEMAKER_MULTI_MODEL``, ``SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT`` (the type of answers to callers who ask for
none), and ``MAX_CONTENT_LENGTH`` in bytes. From the operator: ``CLARY_ROOT``, ``CLARY_ALGORITHM``, ``CLARY_HOST``,
``CLARY_DEVICE`` (``cpu``, ``cuda`` or ``auto``), ``CLARY_WORKERS`` (processes; one a core by default),
``CLARY_MAX_IN_FLIGHT`` (requests that each worker takes at once), ``CLARY_MAX_IN_FLIGHT_MB`` (memory for their
bodies in each worker) and ``CLARY_MODEL_MEMORY_MB`` (for all models of a multi-model endpoint). Algorithms declare
further variables as options of their answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clary.container import machine
from clary.container.layout import Layout
from clary.toolkit import device
from clary.toolkit.errors import UserError

MEBIBYTE = 2**20
DEFAULT_PORT = 8080
DEFAULT_PAYLOAD_MB = 6
BATCH_PAYLOAD_MB = 100
MAX_IN_FLIGHT = 1024
MAX_IN_FLIGHT_MB = 256
BACKLOG = 2048  # connections that wait to be accepted
MODEL_MEMORY_SHARE = 0.8  # of the machine; the rest is for requests and for the interpreter


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Everything that a server is told; the limits of requests hold for each worker process.

    ``payload_limit``, ``bytes_in_flight`` and ``model_memory`` are bytes; ``advised_payload_mb`` is what batch
    transform is told in ``/execution-parameters``. ``default_accept`` is empty where the algorithm decides.
    ``environment`` is all of it, for the options that only the loaded algorithm knows.
    """

    layout: Layout
    algorithm: str = ""
    host: str = "0.0.0.0"  # noqa: S104 - the platform reaches a container from outside
    port: int = DEFAULT_PORT
    workers: int = 1
    cores: int = 1
    batch: bool = False
    multi_model: bool = False
    payload_limit: int = DEFAULT_PAYLOAD_MB * MEBIBYTE
    advised_payload_mb: int = DEFAULT_PAYLOAD_MB
    requests_in_flight: int = MAX_IN_FLIGHT
    bytes_in_flight: int = MAX_IN_FLIGHT_MB * MEBIBYTE
    model_memory: int = 0
    default_accept: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def threads(self) -> int:
        """Threads for the numerical libraries of each worker, so that workers do not fight over cores."""
        return max(1, self.cores // self.workers)

    @property
    def executor_threads(self) -> int:
        """Predictions that a worker runs beside its event loop; two, so that a long one does not stop short ones."""
        return max(2, self.threads)

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``; UserError or PlatformError where ``CLARY_DEVICE`` asks for what is not there.

        For the process that loads a model: what the driver tells one process does not hold in its forks.
        """
        return device.chosen(dict(self.environment)).name

    @classmethod
    def read(
        cls,
        environment: Mapping[str, str],
        *,
        root: Path | None = None,
        algorithm: str = "",
        host: str = "",
        port: str = "",
        workers: str = "",
    ) -> ServeSettings:
        """The settings that the environment gives; arguments win over it. UserError names what cannot be used."""
        batch = _flag(environment, "SAGEMAKER_BATCH")
        multi_model = _flag(environment, "SAGEMAKER_MULTI_MODEL")
        cores = machine.cores()
        limit, advised = _payload(environment, batch)
        # Loaded models belong to a process: two of them would need each call twice, and could disagree.
        given_workers = _integer(workers or environment.get("CLARY_WORKERS", ""), "CLARY_WORKERS", cores, 1, 512)
        in_flight_mb = _integer(
            environment.get("CLARY_MAX_IN_FLIGHT_MB", ""), "CLARY_MAX_IN_FLIGHT_MB", MAX_IN_FLIGHT_MB, 1, 2**20
        )
        return cls(
            layout=Layout(root or Path(environment.get("CLARY_ROOT") or Layout().root)),
            algorithm=algorithm or environment.get("CLARY_ALGORITHM", "").strip(),
            host=host or environment.get("CLARY_HOST", "").strip() or cls.host,
            port=_integer(
                port or environment.get("SAGEMAKER_BIND_TO_PORT", ""),
                "SAGEMAKER_BIND_TO_PORT",
                DEFAULT_PORT,
                0,
                65_535,
            ),
            workers=1 if multi_model else given_workers,
            cores=cores,
            batch=batch,
            multi_model=multi_model,
            payload_limit=limit,
            advised_payload_mb=advised,
            requests_in_flight=_integer(
                environment.get("CLARY_MAX_IN_FLIGHT", ""), "CLARY_MAX_IN_FLIGHT", MAX_IN_FLIGHT, 1, 10**6
            ),
            bytes_in_flight=max(in_flight_mb * MEBIBYTE, limit),
            model_memory=_model_memory(environment) if multi_model else 0,
            default_accept=environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "").strip(),
            environment=dict(environment),
        )


def _payload(environment: Mapping[str, str], batch: bool) -> tuple[int, int]:
    """The largest body in bytes, and the size in megabytes that batch transform is advised to send.

    A batch transform without a size of its own follows our advice, but a platform that does not ask may send
    as much as the service allows; 0 there means "the whole object", which gets that limit too.
    """
    name = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
    megabytes = _integer(environment.get(name, ""), name, -1, 0, BATCH_PAYLOAD_MB)
    if megabytes >= 0:
        advised = megabytes or BATCH_PAYLOAD_MB
        return advised * MEBIBYTE, advised
    name = "MAX_CONTENT_LENGTH"
    limit = _integer(environment.get(name, ""), name, -1, 1, BATCH_PAYLOAD_MB * MEBIBYTE)
    if limit >= 0:
        return limit, max(1, min(limit // MEBIBYTE, DEFAULT_PAYLOAD_MB))
    return (BATCH_PAYLOAD_MB if batch else DEFAULT_PAYLOAD_MB) * MEBIBYTE, DEFAULT_PAYLOAD_MB


def _model_memory(environment: Mapping[str, str]) -> int:
    name = "CLARY_MODEL_MEMORY_MB"
    megabytes = _integer(environment.get(name, ""), name, 0, 1, 2**30)
    return megabytes * MEBIBYTE or int(machine.memory() * MODEL_MEMORY_SHARE)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "true", "1", "false", "0"):
        raise UserError(f"{name} must be true or false; got {environment[name]!r}")
    return text in ("true", "1")


def _integer(text: str, name: str, default: int, low: int, high: int) -> int:
    if not text.strip():
        return default
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise UserError(f"{name} must be an integer from {low} to {high}; got {text!r}")
    return value
