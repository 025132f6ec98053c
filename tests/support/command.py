"""``clary`` as a process of its own, its output piped, as a script sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from exam.programs import clean_environment

PROGRAM = [sys.executable, "-m", "clary.cli.main"]


def clary(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished run of the command with these arguments, in that folder, with these variables set."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=clean_environment() | environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def clary_on_terminal(*arguments: object, cwd: Path | None = None, **environment: str) -> str:
    """All that the command shows on a terminal of 120 columns; for systems that have pseudo-terminals."""
    ours, theirs = os.openpty()
    shown = bytearray()
    with subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        env=clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "120"} | environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass  # The other end is closed: the command has ended.
        os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()
