"""A child process of ours: started with this interpreter, its output read line by line, stopped in two steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from clary.container import owner

_OF_ONE_JOB = ("CLARY_ROOT", "CLARY_ALGORITHM", "CLARY_RENDEZVOUS", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN")


class Child:
    """``python -m <arguments>``; each line of its output goes to ``on_line`` from a thread of its own.

    It has a session (on Windows a group) of its own, so that Ctrl-C reaches this process alone, which then
    decides how to stop the child. When this process is gone the child ends too.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_line, self._on_end = on_line, on_end
        self._popen = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env={**environment, owner.VARIABLE: "1"},
            # Never written to: the system closes it when this process ends, in whatever way, and the child hears.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.ended_at: float | None = None
        self._reader = threading.Thread(target=self._read, name=f"clary-log-{self._popen.pid}", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether the process lives, or has output that is not read yet."""
        return self._reader.is_alive() or self._popen.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status; negative is the signal that ended it; None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process has ended and its output is read; False if the time was too short."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not self._reader.is_alive()

    def terminate(self) -> None:
        """Ask it to end: SIGTERM; on Windows, which has no such request, it ends at once."""
        self._popen.terminate()

    def kill(self) -> None:
        """End it now, with whatever it has started."""
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):  # Everything in its group may have ended.
                os.killpg(self._popen.pid, signal.SIGKILL)
        else:
            self._popen.kill()

    def stop(self, grace: float) -> None:
        """Ask it to end, wait for that many seconds, then end it."""
        if self.running:
            self.terminate()
            if not self.wait(grace):
                self.kill()
                self.wait(10)

    def _read(self) -> None:
        stream = self._popen.stdout
        assert stream is not None
        with stream:
            for line in stream:
                self._on_line(line.rstrip("\n"))
        self._popen.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        self.ended_at = time.time()
        self._on_end()


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a program of the contract, with ``extra`` laid over it.

    Credentials and addresses of AWS stay here, since nothing in a local job needs them, and so do settings
    of an outer job. Relative entries of PYTHONPATH are made absolute, because the child has another folder.
    """
    kept = {name: value for name, value in os.environ.items() if not _outer(name.upper())}
    if kept.get("PYTHONPATH"):
        entries = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in entries if entry)
    # Unbuffered lines, UTF-8 on every system, and no module of the user's folder in place of an installed one.
    return kept | {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"} | dict(extra)


def _outer(name: str) -> bool:
    return name.startswith(("AWS_", "SM_", "SAGEMAKER_")) or name in _OF_ONE_JOB


def explain_status(status: int | None) -> str:
    """How a process ended, in words; a kill by the system is nearly always a lack of memory."""
    if status is not None and status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    return f"ended with exit status {status}"
