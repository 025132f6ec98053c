"""Trains DeepAR: windows drawn at random from the series, then the test channel scored by sample paths."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from clary.algorithms.deepar.data import Fields, Series, check_observations, check_support, read
from clary.algorithms.deepar.evaluate import Errors
from clary.algorithms.deepar.layers import one_thread
from clary.algorithms.deepar.model import Forecaster, Network
from clary.algorithms.deepar.spec import Hyperparameters
from clary.algorithms.deepar.windows import Batch, Draws, Windows
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError
from clary.toolkit.job import Job
from clary.toolkit.loop import Epoch, Loop
from clary.toolkit.optimizers import light
from clary.toolkit.parameters import AUTO
from clary.toolkit.replicas import Replicas

CLIP = 10.0  # norm of the gradients
LAST_RATE = 0.01  # of the learning rate, at the end of the last epoch
PRINT_EVERY = 5  # batches
TOGETHER = 512  # series that are scored at a time, so that their samples fit into memory


def train(job: Job[Hyperparameters]) -> Artifact:
    """A forecaster of the train channel's series; the test channel is scored where there is one.

    DataError where a series cannot be read or none is long enough, UserError where there are too few observations.
    """
    job.log.say(f"Using early stopping with patience {job.hyperparameters.early_stopping_patience}")
    job.log.say(f"random_seed is {job.seed}")
    series, fields = read(job.channel("train"), job.hyperparameters, None)
    fields = _agreed(job, fields, series)
    _describe_fields(job, series, fields)
    _describe(job, series, "Training")
    check_support(series, job.hyperparameters.likelihood)
    usual = _usual(job, series)
    test = None
    if "test" in job.channels:
        test, _ = read(job.channel("test"), job.hyperparameters, fields)
        _describe(job, test, "Test")
    sharded = job.channel("train").sharded
    forecaster = Replicas.of(job).run(_fit, job, _long_enough(job, series), fields, usual, sharded)
    if test is not None and not job.stopped():
        _score(job, forecaster, test)
    return forecaster.artifact()


def _fit(
    job: Job[Hyperparameters], replicas: Replicas, series: Series, fields: Fields, usual: float, sharded: bool
) -> Forecaster:
    """Train in this process, together with the others."""
    hp = job.hyperparameters
    network = Network(hp, fields, usual).to(replicas.device)
    optimizer = light(torch.optim.Adam)(network.parameters(), lr=hp.learning_rate)
    windows = Windows(series, network.lags, usual, replicas.device)
    draws = _draws(replicas, hp, series, sharded)
    if draws.passes > 1:
        job.log.say(
            f"Small number of time series. Doing {draws.passes} passes over dataset with prob "
            f"{draws.probability:.2g} per epoch."
        )
    # Hosts may have other series, and one may have none, but all must take the same steps.
    batches = [draws.batches if rank == replicas.rank else 0.0 for rank in range(replicas.size)]
    schedule = _schedule(hp.epochs * max(replicas.sum(batches)))
    loop = Loop(job, replicas, network, optimizer, epochs=hp.epochs, clip=CLIP, schedule=schedule, look=PRINT_EVERY)
    loss = math.nan
    for epoch in loop:
        pace = _Pace()
        with one_thread():
            for batch in epoch.steps(_batches(job, replicas, windows, draws, epoch.number, sharded)):
                epoch.learn(loop.module(batch), len(batch))
                _report_batch(job, replicas, loop, epoch, pace)
        loss = epoch.loss
        loop.keep_best(loss)
        _report_epoch(job, replicas, loop, epoch)
        if hp.early_stopping_patience and loop.since_best >= hp.early_stopping_patience:
            job.log.say(f"Loss has not improved for {loop.since_best} epochs: stopping training now.")
            loop.finish()
    if hp.early_stopping_patience and loop.best_epoch is not None:
        job.log.say(f"Loading parameters from best epoch ({loop.best_epoch})")
        loop.restore_best()
        job.log.say(f"Final loss: {loop.best_score} (occurred at epoch {loop.best_epoch})")
        loss = loop.best_score
    if replicas.leads and not math.isnan(loss):  # a job may resume when there is nothing left to train
        job.log.metric("train:final_loss", loss)
    return Forecaster(network.eval(), hp, replicas.device)


def _draws(replicas: Replicas, hp: Hyperparameters, series: Series, sharded: bool) -> Draws:
    """The windows of this host's series.

    Hosts with the same series share a batch. Those with other series each draw a part, which is that of their windows
    among all, so that a window has the same chance wherever it lies.
    """
    chances_N = series.lengths - hp.prediction_length + 1
    whole = replicas.sum([chances_N.sum() / replicas.local])[0] if sharded else chances_N.sum()
    return Draws(chances_N, max(1, math.ceil(hp.mini_batch_size * chances_N.sum() / whole)))


def _schedule(steps: float) -> Callable[[int], float]:
    """The learning rate's factor at each step: 1 in the first half of so many, then falling to a hundredth."""

    def factor(step: int) -> float:
        behind = min(max(2 * step / max(steps, 1.0) - 1, 0.0), 1.0)
        return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * behind)) / 2

    return factor


