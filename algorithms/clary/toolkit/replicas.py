"""The processes that train one model together: hosts times the GPUs of each, and one on a host without a GPU.

A host's own process is its first. It starts one more for each further GPU, and all of them do the same work with
batches of their own. Torch sums their gradients, by NCCL between GPUs and by Gloo between processors; the hosts' own
connection tells where they meet, so there is nothing to configure.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import SILENCE, Cluster
from clary.toolkit.device import cores
from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.followers import LAST_WORDS, Followers
from clary.toolkit.job import Job, Log

Answer = TypeVar("Answer")
CPU = torch.device("cpu")
_IDLE = "idle"
_ADDRESS_OF_INTERFACE = 0x8915  # the request SIOCGIFADDR of Linux
_WAIT = timedelta(seconds=SILENCE)


@dataclass(frozen=True)
class Replicas:
    """This process among those that share a job's training; each of them holds the whole model.

    ``device`` is where this one computes. The first process ``leads``: it reports, and keeps the checkpoints.
    ``local`` is the number of processes on this host.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU
    local: int = 1

    @classmethod
    def of(cls, job: Job[Any], local: int | None = None) -> Replicas:
        """This host's own process in a job: one of ``local`` here, by default as many as it has GPUs."""
        own = local or (max(1, job.gpus) if job.device == "cuda" else 1)
        gathered = job.cluster.gather(np.array([own]))
        counts = job.cluster.broadcast(None if gathered is None else np.concatenate(gathered))
        rank = int(counts[: job.cluster.rank].sum())
        return cls(rank, int(counts.sum()), _device(job.device, 0), own)

    @property
    def leads(self) -> bool:
        """Whether this is the first process of all."""
        return self.rank == 0

    def run(self, work: Callable[..., Answer], job: Job[Any], *arguments: Any) -> Answer:
        """What ``work(job, replicas, *arguments)`` returns in this process, while all the others do the same work.

        ``work`` is a function of a module. The processes that are started for it are given a job of their own, which
        has hyperparameters, seed and device, and neither channels nor hosts, log or checkpoints; what else they need
        comes as ``arguments``, which are pickled. Torch's random state begins at the job's seed. An error of any
        process ends the work of all.
        """
        if self.size == 1:
            return self._work(work, job, arguments)
        store, place = _meeting(job.cluster, self.size)
        others = [replace(self, rank=self.rank + at, device=_device(job.device, at)) for at in range(1, self.local)]
        followers = Followers(
            _follow, [(each, place, job.cluster.own_address, work, _share(job), arguments) for each in others]
        )
        threads = torch.get_num_threads()
        try:
            self._join(store, job.cluster.own_address)
            if self.device.type == "cuda":
                followers.watch(_leave)  # a GPU would wait for a lost one
            answer = self._work(work, job, arguments)
            followers.join()
        except RuntimeError as error:
            if not _is_lost_connection(error):
                raise
            raise self._cause(error, followers, job.cluster) from error
        finally:
            followers.end()
            _leave()
            torch.set_num_threads(threads)
        return answer

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all processes, the same on each."""
        if self.size == 1 or not numbers:
            return list(numbers)
        totals = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(totals)
        found: list[float] = totals.tolist()
        return found

    def first(self, told: Any) -> Any:
        """What the first process gives, on every one."""
        if self.size == 1:
            return told
        held = [told]
        dist.broadcast_object_list(held, device=CPU)
        return held[0]

    def spread(self, model: torch.nn.Module) -> torch.nn.Module:
        """What is called in training in place of the model, so that gradients are the means over all processes.

        It is called once for each batch, and every parameter must have a part in what it returns.
        """
        if self.size == 1:
            return model
        places = [self.device] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(_Shell(model), places, gradient_as_bucket_view=True)

    def idle(self, module: torch.nn.Module) -> torch.Tensor:
        """A loss of zero by which a process without a batch takes part in a step; ``module`` is what was spread."""
        return module(_IDLE)

    def _work(self, work: Callable[..., Answer], job: Job[Any], arguments: tuple[Any, ...]) -> Answer:
        torch.manual_seed(job.seed)
        try:
            answer = work(job, self, *arguments)
        except torch.OutOfMemoryError as error:
            raise UserError(
                "the memory of the GPU does not hold a step of this job; lower mini_batch_size, or use a larger GPU "
                f"({error})"
            ) from error
        self.sum([0])  # nobody leaves while others still talk
        return answer

    def _join(self, store: dist.Store, address: str) -> None:
        """Meet the other processes, through the network interface that has this address."""
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.set_device(self.device)
        torch.set_num_threads(max(1, cores() // self.local))
        # Gloo would take the address that this host's name stands for, which others may not reach.
        if name := _interface(address):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
        kind = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(kind, store=store, rank=self.rank, world_size=self.size, timeout=_WAIT)

    def _cause(self, error: RuntimeError, followers: Followers, cluster: Cluster) -> Exception:
        """Why the connection was lost, by the word of the process or the host that failed."""
        for told in followers.errors():
            if not _is_lost_connection(told):
                return told
        return cluster.departed(LAST_WORDS) or PlatformError(
            f"the connection to another process of this job was lost: {error}"
        )


class _Shell(torch.nn.Module):  # type: ignore[misc]
    """A model that can also be called for nothing; all its gradients are zero then."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Any, **named: Any) -> Any:
        """What the model returns, or a zero that depends on every parameter."""
        if given and given[0] is _IDLE:
            return sum((each * 0).sum() for each in self.model.parameters())
        return self.model(*given, **named)


