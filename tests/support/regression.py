"""A small network that trains in the loop, in this process or in several; plans can be sent to other processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from clary.algorithms import registry
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job, Log
from clary.toolkit.loop import Loop
from clary.toolkit.replicas import Replicas

SPEC = registry.spec("kmeans")
WIDTH = 4
EVEN = ((4, 4, 4, 4, 4),)  # rows in each batch, for each process


class CutError(Exception):
    """The end of a job that is interrupted."""


@dataclass(frozen=True)
class Plan:
    """A training, and what befalls it in the process of rank ``who`` before step ``at``."""

    rows: Sequence[Sequence[int]] = EVEN
    epochs: int = 3
    optimizer: str = "adam"
    rate: float = 0.01
    dropout: float = 0.0
    norm: bool = False
    clip: float | None = None
    fall: float | None = None
    look: int = 32
    followed: bool = False
    trouble: str = ""
    at: int = 0
    who: int = 0


@dataclass
class Fitted:
    """What came of it."""

    loop: Loop = field(repr=False)
    losses: list[float]
    rates: list[float]
    parts: list[tuple[float, ...]]
    seen: list[tuple[int, float]]
    weights: dict[str, npt.NDArray[Any]]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "loop": None}


def job(
    kept: Path | None = None, *, every: float = 0.0, seed: int = 0, cluster: Cluster | None = None, rate: float = 0.01
) -> tuple[Job[Any], list[str]]:
    """A job without data, and the lines of its log."""
    lines: list[str] = []
    hosts = cluster or Cluster()
    made: Job[Any] = Job(
        hyperparameters=None,
        channels={},
        cluster=hosts,
        log=Log(SPEC, hosts.current, lines.append),
        checkpoints=Checkpoints(kept, {"rate": str(rate)}, rank=hosts.rank, every=every),
        seed=seed,
        stop=threading.Event(),
    )
    return made, lines


def batches(rows: Sequence[Sequence[int]], rank: int, epoch: int) -> Iterator[npt.NDArray[np.float32]]:
    """The batches of one process; those of all processes are cut from the same stream of rows."""
    rng = np.random.default_rng([epoch])
    own = list(rows) + [()] * (rank + 1 - len(rows))
    for step in range(max(map(len, rows))):
        drawn = [
            rng.normal(size=(each[step], WIDTH)).astype(np.float32) if step < len(each) else None for each in own
        ]
        found = drawn[rank]
        if found is not None:
            yield found


def network(plan: Plan) -> torch.nn.Module:
    """One hidden layer, with whatever the plan puts behind it."""
    extra = [torch.nn.BatchNorm1d(8)] if plan.norm else []
    return torch.nn.Sequential(
        torch.nn.Linear(WIDTH, 8), torch.nn.Tanh(), *extra, torch.nn.Dropout(plan.dropout), torch.nn.Linear(8, 1)
    )


def optimizer(plan: Plan, model: torch.nn.Module) -> torch.optim.Optimizer:
    """The plan's optimizer."""
    kinds = {
        "adam": torch.optim.Adam,
        "sgd": torch.optim.SGD,
        "momentum": lambda weights, lr: torch.optim.SGD(weights, lr=lr, momentum=0.9),
        "rmsprop": torch.optim.RMSprop,
    }
    return kinds[plan.optimizer](model.parameters(), lr=plan.rate)


def fit(job: Job[Any], replicas: Replicas, plan: Plan) -> Fitted:
    """Train by the plan."""
    model = network(plan).to(replicas.device)
    fall = plan.fall
    rule = optimizer(plan, model)
    loop = Loop(
        job,
        replicas,
        model,
        rule,
        epochs=plan.epochs,
        clip=plan.clip,
        schedule=None if fall is None else lambda number: fall**number,
        look=plan.look,
        parts=2 if plan.followed else 0,
    )
    made = Fitted(loop, [], [], [], [], {})
    for epoch in loop:
        for rows in epoch.steps(batches(plan.rows, replicas.rank, epoch.number)):
            if plan.trouble and plan.at == loop.steps and plan.who == replicas.rank:
                rows = _befallen(plan.trouble, job, rows)
            inputs = torch.from_numpy(rows).to(replicas.device)
            difference = loop.module(inputs) - inputs.sum(dim=1, keepdim=True)
            parts = (difference.mean(), inputs.mean()) if plan.followed else ()
            epoch.learn(difference.square().mean(), len(rows), *parts)
            loop.notes["steps"] = loop.notes.get("steps", 0) + 1
            made.rates.append(rule.param_groups[0]["lr"])
            made.seen.append((epoch.step, epoch.loss))
        made.losses.append(epoch.loss)
        made.parts.append(epoch.means)
        loop.keep_best(epoch.loss)
    made.weights = {name: each.detach().cpu().numpy().copy() for name, each in model.state_dict().items()}
    return made


def fit_all(job: Job[Any], replicas: Replicas, plans: Sequence[Plan]) -> list[Fitted]:
    """Train by each plan in turn, each from the same start."""
    found = []
    for plan in plans:
        torch.manual_seed(0)
        found.append(fit(job, replicas, plan))
    return found


def host(names: Sequence[str], name: str, place: tuple[str, int], plan: Plan) -> Fitted:
    """Train by the plan on one of several hosts; it tells the others why it fails, as a container does."""
    cluster = Cluster(names, name, rendezvous=place)
    try:
        made, _ = job(cluster=cluster)
        return Replicas.of(made).run(fit, made, plan)
    except Exception as error:
        cluster.fail(str(error) if "has left the job" in str(error) else f"host {name} has left the job: {error}")
        raise
    finally:
        cluster.close()


def _befallen(trouble: str, job: Job[Any], rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if trouble == "cut":
        raise CutError
    if trouble == "bug":
        raise ValueError("a mistake of ours")
    if trouble == "refused":
        raise UserError("channel train, file a, row 7: no number")
    if trouble == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "stop":
        job.stop.set()
    return rows * np.float32("nan") if trouble == "not a number" else rows
