"""A linear learner's job in this process, without files and the container: rows in, artifact and log out."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.serve import Predictor
from clary.algorithms.linear_learner.spec import SPEC, Hyperparameters
from clary.algorithms.linear_learner.train import train
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool

Array = npt.NDArray[Any]
Rows = tuple[Any, Any]  # features, dense or sparse, and labels
LAYOUT = MediaType("application/x-recordio-protobuf")


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    def values(self, metric: str) -> list[float]:
        """Every value that the log reports of a declared metric, in order."""
        return [float(found) for found in re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))]

    def last(self, metric: str) -> float:
        """The value that the log reports last."""
        return self.values(metric)[-1]

    def line(self, start: str) -> str:
        """The rest of the only line that begins so."""
        (found,) = [line.removeprefix(start) for line in self.lines if line.startswith(start)]
        return found

    @property
    def best(self) -> dict[str, Any]:
        """The settings of the winner, as the log tells them."""
        found: dict[str, Any] = json.loads(self.line("Best model found for hyperparameters: "))
        return found

    @property
    def weights(self) -> Array:
        """The weights (C, D), in the features' own units."""
        return self.artifact.tensors["weights"]

    @property
    def bias(self) -> Array:
        """The biases (C)."""
        return self.artifact.tensors["bias"]

    def answers(self, features: Any) -> Mapping[str, Array]:
        """What the model answers to these rows."""
        return Predictor.load(self.artifact, "cpu").predict(records(features))


def records(features: Any, labels: Any = None, source: str = "rows") -> Records:
    """These rows as a reader would give them."""
    kept = features.astype(np.float32)
    column = None if labels is None else np.asarray(labels, np.float32)[:, None]
    return Records(kept if hasattr(kept, "tocsr") else np.ascontiguousarray(kept), column, source)


def channel(name: str, rows: Rows, *, sharded: bool = False) -> ChannelInput:
    """A channel that holds these rows."""
    spool = Spool()
    spool.add(records(*rows, source=f"channel {name}, file rows"))
    return ChannelInput(name, Path(name), LAYOUT, sharded=sharded, kept=spool)


def job(
    channels: Mapping[str, ChannelInput],
    *,
    cluster: Cluster | None = None,
    kept: Path | None = None,
    every: float = 3600.0,
    seed: int = 0,
    memory: int = 2 << 30,
    platform: Mapping[str, str] | None = None,
    watch: Callable[[str], None] | None = None,
    **given: Any,
) -> tuple[Job[Hyperparameters], list[str]]:
    """A job with these hyperparameters, and the lines of its log; ``watch`` sees each line as it is written."""
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        if watch:
            watch(line)

    hp = SPEC.parse({name: str(value) for name, value in given.items()})
    assert isinstance(hp, Hyperparameters)
    hosts = cluster or Cluster()
    made: Job[Hyperparameters] = Job(
        hyperparameters=hp,
        channels=channels,
        cluster=hosts,
        log=Log(SPEC, hosts.current, write),
        checkpoints=Checkpoints(kept, hp.spell(), rank=hosts.rank, every=every),
        seed=seed,
        memory=memory,
        platform=platform or {},
        stop=threading.Event(),
    )
    return made, lines


def learned(rows: Mapping[str, Rows], **settings: Any) -> Trained:
    """What comes of a job with these rows in its channels; settings are those of ``job``."""
    made, lines = job({name: channel(name, each) for name, each in rows.items()}, **settings)
    return Trained(train(made), lines)


def on_hosts(count: int, work: Callable[[Cluster], Any]) -> list[Any]:
    """What each host's work returns, in the order of ranks; every host is a thread with its own sockets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    names = [f"algo-{number}" for number in range(1, count + 1)]

    def run(name: str) -> Any:
        cluster = Cluster(names, name, rendezvous=address)
        try:
            return work(cluster)
        finally:
            cluster.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, names))
