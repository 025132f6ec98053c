"""Ends a program when the process that started it is gone, so that nothing is left running that nobody can stop."""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "CLARY_ENDS_WITH_STDIN"


def watch() -> None:
    """Ask this process to end, as SIGTERM does, once standard input closes; only where the owner asked for it.

    The owner holds the other end of the pipe, and the system closes it however the owner ends.
    """
    if os.environ.pop(VARIABLE, ""):
        threading.Thread(target=_wait, name="owner", daemon=True).start()


def _wait() -> None:
    # The bare descriptor: a forked worker must not inherit the lock of a buffered stream that this thread holds.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
