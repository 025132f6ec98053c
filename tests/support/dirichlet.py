"""LDA's job in this process, without files and the container: documents in, topics out; and how near they are."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from clary.algorithms.lda.spec import SPEC, Hyperparameters
from clary.algorithms.lda.train import train
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import RECORDIO_PROTOBUF, MediaType
from clary.toolkit.records import Records
from clary.toolkit.spool import Spool

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]

    def values(self, metric: str) -> list[float]:
        """Every value that the log reports of a declared metric, in order."""
        return [float(found) for found in re.findall(SPEC.metric(metric).regex, "\n".join(self.lines))]

    @property
    def beta(self) -> Array:
        """The topics."""
        return self.artifact.tensors["beta"]


def settings(**given: Any) -> Hyperparameters:
    """Hyperparameters from values of any kind; for the ten bars of 25 pixels unless they say otherwise."""
    usual = {"num_topics": 10, "feature_dim": 25, "mini_batch_size": 500}
    made = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(made, Hyperparameters)
    return made


def learned(
    rows: Mapping[str, Any],
    *,
    seed: int = 0,
    memory: int = 2 << 30,
    folder: Path | None = None,
    watch: Callable[[str, threading.Event], None] = lambda _line, _stop: None,
    **given: Any,
) -> Trained:
    """A job on these rows by channel, dense or sparse; ``watch`` sees each line of the log, and may set the stop."""
    hp, lines, stop = settings(**given), list[str](), threading.Event()

    def write(line: str) -> None:
        lines.append(line)
        watch(line, stop)

    job = Job(
        hp,
        {name: _channel(name, features) for name, features in rows.items()},
        Cluster(),
        Log(SPEC, "localhost", write),
        Checkpoints(folder, hp.spell()),
        seed=seed,
        memory=memory,
        stop=stop,
    )
    return Trained(train(job), lines)


def _channel(name: str, features: Any) -> ChannelInput:
    spool = Spool()
    kept = features.astype(np.float32)
    spool.add(
        Records(kept if hasattr(kept, "tocsr") else np.ascontiguousarray(kept), None, f"channel {name}, file rows")
    )
    return ChannelInput(name, Path("nowhere"), MediaType.parse(RECORDIO_PROTOBUF), kept=spool)


def distances(true_KV: Array, found_KV: Array) -> Array:
    """The total variation between each true topic and the one that is found for it, in the best matching."""
    table = np.abs(true_KV[:, None] - found_KV[None]).sum(axis=2) / 2
    return np.asarray(table[linear_sum_assignment(table)])


def bar_topics(side: int = 5) -> Array:
    """The rows and columns of a square, as topics of ``clary.datasets.generators.bars``."""
    even = np.eye(side) / side
    return np.concatenate([np.repeat(even, side, axis=1), np.tile(even, side)])


def random_corpus(
    documents: int, words: int, topics: int, width: int, *, seed: int = 0, alpha0: float = 1.0
) -> tuple[Array, Array]:
    """Documents (N, V) drawn from topics (K, V) that are Dirichlet distributed themselves, and these topics."""
    rng = np.random.default_rng(seed)
    true_KV = rng.dirichlet(np.full(width, 0.1), topics)
    mixtures_NK = rng.dirichlet(np.full(topics, alpha0 / topics), documents)
    return rng.multinomial(words, mixtures_NK @ true_KV).astype(np.float32), true_KV
