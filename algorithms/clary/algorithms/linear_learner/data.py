"""The first pass over the rows: how many there are, whether their labels are legal, and the scale of each feature.

N rows, D features, C classes. Means and standard deviations come from the first ``num_point_for_scaler`` rows of
each host; counts come from all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.spec import BINARY, MULTICLASS, REGRESSOR, Hyperparameters
from clary.toolkit.batches import batches, checked
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.job import Job
from clary.toolkit.parameters import AUTO
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
AT_ONCE = 8192  # rows that are looked at together


@dataclass(frozen=True)
class Scaler:
    """What features and labels are shifted and divided by before training; the spread of what is constant is 1.

    ``shift_D`` is 0 where features are not shifted; ``mean_D`` is the mean in any case.
    """

    mean_D: Array
    shift_D: Array
    spread_D: Array
    label_shift: float = 0.0
    label_spread: float = 1.0

    def unscaled(self, weights_CD: Array, bias_C: Array) -> tuple[Array, Array]:
        """Weights and bias for features and labels as they came, in float64."""
        weights_CD = weights_CD.astype(np.float64) / self.spread_D * self.label_spread
        bias_C = bias_C.astype(np.float64) * self.label_spread + self.label_shift
        return weights_CD, bias_C - weights_CD @ self.shift_D


@dataclass(frozen=True)
class Survey:
    """What is known of the training data. ``rows`` and ``counts_C`` (of each class) are over all hosts."""

    width: int
    rows: int
    sparse: bool
    counts_C: Array
    scaler: Scaler


class _Moments:
    """Number, mean and sum of squared distances from the mean, merged block by block (Chan et al., 1983)."""

    def __init__(self, width: int) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(width), np.zeros(width)

    def add(self, count: int, mean: Array, squares: Array) -> None:
        if not count:
            return
        total, apart = self.count + count, mean - self.mean
        self.mean = self.mean + apart * (count / total)
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.count = total

    def add_rows(self, rows_ND: Any) -> None:
        if isinstance(rows_ND, np.ndarray):
            mean = rows_ND.mean(axis=0, dtype=np.float64)
            self.add(len(rows_ND), mean, np.square(rows_ND - mean).sum(axis=0))
        else:
            (count, width), columns, values = rows_ND.shape, rows_ND.indices, rows_ND.data.astype(np.float64)
            mean = np.bincount(columns, values, width) / max(1, count)
            # The distances themselves: a difference of large sums would make a spread of their rounding.
            squares = np.bincount(columns, (values - mean[columns]) ** 2, width)
            self.add(count, mean, squares + (count - np.bincount(columns, minlength=width)) * mean**2)

    def over_hosts(self, job: Job[Any]) -> None:
        """Take in the moments of the other hosts."""
        count, total = job.cluster.sum_all([np.array(self.count), self.count * self.mean])
        mean = total / max(1, int(count))
        squares = job.cluster.sum(self.squares + self.count * (self.mean - mean) ** 2)
        self.count, self.mean, self.squares = int(count), mean, squares

    @property
    def spread(self) -> Array:
        deviation = np.sqrt(self.squares / max(1, self.count))
        # Rounding may leave a constant column a spread; dividing by that would make noise.
        return np.where(deviation > 1e-9 * np.abs(self.mean), deviation, 1.0)


def survey(job: Job[Hyperparameters]) -> Survey:
    """Read the train channel once; DataError names the row of a label that cannot be, UserError a lack of rows."""
    hp, channel = job.hyperparameters, job.channel("train")
    channel.keep()
    width = None if hp.feature_dim == AUTO else int(hp.feature_dim)
    rows, sparse, most = 0, False, hp.num_point_for_scaler
    counts_C = np.zeros(classes(hp), np.int64)
    features: _Moments | None = None
    labels = _Moments(1)
    # Cut anew, so that the sums do not depend on how the rows came in files and blocks.
    for records in batches(legal(_of_one_width(channel.records(width=width)), hp), AT_ONCE):
        width = width or records.width
        labels_N = labels_of(records)
        features = features or _Moments(width)
        if rows < most:
            features.add_rows(records.rows(0, most - rows).features)
            labels.add_rows(labels_N[: most - rows, None])
        if hp.predictor_type != REGRESSOR:
            counts_C += np.bincount(labels_N.astype(np.int64), minlength=len(counts_C))
        rows, sparse = rows + len(records), sparse or records.sparse
    width = _agreed_width(job, width or 0)
    features = features or _Moments(width)
    if channel.sharded and job.cluster.size > 1:
        features.over_hosts(job)
        labels.over_hosts(job)
        total, sparse_hosts, counts_C = job.cluster.sum_all([np.array(rows), np.array(int(sparse)), counts_C])
        rows, sparse = int(total), bool(sparse_hosts)
    if not rows and job.stop.is_set():
        raise UserError("the job was stopped before it had a batch of rows to learn from, so it leaves no model")
    if not rows:
        raise DataError("there is no row to learn from", source="channel train")
    return Survey(width, rows, sparse, counts_C, _scaler(hp, features, labels, sparse))


def _of_one_width(blocks: Iterator[Records]) -> Iterator[Records]:
    """The blocks, each as wide as the first; DataError that gives both sizes otherwise."""
    width = None
    for records in blocks:
        width = width or records.width
        yield records.expect_width(width)


def classes(hp: Hyperparameters) -> int:
    """Number of classes that labels may have; 1 where labels are numbers."""
    if hp.predictor_type == MULTICLASS:
        assert hp.num_classes is not None
        return hp.num_classes
    return 2 if hp.predictor_type == BINARY else 1


def legal(blocks: Iterable[Records], hp: Hyperparameters) -> Iterator[Records]:
    """The blocks, if all their labels can be; to be asked before rows are cut anew and forget where they stood."""
    return checked(blocks, lambda records: checked_labels(records, hp))


def labels_of(records: Records) -> Array:
    """The labels (N,) of rows that were found legal, as float32."""
    assert records.labels is not None
    labels_N: Array = records.labels[:, 0]
    return labels_N


def checked_labels(records: Records, hp: Hyperparameters) -> Array:
    """The labels (N,) as float32; DataError names the first row whose label cannot be."""
    labels_N = records.expect_label("In CSV the label is the first column")
    if hp.predictor_type == REGRESSOR:
        return labels_N
    bad = np.flatnonzero((labels_N < 0) | (labels_N >= classes(hp)) | (labels_N != np.floor(labels_N)))
    if len(bad):
        allowed = "0 or 1" if hp.predictor_type == BINARY else f"a whole number from 0 to {classes(hp) - 1}"
        hint = "" if hp.predictor_type == BINARY else " (num_classes - 1)"
        reason = f"the label must be {allowed}{hint} for a {hp.predictor_type}; got {labels_N[bad[0]]:g}"
        raise DataError(reason, source=records.source, row=records.first_row + int(bad[0]))
    return labels_N


def _agreed_width(job: Job[Any], width: int) -> int:
    """The number of features on every host; a host without rows learns it from the others."""
    if job.cluster.size == 1:
        return width
    gathered = job.cluster.gather(np.array(width))
    widths = sorted({int(each) for each in gathered if each}) if gathered is not None else []
    found = job.cluster.broadcast(np.array(widths))
    if len(found) > 1:
        raise DataError(f"hosts have rows of different widths: {', '.join(map(str, found))}", source="channel train")
    return int(found[0]) if len(found) else 0


def _scaler(hp: Hyperparameters, features: _Moments, labels: _Moments, sparse: bool) -> Scaler:
    follows_bias = hp.use_bias if hp.unbias_data == AUTO else bool(hp.unbias_data)
    # Shifting sparse rows is done in the scores, not in the rows; by itself it is done for dense ones only.
    shifted = follows_bias and not (sparse and hp.unbias_data == AUTO)
    spread_D = features.spread if hp.normalize_data in (AUTO, True) else np.ones_like(features.mean)
    # Rounded as in training, so that the model is the same function of the rows afterwards.
    shift_D = features.mean.astype(np.float32).astype(np.float64) if shifted else np.zeros_like(features.mean)
    if hp.predictor_type != REGRESSOR:
        return Scaler(features.mean, shift_D, spread_D)
    centered = hp.use_bias and hp.unbias_label in (AUTO, True)
    spread = float(labels.spread[0]) if hp.normalize_label in (AUTO, True) else 1.0
    return Scaler(features.mean, shift_D, spread_D, float(labels.mean[0]) if centered else 0.0, spread)
