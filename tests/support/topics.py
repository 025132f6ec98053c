"""Documents as channels, the hyperparameters of a topic model, and its jobs in this process and on several hosts."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.ntm.model import TopicModel
from clary.algorithms.ntm.spec import SPEC, Hyperparameters
from clary.algorithms.ntm.train import train as fit
from clary.toolkit import media
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.followers import Followers
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType

Rows = npt.NDArray[Any]


def settings(**given: Any) -> Hyperparameters:
    """Hyperparameters from values of any kind; ten words and two topics unless they say otherwise."""
    usual = {"feature_dim": 10, "num_topics": 2, "epochs": 1}
    made = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(made, Hyperparameters)
    return made


def channel(place: Path, content_type: str = "text/csv;label_size=0", name: str = "train") -> ChannelInput:
    """The channel whose files are in that folder."""
    return ChannelInput(name, place, MediaType.parse(content_type))


def text(rows: Rows) -> bytes:
    """The rows as CSV."""
    return "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows).encode()


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    @property
    def model(self) -> TopicModel:
        """The model, ready to be asked."""
        return TopicModel.load(self.artifact, "cpu")

    def values(self, metric: str) -> list[float]:
        """Every value that the log reports of a declared metric, in order."""
        return [float(each) for each in re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))]

    def said(self, start: str) -> list[str]:
        """The lines of the log that begin so."""
        return [line for line in self.lines if line.startswith(start)]


def learned(
    folder: Path,
    rows: Rows,
    *,
    validation: Rows | None = None,
    test: Rows | None = None,
    auxiliary: Mapping[str, bytes] | None = None,
    cluster: Cluster | None = None,
    sharded: bool = False,
    kept: Path | None = None,
    seed: int = 0,
    watch: Callable[[str, threading.Event], object] = lambda _line, _stop: None,
    **given: Any,
) -> Trained:
    """What comes of a job with these documents; ``watch`` is shown each line of the log and may stop the job."""
    hosts, said, stop = cluster or Cluster(), list[str](), threading.Event()

    def write(line: str) -> None:
        said.append(line)
        watch(line, stop)

    files = {name: {"rows.csv": text(part)} for name, part in _present(train=rows, validation=validation, test=test)}
    inputs = {}
    for name, own in {**files, **({"auxiliary": dict(auxiliary)} if auxiliary is not None else {})}.items():
        place = folder / f"{name}-{hosts.current}"
        place.mkdir(exist_ok=True)
        for path, content in own.items():
            (place / path).write_bytes(content)
        kind = MediaType.parse(media.TEXT if name == "auxiliary" else "text/csv;label_size=0")
        inputs[name] = ChannelInput(name, place, kind, sharded=sharded and name == "train", stop=stop)
    job: Job[Hyperparameters] = Job(
        hyperparameters=settings(**{"feature_dim": rows.shape[1], **given}),
        channels=inputs,
        cluster=hosts,
        log=Log(SPEC, hosts.current, write),
        checkpoints=Checkpoints(kept, {}, rank=hosts.rank, every=0),
        seed=seed,
        stop=stop,
    )
    return Trained(fit(job), said)


def _present(**parts: Rows | None) -> list[tuple[str, Rows]]:
    return [(name, part) for name, part in parts.items() if part is not None]


def host(
    names: Sequence[str],
    name: str,
    place: tuple[str, int],
    folder: Path,
    parts: Sequence[Rows],
    given: dict[str, Any],
) -> Trained:
    """What comes of a job on one of several hosts, which has its own part of the documents."""
    cluster = Cluster(names, name, rendezvous=place)
    try:
        return learned(folder, parts[cluster.rank], cluster=cluster, **given)
    except Exception as error:
        cluster.fail(str(error))
        raise
    finally:
        cluster.close()


def on_hosts(folder: Path, *parts: Rows, **given: Any) -> Trained:
    """What the first of several hosts comes to, each of which is given one of these parts to train with."""
    names = [f"algo-{number}" for number in range(1, len(parts) + 1)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
    others = Followers(host, [(names, name, place, folder, parts, given) for name in names[1:]])
    try:
        return host(names, names[0], place, folder, parts, given)
    finally:
        others.end()


def drawn(count: int, width: int, seed: int = 0, mean: float = 1.0) -> Rows:
    """Counts without any order in them."""
    return np.random.default_rng(seed).poisson(mean, (count, width)).astype(np.float32)
