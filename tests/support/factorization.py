"""A factorization machine's job in this process, without files and the container: rows in, artifact and log out."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.factorization_machines.spec import SPEC, Hyperparameters
from clary.algorithms.factorization_machines.train import train
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import RECORDIO_PROTOBUF, MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool

Array = npt.NDArray[Any]
Rows = tuple[Any, Any]  # features, dense or sparse, and labels


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    def values(self, metric: str) -> list[float]:
        """Every value that the log reports of a declared metric, in order."""
        return [float(found) for found in re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))]

    def tensor(self, name: str) -> Array:
        """An array of the artifact: ``w0``, ``w`` or ``v``."""
        return self.artifact.tensors[name]


def settings(**given: Any) -> Hyperparameters:
    """Hyperparameters from values of any kind; a regressor with two factors unless they say otherwise."""
    usual = {"predictor_type": "regressor", "num_factors": 2}
    made = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(made, Hyperparameters)
    return made


def records(features: Any, labels: Any = None) -> Records:
    """These rows as a reader would give them."""
    kept = features.astype(np.float32)
    column = None if labels is None else np.asarray(labels, np.float32)[:, None]
    return Records(kept if hasattr(kept, "tocsr") else np.ascontiguousarray(kept), column, "channel train, file rows")


def learned(channels: Mapping[str, Rows], *, cluster: Cluster | None = None, **given: Any) -> Trained:
    """What comes of a job with these rows in its channels."""
    inputs = {}
    for name, rows in channels.items():
        spool = Spool()
        spool.add(records(*rows))
        inputs[name] = ChannelInput(name, Path(name), MediaType(RECORDIO_PROTOBUF), kept=spool)
    hosts, lines = cluster or Cluster(), list[str]()
    width = channels["train"][0].shape[1]
    job: Job[Hyperparameters] = Job(
        hyperparameters=settings(**{"feature_dim": width, **given}),
        channels=inputs,
        cluster=hosts,
        log=Log(SPEC, hosts.current, lines.append),
        checkpoints=Checkpoints(None, {}),
    )
    return Trained(train(job), lines)


def on_hosts(count: int, work: Callable[[Cluster], Trained]) -> list[Trained]:
    """What each host's work returns, in the order of ranks; every host is a thread with its own sockets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    names = [f"algo-{number}" for number in range(1, count + 1)]

    def run(name: str) -> Trained:
        cluster = Cluster(names, name, rendezvous=address)
        try:
            return work(cluster)
        finally:
            cluster.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, names))
