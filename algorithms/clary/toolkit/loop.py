"""The training of a torch model: steps by gradients, processes, resume, stop, progress, in one place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar

import torch

from clary.toolkit.checkpoint import Checkpoint
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job
from clary.toolkit.replicas import Replicas
from clary.toolkit.spec import PROGRESS, THROUGHPUT

LOOK = 32  # steps from one look at the losses to the next; a look makes the processor wait for a GPU
_PLACE = ("epoch", "step", "steps", "records", "finished", "_lost", "_seen")
_BEST = ("best_score", "best_epoch", "since_best")
Batch = TypeVar("Batch")
_Agreed = tuple[int, bool, bool, bool]


class Loop:
    """``epochs`` passes over the training data, a step of the optimizer for the batches of all processes together.

    Made after the model and its optimizer; goes on behind the job's checkpoint where there is one. ``module`` is what
    is called in training; for anything else there is the model itself. Gradients are clipped to a norm of ``clip``.
    ``schedule`` gives the factor of the learning rate for the number of steps done, and nothing but that number may
    decide. ``autocast`` lets a GPU compute in bfloat16 where that is precise enough. Losses are looked at behind each
    ``look``-th step, from the first on, and behind an epoch's steps; a look makes all processes wait for each other.
    ``parts`` is the number of further means that are followed beside the loss.

    ``records`` is the number of records learned from by all processes, ``steps`` that of updates, and ``stopped``
    says whether the platform ended the job early. All are the same in every process. ``notes`` is the algorithm's
    own: what else of its progress a resume needs, as JSON has it.
    """

    def __init__(
        self,
        job: Job[Any],
        replicas: Replicas,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        epochs: int,
        clip: float | None = None,
        schedule: Callable[[int], float] | None = None,
        autocast: bool = False,
        look: int = LOOK,
        parts: int = 0,
    ) -> None:
        self.epochs, self.module = epochs, replicas.spread(model)
        self.epoch, self.step, self.steps, self.records = 0, 0, 0, 0
        self.stopped, self.finished = False, False
        self.best_score, self.since_best = math.inf, 0
        self.best_epoch: int | None = None
        self._job, self._replicas, self._model, self._optimizer = job, replicas, model, optimizer
        self._clip, self._schedule, self._every = clip, schedule, look
        self._autocast = autocast and replicas.device.type == "cuda"
        self._parameters = [each for group in optimizer.param_groups for each in group["params"]]
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        self._best: dict[str, torch.Tensor] = {}
        self.notes: dict[str, Any] = {}
        self._width = 1 + parts
        # Of this epoch: the sums of its records' losses and parts, and the number of records.
        self._lost, self._seen = [0.0] * self._width, 0
        self._unseen: list[_Loss] = []
        self._resume()

    def __iter__(self) -> Iterator[Epoch]:
        """Yield the epochs; what the body of the loop does behind an epoch's steps is saved with it."""
        self._to_stop()
        while self.epoch < self.epochs and not (self.finished or self.stopped):
            epoch = Epoch(self.epoch, self)
            yield epoch
            self._look()
            self._check_model()
            if not self.stopped:
                self.epoch, self.step, self._lost, self._seen = self.epoch + 1, 0, [0.0] * self._width, 0
                self._report(epoch)
            # Asked here and not before the next epoch, so that a stop between the two is saved, too.
            last = self.finished or self.epoch == self.epochs or self._to_stop()
            if last or self._job.checkpoints.due:
                self._save()
        if self.stopped:
            self._job.log.say(f"stopping early, after {self.records} records of {self.epochs} epochs")

    def finish(self) -> None:
        """Let this epoch be the last one; every process must call it in the same epoch."""
        self.finished = True

    def keep_best(self, score: float) -> None:
        """Remember the model as it is if it has the smallest score so far; the first process's score decides.

        An epoch that was cut short by a stop is not compared with others.
        """
        if self.stopped:
            return
        score = float(self._replicas.first(score))
        self.since_best += 1
        if score < self.best_score:
            self.best_score, self.best_epoch, self.since_best = score, self.epoch, 0
            self._best = {name: each.detach().clone() for name, each in self._model.state_dict().items()}

    def restore_best(self) -> None:
        """Go back to the best model that was kept, if any was."""
        if self._best:
            self._model.load_state_dict(self._best)

    def _to_stop(self) -> bool:
        # A job that is stopped before its first step still takes that one, so that there is a model to leave.
        self.stopped = self.stopped or bool(self._replicas.sum([self._job.stop.is_set()])[0] and self.steps)
        return self.stopped

    def _agree(self, count: int, present: bool) -> _Agreed:
        """Records of this step in all processes, whether any has a batch, whether to stop, and to save, behind it."""
        due = self._replicas.leads and self._job.checkpoints.due
        total, batches, stop, saving = self._replicas.sum([count, present, self._job.stop.is_set(), due])
        return int(total), bool(batches), bool(stop), bool(saving)

    def _seed(self) -> None:
        """Set torch's random state by what the step is, so that it is the same after a resume."""
        place = f"{self._job.seed} {self.epoch} {self.step} {self._replicas.rank}"
        seed = int.from_bytes(blake2b(place.encode(), digest_size=7).digest(), "little")
        # What torch.manual_seed does for these two, which takes a hundred times as long.
        torch.default_generator.manual_seed(seed)
        if self._replicas.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _precision(self, *, reduced: bool) -> AbstractContextManager[Any]:
        if not self._autocast:
            return nullcontext()
        context: AbstractContextManager[Any] = torch.autocast("cuda", torch.bfloat16, enabled=reduced)
        return context

    def _update(self, loss: torch.Tensor) -> None:
        """One step of the optimizer."""
        with self._precision(reduced=False):
            loss.backward()
            if self._clip is not None:
                torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
            if self._schedule is not None:
                factor = self._schedule(self.steps)
                for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
                    group["lr"] = rate * factor
            self._optimizer.step()
            self._optimizer.zero_grad()

    def _look(self) -> None:
        """Add up the losses since the last look, those of all processes; UserError where one is not a number."""
        held, self._unseen = self._unseen, []
        means = torch.stack([each.means for each in held]).tolist() if held else []
        own = [each.count * mean for each, row in zip(held, means, strict=True) for mean in row]
        sums = self._replicas.sum(own)
        for place, each in enumerate(held):
            lost = sums[place * self._width : (place + 1) * self._width]
            if not math.isfinite(lost[0]):
                raise self._diverged(f"in step {each.step} of epoch {self.epoch} the loss is not a number")
            self._lost = [before + more for before, more in zip(self._lost, lost, strict=True)]
            self._seen += each.total

    def _check_model(self) -> None:
        if not all(bool(torch.isfinite(each).all()) for each in self._parameters):
            raise self._diverged(f"after epoch {self.epoch} the model holds numbers too large for it")

    def _diverged(self, what: str) -> UserError:
        return UserError(
            f"the training diverged: {what}; use a smaller learning_rate than {max(self._rates):g}, "
            "and look for huge values in the data"
        )

    def _report(self, epoch: Epoch) -> None:
        if self._replicas.leads:
            self._job.log.metric(PROGRESS.name, 100.0 * self.epoch / self.epochs)
            self._job.log.metric(THROUGHPUT.name, epoch.records / max(epoch.seconds, 1e-9))

    def _save(self) -> None:
        if not (self._replicas.leads and self._job.checkpoints.kept):
            return
        state = self._optimizer.state_dict()
        moments = {f"{place}.{name}": each for place, own in state["state"].items() for name, each in own.items()}
        tensors = {
            **{f"model.{name}": each for name, each in self._model.state_dict().items()},
            **{f"best.{name}": each for name, each in self._best.items()},
            **{f"optimizer.{name}": each for name, each in moments.items() if isinstance(each, torch.Tensor)},
        }
        numbers = {name: getattr(self, name) for name in (*_PLACE, *_BEST)}
        others = {name: each for name, each in moments.items() if not isinstance(each, torch.Tensor)}
        self._job.checkpoints.save(
            {name: each.detach().cpu().numpy() for name, each in tensors.items()},
            {**numbers, "notes": self.notes, "optimizer": others, "groups": state["param_groups"]},
        )

    def _resume(self) -> None:
        """Go back to what the first process saved last, in every process."""
        leads = self._replicas.leads
        kept: Checkpoint | None = self._replicas.first(self._job.checkpoints.load() if leads else None)
        if kept is None:
            return
        try:
            self._model.load_state_dict(_tensors(kept, "model."))
            self._best = {name: each.to(self._replicas.device) for name, each in _tensors(kept, "best.").items()}
            moments: dict[int, dict[str, Any]] = {}
            for name, each in {**kept.state["optimizer"], **_tensors(kept, "optimizer.")}.items():
                place, _, part = name.partition(".")
                moments.setdefault(int(place), {})[part] = each
            self._optimizer.load_state_dict({"state": moments, "param_groups": kept.state["groups"]})
            for name in (*_PLACE, *_BEST, "notes"):
                setattr(self, name, kept.state[name])
        except (RuntimeError, KeyError, ValueError) as error:
            raise UserError(
                "the checkpoint holds another model than this job trains; was the data changed? Empty the "
                f"checkpoint folder to start over ({error})"
            ) from error
        self._job.log.say(f"resuming from a checkpoint, after {self.records} records")


