"""All that is computed from scores and labels: metrics, the decision threshold, and how good a candidate can be.

N rows, C classes, M candidates, B bins. Everything adds up over batches and over hosts, so how the rows are cut
changes nothing. Divisions by zero count as 0: the precision where no row is labeled 1, the recall of a class
without rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.spec import Hyperparameters

Array = npt.NDArray[Any]

BINS = 8192
RESAMPLES = 100
MOST_RESAMPLED = 50_000  # rows; with more, the best cut hardly moves from sample to sample
_FARTHEST = 1e30  # margins beyond count as this one


class Tally(ABC):
    """Counts and sums over scored rows, from which metrics follow."""

    @abstractmethod
    def update(self, scores: Array, labels_N: Array) -> None:
        """Take in a batch."""

    @abstractmethod
    def arrays(self) -> list[Array]:
        """All that was taken in, as arrays that another host can send."""

    @abstractmethod
    def add(self, arrays: Sequence[Array]) -> None:
        """Take in what another tally's ``arrays`` gave."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """Number of rows taken in."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """The metrics by their short names; ValueError where there is no row."""

    def collect(self, gather: Callable[[Array], list[Array] | None]) -> None:
        """Take in the rows of all hosts on the leading one; every host calls this with its ``cluster.gather``."""
        gathered = [gather(array) for array in self.arrays()]
        for others in zip(*(each[1:] for each in gathered if each is not None), strict=True):
            self.add(others)

    def _some_rows(self) -> int:
        if not self.rows:
            raise ValueError("there is no row to measure")
        return self.rows


@dataclass
class BinaryTally(Tally):
    """Metrics of a binary classifier. A row is labeled 1 where its score is at least ``threshold``.

    Scores and labels are kept, because the area under the curve and the best threshold need them all; so the
    threshold may be set, or set anew, after the last row.
    """

    beta: float = 1.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        self._scores: list[Array] = []
        self._labels: list[Array] = []

    def update(self, scores: Array, labels_N: Array) -> None:
        """Take in scores (N) and labels of 0 and 1."""
        self._scores.append(scores.astype(np.float64))
        self._labels.append(labels_N.astype(bool))

    @property
    def scores(self) -> Array:
        """All scores, in the order of the rows."""
        return np.concatenate([np.empty(0), *self._scores])

    @property
    def labels(self) -> Array:
        """All labels, in the order of the rows, as booleans."""
        return np.concatenate([np.empty(0, bool), *self._labels])

    def arrays(self) -> list[Array]:
        """Scores and labels."""
        return [self.scores, self.labels]

    def add(self, arrays: Sequence[Array]) -> None:
        """Append another tally's scores and labels."""
        scores_N, labels_N = arrays
        self.update(scores_N, labels_N)

    @property
    def rows(self) -> int:
        """Number of rows taken in."""
        return sum(map(len, self._labels))

    def metrics(self) -> dict[str, float]:
        """Accuracy, F-score, precision, recall, and the area under the curve where there are rows of both classes."""
        rows, scores_N, labels_N = self._some_rows(), self.scores, self.labels
        said_N = scores_N >= self.threshold
        hit, said, there = (np.array(np.count_nonzero(each)) for each in (said_N & labels_N, said_N, labels_N))
        found = {
            "binary_classification_accuracy": float(np.count_nonzero(said_N == labels_N)) / rows,
            "binary_f_beta": float(f_score(hit, said, there, self.beta)),
            "precision": float(_share(hit, said)),
            "recall": float(_share(hit, there)),
        }
        area = area_under_curve(scores_N, labels_N)
        return found if area is None else {**found, "roc_auc_score": area}


