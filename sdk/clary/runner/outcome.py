"""What a job came to: its failure in the contract's words, and its artifacts packed from all hosts."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from clary.container.layout import Layout
from clary.runner.process import explain_status
from clary.toolkit.artifact import pack
from clary.toolkit.errors import PlatformError

_USED = 1024
_FAMILIES = ("ClientError:", "AlgorithmError:", "InternalServerError:")
_LAST_LINES = 5


def failure_text(layout: Layout, status: int | None, last_lines: Sequence[str]) -> str:
    """Why a host failed: its failure file, or its last words if it left none.

    A text that names its own family passes unchanged; any other is an AlgorithmError with the exit code.
    """
    try:
        text = layout.failure.read_text(encoding="utf-8", errors="replace")[:_USED].strip()
    except FileNotFoundError:
        text = ""
    if text.startswith(_FAMILIES):
        return text
    if text:
        return f"AlgorithmError: {text}, exit code: {status}"
    said = "\n".join(line for line in last_lines if line.strip()) or "it printed nothing"
    return (
        f"AlgorithmError: the training program {explain_status(status)} and gave no reason; its last lines:\n{said}"
    )


def most_telling(failures: Sequence[str]) -> str:
    """Of several hosts' failures, in the order they came, the first that the user can act on, or else the first."""
    return next((text for text in failures if text.startswith("ClientError:")), failures[0])


def collect(folders: Sequence[Path], archive: Path) -> bool:
    """Pack the hosts' folders into one archive, whole or not at all; False if there was nothing to pack.

    PlatformError if two hosts wrote different files under one name.
    """
    full = [folder for folder in folders if folder.is_dir() and any(_visible(folder))]
    if not full:
        return False
    if len(full) == 1:
        pack(full[0], archive)
        return True
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".merged-") as scratch:
        merge(full, Path(scratch))
        pack(Path(scratch), archive)
    return True


def merge(folders: Sequence[Path], target: Path) -> None:
    """Bring the files of all folders together; equal files under one name are one file."""
    for folder in folders:
        for path in _visible(folder):
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                _share(path, place)
            elif not filecmp.cmp(path, place, shallow=False):
                name = path.relative_to(folder).as_posix()
                raise PlatformError(f"two hosts wrote different files under the name {name!r}; names must not clash")


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _visible(folder: Path) -> list[Path]:
    """The files that count: a name with a leading dot is one that is still being written."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