def _batches(
    job: Job[Hyperparameters], replicas: Replicas, windows: Windows, draws: Draws, epoch: int, sharded: bool
) -> Iterator[Batch]:
    """This process's batches of an epoch; processes that see the same series share each batch."""
    hp = job.hyperparameters
    host, sharing = (replicas.rank // replicas.local, replicas.local) if sharded else (0, replicas.size)
    own = slice(replicas.rank % sharing, None, sharing)
    for index_B, split_B in draws.epoch(np.random.default_rng([job.seed, epoch, host])):
        if len(index_B[own]):
            first_B = split_B[own] - hp.context_length
            yield windows.cut(index_B[own], first_B, hp.context_length, hp.context_length + hp.prediction_length)


class _Pace:
    """How fast an epoch goes."""

    def __init__(self) -> None:
        self._records, self._since = 0, time.perf_counter()

    def rate(self, records: int) -> float:
        """Records a second since the last call, by the number of this epoch's so far."""
        now, more = time.perf_counter(), records - self._records
        seconds = now - self._since
        self._records, self._since = records, now
        return more / max(seconds, 1e-9)


def _report_batch(job: Job[Hyperparameters], replicas: Replicas, loop: Loop, epoch: Epoch, pace: _Pace) -> None:
    if loop.step % PRINT_EVERY or not replicas.leads:
        return
    place = f"Epoch[{epoch.number}] Batch[{loop.step}]"
    rate = pace.rate(epoch.records)
    job.log.say(f"{place} avg_epoch_loss={epoch.loss:.6f}")
    job.log.metric("train:loss:batch", epoch.loss, epoch=epoch.number, batch=loop.step)
    if loop.step:
        job.log.say(f"{place}\tSpeed: {rate:.2f} samples/sec\tloss={epoch.loss:.6f}")


def _report_epoch(job: Job[Hyperparameters], replicas: Replicas, loop: Loop, epoch: Epoch) -> None:
    if not replicas.leads or loop.stopped:
        return
    job.log.say(f"Epoch[{epoch.number}] avg_epoch_loss={epoch.loss:.6f}")
    job.log.say(f"processed a total of {epoch.records} examples")
    job.log.metric("train:loss", epoch.loss, epoch=epoch.number)
    improved = loop.best_epoch == epoch.number
    job.log.say(f"best epoch loss so far: {loop.best_score}" if improved else "loss did not improve")


def _agreed(job: Job[Hyperparameters], fields: Fields, series: Series) -> Fields:
    """The fields of all hosts, of which each may have read other series."""
    own = [len(series), fields.dynamic, *(fields.categories or ())]
    parts = job.cluster.gather(np.array(own, np.int64))
    found = [part[1:] for part in parts or () if part[0]]
    if parts is not None and len({(len(each), each[0]) for each in found}) != 1:
        raise DataError("the hosts' series do not have the same fields", source="channel train")
    together = job.cluster.broadcast(np.max(found, axis=0) if parts is not None else None)
    return Fields(tuple(together[1:].tolist()) or None, int(together[0]))


def _describe_fields(job: Job[Hyperparameters], series: Series, fields: Fields) -> None:
    """Say which of the fields that are left to the data were found."""
    hp, source = job.hyperparameters, series.origins[0].source if series.origins else "channel train"
    for name, field, given, found in (
        ("cardinality", "cat", hp.cardinality, list(fields.categories or ())),
        ("num_dynamic_feat", "dynamic_feat", hp.num_dynamic_feat, fields.dynamic),
    ):
        if given == AUTO:
            was, will = ("was", "will") if found else ("was NOT", "will NOT")
            job.log.say(
                f"[{name}=auto] `{field}` field {was} found in the file `{source}` and {will} be used for training."
            )
            if found:
                job.log.say(f"Inferred value of {name}={found} from dataset.")


def _describe(job: Job[Hyperparameters], series: Series, name: str) -> None:
    """Say what the channel holds, as the managed algorithm does."""
    known = series.target[~np.isnan(series.target)].astype(np.float64)
    missing = 1 - len(known) / max(1, len(series.target))
    whole = "Integer" if (known % 1 == 0).all() else "Real"
    low, mean, high = (known.min(), known.mean(), known.max()) if len(known) else (np.nan,) * 3
    for sentence in (
        f"{name} set statistics:",
        f"{whole} time series",
        f"number of time series: {len(series)}",
        f"number of observations: {len(known)}",
        f"mean target length: {len(series.target) / max(1, len(series)):.1f}",
        f"min/mean/max target: {low}/{mean}/{high}",
        f"mean abs(target): {np.abs(known).mean() if len(known) else np.nan}",
        f"contains missing values: {f'yes ({100 * missing:.1f}%)' if missing else 'no'}",
    ):
        job.log.say(sentence)


def _usual(job: Job[Hyperparameters], series: Series) -> float:
    """The mean absolute target of all hosts' series, 1 where it is 0; DataError where there are too few targets."""
    known = series.target[~np.isnan(series.target)].astype(np.float64)
    sums = np.array([np.abs(known).sum(), len(known)])
    if job.channel("train").sharded:
        sums = job.cluster.sum(sums)
    size, count = sums.tolist()
    check_observations(int(count))
    return float(size / count) or 1.0


def _long_enough(job: Job[Hyperparameters], series: Series) -> Series:
    """The series that have a window to learn from; DataError where no host has any."""
    horizon = job.hyperparameters.prediction_length
    enough = np.flatnonzero(series.lengths >= horizon)
    if short := len(series) - len(enough):
        job.log.say(f"{short} series are shorter than prediction_length={horizon} and are left out of training")
    if not job.cluster.sum(np.array([len(enough)])).any():
        raise DataError(f"no series has as many points as prediction_length={horizon}", source="channel train")
    return series.take(enough)


def _score(job: Job[Hyperparameters], forecaster: Forecaster, series: Series) -> None:
    """Forecast the last points of each series from those before, and report how well."""
    hp, cluster = job.hyperparameters, job.cluster
    job.log.say(f"Evaluating model accuracy on testset using {hp.num_eval_samples} samples")
    shared = not job.channel("test").sharded
    own = np.flatnonzero(series.lengths > hp.prediction_length)
    if shared:
        own = own[cluster.rank :: cluster.size]
    errors = Errors.none(hp.test_quantiles)
    for start in range(0, len(own), TOGETHER):
        history, target_NT = series.take(own[start : start + TOGETHER]).withheld(hp.prediction_length)
        errors.add(forecaster.sample(history, hp.num_eval_samples), target_NT)
    errors = errors.of(cluster.sum(errors.numbers()))
    if not errors.points:
        raise DataError(
            f"no series has a point to score behind its first; each must be longer than "
            f"prediction_length={hp.prediction_length}",
            source="channel test",
        )
    if cluster.leads:
        _report_scores(job, errors)


def _report_scores(job: Job[Hyperparameters], errors: Errors) -> None:
    host, say = job.cluster.current, job.log.say
    say(f"#test_score ({host}, RMSE): {errors.rmse}")
    say(f"#test_score ({host}, mean_absolute_QuantileLoss): {errors.losses.mean()}")
    say(f"#test_score ({host}, mean_wQuantileLoss): {errors.mean_quantile_loss}")
    for level, loss in zip(errors.levels, errors.quantile_losses, strict=True):
        say(f"#test_score ({host}, wQuantileLoss[{level:g}]): {loss}")
    job.log.metric("test:RMSE", errors.rmse)
    job.log.metric("test:mean_wQuantileLoss", errors.mean_quantile_loss)