class MulticlassTally(Tally):
    """Metrics of a multiclass classifier, in memory that grows with C and not with N.

    Among equal scores the class with the lower number comes first, in the predicted label as in every rank.
    """

    def __init__(self, classes: int, *, top_k: int = 3, beta: float = 1.0) -> None:
        self._top_k, self._beta = top_k, beta
        self._hit_C, self._said_C, self._there_C = self._counts = np.zeros((3, classes), np.int64)
        self._sums = np.zeros(2)  # rows within the first k, discounted gain

    def update(self, scores: Array, labels_N: Array) -> None:
        """Take in scores (N, C) and labels from 0 to C - 1."""
        labels_N = labels_N.astype(np.intp)
        said_N = scores.argmax(axis=1)
        for counts_C, classes_N in (
            (self._hit_C, labels_N[said_N == labels_N]),
            (self._said_C, said_N),
            (self._there_C, labels_N),
        ):
            np.add.at(counts_C, classes_N, 1)
        before_N = ranks(scores, labels_N)
        self._sums += [np.count_nonzero(before_N < self._top_k), (1 / np.log2(2 + before_N)).sum()]

    def arrays(self) -> list[Array]:
        """Counts (3, C), and two sums."""
        return [self._counts, self._sums]

    def add(self, arrays: Sequence[Array]) -> None:
        """Add another tally's counts and sums."""
        self._counts += arrays[0]
        self._sums += arrays[1]

    @property
    def rows(self) -> int:
        """Number of rows taken in."""
        return int(self._there_C.sum())

    def metrics(self) -> dict[str, float]:
        """Accuracies, gain, and means over the classes that a row has or was given."""
        rows = self._some_rows()
        seen_C = (self._there_C > 0) | (self._said_C > 0)
        hit_C, said_C, there_C = self._counts[:, seen_C]
        return {
            "multiclass_accuracy": float(hit_C.sum()) / rows,
            "multiclass_top_k_accuracy": float(self._sums[0]) / rows,
            "dcg": float(self._sums[1]) / rows,
            "macro_f_beta": float(f_score(hit_C, said_C, there_C, self._beta).mean()),
            "macro_precision": float(_share(hit_C, said_C).mean()),
            "macro_recall": float(_share(hit_C, there_C).mean()),
        }


class RegressionTally(Tally):
    """Metrics of a regressor, in units of the label."""

    def __init__(self) -> None:
        self._sums = np.zeros(3)  # rows, absolute errors, squared errors

    def update(self, scores: Array, labels_N: Array) -> None:
        """Take in predictions (N) and labels."""
        errors_N = scores.astype(np.float64) - labels_N
        self._sums += [len(errors_N), np.abs(errors_N).sum(), np.square(errors_N).sum()]

    def arrays(self) -> list[Array]:
        """Three sums."""
        return [self._sums]

    def add(self, arrays: Sequence[Array]) -> None:
        """Add another tally's sums."""
        self._sums += arrays[0]

    @property
    def rows(self) -> int:
        """Number of rows taken in."""
        return int(self._sums[0])

    def metrics(self) -> dict[str, float]:
        """Mean absolute error, mean squared error and its root."""
        rows = self._some_rows()
        _, absolute, squared = (self._sums / rows).tolist()
        return {"absolute_loss": absolute, "mse": squared, "rmse": squared**0.5}


def f_score(hit: Array, said: Array, there: Array, beta: float) -> Array:
    """F-beta from the numbers of rows rightly given a class, given it, and of it; 0 where all three are."""
    return _share((1 + beta**2) * hit, beta**2 * there + said)


def _share(part: Array, whole: Array) -> Array:
    """The quotient, and 0 where the whole is 0."""
    result: Array = np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
    return result


