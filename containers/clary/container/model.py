"""Opens a model folder for serving: which algorithm it is of, and its predictor, loaded."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.algorithms import registry
from clary.toolkit.artifact import MANIFEST, Artifact, is_manifest
from clary.toolkit.errors import UserError
from clary.toolkit.predictor import Predictor


@dataclass(frozen=True)
class LoadedModel:
    """A predictor that is ready, and the bytes of tensors and files that it was made of."""

    predictor: Predictor[Any, Any]
    size: int


def load(folder: Path, algorithm: str = "", device: str = "cpu") -> LoadedModel:
    """The model in the folder, loaded; UserError says why there is none.

    ``model.json`` names the algorithm. A folder that has none of this suite, because the managed suite or another
    program made it, needs ``algorithm``.
    """
    if algorithm:
        algorithm = registry.spec(algorithm).name
    known = is_manifest(folder / MANIFEST)
    if not (known or algorithm) and (found := _members(folder)):
        own = f"{MANIFEST} of this suite" if (folder / MANIFEST).is_file() else MANIFEST
        raise UserError(
            f"the model has no {own}; found {found}. If the managed suite or another program made it, say of "
            f"which algorithm it is with --algorithm or CLARY_ALGORITHM: {', '.join(registry.NAMES)}"
        )
    artifact = Artifact.read(folder) if known or not algorithm else registry.predictor(algorithm).adopt(folder)
    if algorithm and artifact.algorithm != algorithm:
        raise UserError(
            f"{folder} holds a model of {artifact.algorithm}, but the algorithm to serve is {algorithm}; "
            f"leave CLARY_ALGORITHM and --algorithm out, or give the folder of a {algorithm} model"
        )
    predictor = registry.predictor(registry.spec(artifact.algorithm).name).load(artifact, device)
    size = sum(tensor.nbytes for tensor in artifact.tensors.values()) + sum(map(len, artifact.files.values()))
    return LoadedModel(predictor, size)


def _members(folder: Path) -> str:
    """The first few files of the folder; empty where there is none."""
    return ", ".join(sorted(path.name for path in folder.glob("*") if path.is_file())[:8])


def preload(folder: Path, algorithm: str = "") -> None:
    """Import the code that ``load`` will need, so that processes forked from this one share it.

    Nothing is judged here: what is wrong with the model is told by ``load``.
    """
    with contextlib.suppress(UserError, OSError, ValueError, KeyError, TypeError):
        named = algorithm or json.loads((folder / MANIFEST).read_bytes())["algorithm"]
        registry.predictor(registry.spec(named).name)
