"""A job's progress on disk: arrays and a small state, whole or not at all, the latest one kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from clary.toolkit.artifact import write_whole
from clary.toolkit.errors import PlatformError, UserError

Arrays = Mapping[str, npt.NDArray[Any]]
SHORTEST_PAUSE = 1.0  # seconds
COSTS = 20  # times as long as a save took, until the next one


@dataclass(frozen=True)
class Checkpoint:
    """Progress as it was saved: named arrays, and numbers and texts beside them."""

    arrays: Arrays
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoint folder of one host; without a folder, nothing is kept and nothing is due.

    ``identity`` (algorithm and hyperparameters) is stored with each checkpoint, so that a job never goes on
    from another job's progress. One is due when saving takes a twentieth of the time or less: a second after the
    last one where they are small, and ``every`` seconds at the latest.
    """

    def __init__(
        self, folder: Path | None, identity: Mapping[str, str], *, rank: int = 0, every: float = 30.0
    ) -> None:
        self._path = folder / f"checkpoint-{rank}.safetensors" if folder else None
        self._identity, self._every = dict(identity), every
        self._pause, self._last = min(every, SHORTEST_PAUSE), time.monotonic()

    @property
    def kept(self) -> bool:
        """Whether the platform asked for checkpoints."""
        return self._path is not None

    @property
    def due(self) -> bool:
        """Whether enough time has passed since the last one that another is worth its cost."""
        return self.kept and time.monotonic() - self._last >= self._pause

    def save(self, arrays: Arrays, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint; PlatformError if the folder cannot be written."""
        if self._path is None:
            return
        from safetensors.numpy import save

        began = time.monotonic()
        note = {"identity": json.dumps(self._identity), "state": json.dumps(dict(state))}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(
                self._path, save({name: array.copy(order="C") for name, array in arrays.items()}, metadata=note)
            )
        except OSError as error:
            raise PlatformError(f"the checkpoint {self._path} cannot be written: {error}") from error
        self._last = time.monotonic()
        self._pause = min(self._every, max(SHORTEST_PAUSE, COSTS * (self._last - began)))

    def load(self) -> Checkpoint | None:
        """The last checkpoint, or None; UserError if it is damaged or belongs to a job with other settings."""
        if self._path is None or not self._path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, framework="np") as stored:
                note = stored.metadata() or {}
                arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  no mapping
            identity, state = json.loads(note["identity"]), json.loads(note["state"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise UserError(
                f"the checkpoint {self._path.name} is damaged ({error}); empty the checkpoint folder to start over"
            ) from error
        if identity != self._identity:
            differing = sorted(
                name for name in {*identity, *self._identity} if identity.get(name) != self._identity.get(name)
            )
            raise UserError(
                f"the checkpoint folder holds progress of a job with another {', '.join(differing)}; "
                "use the same hyperparameters, or empty the folder to start over"
            )
        return Checkpoint(arrays, state)