@dataclass(frozen=True)
class _Loss:
    """The means over ``count`` records of this process, the loss first, in a step that had ``total`` in all."""

    step: int
    means: torch.Tensor
    count: int
    total: int


@dataclass
class Epoch:
    """One pass over the training data; ``number`` counts from 0.

    Behind the steps, ``records`` and ``seconds`` are those of this pass and this run of the job.
    """

    number: int
    _loop: Loop
    records: int = 0
    seconds: float = 0.0
    _agreed: _Agreed | None = field(default=None, repr=False)

    @property
    def step(self) -> int:
        """Number of the step under way, from 0."""
        return self._loop.step

    @property
    def loss(self) -> float:
        """The mean loss of a record of all processes, up to the last look at the losses; NaN before the first.

        Behind the steps it is that of the whole epoch.
        """
        return self.means[0]

    @property
    def means(self) -> tuple[float, ...]:
        """The mean loss and behind it the means of its parts; as ``loss`` in all else."""
        seen = self._loop._seen
        return tuple(each / seen if seen else math.nan for each in self._loop._lost)

    def steps(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield this process's batches of the epoch, behind those of a run that was interrupted.

        For each, the body calls ``learn``. Randomness of torch depends on seed, epoch, step and process alone, so a
        model may draw as it likes. The batches must be the same whenever they are asked for, and draw from generators
        of their own.
        """
        loop, supply, began = self._loop, iter(batches), time.perf_counter()
        loop._model.train()
        for _ in range(loop.step):  # read again and left alone: this job resumes behind them
            next(supply, None)
        present, stop = True, False
        while present and not stop:
            batch = next(supply, None)
            if batch is None and loop._replicas.size == 1:
                break
            self._begin()
            if batch is None:
                self._learn(loop._replicas.idle(loop.module), 0, present=False)
            else:
                with loop._precision(reduced=True):
                    yield batch
            _, present, stop, saving = self._outcome()
            loop.step += present
            if saving and present:
                loop._look()
                loop._save()
        loop._look()
        loop.stopped = stop
        self.seconds += time.perf_counter() - began

    def learn(self, loss: torch.Tensor, count: int, *parts: torch.Tensor) -> None:
        """Take one step; ``loss`` is a scalar, the mean over this batch's records, and ``count`` their number.

        ``parts`` are as many further means as the loop was told of. They are followed and not learned from.
        """
        assert count > 0, "a batch holds something"
        self._learn(loss, count, *parts, present=True)

    def _begin(self) -> None:
        self._agreed = None
        self._loop._seed()

    def _outcome(self) -> _Agreed:
        assert self._agreed is not None, "each batch is learned from"
        return self._agreed

    def _learn(self, loss: torch.Tensor, count: int, *parts: torch.Tensor, present: bool) -> None:
        """Take part in the step of all processes."""
        loop, size = self._loop, self._loop._replicas.size
        assert self._agreed is None, "a batch is learned from once"
        assert not present or len(parts) == loop._width - 1, "each step has all parts"
        self._agreed = loop._agree(count, present)
        total = self._agreed[0]
        if not total:
            return
        told = [each.detach() for each in (loss, *parts)]
        own = torch.stack(told) if present else torch.zeros(loop._width, device=loss.device)
        loop._unseen.append(_Loss(loop.step, own, count, total))
        # Gradients are averaged over processes, so each weighs its own by its part of the records.
        loop._update(loss if size == 1 else loss * (count * size / total))
        loop.steps, loop.records, self.records = loop.steps + 1, loop.records + total, self.records + total
        if loop.step % loop._every == 0:
            loop._look()


def _tensors(kept: Checkpoint, kind: str) -> dict[str, torch.Tensor]:
    return {name[len(kind) :]: torch.tensor(each) for name, each in kept.arrays.items() if name.startswith(kind)}
