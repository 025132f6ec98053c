"""A training job on this machine: one process for each host, watched from start to packed artifact."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from clary.algorithms import registry
from clary.container.layout import Layout
from clary.runner.folder import STATE, JobFolder, State, Status
from clary.runner.host import find_channels, lay_out
from clary.runner.metrics import Extractor
from clary.runner.outcome import collect, failure_text, most_telling
from clary.runner.pipes import Feeder
from clary.runner.process import Child, child_environment
from clary.runner.request import TrainingRequest
from clary.runner.view import JobView, LogLine
from clary.toolkit.artifact import write_whole
from clary.toolkit.errors import ClaryError, PlatformError, UserError

_TICK = 0.1
_HEARTBEAT = 5.0
_PEERS_GRACE = 10.0
_EXIT_GRACE = 5.0
_KEPT_LINES = 50
_RESERVE = "reserve"  # a file whose place on the disk is kept for the last words of a job that has filled it
_RESERVED = 1 << 17  # bytes
_watched: set[_Watch] = set()


def start_training(request: TrainingRequest, folder: Path, *, attributes: Mapping[str, Any] | None = None) -> JobView:
    """Start the job in that folder, which must not hold one yet, and return at once with a view of it.

    A thread of this process watches the job to its end; if the process ends first, it stops the job.
    ``attributes`` is kept in the state for whoever asks. UserError if the request is wrong; nothing runs then.
    """
    request.check()
    registry.spec(request.algorithm)
    files = find_channels(request)
    if (folder / STATE).exists():
        raise UserError(f"{folder} holds a job already; choose another name or folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        layouts = {host: JobFolder(folder).host(host) for host in request.host_names}
        feeders = [feeder for host, layout in layouts.items() for feeder in lay_out(request, files, host, layout)]
        watch = _Watch(request, JobFolder(folder), layouts, feeders, attributes or {})
        watch.start()
    except OSError as error:
        raise PlatformError(_unwritable(folder, error)) from error
    return JobView(folder)


def _unwritable(folder: Path, error: OSError) -> str:
    hint = "; free some space or choose another folder" if error.errno == errno.ENOSPC else ""
    return f"the job cannot write to {folder}: {error.strerror or type(error).__name__}{hint}"


class _Watch:
    """The thread that runs one job: its processes, its log, its end."""

    def __init__(
        self,
        request: TrainingRequest,
        folder: JobFolder,
        layouts: Mapping[str, Layout],
        feeders: list[Feeder],
        attributes: Mapping[str, Any],
    ) -> None:
        self._request, self._folder, self._layouts, self._feeders = request, folder, layouts, feeders
        self._state = State(
            name=request.name,
            algorithm=request.algorithm,
            hyperparameters=dict(request.hyperparameters),
            hosts=tuple(request.host_names),
            created=time.time(),
            attributes=dict(attributes),
        )
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._extractor = Extractor(registry.spec(request.algorithm).metrics)
        self._last = {host: deque[str](maxlen=_KEPT_LINES) for host in layouts}
        self._children: dict[str, Child] = {}
        self._rendezvous = f"127.0.0.1:{free_port()}" if request.hosts > 1 else None
        self._stopping: str | None = None
        self._unwritten: OSError | None = None
        self._kill_at = float("inf")
        self._log: TextIO
        self._thread = threading.Thread(target=self._run, name=f"clary-job-{request.name}", daemon=True)

    def start(self) -> None:
        """Write the first state, start the processes and the watching."""
        (self._folder.path / _RESERVE).write_bytes(bytes(_RESERVED))
        self._log = self._folder.log.open("w", encoding="utf-8", newline="\n")
        self._folder.write(self._state)
        try:
            for feeder in self._feeders:
                feeder.start()
            for host in self._layouts:
                self._children[host] = self._child(host)
        except BaseException as error:
            self._end_everything()
            self._finish("Failed", f"InternalServerError: the job could not be started: {error}")
            raise
        self._note(status="InProgress", secondary="Training", started=time.time())
        _watched.add(self)
        self._thread.start()

    def abandon(self) -> None:
        """Stop the job because this process ends; a short grace, since somebody waits for the prompt."""
        self._stop("Stopped", min(_EXIT_GRACE, self._request.stop_grace))
        self._wake.set()
        self._thread.join(_EXIT_GRACE + 10)

    def _child(self, host: str) -> Child:
        request, layout = self._request, self._layouts[host]
        extra = {
            "TRAINING_JOB_NAME": request.name,
            "TRAINING_JOB_ARN": f"arn:aws:sagemaker:local:000000000000:training-job/{request.name.lower()}",
            **request.environment,
        }
        if request.seed is not None:
            extra["CLARY_SEED"] = str(request.seed)
        if self._rendezvous is not None:
            extra["CLARY_RENDEZVOUS"] = self._rendezvous
        program = ["clary.container", "train", "--root", str(layout.root), "--algorithm", request.algorithm]
        return Child(
            program,
            folder=layout.root,
            environment=child_environment(extra),
            on_line=lambda text: self._line(host, text),
            on_end=self._wake.set,
        )

    def _line(self, host: str, text: str) -> None:
        with self._lock:
            line = LogLine(time.time(), host, text.replace("\n", " "))
            try:
                self._log.write(f"{line}\n")
                self._log.flush()
            except OSError as error:
                self._unwritten = self._unwritten or error
            self._last[host].append(text)
            self._extractor.read(text, line.time)

    def _run(self) -> None:
        try:
            self._follow()
            self._end_everything()
            self._conclude()
        except ClaryError as error:
            self._finish("Failed", f"AlgorithmError: {error}")
        except OSError as error:
            self._finish("Failed", self._no_room(error))
        except BaseException as error:
            self._finish("Failed", f"InternalServerError: {type(error).__name__}: {error}")
            raise
        finally:
            _watched.discard(self)

    def _follow(self) -> None:
        """Return when every process has ended."""
        began = beat = time.monotonic()
        while any(child.running for child in self._children.values()):
            self._wake.wait(_TICK)
            self._wake.clear()
            now = time.monotonic()
            if now - beat > _HEARTBEAT:
                os.utime(self._folder.path / STATE)
                beat = now
            if self._folder.stop_request.exists():
                self._stop("Stopped", self._request.stop_grace)
            if self._request.timeout is not None and now - began > self._request.timeout:
                self._stop("MaxRuntimeExceeded", self._request.stop_grace)
            failed = self._unwritten or any(child.status for child in self._children.values())
            if self._stopping is None and failed:
                self._stop("Failed", _PEERS_GRACE)
            if now > self._kill_at:
                self._kill()

    def _stop(self, reason: str, grace: float) -> None:
        """Ask every process to end, once; after the grace they are killed."""
        with self._lock:
            if self._stopping is not None:
                self._kill_at = min(self._kill_at, time.monotonic() + grace)
                return
            self._stopping, self._kill_at = reason, time.monotonic() + grace
        if reason != "Failed":
            self._note(status="Stopping", secondary="Stopping")
        for child in self._children.values():
            if child.running:
                child.terminate()

    def _kill(self) -> None:
        for child in self._children.values():
            if child.running:
                child.kill()

    def _end_everything(self) -> None:
        for child in self._children.values():
            child.stop(0)
        for feeder in self._feeders:
            feeder.stop()

    def _conclude(self) -> None:
        """Decide what became of the job, and pack what it made."""
        if self._unwritten:
            self._finish("Failed", self._no_room(self._unwritten))
            return
        failed = sorted((c.ended_at or 0.0, host, c) for host, c in self._children.items() if c.status != 0)
        stopped = self._stopping is not None and self._stopping != "Failed"
        if failed and not stopped:
            fed = [f"InternalServerError: {feeder.failure}" for feeder in self._feeders if feeder.failure]
            told = [failure_text(self._layouts[h], c.status, list(self._last[h])[-5:]) for _, h, c in failed]
            self._finish("Failed", most_telling([*fed, *told]))
            return
        self._note(secondary="Uploading")
        collect([layout.model for layout in self._layouts.values()], self._folder.model)
        collect([layout.output_data for layout in self._layouts.values()], self._folder.output)
        self._finish("Stopped" if stopped else "Completed", None)

    def _finish(self, status: Status, failure: str | None) -> None:
        """Clear away what only the running job needed, then write metrics and the final state."""
        with self._lock, contextlib.suppress(OSError):
            self._log.close()
        # First, because the disk may be full.
        (self._folder.path / _RESERVE).unlink(missing_ok=True)
        shutil.rmtree(self._folder.data, ignore_errors=True)
        for layout in self._layouts.values():
            shutil.rmtree(layout.data, ignore_errors=True)
            if status != "Failed":
                shutil.rmtree(layout.model, ignore_errors=True)
        metrics = json.dumps(self._extractor.metrics.as_json(), indent=2).encode() + b"\n"
        try:
            write_whole(self._folder.metrics, metrics)
        except OSError as error:
            status, failure = "Failed", failure or self._no_room(error)
        self._folder.stop_request.unlink(missing_ok=True)
        secondary = self._stopping if status == "Stopped" and self._stopping else status
        self._note(status=status, secondary=secondary, failure=failure, ended=time.time())

    def _no_room(self, error: OSError) -> str:
        return f"InternalServerError: {_unwritable(self._folder.path, error)}"

    def _note(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        self._folder.write(self._state)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@atexit.register
def _abandon_all() -> None:
    for watch in list(_watched):
        watch.abandon()
