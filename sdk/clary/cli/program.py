"""How this command was called, so that what it suggests can be pasted and works."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path


def command(*arguments: str) -> str:
    """A line for the shell that runs ``clary`` with these arguments, from the folder that is current now."""
    return _quoted([*_called(), *arguments])


def python(*arguments: str) -> str:
    """A line for the shell that runs the Python of this environment with these arguments."""
    return _quoted([_short(sys.executable), *arguments])


def _called() -> list[str]:
    called = Path(sys.argv[0])
    if called.stem != "clary":
        return [_short(sys.executable), "-m", "clary.cli.main"]
    found = shutil.which("clary")
    return ["clary"] if found and os.path.samefile(found, _existing(called)) else [_short(str(called))]


def _existing(called: Path) -> Path:
    """The program's file; on Windows the name that it was called by may lack the suffix."""
    return called if called.exists() else called.with_suffix(".exe")


def _short(path: str) -> str:
    """The path from here, where that is shorter and leads no way up."""
    below = os.path.relpath(path) if os.path.splitdrive(path)[0] == os.path.splitdrive(os.getcwd())[0] else path
    return path if below.startswith(os.pardir) else below


def _quoted(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
