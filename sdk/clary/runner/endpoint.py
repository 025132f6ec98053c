"""An endpoint on this machine: the serve program over an unpacked model, from first ping to stop."""

from __future__ import annotations

import atexit
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from clary.container.layout import Layout
from clary.runner.invocation import HttpClient, UnreachableError
from clary.runner.placement import link_folder
from clary.runner.process import Child, child_environment, explain_status
from clary.runner.training import free_port
from clary.toolkit.artifact import unpack
from clary.toolkit.errors import PlatformError, UserError

_HEALTHY = 200
_LOOK_AGAIN = 0.02
_STOP_GRACE = 30.0
_EXIT_GRACE = 3.0
_KEPT_LINES = 200
_open: set[LocalEndpoint] = set()


class LocalEndpoint:
    """A running server; a context manager that stops it.

    ``algorithm`` is needed for models of other suites. ``url`` is an address of the loopback network, or that
    of a Unix socket where this network is down.
    """

    def __init__(
        self,
        model: Path,
        *,
        algorithm: str | None = None,
        port: int | None = None,
        workers: int | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="clary-endpoint-"))
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._child: Child | None = None
        _open.add(self)
        try:
            layout = Layout(self._scratch)
            _provide(model, layout)
            arguments = ["clary.container", "serve", "--root", str(layout.root)]
            if port is None and not loopback_works():
                self.url = f"unix:{self._scratch / 'socket'}"
                arguments += ["--host", str(self._scratch / "socket")]
            else:
                port = port or free_port()
                self.url = f"http://127.0.0.1:{port}"
                arguments += ["--host", "127.0.0.1", "--port", str(port)]
            arguments += [] if algorithm is None else ["--algorithm", algorithm]
            arguments += [] if workers is None else ["--workers", str(workers)]
            self._child = Child(
                arguments,
                folder=self._scratch,
                environment=child_environment(environment or {}),
                on_line=self._lines.append,
            )
            self._await_ping(timeout)
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> str:
        """The last lines that the server printed."""
        return "\n".join(self._lines)

    @property
    def running(self) -> bool:
        """Whether the server lives."""
        return self._child is not None and self._child.running

    def close(self) -> None:
        """Stop the server, which finishes what it is answering, and remove the unpacked model."""
        self._end(_STOP_GRACE)

    def __enter__(self) -> LocalEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, grace: float) -> None:
        _open.discard(self)
        if self._child is not None:
            self._child.stop(grace)
        if (self._scratch / "model").is_symlink():
            (self._scratch / "model").unlink()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _await_ping(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            client = HttpClient(self.url, timeout=min(2.0, max(left, _LOOK_AGAIN)))
            try:
                if client.get("/ping").status == _HEALTHY:
                    return
            except UnreachableError:
                pass  # Not listening yet.
            finally:
                client.close()
            if not self.running:
                raise _early_end(self._child, list(self._lines))
            if left <= 0:
                raise PlatformError(f"the server did not answer /ping within {timeout:g} s; it said:\n{self.log}")
            time.sleep(_LOOK_AGAIN)


def loopback_works() -> bool:
    """Whether processes of this machine reach each other at 127.0.0.1; in a sandbox without network they may not.

    Where there are no Unix sockets there is nothing else to use, so the answer is yes.
    """
    if not hasattr(socket, "AF_UNIX"):
        return True
    with socket.socket() as listener, socket.socket() as caller:
        caller.settimeout(1.0)
        try:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            caller.connect(listener.getsockname())
        except OSError:
            return False
    return True


def _provide(model: Path, layout: Layout) -> None:
    """Put the model's files, from a folder or an archive, where the serve program reads them."""
    if model.is_dir():
        link_folder(model, layout.model)
    elif model.is_file():
        unpack(model, layout.model)
    else:
        raise UserError(f"there is no model at {model}; give a model.tar.gz or the folder that it was packed from")


def _early_end(child: Child | None, lines: list[str]) -> Exception:
    """The error for a server that ended before it was healthy; a model that it refuses is the user's to mend."""
    status = None if child is None else child.status
    refusal = next((line for line in reversed(lines) if "ClientError: " in line), None)
    if refusal is not None:
        return UserError(refusal.partition("ClientError: ")[2])
    said = "\n".join(lines[-10:]) or "nothing"
    return PlatformError(f"the server {explain_status(status)} before it was ready; it said:\n{said}")


@atexit.register
def _close_all() -> None:
    for endpoint in list(_open):
        endpoint._end(_EXIT_GRACE)
