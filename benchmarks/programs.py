"""Programs as processes of their own: training jobs laid out in folders, and the time and memory that they take."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from clary.container import model
from clary.container.layout import Layout
from clary.toolkit.predictor import Predictor

Command = Sequence[str]
_LAST_WORDS = 2000  # bytes of a failed program's output that are shown


@dataclass(frozen=True)
class Channel:
    """The files of a channel; with ``sharded`` they are this host's share of them."""

    files: Sequence[Path]
    content_type: str = "text/csv"
    sharded: bool = False


@dataclass(frozen=True)
class Usage:
    """What a program took: seconds, and at its peak the bytes resident in memory, and those of no file."""

    seconds: float
    resident: int
    anonymous: int


class TrainingJob:
    """A folder laid out like ``/opt/ml``, and the command that trains in it."""

    def __init__(
        self,
        root: Path,
        algorithm: str,
        settings: Mapping[str, str],
        channels: Mapping[str, Channel],
        *,
        hosts: Sequence[str] = ("algo-1",),
        current: str = "algo-1",
        checkpoints: bool = False,
    ) -> None:
        self.layout, self._algorithm = Layout(root), algorithm
        self.command = [sys.executable, "-m", "clary.container", "train", "--root", str(root)]
        self.command += ["--algorithm", algorithm]
        self.layout.config.mkdir(parents=True)
        if checkpoints:
            self.layout.checkpoints.mkdir()
        _write(self.layout.hyperparameters, settings)
        _write(self.layout.channels, {name: self._laid_out(name, channel) for name, channel in channels.items()})
        _write(self.layout.resources, {"current_host": current, "hosts": list(hosts)})

    def predictor(self) -> Predictor[Any, Any]:
        """The trained model, opened as serving does."""
        return model.load(self.layout.model, self._algorithm).predictor

    def _laid_out(self, name: str, channel: Channel) -> dict[str, str]:
        place = self.layout.data / name
        place.mkdir(parents=True)
        for path in channel.files:
            os.link(path, place / path.name)
        distribution = "ShardedByS3Key" if channel.sharded else "FullyReplicated"
        return {"ContentType": channel.content_type, "S3DistributionType": distribution}


def timed(*commands: Command, **environment: str) -> float:
    """Seconds from the start of the programs, all at once, to the end of the last; SystemExit if one fails."""
    with ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        began = time.perf_counter()
        children = [start(command, log, **environment) for command, log in zip(commands, logs, strict=True)]
        for child in children:
            child.wait()
        seconds = time.perf_counter() - began
        for child, log in zip(children, logs, strict=True):
            _expect_success(child, log)
    return seconds


def watched(command: Command, **environment: str) -> Usage:
    """Time and peak memory of the program, as Linux counts it for the program itself.

    The usage that the parent is told of a child begins with the parent's own memory, so it is of no use here.
    """
    resident = anonymous = 0
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        child = start(command, log, **environment)
        status = Path(f"/proc/{child.pid}/status")
        while child.poll() is None:
            found = dict(re.findall(r"(VmHWM|RssAnon):\s+(\d+) kB", status.read_text()))
            resident = max(resident, 1024 * int(found.get("VmHWM", 0)))
            anonymous = max(anonymous, 1024 * int(found.get("RssAnon", 0)))
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        _expect_success(child, log)
    return Usage(seconds, resident, anonymous)


def start(command: Command, log: IO[bytes], **environment: str) -> subprocess.Popen[bytes]:
    """The program, started with these variables added to the environment; what it says goes to the log."""
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT)


def _expect_success(child: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    if child.returncode:
        log.seek(0)
        words = log.read()[-_LAST_WORDS:].decode(errors="replace")
        raise SystemExit(f"{words}\na program failed with status {child.returncode}: {child.args!r}")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