def ranks(scores_NC: Array, labels_N: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """How many classes come before each row's own by their scores: 0 where the row is labeled right."""
    own_N1 = np.take_along_axis(scores_NC, labels_N[:, None], axis=1)
    # Not "greater": where a score is NaN, the row must not count as right.
    before_NC = ~(scores_NC <= own_N1)
    tied_NC = (scores_NC == own_N1) & (np.arange(scores_NC.shape[1]) < labels_N[:, None])
    before_N: npt.NDArray[np.intp] = np.count_nonzero(before_NC | tied_NC, axis=1)
    return before_N


def area_under_curve(scores_N: Array, labels_N: Array) -> float | None:
    """Chance that a row of class 1 scores above one of class 0, a tie counting half; None without both classes."""
    # Both are sorted, because a search in the order of what is searched is several times as fast.
    above, below = (np.sort(scores_N[labels_N.astype(bool) == side]) for side in (True, False))
    if not len(above) or not len(below):
        return None
    beaten = np.searchsorted(below, above, "left").sum() + np.searchsorted(below, above, "right").sum()
    return float(beaten) / (2.0 * len(above) * len(below))


@dataclass(frozen=True)
class Criterion:
    """What makes one threshold, or one candidate, better than another: a name of ``spec.CRITERIA`` and its numbers.

    ``loss_function`` judges thresholds by their accuracy, because a loss does not depend on one.
    """

    name: str = "accuracy"
    beta: float = 1.0
    target_recall: float = 0.8
    target_precision: float = 0.8

    @classmethod
    def of(cls, hp: Hyperparameters) -> Criterion:
        """The criterion that a job asks for."""
        return cls(hp.binary_classifier_model_selection_criteria, hp.f_beta, hp.target_recall, hp.target_precision)

    @property
    def has_target(self) -> bool:
        """Whether one of precision and recall is held fixed."""
        return self.name in ("precision_at_target_recall", "recall_at_target_precision")

    def value(self, hit: Array, said: Array, there: Array, rows: int) -> Array:
        """The value for each pair of rows rightly labeled 1 and rows labeled 1, of ``there`` rows of class 1.

        Where a target is missed the value is negative, by as much as it is missed, so that any threshold which
        meets the target is better, and otherwise the one that comes nearest.
        """
        if self.name == "f_beta":
            return f_score(hit, said, there, self.beta)
        precision, recall = _share(hit, said), _share(hit, there)
        if self.name == "precision_at_target_recall":
            return _at_target(precision, recall, self.target_recall)
        if self.name == "recall_at_target_precision":
            return _at_target(recall, precision, self.target_precision)
        right: Array = (rows - there - said + 2 * hit) / rows
        return right

    def best(self, hit: Array, said: Array, there: Array, rows: int) -> tuple[Array, Array]:
        """Index along the last axis of the best cut, and its value.

        Of equally good cuts the one with the largest sum of true positive and true negative rates is taken, and
        of those the one with the fewest rows labeled 1.
        """
        value = self.value(hit, said, there, rows)
        best = value.max(axis=-1)
        spread = hit * (rows - there) - (said - hit) * there
        spread = np.where(value == best[..., None], spread, np.iinfo(np.int64).min)
        return spread.argmax(axis=-1), best


def _at_target(value: Array, other: Array, target: float) -> Array:
    return np.where(other >= target, value, other - target)


@dataclass(frozen=True)
class Calibration:
    """A decision threshold, and the value of the criterion there."""

    threshold: float
    value: float


def calibrate(scores_N: Array, labels_N: Array, criterion: Criterion) -> Calibration:
    """The best threshold for these rows, exactly: every cut between two different scores is tried.

    The threshold lies halfway between the two scores, so it does not matter whether a score that equals it
    counts; where every row or no row is to be labeled 1, it lies half a gap outside. ValueError without rows.
    """
    if not len(scores_N):
        raise ValueError("there is no row to calibrate the threshold on")
    # Sorted by themselves: far quicker than the order of all rows by their scores.
    scores_N = scores_N.astype(np.float64)
    ascending_N, positive = np.sort(scores_N), np.sort(scores_N[labels_N.astype(bool)])
    first = np.flatnonzero(np.append(True, ascending_N[1:] != ascending_N[:-1]))[::-1]
    cuts = ascending_N[first]
    said = np.concatenate([[0], len(ascending_N) - first])
    hit = np.concatenate([[0], len(positive) - np.searchsorted(positive, cuts, "left")])
    index, value = criterion.best(hit, said, hit[-1:], len(ascending_N))
    return Calibration(_between(cuts, int(index)), float(value))


def steady(scores_N: Array, labels_N: Array, criterion: Criterion, rng: np.random.Generator) -> Calibration:
    """A threshold that is good for rows like these, and not for these alone: the mean over resamples of the rows.

    The best cut of few rows is where chance has it, which costs a tenth of a point or more on other rows; the mean
    of the best cuts of bootstrap samples has far less of that chance in it (Breiman, "Bagging Predictors", 1996).
    Where there is a target to meet, all rows are of one class, or there are more rows than chance has a say in, it is
    the best cut of the rows.
    """
    exact = calibrate(scores_N, labels_N, criterion)
    if criterion.has_target or len(scores_N) > MOST_RESAMPLED or labels_N.min() == labels_N.max():
        return exact
    count = len(scores_N)
    cuts = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, count, count)
        cuts.append(calibrate(scores_N[drawn], labels_N[drawn], criterion).threshold)
    threshold = float(np.mean(cuts))
    said_N = scores_N >= threshold
    parts = (said_N & (labels_N > 0), said_N, labels_N > 0)
    hit, said, there = (np.array(np.count_nonzero(each)) for each in parts)
    return Calibration(threshold, float(criterion.value(hit, said, there, count)))


