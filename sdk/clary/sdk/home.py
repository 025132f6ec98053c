"""Where local jobs live on this machine, and the names that jobs are given."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from pathlib import Path

_LONGEST_NAME = 63


def jobs_folder() -> Path:
    """The folder that holds local jobs: below ``CLARY_HOME`` if it is set, else the user's data folder."""
    if home := os.environ.get("CLARY_HOME"):
        return Path(home).expanduser().absolute() / "jobs"
    return _data_folder() / "clary" / "jobs"


def _data_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def new_name(base: str) -> str:
    """The base and the time to the millisecond, as the classic SDK names jobs; at most 63 characters."""
    now = datetime.now(timezone.utc)
    stamp = now.strftime("%Y-%m-%d-%H-%M-%S-") + f"{now.microsecond // 1000:03d}"
    return f"{base[: _LONGEST_NAME - len(stamp) - 1].rstrip('-')}-{stamp}"
