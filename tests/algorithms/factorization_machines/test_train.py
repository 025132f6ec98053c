"""What a job does with its rows: metrics, hosts, lazy updates, refusals, and training that diverges."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from clary.algorithms.factorization_machines import train as training
from clary.algorithms.factorization_machines.devices import Card
from clary.algorithms.factorization_machines.model import start
from clary.algorithms.factorization_machines.spec import PUBLISH_EVERY
from clary.toolkit.errors import DataError, UserError
from factorization import Rows, Trained, learned, on_hosts, settings

USERS, FILMS = 30, 20
RATES: dict[str, Any] = {"factors_lr": 0.03, "linear_lr": 0.03, "factors_init_sigma": 0.1, "mini_batch_size": 50}


def ratings(count: int = 2000, seed: int = 0) -> Rows:
    """Users who like films by two tastes that no column shows, and some noise."""
    rng = np.random.default_rng(0)
    tastes_UK, kinds_FK = rng.normal(size=(USERS, 2)), rng.normal(size=(FILMS, 2))
    rng = np.random.default_rng([1, seed])
    user_N, film_N = rng.integers(0, USERS, count), rng.integers(0, FILMS, count)
    labels_N = 3 + (tastes_UK[user_N] * kinds_FK[film_N]).sum(axis=1) + 0.1 * rng.normal(size=count)
    places = np.stack([user_N, USERS + film_N], axis=1).reshape(-1)
    shape = (count, USERS + FILMS)
    rows = csr_matrix((np.ones(2 * count), places, np.arange(0, 2 * count + 1, 2)), shape=shape)
    return rows, labels_N.astype(np.float32)


def liked() -> Rows:
    rows, labels_N = ratings()
    return rows, (labels_N > 3).astype(np.float32)


def test_tastes_are_found_that_no_column_shows() -> None:
    found = learned({"train": ratings(), "test": ratings(500, 1)}, epochs=40, **RATES, factors_wd=0, linear_wd=0)
    (rmse,) = found.values("test:rmse")
    assert rmse < 0.2
    flat = learned({"train": ratings(), "test": ratings(500, 1)}, epochs=40, **{**RATES, "factors_lr": 0})
    assert flat.values("test:rmse")[0] > 1


def test_metrics_come_at_three_levels() -> None:
    found = learned({"train": ratings(1100), "test": ratings(100)}, **{**RATES, "mini_batch_size": 2}, epochs=2)
    assert PUBLISH_EVERY == 500
    assert [len(found.values(f"train:rmse{level}")) for level in (":batch", ":epoch", "")] == [4, 2, 1]
    assert found.values("train:rmse") == found.values("train:rmse:epoch")[-1:]
    for name in ("rmse", "mse", "absolute_loss"):
        (value,) = found.values(f"test:{name}")
        assert f"#test_score (localhost) : ({name!r}, {value})" in found.lines
    assert found.lines[0] == "[Sparse network] Building a sparse network."
    starts = [line.split("train ")[0] for line in found.lines if "batch=500" in line]
    assert starts == [f"#quality_metric: host=localhost, epoch={epoch}, batch=500 " for epoch in (0, 0, 0, 1, 1, 1)]


def test_the_metrics_of_the_first_batch_are_those_of_the_start() -> None:
    still: dict[str, Any] = {
        "bias_init_method": "constant",
        "bias_init_value": 3,
        "linear_init_sigma": 0,
        "factors_init_sigma": 0,
    }
    _, labels_N = rows = ratings(40)
    found = learned({"train": rows}, **still, mini_batch_size=40)
    assert found.values("train:mse:batch") == pytest.approx([np.square(labels_N - 3).mean()])
    assert found.values("train:absolute_loss") == pytest.approx([np.abs(labels_N - 3).mean()])


def test_a_classifier_reports_its_own_metrics() -> None:
    found = learned({"train": liked(), "test": liked()}, predictor_type="binary_classifier", epochs=20, **RATES)
    assert found.values("test:binary_classification_accuracy")[0] > 0.95
    assert found.values("test:binary_f_beta")[0] > 0.95
    assert found.values("test:binary_classification_cross_entropy")[0] < 0.2
    assert found.values("train:rmse") == []


def test_dense_and_sparse_rows_give_the_same_model() -> None:
    rows, labels_N = ratings(300)
    one = learned({"train": (rows, labels_N)}, **RATES)
    other = learned({"train": (rows.toarray(), labels_N)}, **RATES)
    assert all(np.array_equal(one.tensor(name), other.tensor(name)) for name in ("w0", "w", "v"))


def test_a_feature_that_never_occurs_stays_where_it_started() -> None:
    rows, labels_N = ratings(300)
    wide = csr_matrix((rows.data, rows.indices, rows.indptr), shape=(300, 60))
    found = learned({"train": (wide, labels_N)}, epochs=3, **RATES, factors_wd=1, linear_wd=1)
    _, start_DP = start(settings(feature_dim=60, **RATES), seed=0)
    assert np.array_equal(found.tensor("v")[50:], start_DP[50:, :-1])
    assert np.array_equal(found.tensor("w")[50:], start_DP[50:, -1])
    assert not np.isin(found.tensor("w")[:50], start_DP[:50, -1]).any()


@pytest.mark.parametrize(("group", "tensor"), [("bias", "w0"), ("linear", "w"), ("factors", "v")])
def test_a_group_with_a_rate_of_zero_rests(group: str, tensor: str) -> None:
    bias, start_DP = start(settings(feature_dim=USERS + FILMS, **RATES), seed=0)
    starts = {"w0": np.array([bias], np.float32), "w": start_DP[:, -1], "v": start_DP[:, :-1]}
    found = learned({"train": ratings(300)}, **{**RATES, f"{group}_lr": 0})
    assert [name for name in starts if np.array_equal(found.tensor(name), starts[name])] == [tensor]


@pytest.mark.parametrize(("group", "tensor"), [("bias", "w0"), ("linear", "w"), ("factors", "v")])
def test_weight_decay_pulls_its_own_group_to_zero(group: str, tensor: str) -> None:
    sizes = {}
    for decay in (0, 5):
        decays: dict[str, Any] = {f"{each}_wd": 0 for each in ("bias", "linear", "factors")}
        found = learned({"train": ratings()}, epochs=5, bias_lr=0.03, **RATES, **{**decays, f"{group}_wd": decay})
        sizes[decay] = np.abs(found.tensor(tensor)).mean()
    assert sizes[5] < sizes[0] / 2


def hosts(count: int, rows: Rows, **given: Any) -> Trained:
    leader, *others = on_hosts(
        count, lambda cluster: learned({"train": rows, "test": rows}, cluster=cluster, **{**RATES, **given})
    )
    assert all(each.lines == ["[Sparse network] Building a sparse network."] for each in others)
    return leader


@pytest.mark.parametrize("count", [2, 3])
def test_hosts_do_what_one_does_with_a_larger_batch(count: int) -> None:
    one = learned({"train": ratings(), "test": ratings()}, epochs=3, **{**RATES, "mini_batch_size": 50 * count})
    several = hosts(count, ratings(), epochs=3)
    for name in ("w0", "w", "v"):
        assert several.tensor(name) == pytest.approx(one.tensor(name), rel=1e-3, abs=1e-4)
    assert several.values("test:rmse") == pytest.approx(one.values("test:rmse"), rel=1e-4)
    assert several.values("train:rmse:epoch") == pytest.approx(one.values("train:rmse:epoch"), rel=1e-4)


@pytest.mark.parametrize("count", [1, 2])
def test_a_job_on_torch_comes_to_the_model_of_the_loops(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    here = hosts(count, ratings(1000), epochs=2)
    monkeypatch.setattr(training, "Processor", partial(Card, place="cpu"))
    there = hosts(count, ratings(1000), epochs=2)
    for name in ("w0", "w", "v"):
        assert there.tensor(name) == pytest.approx(here.tensor(name), rel=1e-3, abs=1e-4)
    assert there.values("test:rmse") == pytest.approx(here.values("test:rmse"), rel=1e-4)


def test_hosts_repeat_themselves_bit_by_bit() -> None:
    first, second = (hosts(2, ratings(500)) for _ in range(2))
    assert all(np.array_equal(first.tensor(name), second.tensor(name)) for name in ("w0", "w", "v"))


def test_a_label_of_a_classifier_is_0_or_1() -> None:
    rows, labels_N = liked()
    labels_N[7] = 2
    with pytest.raises(DataError, match="must be 0 or 1; got 2") as caught:
        learned({"train": (rows, labels_N)}, predictor_type="binary_classifier")
    assert "channel train, file rows, row 8" in str(caught.value)


def test_rows_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="each row needs one label; found none"):
        learned({"train": (ratings(10)[0], None)})


def test_no_rows_are_refused() -> None:
    empty = (csr_matrix((0, 5), dtype=np.float32), np.empty(0))
    with pytest.raises(DataError, match="no row to learn from"):
        learned({"train": empty})
    with pytest.raises(DataError, match="no row to score"):
        learned({"train": ratings(10), "test": (csr_matrix((0, 50), dtype=np.float32), np.empty(0))})


@pytest.mark.parametrize(
    ("scale", "label", "given"),
    [
        (1e30, 1.0, {}),
        (1.0, 1e30, {}),
        (1.0, 1.0, {"factors_lr": 1e30, "epochs": 3}),
        (1.0, 1.0, {"linear_lr": 1e308}),
        (1.0, 1.0, {"bias_lr": 1e300, "epochs": 3}),
        (1.0, 1.0, {"rescale_grad": 1e30}),
        (1.0, 1.0, {"factors_wd": 1e300}),
        (1.0, 1.0, {"factors_init_sigma": 1e300}),
        (1.0, 1.0, {"linear_init_method": "constant", "linear_init_value": 1e300}),
    ],
)
def test_training_that_diverges_says_what_to_lower(scale: float, label: float, given: dict[str, Any]) -> None:
    rows, labels_N = ratings(200)
    with pytest.raises(UserError, match="training diverged") as caught:
        learned({"train": (rows * scale, labels_N * label)}, **{**RATES, **given})
    told = {"bias_lr", "linear_lr", "factors_lr", "clip_gradient", *given} - {"epochs", "linear_init_method"}
    for name in told:
        assert name in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_clipping_holds_what_would_diverge() -> None:
    rows, labels_N = ratings(200)
    with pytest.raises(UserError, match="training diverged"):
        learned({"train": (rows, labels_N)}, **{**RATES, "rescale_grad": 1e25})
    found = learned({"train": (rows, labels_N)}, **{**RATES, "rescale_grad": 1e10, "clip_gradient": 0.1})
    assert all(np.isfinite(found.tensor(name)).all() for name in ("w0", "w", "v"))


def test_a_machine_beyond_all_memory_is_refused() -> None:
    with pytest.raises(UserError, match=r"feature_dim 50 and num_factors 10\d+ make .* GiB of parameters"):
        learned({"train": ratings(10)}, num_factors=10**14)
