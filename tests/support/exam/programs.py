"""The contract's programs in processes of their own.

On Linux they are forked from a template that has loaded the algorithm's libraries: half of the time of a short job is
loading them, and the exam starts hundreds. What a process is for the exam, they are: a number to send signals to, an
environment, a log and an exit status. The command line itself is looked at in ``tests/container``.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

TEMPLATE = Path(__file__).with_name("template.py")


class Program(Protocol):
    """A process that has been started, as ``subprocess.Popen`` has it."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended; ``subprocess.TimeoutExpired`` if that takes longer."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it now."""


def start(algorithm: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Program:
    """Start ``train`` or ``serve`` with these arguments and, beside this process's, these variables."""
    variables = {**clean_environment(), **environment}
    if platform.system() == "Linux":
        return Template.of(algorithm).start(arguments, log, variables)
    command = [sys.executable, "-m", "clary.container", *arguments]
    with log.open("wb") as stream:
        return subprocess.Popen(command, env=variables, stdout=stream, stderr=subprocess.STDOUT)


def clean_environment() -> dict[str, str]:
    """This process's environment for a child, in which the repository's own folders hide no package."""
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


class Forked:
    """A child of the template."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._ended = threading.Event()

    def ended(self, code: int) -> None:
        """Take down how it ended."""
        self._code = code
        self._ended.set()

    def poll(self) -> int | None:
        """The exit status, if it has ended."""
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self._code is not None
        return self._code

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it now."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._code is None:
            os.kill(self.pid, number)


class Template:
    """The process that becomes the programs of one algorithm. The exam goes from one to the next, so one is kept."""

    _kept: Template | None = None

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(TEMPLATE), algorithm],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._children: dict[int, Forked] = {}
        self._started: list[int] = []
        self._over = False
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    @classmethod
    def of(cls, algorithm: str) -> Template:
        """The algorithm's template; where none is named, and the program must find out, the one that is there."""
        kept = cls._kept
        if kept is None or algorithm not in ("", kept.algorithm):
            if kept is not None:
                kept.close()
            kept = cls._kept = cls(algorithm)
        return kept

    def start(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Forked:
        """A child that runs the program."""
        log.write_bytes(b"")
        request = {"arguments": list(arguments), "environment": dict(environment), "log": str(log)}
        assert self._process.stdin is not None
        with self._changed:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            self._changed.wait_for(lambda: self._started or self._over)
            assert self._started, "the template has ended"
            return self._children[self._started.pop()]

    def close(self) -> None:
        """Let it end, behind its last child."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                message = json.loads(line)
                with self._changed:
                    if "started" in message:
                        self._children[message["started"]] = Forked(message["started"])
                        self._started.append(message["started"])
                        self._changed.notify_all()
                    else:
                        self._children.pop(message["ended"]).ended(message["code"])
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._process.wait()
