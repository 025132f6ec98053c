"""The only bridge from training to serving: a folder with ``model.json``, safetensors and named plain files.

Nothing in it is ever unpickled, and nothing is read from outside the folder.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = 1
MANIFEST = "model.json"
TENSORS = "model.safetensors"
_LARGEST_MANIFEST = 2**24  # bytes


@dataclass(frozen=True)
class Artifact:
    """A trained model, ready to be written or just read.

    ``hyperparameters`` are the final ones as strings; ``schema`` says what a request holds (for rows:
    ``{"feature_dim": D}``); ``tensors`` are named arrays; ``files`` are further members by name, in plain
    formats that other programs read.
    """

    algorithm: str
    hyperparameters: Mapping[str, str]
    schema: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Put the model into the folder.

        Each file appears whole under its name or not at all, and the manifest last, so a folder with a
        manifest holds a complete model.
        """
        from safetensors.numpy import save

        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            write_whole(folder / name, content)
        if self.tensors:
            write_whole(
                folder / TENSORS, save({name: tensor.copy(order="C") for name, tensor in self.tensors.items()})
            )
        manifest = {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "clary": package_version(),
            "hyperparameters": dict(self.hyperparameters),
            "schema": dict(self.schema),
            "tensors": {name: list(tensor.shape) for name, tensor in sorted(self.tensors.items())},
            "files": sorted(self.files),
        }
        write_whole(folder / MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Artifact:
        """The model that the folder holds; UserError says what is missing, broken or too new."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = folder / MANIFEST
        if not path.is_file():
            found = ", ".join(sorted(p.name for p in folder.glob("*"))[:8]) if folder.is_dir() else "no such folder"
            raise UserError(
                f"{folder} holds no {MANIFEST}, so it is not a model of this suite; found: {found or 'nothing'}"
            )
        try:
            manifest = json.loads(path.read_bytes())
            format_, algorithm = manifest["format"], manifest["algorithm"]
            hyperparameters, schema = dict(manifest["hyperparameters"]), dict(manifest["schema"])
            names, shapes = list(manifest["files"]), dict(manifest["tensors"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} cannot be read as a model manifest: {error!r}") from error
        if format_ != FORMAT:
            raise UserError(f"{path} has format {format_!r}; this version reads format {FORMAT}")
        strangers = [name for name in names if not _is_plain(name)]
        if strangers:
            raise UserError(f"{path} names a file outside the model folder: {strangers[0]!r}")
        try:
            tensors = load((folder / TENSORS).read_bytes()) if shapes else {}
            files = {name: (folder / name).read_bytes() for name in names}
        except (OSError, SafetensorError, ValueError, KeyError) as error:  # KeyError: a type that NumPy does not have
            raise UserError(f"the model in {folder} is incomplete or damaged: {error}") from error
        for name, shape in shapes.items():
            if name not in tensors or list(tensors[name].shape) != shape:
                raise UserError(f"the model in {folder} is damaged: tensor {name!r} should have shape {shape}")
        return cls(algorithm, hyperparameters, schema, tensors, files)


def is_manifest(path: Path) -> bool:
    """Whether the file is a manifest of this suite, and not another program's JSON under the same name."""
    try:
        # A manifest is small; another program's whole model may be gigabytes, which nobody should wait for here.
        if path.stat().st_size > _LARGEST_MANIFEST:
            return False
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"format", "algorithm"} <= found.keys()


def _is_plain(name: object) -> bool:
    """Whether this is the name of a file right in the folder, on any system."""
    if not isinstance(name, str) or name in ("", ".", ".."):
        return False
    return name == PurePosixPath(name).name == PureWindowsPath(name).name


def package_version() -> str:
    """The installed version of this package, or ``unknown`` from a bare source tree."""
    # Imported here because reading metadata loads a mail parser, which every user of this module would pay for.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("clary")
    except PackageNotFoundError:
        return "unknown"


def write_whole(path: Path, content: bytes) -> None:
    """Write the file under a temporary name, flush it to the disk, and rename it into place."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def pack(folder: Path, archive: Path) -> None:
    """Tar and gzip the folder's content, members at top level, whole or not at all."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    temporary = archive.with_name(f".{archive.name}.partial")
    try:
        with tarfile.open(temporary, "w:gz", compresslevel=1) as tar:
            for path in sorted(folder.rglob("*")):
                if not any(part.startswith(".") for part in path.relative_to(folder).parts):
                    tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False)
        os.replace(temporary, archive)
    finally:
        temporary.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model archive; UserError if it is none, or if a member would land outside the folder.

    A leading ``./`` and folder entries are taken; links and devices are refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts or not (member.isfile() or member.isdir()):
                    raise UserError(f"{archive} holds {member.name!r}, which is no plain file inside the archive")
                target = folder.joinpath(*place.parts)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                assert source is not None
                with target.open("wb") as stream:
                    while chunk := source.read(1 << 20):
                        stream.write(chunk)
            # The checksum stands behind the archive's last block; reading on to the end compares it.
            while tar.fileobj is not None and tar.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{archive} cannot be unpacked as a model archive: {error}") from error


@contextmanager
def opened(model: Path) -> Iterator[Path]:
    """A folder with the model's files: the folder itself, or an archive unpacked for as long as it is used."""
    if model.is_dir():
        yield model
        return
    if not model.is_file():
        raise UserError(f"there is no model at {model}; give a model.tar.gz or the folder that it was packed from")
    with tempfile.TemporaryDirectory(prefix="clary-model-") as scratch:
        unpack(model, Path(scratch))
        yield Path(scratch)
