"""Where parameters are learned: by compiled loops on the processor, or on GPUs.

R rows of a matrix, W numbers of a row, which is the dimension in whole lanes, with zeros behind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.blazingtext.spec import Hyperparameters
from clary.toolkit.codecs.optional import available
from clary.toolkit.device import CPU, cores
from clary.toolkit.job import Job

Array = npt.NDArray[Any]
Learn = Callable[[Mapping[str, Any], "Piece"], None]  # changes matrices of torch

PIECE = 1 << 16  # tokens that one thread learns from at a time
_LANES = 16


def matrix(rows: int, dim: int) -> Array:
    """Zeros (R, W) whose rows begin where cache lines do; the width is ``dim`` in whole lanes."""
    width = -(-dim // _LANES) * _LANES
    memory = np.zeros(rows * width + _LANES, np.float32)
    skipped = -(memory.ctypes.data // 4) % _LANES
    return memory[skipped : skipped + rows * width].reshape(rows, width)


@dataclass(frozen=True)
class Piece:
    """A range of tokens, the seed of its draws, its learning rate and how much that falls with each token."""

    start: int
    stop: int
    seed: np.uint64
    rate: float
    fall: float


def places(job: Job[Hyperparameters]) -> list[str]:
    """What torch calls the GPUs that the job may use; none where it learns on the processor.

    That is also where no torch has been built for the GPUs, as word vectors and classifiers do without.
    """
    if job.device == CPU or not available("torch"):
        return []
    import torch

    return [f"{job.device}:{card}" for card in range(max(1, job.gpus))] if torch.cuda.is_available() else []


class Device(ABC):
    """``matrices`` is what everybody else reads and writes; ``threads`` may call ``learn`` at once."""

    def __init__(self, matrices: Mapping[str, Array], threads: int) -> None:
        self.matrices, self.threads = matrices, threads

    @abstractmethod
    def learn(self, piece: Piece) -> None:
        """Learn from a piece of the text."""

    @abstractmethod
    def settle(self) -> bool:
        """Let all that was learned count everywhere; whether all numbers are finite."""

    @abstractmethod
    def fetch(self) -> None:
        """Let ``matrices`` hold what was learned."""

    @abstractmethod
    def place(self) -> None:
        """Let learning go on from what ``matrices`` hold."""


class Processor(Device):
    """A compiled loop, which changes the matrices where they are."""

    def __init__(self, matrices: Mapping[str, Array], loop: Callable[[Piece], None]) -> None:
        super().__init__(matrices, cores())
        self._loop = loop

    def learn(self, piece: Piece) -> None:
        """Run the loop."""
        self._loop(piece)

    def settle(self) -> bool:
        """Whether all numbers are finite."""
        return all(np.isfinite(array.sum()) for array in self.matrices.values())

    def fetch(self) -> None:
        """They hold it already."""

    def place(self) -> None:
        """It does already."""


class Cards(Device):
    """GPUs, or other places of torch: each has matrices of its own, and a thread that lets it learn.

    What they have learned comes together when they settle: each row moves by the mean of what those have changed that
    changed it, as between hosts.
    """

    def __init__(self, matrices: Mapping[str, Array], places: Sequence[tuple[str, Learn]]) -> None:
        super().__init__(matrices, len(places))
        self._places = places
        self._own: list[dict[str, Any]] = [{} for _ in places]
        self._free: LifoQueue[int] = LifoQueue()
        for card in reversed(range(len(places))):
            self._free.put(card)
        self.place()

    def learn(self, piece: Piece) -> None:
        """Learn on a card that is free."""
        card = self._free.get()
        try:
            self._places[card][1](self._own[card], piece)
        finally:
            self._free.put(card)

    def settle(self) -> bool:
        """Let the cards agree; whether all numbers are finite."""
        if len(self._own) > 1:
            for name in self.matrices:
                self._agree(name)
        return all(bool(own.sum().isfinite()) for own in self._own[0].values())

    def fetch(self) -> None:
        """Copy the matrices of the first card, which is like all others."""
        for name, array in self.matrices.items():
            array[:] = self._own[0][name].cpu().numpy()

    def place(self) -> None:
        """Copy the matrices to all cards."""
        import torch

        for (place, _), own in zip(self._places, self._own, strict=True):
            own.update({name: torch.tensor(array, device=place) for name, array in self.matrices.items()})
        self._agreed = {name: own.clone() for name, own in self._own[0].items()} if len(self._own) > 1 else {}

    def _agree(self, name: str) -> None:
        agreed_RW = self._agreed[name]
        moves = [own[name].to(agreed_RW.device) - agreed_RW for own in self._own]
        cards_R = sum((move != 0).any(dim=1) for move in moves)
        agreed_RW += sum(moves) / cards_R.clamp(min=1)[:, None]
        for own in self._own:
            own[name].copy_(agreed_RW)
