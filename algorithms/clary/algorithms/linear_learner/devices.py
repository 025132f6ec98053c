"""All candidates on all devices: NumPy on the processor, torch on one or more GPUs, the same code for both.

With several GPUs each trains a share of the candidates on every batch, so no gradient ever travels between them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.data import Survey, checked_labels
from clary.algorithms.linear_learner.loss import Loss
from clary.algorithms.linear_learner.model import Candidates, Gradient, Optimizer, Settings, to_numpy
from clary.algorithms.linear_learner.search import AUTO_BIAS_RATE
from clary.algorithms.linear_learner.spec import MULTICLASS, REGRESSOR, Hyperparameters
from clary.toolkit.job import Job
from clary.toolkit.passes import Step
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
AUTO_MOMENTUM, AUTO_BETA_1, AUTO_BETA_2, AUTO_BIAS_L2 = 0.0, 0.9, 0.999, 0.0
NUMPY = "numpy"  # the place of candidates on the processor; every other place is a device of torch


def places_of(job: Job[Any]) -> list[str]:
    """Where the job's candidates train: on each of its GPUs, or on the processor."""
    return [f"cuda:{number}" for number in range(job.gpus)] if job.device == "cuda" else [NUMPY]


class Squad:
    """The candidates of a job, spread over its devices, and the rows brought to them."""

    def __init__(
        self,
        job: Job[Hyperparameters],
        found: Survey,
        loss: Loss,
        settings: Settings,
        columns: int,
        rng: np.random.Generator,
        places: Sequence[str],
    ) -> None:
        self._job, self._hp, self._found, self._loss = job, job.hyperparameters, found, loss
        self._columns = columns
        shares = np.array_split(np.arange(len(settings)), min(len(places), len(settings)))
        start_CD = _start(self._hp, columns, found.width, rng)
        self._members = [
            _Member(place, found, loss, settings.take(share), optimizer(self._hp), start_CD, self._hp.init_bias)
            for place, share in zip(places, shares, strict=False)
        ]
        self._weights_C = _class_weights(self._hp, found.counts_C)
        self._lost = np.zeros(2)

    def step(self, step: Step) -> None:
        """Take one step with the batches of all hosts."""
        gradients = [member.gradient(*self._read(step.records)) for member in self._members]
        if self._job.cluster.size > 1:
            gradients = self._added_up(step, gradients)
        self._lost += [float(gradients[0].loss), float(gradients[0].total_M[0])]
        for member, gradient in zip(self._members, gradients, strict=True):
            member.candidates.update(gradient)

    def measured(self, records: Records, labels_B: Array) -> tuple[Array, Array]:
        """Scores of all candidates by their mean weights, and the sum of their losses over the rows (M,)."""
        scores, lost = [], []
        for member in self._members:
            features, _ = member.placed(records)
            found = member.candidates.scores(features, averaged=True)
            lost.append(to_numpy(self._loss.value(found, member.labels(self._scaled(labels_B))).sum(axis=0)))
            scores.append(to_numpy(found))
        return np.concatenate(scores, axis=1), np.concatenate(lost).astype(np.float64)

    def training_loss(self) -> float:
        """The first candidate's mean loss over the rows since ``forget``; not a number where there was none."""
        return float(self._lost[0] / self._lost[1]) if self._lost[1] else float("nan")

    def mean(self) -> tuple[Array, Array]:
        """Weights (M, C, D) and biases (M, C) of all candidates, averaged since ``forget``."""
        means = [member.candidates.mean() for member in self._members]
        weights_KD, bias_K = (np.concatenate([to_numpy(mean[part]) for mean in means]) for part in (0, 1))
        return weights_KD.reshape(-1, self._columns, self._found.width), bias_K.reshape(-1, self._columns)

    def forget(self) -> None:
        """Begin new means and a new training loss."""
        self._lost = np.zeros(2)
        for member in self._members:
            member.candidates.forget()

    def state(self) -> dict[str, Array]:
        """Everything that ``restore`` needs, whatever the number of devices."""
        states = [member.candidates.state() for member in self._members]
        joined = {name: np.concatenate([each[name] for each in states]) for name in states[0] if name != "updates"}
        return {**joined, "updates": states[0]["updates"], "lost": self._lost}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where ``state`` was taken."""
        self._lost = state["lost"].copy()
        start = 0
        for member in self._members:
            stop = start + len(member.candidates.bias_K)
            own = {name: state[name][start:stop] for name in member.candidates.state() if name != "updates"}
            member.candidates.restore({**own, "updates": state["updates"]})
            start = stop

    def _read(self, records: Records | None) -> tuple[Records | None, Array, Array | None]:
        """A batch, its labels as the loss wants them, and its rows' weights."""
        if records is None:
            return None, np.empty(0), None
        labels_B = checked_labels(records, self._hp)
        weights_B = None if self._weights_C is None else self._weights_C[labels_B.astype(np.intp)]
        return records, self._scaled(labels_B), weights_B

    def _scaled(self, labels_B: Array) -> Array:
        if self._hp.predictor_type == MULTICLASS:
            return labels_B.astype(np.int64)
        if self._hp.predictor_type == REGRESSOR:
            scaler = self._found.scaler
            return ((labels_B - scaler.label_shift) / scaler.label_spread).astype(np.float32)
        return labels_B

    def _added_up(self, step: Step, gradients: list[Gradient]) -> list[Gradient]:
        """The gradients summed over all hosts."""
        parts = [[each.weights_KD, each.bias_K, each.total_M, each.loss] for each in gradients]
        sums = step.sum(*(np.asarray(to_numpy(part)) for own in parts for part in own))
        placed = [
            member.candidates.placed(total)
            for member, four in zip(self._members, zip(*[iter(sums)] * 4, strict=True), strict=True)
            for total in four
        ]
        return [Gradient(*placed[start : start + 4]) for start in range(0, len(placed), 4)]


