"""Worker processes over one listening socket: started, watched, replaced when they die, stopped together."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess

from clary.container import failure, logs
from clary.container.serve_settings import ServeSettings
from clary.container.server import GRACE, ServerProcess

_READY = ""
_PATIENCE = GRACE + 2  # seconds until a worker that does not stop is killed
_LOG = logging.getLogger("clary.serve")


class WorkerError(Exception):
    """A worker could not begin to serve; the text is the reason, ready to be printed."""


@dataclass
class _Worker:
    process: BaseProcess
    channel: Connection
    ready: bool = False


class Crew:
    """The workers of one server. Each loads the model for itself; a worker that dies gets a successor."""

    def __init__(self, settings: ServeSettings, listener: socket.socket) -> None:
        self._settings, self._listener = settings, listener
        # Forked workers share the memory of the loaded libraries; elsewhere than on Linux forking is not safe.
        self._context: ForkContext | SpawnContext = (
            multiprocessing.get_context("fork") if sys.platform == "linux" else multiprocessing.get_context("spawn")
        )
        self._workers: list[_Worker] = []
        self._wake, self._woken = multiprocessing.Pipe()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; WorkerError where a worker cannot begin."""
        signal.signal(signal.SIGTERM, self._asked)
        signal.signal(signal.SIGINT, self._asked)
        try:
            for _ in range(self._settings.workers):
                self._start()
            while not self._woken.poll():
                self._attend()
        finally:
            self._listener.close()
            self._stop()

    def _asked(self, *_: object) -> None:
        self._wake.send_bytes(b"stop")

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        # A forked worker inherits our ends of its siblings' channels. Left open there, they would hide from the
        # siblings that this process is gone.
        inherited = [ours, *(worker.channel for worker in self._workers)] if sys.platform == "linux" else []
        process = self._context.Process(target=_work, args=(self._settings, self._listener, theirs, inherited))
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _attend(self) -> None:
        """Wait until something happens to a worker, and see to it."""
        # The timeout is for systems where a signal does not end the wait.
        wait(
            [self._woken, *(each.channel for each in self._workers if not each.ready), *self._sentinels()], timeout=1
        )
        for worker in list(self._workers):
            if not worker.ready and worker.channel.poll():
                self._hear(worker)
            if not worker.process.is_alive():
                self._replace(worker)

    def _sentinels(self) -> list[int]:
        return [worker.process.sentinel for worker in self._workers]

    def _hear(self, worker: _Worker) -> None:
        try:
            report = worker.channel.recv()
        except (EOFError, OSError):
            worker.process.join()
            report = f"AlgorithmError: a worker process ended while it started (exit code {worker.process.exitcode})"
        if report != _READY:
            raise WorkerError(report)
        worker.ready = True
        _LOG.info("worker %d is ready", worker.process.pid)

    def _replace(self, worker: _Worker) -> None:
        if self._woken.poll():
            return
        _LOG.error("worker %d ended with exit code %s; starting another", worker.process.pid, worker.process.exitcode)
        self._workers.remove(worker)
        worker.channel.close()
        self._start()

    def _stop(self) -> None:
        for worker in self._workers:
            worker.channel.close()
        deadline = time.monotonic() + _PATIENCE
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _work(settings: ServeSettings, listener: socket.socket, channel: Connection, not_ours: list[Connection]) -> None:
    """What a worker process does: report whether the model could be loaded, and serve until the channel closes."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for each in not_ours:
        each.close()
    logs.start()
    try:
        server = ServerProcess(settings, loaded=lambda: channel.send(_READY))
        threading.Thread(target=_watch, args=(channel, server), name="watch", daemon=True).start()
        server.run(listener)
    except Exception as error:
        text = failure.reason(error)
        if text.startswith("AlgorithmError"):
            _LOG.exception("this worker cannot serve")
        with contextlib.suppress(OSError):
            channel.send(text)
        sys.exit(1)


def _watch(channel: Connection, server: ServerProcess) -> None:
    """Stop the server when the parent closes the channel, or is gone."""
    with contextlib.suppress(EOFError, OSError):
        channel.recv()
    server.stop()
