"""An XGBoost job in this process, without the container: rows in, artifact and log out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from clary.algorithms.xgboost.spec import SPEC, Hyperparameters
from clary.algorithms.xgboost.train import train
from clary.toolkit import tabular
from clary.toolkit.artifact import Artifact
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
THREADS = 2


@dataclass
class Trained:
    """What came of a job."""

    artifact: Artifact
    lines: list[str]
    outputs: dict[str, bytes]
    published: list[Artifact]

    @property
    def rounds(self) -> list[str]:
        """The lines that report metrics."""
        return [line for line in self.lines if line.startswith("[")]

    def said(self, text: str) -> bool:
        """Whether a line of the log holds the text."""
        return any(text in line for line in self.lines)

    @property
    def model(self) -> bytes:
        """The library's own file."""
        return self.artifact.files["xgboost-model"]

    @property
    def booster(self) -> xgboost.Booster:
        """The model as the plain library loads it."""
        return xgboost.Booster(model_file=bytearray(self.model))


@dataclass
class Bench:
    """A folder for a job's channels; each is laid out once and may be trained on many times."""

    folder: Path
    channels: dict[str, ChannelInput] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    memory: int = 1 << 30

    def rows(self, name: str, features: Array, labels: Array, kind: str = "text/csv", **per_row: Any) -> Bench:
        """Lay out a channel with these rows; returns this bench."""
        records = Records(np.ascontiguousarray(features, np.float32), _column(labels), **per_row)
        place = self.folder / name
        place.mkdir(exist_ok=True)
        with (place / "rows").open("wb") as stream:
            tabular.write(stream, records, MediaType.parse(kind))
        return self.text(name, None, kind)

    def text(self, name: str, content: str | bytes | None, kind: str = "text/csv", file: str = "rows") -> Bench:
        """Lay out a channel with this content, or with what lies there; returns this bench."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        if content is not None:
            (place / file).write_bytes(content.encode() if isinstance(content, str) else content)
        self.channels[name] = ChannelInput(name, place, MediaType.parse(kind), stop=self.stop)
        return self

    def train(
        self,
        given: Mapping[str, str],
        *,
        kept: Path | None = None,
        every: float = 0.0,
        watch: Callable[[str], None] | None = None,
        device: str = "cpu",
        gpus: int = 0,
    ) -> Trained:
        """Train with these hyperparameters; ``watch`` sees each line of the log as it is written."""
        lines, outputs, published = self.lines, dict[str, bytes](), list[Artifact]()
        lines.clear()

        def write(line: str) -> None:
            lines.append(line)
            if watch:
                watch(line)

        hp = SPEC.parse({"nthread": str(THREADS), **given})
        assert isinstance(hp, Hyperparameters)
        # A channel is set up anew, because reading changes it.
        channels = {name: ChannelInput(**_settings(each)) for name, each in self.channels.items()}
        job: Job[Hyperparameters] = Job(
            hyperparameters=hp,
            channels=channels,
            cluster=Cluster(),
            log=Log(SPEC, "algo-1", write),
            checkpoints=Checkpoints(kept, hp.spell(), every=every),
            device=device,
            gpus=gpus,
            memory=self.memory,
            stop=self.stop,
            publish=published.append,
            output=outputs.__setitem__,
        )
        return Trained(train(job), lines, outputs, published)


def plain(given: Mapping[str, Any], matrix: xgboost.DMatrix, rounds: int, **more: Any) -> bytes:
    """The file of the model that the library itself trains."""
    booster = xgboost.train({"nthread": THREADS, **given}, matrix, rounds, verbose_eval=False, **more)
    return bytes(booster.save_raw("ubj"))


def _column(labels: Array) -> Any:
    labels = np.asarray(labels, np.float32)
    return labels[:, None] if labels.ndim == 1 else labels


def _settings(channel: ChannelInput) -> dict[str, Any]:
    names = ("name", "place", "content_type", "mode", "sharded", "stop")
    return {name: getattr(channel, name) for name in names}
