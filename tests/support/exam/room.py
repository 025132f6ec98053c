"""A folder laid out like ``/opt/ml``, filled by a test, in which the train program runs; and what came of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

from clary.algorithms import registry
from clary.container import train_program
from clary.container.layout import Layout
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.spec import AlgorithmSpec
from exam import programs
from exam.programs import Program

Files = Mapping[str, bytes]
Watch = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a train program left behind: its exit status, its log, its failure file and its model folder."""

    code: int
    log: str
    layout: Layout
    spec: AlgorithmSpec

    @property
    def failure(self) -> str:
        """The failure file's text; empty where there is none."""
        path = self.layout.failure
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def metrics(self) -> dict[str, list[float]]:
        """Every value that the declared regular expressions find in the log, in order."""
        return {
            metric.name: [float(found) for found in re.findall(metric.regex, self.log)]
            for metric in self.spec.metrics
        }

    @property
    def model(self) -> dict[str, bytes]:
        """The model folder's files; two equal models have equal bytes."""
        return contents(self.layout.model)

    def artifact(self) -> Artifact:
        """The model as serving reads it."""
        return Artifact.read(self.layout.model)

    def succeeded(self) -> Outcome:
        """This outcome, if the program left a model and no failure; the test fails with the log otherwise."""
        assert self.code == 0, f"exit status {self.code}\n{self.failure}\n{self.log}"
        assert not self.failure
        assert (self.layout.model / MANIFEST).exists(), self.log
        return self

    def refused(self) -> str:
        """The failure text, if the program refused the job as the caller's mistake and as the contract says."""
        assert self.code == 1, f"exit status {self.code}\n{self.log}"
        assert self.failure.startswith("ClientError: "), self.failure or self.log
        assert len(self.failure) <= 1024
        assert "Traceback" not in self.failure + self.log
        assert self.model == {}
        return self.failure


@dataclass
class Room:
    """One host's ``/opt/ml``. Channels and settings are laid out first, then ``train`` runs the program."""

    root: Path
    spec: AlgorithmSpec
    settings: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """Where things lie."""
        return Layout(self.root)

    def configure(self, hyperparameters: Mapping[str, Any]) -> Room:
        """Write the hyperparameters, as they are; returns this room."""
        self._json(self.layout.hyperparameters, dict(hyperparameters))
        return self

    def channel(self, name: str, files: Files, content_type: str = "", **settings: str) -> Room:
        """Lay out a channel's files and its entry in the configuration; returns this room.

        In Pipe mode nothing is laid out but the entry: the test feeds the FIFOs.
        """
        entry = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
        entry |= settings | ({"ContentType": content_type} if content_type else {})
        self.settings[name] = entry
        self._json(self.layout.channels, self.settings)
        self.layout.data.mkdir(parents=True, exist_ok=True)
        if entry["TrainingInputMode"] != "Pipe":
            (self.layout.data / name).mkdir(exist_ok=True)
        for path, content in files.items():
            place = self.layout.data / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return self

    def hosts(self, current: str, *others: str) -> Room:
        """Say which host of which job this is; returns this room."""
        hosts, kind, group = sorted([current, *others]), "ml.m5.xlarge", "homogeneousCluster"
        self._json(
            self.layout.resources,
            {
                "current_host": current,
                "current_instance_type": kind,
                "current_group_name": group,
                "hosts": hosts,
                "instance_groups": [{"instance_group_name": group, "instance_type": kind, "hosts": hosts}],
                "network_interface_name": "eth0",
            },
        )
        return self

    def train(self, *, watch: Watch | None = None, **environment: str) -> Outcome:
        """Run the program in this process; ``watch`` is called with each line of the log as it is written.

        Fails if the program changed anything under ``input``.
        """
        log, before = _Log(watch), fingerprint(self.layout.root / "input")
        with _signals_kept(), mock.patch.dict(os.environ, environment), contextlib.redirect_stdout(log):
            code = train_program.main(["--root", str(self.root), "--algorithm", self.spec.name])
        assert fingerprint(self.layout.root / "input") == before, "training changed its input folder"
        return Outcome(code, log.getvalue(), self.layout, self.spec)

    def start(self, **environment: str) -> Running:
        """Start the program as a process of its own."""
        self.root.mkdir(parents=True, exist_ok=True)
        log = self.root / "log"
        arguments = ["train", "--root", str(self.root), "--algorithm", self.spec.name]
        process = programs.start(self.spec.name, arguments, log, environment)
        return Running(process, log, self)

    def _json(self, path: Path, content: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")


@dataclass(frozen=True)
class Running:
    """A train program in a process of its own, whose log grows in a file."""

    process: Program
    log: Path
    room: Room

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, *, seconds: float = 120) -> None:
        """Come back when a line of the log matches; fails if the program ends or the time is over before."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.01)

    def outcome(self, *, seconds: float = 120) -> Outcome:
        """Wait for the program's end and return what came of it."""
        with self:
            code = self.process.wait(seconds)
        return Outcome(code, self.text(), self.room.layout, self.room.spec)


class TrainOnce(Protocol):
    """Trains an example, or its variant of that name, when it is first asked for."""

    def __call__(self, variant: str = "") -> Outcome:
        """What came of it; the test fails if that is no model."""


class _Log(io.StringIO):
    """Collects the log and shows each write to a watcher."""

    def __init__(self, watch: Watch | None) -> None:
        super().__init__()
        self._watch = watch

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._watch:
            self._watch(text)
        return written


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back the handlers that the program replaces."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def furnished(spec: AlgorithmSpec, root: Path) -> Room:
    """A room with the hyperparameters of the algorithm's example."""
    return Room(root, spec).configure(registry.example(spec.name).hyperparameters)


def once(pattern: str, act: Callable[[], None]) -> Watch:
    """A watcher that acts the first time that a line matches the pattern."""
    done: list[bool] = []

    def watch(text: str) -> None:
        if not done and re.search(pattern, text):
            done.append(True)
            act()

    return watch


def ask_to_stop() -> None:
    """What the platform does to end a job early, done to this process."""
    signal.raise_signal(signal.SIGTERM)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under the folder by its path, with its bytes; empty where there is no folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file under the folder with its time of change and a digest; FIFOs are the platform's own affair."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
