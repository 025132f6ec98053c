"""Trains the linear learner: survey the rows, train all candidates side by side, keep the best, set its threshold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner import loss as losses
from clary.algorithms.linear_learner import search
from clary.algorithms.linear_learner.data import Survey, classes, labels_of, legal, survey
from clary.algorithms.linear_learner.devices import Squad, places_of
from clary.algorithms.linear_learner.evaluate import (
    BinaryTally,
    Criterion,
    Histograms,
    MulticlassTally,
    RegressionTally,
    Tally,
    steady,
)
from clary.algorithms.linear_learner.managed import managed_file
from clary.algorithms.linear_learner.search import Contender, Contest
from clary.algorithms.linear_learner.serve import Predictor
from clary.algorithms.linear_learner.spec import BINARY, MULTICLASS, REGRESSOR, SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.batches import batches, shared_out
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.passes import Passes
from clary.toolkit.records import Records

Array = npt.NDArray[Any]

SAMPLE = 20_000  # training rows that the candidates are compared on where there are no validation rows
CALIBRATION = 10_000_000  # what 'auto' means for num_calibration_samples, as in the managed image
AT_ONCE = 8192  # rows that are scored together


def train(job: Job[Hyperparameters]) -> Artifact:
    """Train the candidates and return the winner, calibrated and measured.

    DataError where a row cannot be learned from, UserError where no candidate came to a finite loss.
    """
    hp = job.hyperparameters
    for sentence in hp.without_effect():
        job.log.say(sentence)
    found = survey(job)
    _describe(job, found)
    training = _Training(job, found)
    winner = training.run()
    weights_CD, bias_C = found.scaler.unscaled(winner.weights_CD, winner.bias_C)
    model = _artifact(hp, found, weights_CD, bias_C)
    stopped = job.stopped()
    report = _Report(job, found, training.loss, training.watched)
    model = report.calibrated(model)
    if not stopped:
        report.final(model)
    return model


def _describe(job: Job[Hyperparameters], found: Survey) -> None:
    scaler, regressor = found.scaler, job.hyperparameters.predictor_type == REGRESSOR
    numbers = {
        "stdev_weight": _shown(scaler.spread_D),
        "stdev_label": _shown(np.array([scaler.label_spread])) if regressor else None,
        "mean_label": _shown(np.array([scaler.label_shift])) if regressor else None,
        "mean_weight": _shown(scaler.shift_D),
    }
    job.log.say(f"Scaling model computed with parameters: {json.dumps(numbers)}")
    job.log.say(f"learning from {found.rows} rows of {found.width} features")


def _shown(values: Array) -> list[float]:
    """The first few numbers, short enough for a line of a log."""
    return [float(f"{value:.6g}") for value in values[:10]]


def chosen_loss(hp: Hyperparameters) -> losses.Loss:
    """The loss that the job asks for."""
    made: dict[str, losses.Loss] = {
        "logistic": losses.Logistic(),
        "hinge_loss": losses.Hinge(hp.margin),
        "softmax_loss": losses.Softmax(),
        "squared_loss": losses.Squared(),
        "absolute_loss": losses.Absolute(),
        "eps_insensitive_squared_loss": losses.InsensitiveSquared(hp.loss_insensitivity),
        "eps_insensitive_absolute_loss": losses.InsensitiveAbsolute(hp.loss_insensitivity),
        "quantile_loss": losses.Quantile(hp.quantile),
        "huber_loss": losses.Huber(hp.huber_delta),
    }
    return made[hp.chosen_loss]


def rows_of(job: Job[Any], name: str, width: int, *, most: int | None = None) -> Iterator[Records]:
    """This host's part of a channel, in batches; with ``most``, no more than that many rows on all hosts together."""
    channel, cluster = job.channel(name), job.cluster
    if name != "test":
        channel.keep()
    parts = batches(legal(channel.records(width=width), job.hyperparameters), AT_ONCE)
    left = most if most is None or not channel.sharded else -(-most // cluster.size)

    def limited() -> Iterator[Records]:
        nonlocal left
        for part in parts:
            if left is not None and left <= 0:
                return
            yield part if left is None else part.rows(0, left)
            left = None if left is None else left - len(part)

    yield from limited() if channel.sharded else shared_out(limited(), cluster.rank, cluster.size)


class _Training:
    """The passes over the data, and after each the look at the candidates."""

    def __init__(self, job: Job[Hyperparameters], found: Survey) -> None:
        hp = self._hp = job.hyperparameters
        self._job, self._found, self.loss = job, found, chosen_loss(hp)
        self.watched = "validation" if "validation" in job.channels else "train"
        self._classes = classes(hp) if hp.predictor_type == MULTICLASS else 1
        self._criterion = Criterion.of(hp)
        self._batch = search.batch_size(hp, found.rows, job.cluster.size)
        updates = hp.epochs * max(1, -(-found.rows // (self._batch * job.cluster.size)))
        rng = np.random.default_rng([job.seed, 1])
        self._settings = search.settings(hp, self._models(), updates, found.counts_C, rng)
        self._squad = Squad(job, found, self.loss, self._settings, self._classes, rng, places_of(job))
        self._contest = Contest()
        self._patience = _Patience(hp.early_stopping_patience, hp.early_stopping_tolerance)

    def run(self) -> Contender:
        """Train until the epochs or the patience are used up; the best candidate of any epoch."""
        hp, job = self._hp, self._job
        passes = Passes(job, hp.epochs, self._batch, self._found.width, self._arrays)
        if kept := passes.resume():
            self._squad.restore(kept)
            self._contest.restore(kept)
            self._patience.restore(kept["patience"])
        # Among many candidates some may diverge; the contest leaves them out.
        with np.errstate(over="ignore", invalid="ignore"):
            for steps in passes.by_epoch():
                epoch = passes.epoch
                for step in steps:
                    self._squad.step(step)
                self._look(epoch)
                if not passes.stopped and self._patience.over:
                    passes.finish()
                    waited = self._patience.waited
                    job.log.say(f"Epoch {epoch}: no improvement for {waited} epochs; training ends early")
        winner = self._contest.winner
        if winner is None and job.stopped():
            raise UserError("the job was stopped before its candidates could be measured, so it leaves no model")
        if winner is None:
            raise UserError(
                "no candidate came to a finite loss: the training diverged; lower learning_rate, or set "
                "normalize_data to true, or look for huge values in the data"
            )
        best = search.described(self._settings, winner.number, hp.chosen_optimizer)
        job.log.say(f"Best model found for hyperparameters: {json.dumps(best)}")
        return winner

    def _models(self) -> int:
        hp, wanted = self._hp, search.AUTO_MODELS
        if "_tuning_objective_metric" in self._job.platform:
            self._job.log.say("this is a job of a tuning job, so num_models is 1")
            return 1
        if not isinstance(hp.num_models, str):
            return hp.num_models
        # Weights, their moments and means, gradients: some eight numbers for each weight of a candidate.
        each = 8 * 4 * self._classes * self._found.width
        models = max(1, min(wanted, self._job.memory // max(1, 2 * each)))
        if models < wanted:
            self._job.log.say(f"num_models is {models} and not {wanted}, so that the candidates fit into memory")
        return models

    def _look(self, epoch: int) -> None:
        """Measure the candidates, let the best into the contest, and report on the epoch."""
        job, squad = self._job, self._squad
        models = len(self._settings)
        histograms = Histograms(models if self._by_threshold else 1)
        sums_M, rows = np.zeros(models), 0
        most = None if self.watched == "validation" else SAMPLE
        for records in rows_of(job, self.watched, self._found.width, most=most):
            labels_B = labels_of(records)
            scores, lost_M = squad.measured(records, labels_B)
            sums_M, rows = sums_M + lost_M, rows + len(records)
            if self._by_threshold:
                histograms.update(scores, labels_B)
        sums_M, total, counts = job.cluster.sum_all([sums_M, np.array(rows), histograms.counts])
        if not total:
            if job.stopped():  # A pipe that has fallen silent; what earlier epochs have found is still there.
                return
            raise DataError("there is no row to measure the candidates on", source=f"channel {self.watched}")
        histograms.counts = counts
        loss_M = sums_M / int(total)
        value_M = histograms.best(self._criterion)[0] if self._by_threshold else -loss_M
        value_M = np.where(np.isfinite(loss_M), value_M, -np.inf)
        weights_MCD, bias_MC = squad.mean()
        shares = int(total) if self._by_threshold else None
        self._contest.enter(epoch, value_M, loss_M, weights_MCD, bias_MC, shares)
        self._tell(epoch, squad.training_loss(), loss_M, value_M)
        squad.forget()

    @property
    def _by_threshold(self) -> bool:
        """Whether candidates are judged by what a threshold makes of their scores, and not by their loss."""
        return self._hp.predictor_type == BINARY and self._criterion.name != "loss_function"

    def _tell(self, epoch: int, trained: float, loss_M: Array, value_M: Array) -> None:
        job, unit = self._job, self._found.scaler.label_spread**self.loss.power
        best = float(value_M.max())
        improved = self._patience.saw(best)
        if not job.cluster.leads:
            return
        where = {"epoch": epoch, "objective": self.loss.objective}
        if np.isfinite(trained):
            job.log.metric("train:objective_loss", trained, **where)
        if self.watched == "validation" and np.isfinite(loss_M[0]):
            job.log.metric("validation:objective_loss", loss_M[0] * unit, **where)
        name = f"sampled_{self._criterion.name}" if self._by_threshold else f"{self.loss.objective}_objective"
        shown = best if self._by_threshold else -best * unit
        place = f"host={job.cluster.current}, epoch={epoch}, criteria={name}"
        job.log.say(f"#early_stopping_criteria_metric: {place}, value={shown}")
        if improved:
            job.log.say(f"Epoch {epoch}: Loss improved. Updating best model")
        else:
            job.log.say(f"Epoch {epoch}: Loss has not improved for {self._patience.waited} epochs.")

    def _arrays(self) -> dict[str, Array]:
        return {**self._squad.state(), **self._contest.arrays(), "patience": self._patience.state()}


@dataclass
class _Patience:
    """How many epochs in a row have brought no improvement worth the name."""

    most: int
    tolerance: float
    best: float = -np.inf
    waited: int = 0

    @property
    def over(self) -> bool:
        return self.waited >= self.most

    def saw(self, value: float) -> bool:
        """Whether the value, of which more is better, is an improvement."""
        first = not np.isfinite(self.best)
        improved = np.isfinite(value) and (first or value - self.best > self.tolerance * max(abs(self.best), 1e-12))
        self.waited = 0 if improved else self.waited + 1
        self.best = value if improved else self.best
        return bool(improved)

    def state(self) -> Array:
        return np.array([self.best, self.waited])

    def restore(self, state: Array) -> None:
        self.best, self.waited = float(state[0]), int(state[1])


class _Report:
    """What is said about the final model: its threshold, and its metrics on every channel."""

    def __init__(self, job: Job[Hyperparameters], found: Survey, loss: losses.Loss, watched: str) -> None:
        self._job, self._hp, self._found, self._loss = job, job.hyperparameters, found, loss
        self._watched = watched

    def calibrated(self, model: Artifact) -> Artifact:
        """The model with the decision threshold that suits the criterion best; other models as they are."""
        if self._hp.predictor_type != BINARY:
            return model
        given = self._hp.num_calibration_samples
        most = CALIBRATION if isinstance(given, str) else given
        tally, _, rows = self._tallied(model, self._watched, most)
        assert isinstance(tally, BinaryTally)
        if not rows:
            neutral = model.schema["threshold"]
            self._job.log.say(f"stopped before the threshold could be calibrated; it is {neutral}")
            return model
        threshold = np.zeros(1)
        if self._job.cluster.leads:
            rng = np.random.default_rng([self._job.seed, 2])
            threshold[0] = steady(tally.scores, tally.labels, Criterion.of(self._hp), rng).threshold
        schema = {**model.schema, "threshold": float(self._job.cluster.broadcast(threshold)[0])}
        return Artifact(model.algorithm, model.hyperparameters, schema, model.tensors, model.files)

    def final(self, model: Artifact) -> None:
        """Report the metrics of the channel that chose the model, and of the test channel."""
        for channel in (self._watched, "test"):
            if channel == "test" and channel not in self._job.channels:
                self._job.log.say("Test data is not provided.")
                continue
            tally, lost, rows = self._tallied(model, channel, None)
            if not rows and self._job.stopped():
                return
            if not rows:
                raise DataError("there is no row to score", source=f"channel {channel}")
            if self._job.cluster.leads:
                self._say(channel, tally, lost / rows)

    def _say(self, channel: str, tally: Tally, lost: float) -> None:
        log, hp = self._job.log, self._hp
        name = f"{channel}:objective_loss"
        log.metric(name if channel == "test" else f"{name}:final", lost, objective=self._loss.objective)
        declared = {metric.name for metric in SPEC.metrics}
        for short, value in tally.metrics().items():
            log.say(f"#{channel}_score ({self._job.cluster.current}) : ({short!r}, {value})")
            if f"{channel}:{short}" in declared:
                log.metric(f"{channel}:{short}", value, **hp.places)

    def _tallied(self, model: Artifact, channel: str, most: int | None) -> tuple[Tally, float, int]:
        """The tally of a channel's rows, on the leader over all hosts; the sum of losses and the rows, over all."""
        hp, job, scaler = self._hp, self._job, self._found.scaler
        predictor = Predictor.load(model, "cpu")
        tally = self._empty(model)
        lost = 0.0
        for records in rows_of(job, channel, self._found.width, most=most):
            labels_B = labels_of(records)
            linear_BC = predictor.linear(records)
            tally.update(predictor.scores(linear_BC), labels_B)
            scores, labels = linear_BC, labels_B
            if hp.predictor_type == MULTICLASS:
                scores, labels = linear_BC[:, None], labels_B.astype(np.intp)
            elif hp.predictor_type == REGRESSOR:
                scores, labels = ((each - scaler.label_shift) / scaler.label_spread for each in (linear_BC, labels_B))
            unit = scaler.label_spread**self._loss.power
            lost += unit * float(self._loss.value(scores, labels).sum(dtype=np.float64))
        sums = job.cluster.sum(np.array([lost, tally.rows]))
        if job.cluster.size > 1:
            tally.collect(job.cluster.gather)
        return tally, float(sums[0]), int(sums[1])

    def _empty(self, model: Artifact) -> Tally:
        hp = self._hp
        if hp.predictor_type == BINARY:
            return BinaryTally(hp.f_beta, model.schema["threshold"])
        if hp.predictor_type == MULTICLASS:
            return MulticlassTally(classes(hp), top_k=hp.accuracy_top_k, beta=hp.f_beta)
        return RegressionTally()


def _artifact(hp: Hyperparameters, found: Survey, weights_CD: Array, bias_C: Array) -> Artifact:
    schema = {
        "feature_dim": found.width,
        "predictor_type": hp.predictor_type,
        "num_classes": classes(hp),
        "loss": hp.chosen_loss,
    }
    neutral = 0.0 if hp.chosen_loss == "hinge_loss" else 0.5
    return Artifact(
        algorithm=SPEC.name,
        hyperparameters=hp.spell(),
        schema={**schema, "threshold": neutral} if hp.predictor_type == BINARY else schema,
        tensors={"weights": weights_CD, "bias": bias_C, "mean": found.scaler.mean_D},
        # What the managed algorithm leaves, so that notebooks which open its archive find it there.
        files={"model_algo-1": managed_file(weights_CD, bias_C, hp.predictor_type, hp.chosen_loss)},
    )
