"""One squad is like another: torch like NumPy, several devices like one, several hosts like one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.sparse import csr_matrix

from clary.algorithms.linear_learner.data import labels_of, survey
from clary.algorithms.linear_learner.devices import NUMPY, Squad, optimizer, places_of
from clary.algorithms.linear_learner.search import AUTO_BIAS_RATE, settings
from clary.algorithms.linear_learner.spec import SPEC, Hyperparameters
from clary.algorithms.linear_learner.train import chosen_loss
from clary.toolkit.cluster import Cluster
from clary.toolkit.passes import Passes
from clary.toolkit.records import Records
from linear import channel, job, on_hosts, records

Array = npt.NDArray[Any]
ROWS, WIDTH, MODELS = 120, 6, 5
TORCH = "cpu"  # torch's name for the processor
KINDS: dict[str, dict[str, Any]] = {
    "binary": {"predictor_type": "binary_classifier", "positive_example_weight_mult": "auto"},
    "multiclass": {"predictor_type": "multiclass_classifier", "num_classes": 3, "balance_multiclass_weights": True},
    "regressor": {"predictor_type": "regressor", "optimizer": "rmsprop"},
}
STORED = {"dense": np.asarray, "sparse": csr_matrix}


def rows(kind: str, stored: str = "dense") -> tuple[Any, Array]:
    """Rows off center and on different scales, and labels that follow from them."""
    rng = np.random.default_rng(0)
    features = rng.normal(3, np.linspace(0.5, 20, WIDTH), (ROWS, WIDTH))
    features *= rng.random(features.shape) < 0.5
    score = features @ rng.normal(size=WIDTH) + rng.normal(size=ROWS)
    labels = {
        "binary": score > np.median(score),
        "multiclass": np.digitize(score, np.quantile(score, [0.1, 0.5])),
        "regressor": score * 100 + 5000,
    }
    return STORED[stored](features.astype(np.float32)), labels[kind].astype(np.float32)


def trained(
    kind: str, places: list[str], *, stored: str = "dense", cluster: Cluster | None = None, **given: Any
) -> Squad:
    """A squad after two epochs."""
    squad, passes = started(kind, places, stored=stored, cluster=cluster, **given)
    for step in passes:
        squad.step(step)
    return squad


def started(
    kind: str, places: list[str], *, stored: str = "dense", cluster: Cluster | None = None, **given: Any
) -> tuple[Squad, Passes]:
    """A squad before its first step, and its passes over the rows."""
    train = channel("train", rows(kind, stored))
    batch = 48 // (cluster.size if cluster else 1)
    made, _ = job({"train": train}, cluster=cluster, **{"mini_batch_size": batch, **KINDS[kind], **given})
    hp, found, rng = made.hyperparameters, survey(made), np.random.default_rng(1)
    candidates = settings(hp, MODELS, 10, found.counts_C, rng)
    squad = Squad(made, found, chosen_loss(hp), candidates, hp.num_classes or 1, rng, places)
    return squad, Passes(made, 2, batch, WIDTH, squad.state)


def same(found: Squad, expected: Squad, rtol: float = 1e-3) -> None:
    """The two squads have the same models and say the same of them."""
    for one, other in zip(found.mean(), expected.mean(), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol / 100)
    assert found.training_loss() == pytest.approx(expected.training_loss(), rel=rtol)


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", KINDS)
def test_torch_trains_and_measures_what_numpy_does(kind: str, stored: str) -> None:
    ours, theirs = (trained(kind, [place], stored=stored) for place in (NUMPY, TORCH))
    same(theirs, ours)
    features, labels = rows(kind, stored)
    for one, other in zip(*(squad.measured(records(features), labels) for squad in (theirs, ours)), strict=True):
        assert isinstance(one, np.ndarray)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("place", [NUMPY, TORCH])
@pytest.mark.parametrize("devices", [2, 3, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_several_devices_share_the_candidates(kind: str, devices: int, place: str) -> None:
    alone, together = trained(kind, [place]), trained(kind, [place] * devices)
    same(together, alone, rtol=1e-4)
    features, labels = rows(kind)
    for one, other in zip(*(squad.measured(records(features), labels) for squad in (together, alone)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", KINDS)
def test_hosts_add_up_their_gradients(kind: str, stored: str) -> None:
    """Two hosts with batches of half the size see in each step the rows that one host sees.

    In the last step of an epoch one of them has no rows left.
    """

    def work(cluster: Cluster) -> Squad:
        return trained(kind, [NUMPY, TORCH], stored=stored, cluster=cluster)

    first, second = on_hosts(2, work)
    same(second, first, rtol=1e-12)
    same(first, trained(kind, [NUMPY], stored=stored))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_model_in_the_rows_own_units(kind: str) -> None:
    squad, _ = started(kind, [NUMPY])
    train = channel("train", rows(kind))
    made, _ = job({"train": train}, **KINDS[kind])
    found = survey(made)
    features, labels = rows(kind)
    scores, _ = squad.measured(records(features), labels)
    for number, (weights, bias) in enumerate(zip(*squad.mean(), strict=True)):
        raw_weights, raw_bias = found.scaler.unscaled(weights, bias)
        expected = (features @ raw_weights.T + raw_bias - found.scaler.label_shift) / found.scaler.label_spread
        own = scores[:, number].reshape(ROWS, -1)
        np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stored", STORED)
def test_rows_of_the_other_kind_are_measured_alike(stored: str) -> None:
    """A validation channel may be sparse where the train channel is not, and the other way round."""
    squad = trained("binary", [NUMPY], stored=stored)
    dense, sparse = (squad.measured(records(*rows("binary", other)), rows("binary")[1]) for other in STORED)
    for one, other in zip(dense, sparse, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_squad_goes_on_with_another_number_of_devices(kind: str, before: int, after: int) -> None:
    whole, passes = started(kind, [NUMPY] * before)
    steps = iter(passes)
    for _, step in zip(range(3), steps, strict=False):
        whole.step(step)
    kept = {name: array.copy() for name, array in whole.state().items()}
    resumed, _ = started(kind, [NUMPY] * after)
    resumed.restore(kept)
    same(resumed, whole, rtol=1e-12)
    for step in steps:
        whole.step(step)
        resumed.step(step)
    same(resumed, whole, rtol=1e-4)


def test_rows_are_read_and_never_written() -> None:
    features, labels = rows("regressor")
    column = labels[:, None].copy()
    kept = Records(features.copy(), column)
    kept.features.flags.writeable = column.flags.writeable = False
    for place in (NUMPY, TORCH):
        squad, _ = started("regressor", [place])
        squad.measured(kept, labels_of(kept))
    np.testing.assert_array_equal(kept.dense(), features)


def test_a_new_mean_begins_with_each_epoch() -> None:
    squad = trained("binary", [NUMPY, TORCH])
    assert np.isfinite(squad.training_loss())
    squad.forget()
    assert np.isnan(squad.training_loss())


@pytest.mark.parametrize(
    ("device", "gpus", "places"), [("cpu", 0, [NUMPY]), ("cuda", 1, ["cuda:0"]), ("cuda", 2, ["cuda:0", "cuda:1"])]
)
def test_every_gpu_gets_candidates(device: str, gpus: int, places: list[str]) -> None:
    made, _ = job({}, predictor_type="regressor")
    made.device, made.gpus = device, gpus
    assert places_of(made) == places


@pytest.mark.gpu
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_trains_what_numpy_does(kind: str, stored: str) -> None:
    places = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    same(trained(kind, places, stored=stored), trained(kind, [NUMPY], stored=stored), rtol=1e-2)


def test_automatic_settings_of_the_optimizer() -> None:
    def made(**given: str) -> Any:
        hp = SPEC.parse({"predictor_type": "regressor", **given})
        assert isinstance(hp, Hyperparameters)
        return optimizer(hp)

    found = made()
    assert (found.name, found.beta_1, found.beta_2, found.momentum, found.bias_l2) == ("adam", 0.9, 0.999, 0.0, 0.0)
    for name, rate in AUTO_BIAS_RATE.items():
        assert made(optimizer=name).bias_rate == rate
    given = made(optimizer="sgd", momentum="0.5", bias_lr_mult="3", bias_wd_mult="2", use_bias="false")
    assert (given.name, given.momentum, given.bias_rate, given.bias_l2, given.use_bias) == (
        "sgd",
        0.5,
        3.0,
        2.0,
        False,
    )
    assert (made(beta_1="0.5", beta_2="0.6").beta_1, made(beta_1="0.5", beta_2="0.6").beta_2) == (0.5, 0.6)
