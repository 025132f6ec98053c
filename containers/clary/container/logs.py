"""Log records of libraries and of the server in the platform's form, on standard output."""

from __future__ import annotations

import logging
import sys

FORM = "[%(asctime)s %(levelname)s %(thread)d] %(message)s"
CLOCK = "%m/%d/%Y %H:%M:%S"


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
