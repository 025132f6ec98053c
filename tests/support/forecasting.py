"""Series as files and channels, the hyperparameters of a forecaster, and its jobs in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.deepar.data import Fields, Series, instances
from clary.algorithms.deepar.frequency import Frequency
from clary.algorithms.deepar.model import Forecaster
from clary.algorithms.deepar.spec import SPEC, Hyperparameters
from clary.algorithms.deepar.train import train as fit
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType

HOURLY = {"start": "2024-01-31 13:00:00", "target": [1.0, 2.0, 3.0]}


def settings(**given: Any) -> Hyperparameters:
    """Hyperparameters from values of any kind; hourly series and two steps ahead unless they say otherwise."""
    usual = {"time_freq": "H", "context_length": 4, "prediction_length": 2, "epochs": 1}
    made = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(made, Hyperparameters)
    return made


def series(
    *records: object, freq: str = "H", cardinality: tuple[int, ...] | None = None, dynamic: int = 0, ahead: int = 0
) -> Series:
    """Series from records or from bare targets; dynamic features go on for ``ahead`` steps behind the targets."""
    return instances([_record(each) for each in records], Fields(cardinality, dynamic), ahead, Frequency.parse(freq))


def lines(*records: object) -> bytes:
    """One line for each record; bytes are a line as it is."""
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in records)


def channel(place: Path, content_type: str = "json", name: str = "train") -> ChannelInput:
    """The channel whose files are in that folder."""
    return ChannelInput(name, place, MediaType.parse(content_type))


def written(folder: Path, **files: bytes) -> Path:
    """The folder with these files, all of them JSON Lines."""
    for name, content in files.items():
        (folder / f"{name}.json").write_bytes(content)
    return folder


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    @property
    def forecaster(self) -> Forecaster:
        """The model, ready to be asked."""
        return Forecaster.load(self.artifact, "cpu")

    def values(self, metric: str) -> list[float]:
        """Every value that the log reports of a declared metric, in order."""
        found = re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))
        return [float(each[-1] if isinstance(each, tuple) else each) for each in found]


def learned(
    folder: Path,
    *train: object,
    test: Sequence[object] = (),
    cluster: Cluster | None = None,
    sharded: bool = False,
    kept: Path | None = None,
    seed: int = 0,
    **given: Any,
) -> Trained:
    """What comes of a job with these series, records or bare targets, in its channels."""
    hosts, said = cluster or Cluster(), list[str]()
    inputs = {}
    for name, records in (("train", train), ("test", test)):
        if records or (name == "train" and sharded):
            place = folder / f"{name}-{hosts.current}"
            place.mkdir(exist_ok=True)
            if records:
                written(place, series=lines(*map(_record, records)))
            kind = MediaType.parse("json")
            inputs[name] = ChannelInput(name, place, kind, sharded=sharded, may_be_empty=sharded)
    job: Job[Hyperparameters] = Job(
        hyperparameters=settings(**given),
        channels=inputs,
        cluster=hosts,
        log=Log(SPEC, hosts.current, said.append),
        checkpoints=Checkpoints(kept, {}, rank=hosts.rank, every=0),
        seed=seed,
    )
    return Trained(fit(job), said)


def _record(given: object) -> dict[str, Any]:
    made = given if isinstance(given, dict) else {"start": HOURLY["start"], "target": given}
    return {**made, "target": [None if each != each else each for each in np.asarray(made["target"]).tolist()]}
