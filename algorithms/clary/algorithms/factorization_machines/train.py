"""Trains factorization machines: a step of Adam for the batches of all hosts, over as many epochs as asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.factorization_machines import evaluate
from clary.algorithms.factorization_machines.data import Batch, check_labels, labels_of
from clary.algorithms.factorization_machines.devices import Card, Device, Processor
from clary.algorithms.factorization_machines.managed import managed_file
from clary.algorithms.factorization_machines.model import Adam, Machine, slopes, start
from clary.algorithms.factorization_machines.spec import GROUPS, PUBLISH_EVERY, SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.checkpoint import Arrays
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.passes import Passes, Step

Array = npt.NDArray[Any]


def train(job: Job[Hyperparameters]) -> Artifact:
    """Learn from the train channel and score the test channel, where there is one.

    DataError where a row cannot be learned from, UserError where the training diverges.
    """
    hp = job.hyperparameters
    for sentence in hp.without_effect():
        job.log.say(sentence)
    training = _Training(job)
    try:
        machine = training.run()
    finally:
        training.close()
    stopped = job.stopped()
    if not stopped:
        training.report()
        if "test" in job.channels:
            _score(job, machine)
    return _artifact(hp, machine)


class _Training:
    """The passes over the rows: parameters, their moments, and the sums that the metrics of an epoch follow from."""

    def __init__(self, job: Job[Hyperparameters]) -> None:
        hp = self._hp = job.hyperparameters
        self._job = job
        self._sums, self._bias, self._updates = np.zeros(evaluate.SUMS), np.zeros(3), 0
        self._device: Device | None = None
        self._passes = Passes(
            job,
            hp.epochs,
            hp.mini_batch_size,
            hp.feature_dim,
            self._arrays,
            check=partial(check_labels, hp=hp),
            sparse=True,
        )

    def run(self) -> Machine:
        """Train through all epochs, from the start or from a checkpoint."""
        job, passes = self._job, self._passes
        self._device = self._started(passes.resume())
        # What is too large for a number is looked for at each step.
        with np.errstate(over="ignore", invalid="ignore"):
            for steps in passes.by_epoch():
                epoch = passes.epoch
                if not passes.step:
                    self._sums = np.zeros(evaluate.SUMS)
                for step in steps:
                    if step.records is not None and step.records.sparse and not self._updates:
                        job.log.say("[Sparse network] Building a sparse network.")
                    self._step(step)
                    if step.number % PUBLISH_EVERY == 0:
                        self._tell(":batch", epoch=step.epoch, batch=step.number)
                if not passes.stopped and passes.rows:
                    self._tell(":epoch", epoch=epoch)
        if not self._updates and passes.stopped:
            raise UserError("the job was stopped before it had a batch of rows to learn from, so it leaves no model")
        if not self._updates:
            raise DataError("there is no row to learn from", source="channel train")
        return self._machine()

    def report(self) -> None:
        """Report the metrics of the last epoch once more, as those of the job."""
        self._tell("")

    def close(self) -> None:
        """Give back what the device holds."""
        if self._device:
            self._device.close()

    def _started(self, kept: Arrays) -> Device:
        """Where the parameters are trained, as a checkpoint has left them or from their start."""
        hp, device = self._hp, Card if self._job.device == "cuda" else Processor
        size = 4 * hp.feature_dim * (hp.num_factors + 1)
        # The job's share of memory is half of the machine's; nothing helps where the parameters exceed it all.
        if size > 2 * self._job.memory:
            raise UserError(
                f"feature_dim {hp.feature_dim} and num_factors {hp.num_factors} make {size / 2**30:.4g} GiB of "
                "parameters, more than fits into memory; lower num_factors, or hash the features into fewer"
            )
        self._rule = Adam.of(hp)
        if kept:
            self._sums, self._bias = kept["sums"].copy(), kept["bias"].copy()
            self._updates = int(kept["updates"][0])
            return device(kept["weights"], self._rule, kept)
        with np.errstate(over="ignore"):
            bias, weights_DP = start(hp, self._job.seed)
        self._bias = np.array([bias, 0.0, 0.0])
        return device(weights_DP, self._rule)

    def _step(self, step: Step) -> None:
        """One update with the batches of all hosts."""
        device, predictor_type = self._device, self._hp.predictor_type
        assert device is not None
        batch = Batch.of(step.records)
        scores_B = device.scores(batch, float(self._bias[0]))
        slopes_B = slopes(scores_B, batch.labels_B, predictor_type)
        columns_U, gradient_UP = device.gradient(slopes_B)
        sums = np.append(evaluate.sums(scores_B, batch.labels_B, predictor_type), slopes_B.sum())
        if self._job.cluster.size > 1:
            columns_U, gradient_UP = self._spread(columns_U, device.fetched(gradient_UP))
            gradient_UP, sums = step.sum(gradient_UP, sums)
            gradient_UP = device.placed(gradient_UP)
        rows = int(sums[0])
        self._sums = self._sums + sums[:-1]
        self._updates += 1
        correction = self._rule.correction(self._updates)
        fine = device.move(columns_U, gradient_UP, self._rule.share(rows), correction)
        self._bias = self._rule.moved(self._bias, float(sums[-1]), rows, self._updates)
        if not (fine and np.isfinite(self._sums).all() and np.isfinite(self._bias).all()):
            raise self._diverged(f"in batch {step.number} of epoch {step.epoch}")

    def _spread(self, columns_U: Array, gradient_UP: Array) -> tuple[Array, Array]:
        """The features that any host's batch touches, and this host's gradient among them."""
        cluster = self._job.cluster
        gathered = cluster.gather(columns_U)
        union = None if gathered is None else np.unique(np.concatenate(gathered))
        columns_V = cluster.broadcast(union)
        gradient_VP = np.zeros((len(columns_V), gradient_UP.shape[1]), np.float32)
        gradient_VP[np.searchsorted(columns_V, columns_U)] = gradient_UP
        return columns_V, gradient_VP

    def _machine(self) -> Machine:
        assert self._device is not None
        weights_DP = self._device.state()["weights"]
        if not np.isfinite(weights_DP).all():
            raise self._diverged("in its last batches")
        return Machine(float(np.float32(self._bias[0])), weights_DP[:, -1].copy(), weights_DP[:, :-1].copy())

    def _diverged(self, where: str) -> UserError:
        hp = self._hp
        rates = ", ".join(f"{group}_lr ({getattr(hp, f'{group}_lr'):g})" for group in GROUPS)
        decays = ", ".join(f"{group}_wd ({getattr(hp, f'{group}_wd'):g})" for group in GROUPS)
        starts = ", ".join(f"{hp.start_setting(group)} ({hp.start(group)[1]:g})" for group in GROUPS)
        return UserError(
            f"the training diverged: {where} a number became too large for float32. Lower {rates}, or set "
            f"clip_gradient; look also at {decays}, {starts} and rescale_grad, and for huge features or labels"
        )

    def _tell(self, level: str, **where: int) -> None:
        if self._job.cluster.leads:
            for name, value in evaluate.metrics(self._sums, self._hp.predictor_type).items():
                self._job.log.metric(f"train:{name}{level}", value, **where)

    def _arrays(self) -> Arrays:
        assert self._device is not None
        own = {"sums": self._sums, "bias": self._bias, "updates": np.array([self._updates])}
        return {**self._device.state(), **own}


def _score(job: Job[Hyperparameters], machine: Machine) -> None:
    """Report the metrics of the test rows, over all hosts."""
    hp, cluster = job.hyperparameters, job.cluster
    sums = np.zeros(evaluate.SUMS)
    check = partial(check_labels, hp=hp)
    for records in job.own_batches("test", hp.mini_batch_size, width=hp.feature_dim, check=check):
        sums += evaluate.sums(machine.scores(records.features), labels_of(records), hp.predictor_type)
    sums = cluster.sum(sums)
    if not sums[0]:
        raise DataError("there is no row to score", source="channel test")
    if cluster.leads:
        for name, value in evaluate.metrics(sums, hp.predictor_type).items():
            job.log.say(f"#test_score ({cluster.current}) : ({name!r}, {value})")
            job.log.metric(f"test:{name}", value)


def _artifact(hp: Hyperparameters, machine: Machine) -> Artifact:
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={"feature_dim": hp.feature_dim, "predictor_type": hp.predictor_type},
        tensors={"w0": np.array([machine.bias], np.float32), "w": machine.linear_D, "v": machine.factors_DK},
        # What the managed algorithm leaves, so that programs which open its archive find it there.
        files={"model_algo-1": managed_file(machine, hp.predictor_type)},
    )
