"""A job as anyone can see it from its folder: state, log, metrics, and the request to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from clary.algorithms import registry
from clary.runner.folder import JobFolder, State
from clary.runner.metrics import Extractor, Metrics

_LOOK_AGAIN = 0.02


@dataclass(frozen=True)
class LogLine:
    """One line that a host printed, and when it was read (seconds since 1970)."""

    time: float
    host: str
    text: str

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.time, timezone.utc).isoformat(timespec="milliseconds")
        return f"{when.removesuffix('+00:00')}Z {self.host} {self.text}"

    @classmethod
    def parse(cls, line: str) -> LogLine:
        """The line that ``str`` wrote."""
        when, host, text = line.split(" ", 2)
        return cls(datetime.fromisoformat(when.removesuffix("Z") + "+00:00").timestamp(), host, text)


class JobView:
    """A job that this process or another one runs, or that has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = JobFolder(folder)
        self.folder.read()

    def state(self) -> State:
        """The job's state now."""
        return self.folder.read()

    def lines(self) -> Iterator[LogLine]:
        """Every line of the log from its beginning; while the job runs, waits for more."""
        with self.folder.log.open(encoding="utf-8", newline="\n") as stream:
            rest = ""
            while True:
                over = self.state().over  # Asked first: what is written before the end is then read below.
                while block := stream.read(1 << 16):
                    *whole, rest = (rest + block).split("\n")
                    yield from map(LogLine.parse, whole)
                if over:
                    return
                time.sleep(_LOOK_AGAIN)

    def log(self) -> list[LogLine]:
        """The lines so far."""
        text = self.folder.log.read_text(encoding="utf-8") if self.folder.log.exists() else ""
        return [LogLine.parse(line) for line in text.split("\n")[:-1]]

    def metrics(self) -> Metrics:
        """What the job has reported so far."""
        if self.folder.metrics.exists():
            return Metrics.from_json(json.loads(self.folder.metrics.read_bytes()))
        extractor = Extractor(registry.spec(self.state().algorithm).metrics)
        for line in self.log():
            extractor.read(line.text, line.time)
        return extractor.metrics

    def wait(self, timeout: float | None = None) -> State:
        """The state when the job is over, or when that many seconds have passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (state := self.state()).over and (deadline is None or time.monotonic() < deadline):
            time.sleep(_LOOK_AGAIN)
        return state

    def stop(self) -> None:
        """Ask whoever runs the job to stop it; a job that is over stays as it is. Returns at once."""
        if not self.state().over:
            self.folder.stop_request.touch()