class _Member:
    """The candidates of one device."""

    def __init__(
        self,
        place: str,
        found: Survey,
        loss: Loss,
        settings: Settings,
        rule: Optimizer,
        start_CD: Array,
        init_bias: float,
    ) -> None:
        self._place, self._torch = place, None
        if place != NUMPY:
            import torch

            self._torch = torch
        scaler = found.scaler
        weights_KD = np.tile(start_CD, (len(settings), 1)).astype(np.float32)
        bias_K = np.full(len(weights_KD), init_bias if rule.use_bias else 0.0, np.float32)
        # Sparse rows are not shifted themselves, or they would be dense.
        shift_D = (scaler.shift_D / scaler.spread_D).astype(np.float32)
        apart = found.sparse and bool(shift_D.any())
        self._shift_D = self._on_device(scaler.shift_D.astype(np.float32)) if not found.sparse else None
        self._share_D = self._on_device((1 / scaler.spread_D).astype(np.float32))
        self._numpy_share_D = (1 / scaler.spread_D).astype(np.float32)
        self.candidates = Candidates(
            loss,
            settings,
            rule,
            self._on_device(weights_KD),
            self._on_device(bias_K),
            self._on_device(shift_D) if apart else None,
        )
        self._sparse = found.sparse

    def gradient(self, records: Records | None, labels_B: Array, weights_B: Array | None) -> Gradient:
        """The gradient of a batch; of no rows, where this host has none left."""
        if records is None:
            return self.candidates.no_gradient()
        features, transposed = self.placed(records)
        weights = None if weights_B is None else self._on_device(weights_B.astype(np.float32))
        return self.candidates.gradient(features, transposed, self.labels(labels_B), weights)

    def labels(self, labels_B: Array) -> Any:
        """The labels where the scores are."""
        return self._on_device(labels_B)

    def placed(self, records: Records) -> tuple[Any, Any]:
        """The scaled rows (B, D) on the device, and their transpose (D, B)."""
        if self._sparse:
            return self._placed_sparse(records)
        features = self._on_device(records.dense())
        features = features - self._shift_D
        features *= self._share_D
        return features, features.T

    def _placed_sparse(self, records: Records) -> tuple[Any, Any]:
        from scipy.sparse import csr_matrix

        rows: Any = records.features if records.sparse else csr_matrix(records.dense())
        data = rows.data * self._numpy_share_D[rows.indices]
        features = csr_matrix((data, rows.indices, rows.indptr), shape=rows.shape, copy=False)
        if self._torch is None:
            return features, features.T
        return self._sparse_tensor(features), self._sparse_tensor(features.T.tocsr())

    def _sparse_tensor(self, rows: Any) -> Any:
        torch = self._torch
        assert torch is not None
        parts = (torch.tensor(part, device=self._place) for part in (rows.indptr, rows.indices, rows.data))
        # Torch warns once that its sparse tensors are in beta; products of matrices are all that is asked of them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(*parts, size=rows.shape, check_invariants=False)

    def _on_device(self, array: Array) -> Any:
        if self._torch is None:
            return array
        return self._torch.tensor(np.ascontiguousarray(array), device=self._place)


def optimizer(hp: Hyperparameters) -> Optimizer:
    """The update rule that the job asks for, after 'auto'."""

    def resolved(value: float | str, automatic: float) -> float:
        return automatic if isinstance(value, str) else value

    name = hp.chosen_optimizer
    return Optimizer(
        name=name,
        momentum=resolved(hp.momentum, AUTO_MOMENTUM),
        beta_1=resolved(hp.beta_1, AUTO_BETA_1),
        beta_2=resolved(hp.beta_2, AUTO_BETA_2),
        bias_rate=resolved(hp.bias_lr_mult, AUTO_BIAS_RATE[name]),
        bias_l2=resolved(hp.bias_wd_mult, AUTO_BIAS_L2),
        use_bias=hp.use_bias,
    )


def _start(hp: Hyperparameters, columns: int, width: int, rng: np.random.Generator) -> Array:
    """The weights (C, D) that every candidate starts from."""
    if hp.init_method == "normal":
        return rng.normal(0.0, hp.init_sigma, (columns, width))
    return rng.uniform(-hp.init_scale, hp.init_scale, (columns, width))


def _class_weights(hp: Hyperparameters, counts_C: Array) -> Array | None:
    """Weights that give every class the same importance; a class without rows weighs nothing."""
    if hp.predictor_type != MULTICLASS or not hp.balance_multiclass_weights:
        return None
    present = counts_C > 0
    weights_C = np.zeros(len(counts_C))
    weights_C[present] = counts_C.sum() / (present.sum() * counts_C[present])
    return weights_C.astype(np.float32)
