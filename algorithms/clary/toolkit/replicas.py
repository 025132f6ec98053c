"""The processes that train one model together: hosts times the GPUs of each, and one on a host without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from clary.toolkit.job import Job

Answer = TypeVar("Answer")
CPU = torch.device("cpu")


@dataclass
class Replicas:
    """This process among those that share a job's training; every one of them holds the whole model.

    ``device`` is where this one computes. The first process ``leads``: it reports, and keeps the checkpoints.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @classmethod
    def of(cls, job: Job[Any]) -> Replicas:
        """The processes of a job."""
        return cls(device=torch.device(job.device))

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    def run(self, work: Callable[..., Answer], job: Job[Any], *arguments: Any) -> Answer:
        """What ``work(job, replicas, *arguments)`` returns in this process, while all others do the same work.

        Torch's random state begins at the job's seed.
        """
        torch.manual_seed(job.seed)
        return work(job, self, *arguments)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all processes, the same on each."""
        return list(numbers)

    def first(self, told: Any) -> Any:
        """What the first process gives, on every one."""
        return told

    def spread(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module to be called in training, whose gradients are the means over all processes."""
        return module

    def idle(self, module: torch.nn.Module) -> torch.Tensor:
        """A loss of zero by which a process without a batch takes part in a step."""
        raise NotImplementedError
