"""A channel's files by their keys, shared out among hosts and linked into place without copying a byte."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from clary.runner.request import Distribution
from clary.toolkit.errors import UserError

Files = dict[str, Path]


def find(sources: Sequence[Path], *, channel: str) -> Files:
    """Every file of the sources under its key, the path below its source, sorted by key.

    Names that begin with a dot are the operating system's or an editor's and are left out. A key that two
    sources share gets the later source's number in front. UserError if a source is missing or has no files.
    """
    found: Files = {}
    for number, source in enumerate(sources):
        files = {source.name: source} if source.is_file() else dict(_below(source, channel))
        for key, path in files.items():
            found[f"{number}/{key}" if key in found else key] = path
    if not found:
        raise UserError(f"channel {channel} has no files: it was given an empty list")
    return dict(sorted(found.items()))


def _below(folder: Path, channel: str) -> Iterator[tuple[str, Path]]:
    if not folder.exists():
        raise UserError(f"channel {channel}: there is no file or folder {folder}")
    empty = True
    for where, names, files in os.walk(folder, followlinks=True):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in files:
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                empty = False
                yield path.relative_to(folder).as_posix(), path
    if empty:
        raise UserError(f"channel {channel}: the folder {folder} holds no files")


def share(files: Mapping[str, Path], distribution: Distribution, rank: int, hosts: int) -> Files:
    """The files that host number ``rank`` gets: all, or every ``hosts``-th whole file in order of the keys."""
    keys = list(files) if distribution == "FullyReplicated" else list(files)[rank::hosts]
    return {key: files[key] for key in keys}


def place(files: Mapping[str, Path], folder: Path) -> None:
    """Make the files appear in the folder under their keys; the folder itself is new and the job's own."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, source in files.items():
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        link_file(source, target)


def link_file(source: Path, target: Path) -> None:
    """Make ``target`` show the source's bytes: a symbolic link, else a hard link, else a copy."""
    real = source.resolve()
    for link in (os.symlink, os.link):
        try:
            link(real, target)
        except OSError:
            continue
        return
    shutil.copyfile(real, target)


def link_folder(source: Path, target: Path) -> None:
    """Make ``target`` the same folder as the source: a symbolic link, or a junction on Windows."""
    real = source.resolve()
    try:
        os.symlink(real, target, target_is_directory=True)
    except OSError:
        if os.name != "nt":
            raise
        # Windows lets every user make junctions, and only some make symbolic links.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(target), str(real)], check=True, capture_output=True)
