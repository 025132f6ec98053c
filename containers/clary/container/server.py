"""One server process: answers at once, loads its model beside, and finishes what is in flight when told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import uvicorn

from clary.container.app import App
from clary.container.model import load
from clary.container.multi_model import MultiModelApp
from clary.container.responses import Asgi
from clary.container.serve_settings import BACKLOG, ServeSettings

GRACE = 25  # seconds for requests in flight; the platform kills after 30
KEEP_ALIVE = 75  # seconds; longer than proxies keep an idle connection, so that it is they who close it
_LOG = logging.getLogger("clary.serve")


def http_server(app: Asgi) -> uvicorn.Server:
    """The HTTP server that every app of this suite runs on; ``run(sockets=[...])`` starts it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
    )


class ServerProcess:
    """The HTTP server of this process and the loading of its model."""

    def __init__(self, settings: ServeSettings, loaded: Callable[[], None]) -> None:
        self._settings, self._loaded = settings, loaded
        executor = ThreadPoolExecutor(settings.executor_threads, "predict")
        self._app = MultiModelApp(settings, executor) if settings.multi_model else App(settings, executor)
        self._http = http_server(self._app)
        self._failure: Exception | None = None

    def stop(self, *_: object) -> None:
        """End ``run`` once the requests in flight are answered; any thread and any signal may call this."""
        self._http.should_exit = True

    def run(self, listener: socket.socket) -> None:
        """Serve until stopped; raises what kept the model from being loaded."""
        # The HTTP server catches these signals while it runs; here they count before and after.
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        threading.Thread(target=self._load, name="load", daemon=True).start()
        self._http.run(sockets=[listener])
        if self._failure is not None:
            raise self._failure

    def _load(self) -> None:
        settings = self._settings
        try:
            device = settings.device
            if isinstance(self._app, App):
                self._app.install(load(settings.layout.model, settings.algorithm, device).predictor)
            # What is loaded stays: the garbage collector need not look at it again during requests.
            gc.collect()
            gc.freeze()
            self._loaded()
        except Exception as error:
            self._failure = error
            self.stop()