class _Silence(Log):
    """The log of a process that has nothing to report."""

    def __init__(self) -> None: ...

    def say(self, sentence: str) -> None:
        """Nothing."""

    def line(self, text: str) -> None:
        """Nothing."""

    def metric(self, name: str, value: float, **where: Any) -> None:
        """Nothing."""


def _follow(
    replicas: Replicas,
    place: tuple[str, int],
    address: str,
    work: Callable[..., object],
    share: dict[str, Any],
    given: tuple[Any, ...],
) -> None:
    job: Job[Any] = Job(**share, channels={}, cluster=Cluster(), log=_Silence(), checkpoints=Checkpoints(None, {}))
    replicas._join(dist.TCPStore(*place, replicas.size, timeout=_WAIT), address)
    replicas._work(work, job, given)
    _leave()


def _share(job: Job[Any]) -> dict[str, Any]:
    """What of a job another process can be given."""
    return {name: getattr(job, name) for name in ("hyperparameters", "seed", "device", "gpus", "memory", "platform")}


def _device(kind: str, number: int) -> torch.device:
    return torch.device(kind, number) if kind == "cuda" else torch.device(kind)


def _meeting(cluster: Cluster, size: int) -> tuple[dist.Store, tuple[str, int]]:
    """Where the processes find each other, and its address as this host sees it."""
    here = "127.0.0.1"
    if cluster.leads:
        store = dist.TCPStore(here, 0, size, is_master=True, timeout=_WAIT, wait_for_workers=False)
        cluster.broadcast(np.array([store.port]))
        return store, (here, store.port)
    place = (cluster.address[0], int(cluster.broadcast(None)[0]))
    return dist.TCPStore(*place, size, timeout=_WAIT), place


def _is_lost_connection(error: Exception) -> bool:
    # Most of what torch raises here has no type of its own, but the name of the library in its text.
    named = any(name in str(error).lower() for name in ("gloo", "nccl"))
    return isinstance(error, RuntimeError) and (named or isinstance(error, dist.DistError))


def _leave() -> None:
    """Leave the other processes, whatever is under way."""
    # Where another process is lost, torch may wait for it without end.
    leaving = threading.Thread(target=_close, name="clary-leaving", daemon=True)
    leaving.start()
    leaving.join(LAST_WORDS)


def _close() -> None:
    group = dist.group.WORLD
    if group is not None:
        # Not every release of torch can do so for every kind of device.
        with suppress(AttributeError, RuntimeError):
            group.abort()
        with suppress(AssertionError, RuntimeError, ValueError):
            dist.destroy_process_group()


def _interface(address: str) -> str | None:
    """The name of the network interface with that address, where this system tells."""
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                found = fcntl.ioctl(asking, _ADDRESS_OF_INTERFACE, struct.pack("256s", name.encode()))
                if socket.inet_ntoa(found[20:24]) == address:
                    return name
    return None
