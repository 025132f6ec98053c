"""A PCA job in this process, without files and the container: rows in, artifact and log out."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.pca.serve import Predictor
from clary.algorithms.pca.spec import SPEC, Hyperparameters
from clary.algorithms.pca.train import train
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool

LAYOUT = MediaType("application/x-recordio-protobuf")


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    def last(self, metric: str) -> float:
        """The value of a declared metric that the log reports last."""
        return float(re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))[-1])

    def predictor(self) -> Predictor:
        """The model, loaded."""
        return Predictor.load(self.artifact, "cpu")


def channel(name: str, rows: Any, *, sharded: bool = False) -> ChannelInput:
    """A channel that holds these rows, dense or sparse."""
    spool = Spool()
    if rows.shape[0]:
        spool.add(Records(rows.astype(np.float32), source=f"channel {name}, file rows"))
    return ChannelInput(name, Path(name), LAYOUT, sharded=sharded, kept=spool)


def learned(
    rows: Any,
    test: Any = None,
    *,
    cluster: Cluster | None = None,
    sharded: bool = False,
    kept: Path | None = None,
    every: float = 3600.0,
    seed: int = 0,
    device: str = "cpu",
    stop: threading.Event | None = None,
    watch: Callable[[str], None] = lambda _: None,
    **given: Any,
) -> Trained:
    """What comes of a job with these rows and hyperparameters; ``watch`` sees each line as it is written."""
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        watch(line)

    settings: Mapping[str, Any] = {"feature_dim": rows.shape[1], "mini_batch_size": 100, **given}
    hp = SPEC.parse({name: str(value) for name, value in settings.items()})
    assert isinstance(hp, Hyperparameters)
    hosts = cluster or Cluster()
    channels = {"train": channel("train", rows, sharded=sharded)}
    if test is not None:
        channels["test"] = channel("test", test)
    job: Job[Hyperparameters] = Job(
        hyperparameters=hp,
        channels=channels,
        cluster=hosts,
        log=Log(SPEC, hosts.current, write),
        checkpoints=Checkpoints(kept, hp.spell(), rank=hosts.rank, every=every),
        seed=seed,
        device=device,
        stop=stop or threading.Event(),
    )
    return Trained(train(job), lines)
