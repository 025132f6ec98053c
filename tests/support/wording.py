"""Texts as channels, jobs of BlazingText in this process, and models as fastText's files hold them."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.blazingtext import files
from clary.algorithms.blazingtext.files import Arguments, Content
from clary.algorithms.blazingtext.model import TextModel
from clary.algorithms.blazingtext.spec import SPEC, Hyperparameters
from clary.algorithms.blazingtext.train import train as fit
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.followers import Followers
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType

Array = npt.NDArray[Any]


def settings(**given: Any) -> Hyperparameters:
    """Hyperparameters from values of any kind; small vectors of all words unless they say otherwise."""
    usual = {"mode": "batch_skipgram", "vector_dim": 8, "min_count": 1, "buckets": 100}
    made = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(made, Hyperparameters)
    return made


def channel(
    folder: Path, content: Mapping[str, bytes], kind: str = "text/plain", name: str = "train", **more: Any
) -> ChannelInput:
    """A channel with these files."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for file, text in content.items():
        (place / file).write_bytes(text)
    return ChannelInput(name, place, MediaType.parse(kind), **more)


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    @property
    def content(self) -> Content:
        """What the binary file holds."""
        name = next(each for each in self.artifact.files if each.endswith(".bin"))
        return files.read(self.artifact.files[name], source=name)

    @property
    def model(self) -> TextModel:
        """The model, ready to be asked."""
        return TextModel(self.content)

    def values(self, metric: str) -> list[float]:
        """Every value that the log reports of a declared metric, in order."""
        return [float(each) for each in re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))]


def learned(
    folder: Path,
    text: str | Mapping[str, bytes],
    validation: str = "",
    *,
    kind: str = "text/plain",
    cluster: Cluster | None = None,
    sharded: bool = False,
    kept: Path | None = None,
    seed: int = 0,
    **given: Any,
) -> Trained:
    """What comes of a job with that text, in one file or several."""
    hosts, said = cluster or Cluster(), list[str]()
    content = {"a.txt": text.encode()} if isinstance(text, str) else text
    place = folder / hosts.current
    inputs = {"train": channel(place, content, kind, sharded=sharded, may_be_empty=sharded)}
    if validation:
        inputs["validation"] = channel(place, {"v.txt": validation.encode()}, kind, "validation")
    job: Job[Hyperparameters] = Job(
        hyperparameters=settings(**given),
        channels=inputs,
        cluster=hosts,
        log=Log(SPEC, hosts.current, said.append),
        checkpoints=Checkpoints(kept, {}, rank=hosts.rank, every=0),
        seed=seed,
    )
    return Trained(fit(job), said)


def host(
    names: Sequence[str], name: str, place: tuple[str, int], folder: Path, parts: Sequence[Any], given: dict[str, Any]
) -> Trained:
    """What comes of a job on one of several hosts, which has its own part; it tells the others why it fails."""
    cluster = Cluster(names, name, rendezvous=place)
    try:
        return learned(folder, parts[cluster.rank], cluster=cluster, **given)
    except Exception as error:
        cluster.fail(str(error))
        raise
    finally:
        cluster.close()


def on_hosts(folder: Path, *parts: str | Mapping[str, bytes], **given: Any) -> Trained:
    """What the first of several hosts comes to, each of which is given one of these texts."""
    names = [f"algo-{number}" for number in range(1, len(parts) + 1)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
    others = Followers(host, [(names, name, place, folder, parts, given) for name in names[1:]])
    try:
        return host(names, names[0], place, folder, parts, given)
    finally:
        others.end()


def arguments(**given: Any) -> Arguments:
    """Settings of a file: a classifier without n-grams unless they say otherwise."""
    usual: dict[str, Any] = {
        "dim": 3,
        "ws": 5,
        "epoch": 5,
        "min_count": 1,
        "neg": 5,
        "word_ngrams": 1,
        "loss": files.SOFTMAX,
        "model": files.SUPERVISED,
        "bucket": 0,
        "minn": 0,
        "maxn": 0,
        "t": 1e-4,
    }
    return Arguments(**{**usual, **given})


def content(words: Sequence[bytes], labels: Sequence[bytes] = (), *, seed: int = 0, **given: Any) -> Content:
    """A model of random numbers over these words and labels."""
    rng, chosen = np.random.default_rng(seed), arguments(**given)
    outputs = len(labels) or len(words)
    return Content(
        chosen,
        words,
        list(range(2 * len(words), len(words), -1)),
        labels,
        list(range(2 * len(labels), len(labels), -1)),
        rng.normal(size=(len(words) + chosen.bucket, chosen.dim)).astype(np.float32),
        rng.normal(size=(outputs, chosen.dim)).astype(np.float32),
        100,
    )
