"""The ``serve`` program: from a model folder to a server on the contract's port, until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from clary.container import failure, logs, machine
from clary.container.serve_settings import BACKLOG, ServeSettings
from clary.toolkit.errors import PlatformError

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_LOG = logging.getLogger("clary.serve")


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; 0 then, 1 with one line on standard error where it cannot serve."""
    # The first process of a container ignores signals that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options = _options(arguments)
    logs.start()
    try:
        settings = ServeSettings.read(os.environ, **vars(options))
        # The numerical libraries read this when they are imported, so nothing before may import them.
        for name in _THREADS:
            os.environ.setdefault(name, str(settings.threads))
        machine.allow_many_files()
        problem = _serve(settings, _listen(settings))
    except Exception as error:
        problem = failure.reason(error)
        if problem.startswith("AlgorithmError"):
            _LOG.exception("the server failed")
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="serve", description="Serve a trained model by the container contract.")
    parser.add_argument("--root", type=Path, help="folder laid out like /opt/ml; CLARY_ROOT otherwise")
    parser.add_argument(
        "--algorithm", default="", help="needed where model.json is missing; CLARY_ALGORITHM otherwise"
    )
    parser.add_argument(
        "--host",
        default="",
        help="address, or path of a Unix socket, to listen on; CLARY_HOST otherwise, all by default",
    )
    parser.add_argument(
        "--port", default="", help="0 picks a free one; SAGEMAKER_BIND_TO_PORT otherwise, 8080 by default"
    )
    parser.add_argument(
        "--workers", default="", help="server processes; CLARY_WORKERS otherwise, one a core by default"
    )
    return parser.parse_args(arguments)


def _listen(settings: ServeSettings) -> socket.socket:
    """The bound socket; it listens before anything is loaded, so that early callers wait instead of failing."""
    try:
        if settings.host.startswith("/"):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(settings.host)
            listener.listen(BACKLOG)
            _LOG.info("Listening on %s, workers: %d", settings.host, settings.workers)
            return listener
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise PlatformError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "choose another with SAGEMAKER_BIND_TO_PORT or --port"
        ) from error
    _LOG.info("Listening on %s:%d, workers: %d", settings.host, listener.getsockname()[1], settings.workers)
    return listener


def _serve(settings: ServeSettings, listener: socket.socket) -> str:
    """Serve; why it could not be done, or an empty text."""
    if settings.workers == 1:
        from clary.container.server import ServerProcess

        ServerProcess(settings, loaded=lambda: _LOG.info("the server is ready")).run(listener)
        return ""
    from clary.container.model import preload
    from clary.container.workers import Crew, WorkerError

    preload(settings.layout.model, settings.algorithm)
    try:
        Crew(settings, listener).run()
    except WorkerError as error:
        return str(error)
    return ""