def _between(levels: Array, cut: int) -> float:
    """A threshold that the first ``cut`` of the falling levels reach, and the others do not."""
    gaps = -np.diff(levels) if len(levels) > 1 else np.ones(1)
    if cut == 0:
        return float(max(levels[0] + gaps[0] / 2, np.nextafter(levels[0], np.inf)))
    if cut == len(levels):
        return float(levels[-1] - gaps[-1] / 2)
    # Halved first, as the sum of two huge scores is infinite.
    middle = levels[cut - 1] / 2 + levels[cut] / 2
    return float(middle if middle > levels[cut] else levels[cut - 1])


class Histograms:
    """The scores of many binary candidates at once, by class, counted in bins: 2 * M * B numbers for any N.

    Margins from minus to plus infinity are mapped to bins by m / (1 + |m|), so bins are finest around 0, where
    decisions fall. The best values agree with ``calibrate`` to within the rows that share a bin with the cut.
    """

    def __init__(self, candidates: int, bins: int = BINS) -> None:
        self.counts = np.zeros((2, candidates, bins), np.int64)

    def update(self, margins_NM: Array, labels_N: Array) -> None:
        """Take in margins, that is scores before the link, and labels of 0 and 1; NaN counts as the lowest margin."""
        _, candidates, bins = self.counts.shape
        # fmin and fmax pass over NaN, which a candidate that diverged may give.
        place_NM = np.fmin(np.fmax(margins_NM, -_FARTHEST), _FARTHEST)
        place_NM /= np.abs(place_NM) + 1
        place_NM += 1
        place_NM *= bins / 2
        index_NM = np.minimum(place_NM.astype(np.intp), bins - 1)
        index_NM += np.arange(candidates) * bins
        index_NM += (labels_N.astype(np.intp) * (candidates * bins))[:, None]
        np.add.at(self.counts.reshape(-1), index_NM.reshape(-1), 1)

    def best(self, criterion: Criterion) -> tuple[Array, Array]:
        """For each candidate the best value of the criterion, and the margin of its threshold.

        The threshold is the middle of the empty bins at the cut, or the edge of the bin where there is none.
        ValueError without rows.
        """
        rows = int(self.counts[:, :1].sum())
        if not rows:
            raise ValueError("there is no row to judge the candidates by")
        _, candidates, bins = self.counts.shape
        falling = np.zeros((2, candidates, bins + 1), np.int64)
        np.cumsum(self.counts[:, :, ::-1], axis=2, out=falling[:, :, 1:])
        hit, said = falling[1], falling.sum(axis=0)
        cut_M, value_M = criterion.best(hit, said, hit[:, -1:], rows)
        # Behind the cut, bins without a row make further cuts that are the same.
        until_M = [np.searchsorted(row, row[cut], "right") - 1 for row, cut in zip(said, cut_M, strict=True)]
        place_M = 1 - (cut_M + np.array(until_M)) / bins
        place_M = np.clip(place_M, 1 / bins - 1, 1 - 1 / bins)
        return value_M, place_M / (1 - np.abs(place_M))
