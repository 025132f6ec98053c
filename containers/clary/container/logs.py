"""The platform's form of a log line, for the programs themselves and for the records of libraries."""

from __future__ import annotations

import logging
import sys
import threading
import time

FORM = "[%(asctime)s %(levelname)s %(thread)d] %(message)s"
CLOCK = "%m/%d/%Y %H:%M:%S"


def line(text: str, level: str = "INFO") -> str:
    """The text as one line of the log, now; a text of several lines stays one log event."""
    stamp, event = time.strftime(CLOCK), " ".join(text.splitlines())
    return FORM % {"asctime": stamp, "levelname": level, "thread": threading.get_ident(), "message": event}


def start(level: int = logging.INFO) -> logging.Logger:
    """The server's logger; from now on every record in this process is one line of standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(FORM, CLOCK))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The HTTP server tells of each step of its life; only its troubles concern the operator.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return logging.getLogger("clary.serve")
