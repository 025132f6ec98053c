"""Turns an exception into what the platform is told: a class of failure in front, a sentence, no traceback."""

from __future__ import annotations

import contextlib
import errno

from clary.container.layout import Layout
from clary.toolkit.errors import PlatformError, UserError

LIMIT = 1024  # characters of the failure file that the platform uses


def reason(error: BaseException) -> str:
    """The failure in one line: ``ClientError: ...`` where the caller can mend it, else ``AlgorithmError: ...``."""
    if isinstance(error, UserError):
        text = f"ClientError: {error}"
    elif isinstance(error, PlatformError):
        text = f"AlgorithmError: {error}"
    elif isinstance(error, MemoryError):
        text = "AlgorithmError: the machine has too little memory for this job; give it more, or less data at a time"
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = "AlgorithmError: the disk is full; free some space, or have the job write to another one"
    elif isinstance(error, OSError) and error.strerror:
        place = f" ({error.filename})" if error.filename else ""
        text = f"AlgorithmError: the machine failed: {error.strerror}{place}"
    else:
        text = f"AlgorithmError: {type(error).__name__}: {error}; this is a bug, please report it with the log"
    return " ".join(text.split())[:LIMIT]


def write(layout: Layout, text: str) -> None:
    """Leave the failure file; a disk that cannot take even that must not hide the reason in the log."""
    with contextlib.suppress(OSError):
        layout.output.mkdir(parents=True, exist_ok=True)
        layout.failure.write_text(text, encoding="utf-8")
