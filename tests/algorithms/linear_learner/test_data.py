"""The survey against NumPy's own moments, however the rows are cut, spread over hosts or stored."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.algorithms.linear_learner import data
from clary.algorithms.linear_learner.data import Scaler, Survey, checked_labels, survey
from clary.toolkit.channels import ChannelInput
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.spool import Spool
from linear import channel, job, on_hosts, records

Array = npt.NDArray[Any]
ROWS, WIDTH = 97, 4
KINDS: dict[str, dict[str, Any]] = {
    "binary": {"predictor_type": "binary_classifier"},
    "multiclass": {"predictor_type": "multiclass_classifier", "num_classes": 3},
    "regressor": {"predictor_type": "regressor"},
}


def rows(seed: int = 0) -> tuple[Array, Array]:
    """Features on different scales, one of them constant, and labels of 0 and 1."""
    rng = np.random.default_rng(seed)
    features = rng.normal([1.0, -300.0, 0.002, 0.0], [2.0, 0.5, 0.001, 0.0], (ROWS, WIDTH)).astype(np.float32)
    return features, rng.integers(0, 2, ROWS).astype(np.float32)


def surveyed(features: Any, labels: Array, **given: Any) -> Survey:
    """What is known of these rows; a regressor's unless something else is given."""
    given = {"predictor_type": "regressor", **given}
    return survey(job({"train": channel("train", (features, labels))}, **given)[0])


def same(found: Survey, expected: Survey) -> None:
    """The two say the same, but for rounding."""
    assert (found.rows, found.width, found.counts_C.tolist()) == (
        expected.rows,
        expected.width,
        expected.counts_C.tolist(),
    )
    for name in ("mean_D", "shift_D", "spread_D", "label_shift", "label_spread"):
        np.testing.assert_allclose(getattr(found.scaler, name), getattr(expected.scaler, name), rtol=1e-6)


# Moments


@pytest.mark.parametrize("stored", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_moments_are_those_of_numpy(stored: Any) -> None:
    features, labels = rows()
    found = surveyed(stored(features), labels, unbias_data=True)
    exact = features.astype(np.float64)
    np.testing.assert_allclose(found.scaler.mean_D, exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.scaler.shift_D, exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(found.scaler.spread_D, [*exact.std(axis=0)[:3], 1.0], rtol=1e-12)
    assert found.scaler.label_shift == pytest.approx(labels.mean())
    assert found.scaler.label_spread == pytest.approx(labels.std())
    assert (found.rows, found.width, found.sparse) == (ROWS, WIDTH, stored is csr_matrix)


@given(st.sets(st.integers(1, ROWS - 1)))
def test_blocks_of_any_size_give_the_same_survey(cuts: set[int]) -> None:
    features, labels = rows()
    spool, ends = Spool(), [0, *sorted(cuts), ROWS]
    for start, stop in pairwise(ends):
        spool.add(records(features[start:stop], labels[start:stop]))
    train = channel("train", (features, labels))
    cut = ChannelInput("train", train.place, train.content_type, kept=spool)
    found, whole = (survey(job({"train": each}, predictor_type="regressor")[0]) for each in (cut, train))
    for name in ("mean_D", "spread_D"):
        assert (getattr(found.scaler, name) == getattr(whole.scaler, name)).all(), "not a bit differs"


def test_what_is_merged_block_by_block_is_what_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = rows()
    whole = surveyed(features, labels)
    for size in (1, 10, 96):
        monkeypatch.setattr(data, "AT_ONCE", size)
        same(surveyed(features, labels), whole)
        same(surveyed(csr_matrix(features), labels, unbias_data=True), whole)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e6, -3e30])
@pytest.mark.parametrize("stored", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_a_constant_column_has_a_spread_of_one(stored: Any, value: float) -> None:
    features = np.full((20_000, 1), value, np.float32)
    assert surveyed(stored(features), np.zeros(len(features))).scaler.spread_D == [1.0]


@pytest.mark.parametrize("stored", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_a_small_spread_far_from_zero_is_found(stored: Any) -> None:
    features = (np.arange(9000, dtype=np.float32) % 4 + 1e6)[:, None]
    expected = features.astype(np.float64).std()
    assert surveyed(stored(features), np.zeros(len(features))).scaler.spread_D[0] == pytest.approx(expected)


def test_moments_come_from_the_first_rows_and_counts_from_all() -> None:
    features, labels = rows()
    found = surveyed(features, labels, num_point_for_scaler=10, predictor_type="binary_classifier")
    np.testing.assert_allclose(found.scaler.mean_D, features[:10].astype(np.float64).mean(axis=0))
    assert found.rows == ROWS
    assert found.counts_C.tolist() == [ROWS - labels.sum(), labels.sum()]


# What is scaled


@pytest.mark.parametrize(
    ("given", "shifted", "scaled"),
    [
        ({}, True, True),
        ({"use_bias": False}, False, True),
        ({"use_bias": False, "unbias_data": True}, True, True),
        ({"unbias_data": False}, False, True),
        ({"normalize_data": False}, True, False),
        ({"normalize_data": False, "unbias_data": False}, False, False),
        ({"normalize_data": "auto"}, True, True),
    ],
    ids=str,
)
def test_features_are_shifted_and_scaled_as_asked(given: dict[str, Any], shifted: bool, scaled: bool) -> None:
    features, labels = rows()
    scaler = surveyed(features, labels, **given).scaler
    exact = features.astype(np.float64)
    np.testing.assert_allclose(scaler.shift_D, exact.mean(axis=0) if shifted else np.zeros(WIDTH), rtol=1e-7)
    np.testing.assert_allclose(scaler.spread_D[:3], exact.std(axis=0)[:3] if scaled else np.ones(3))
    np.testing.assert_allclose(scaler.mean_D, exact.mean(axis=0))


def test_sparse_rows_are_shifted_only_where_the_job_says_so() -> None:
    features, labels = rows()
    assert not surveyed(csr_matrix(features), labels).scaler.shift_D.any()
    assert surveyed(csr_matrix(features), labels, unbias_data=True).scaler.shift_D.any()


@pytest.mark.parametrize(
    ("given", "shifted", "scaled"),
    [
        ({}, True, True),
        ({"unbias_label": False}, False, True),
        ({"normalize_label": False}, True, False),
        ({"use_bias": False}, False, True),
        ({"use_bias": False, "unbias_label": True}, False, True),
        ({"predictor_type": "binary_classifier", "normalize_label": True}, False, False),
    ],
    ids=str,
)
def test_labels_are_shifted_and_scaled_as_asked(given: dict[str, Any], shifted: bool, scaled: bool) -> None:
    features, labels = rows()
    labels = labels if "predictor_type" in given else labels * 50 + 7
    scaler = surveyed(features, labels, **given).scaler
    assert scaler.label_shift == (pytest.approx(labels.mean()) if shifted else 0)
    assert scaler.label_spread == (pytest.approx(labels.std()) if scaled else 1)


@given(st.integers(0, 2**32))
def test_an_unscaled_model_gives_the_scores_of_the_scaled_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, weights, bias = rng.normal(size=(6, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)
    scaler = Scaler(np.zeros(3), rng.normal(size=3), rng.uniform(0.1, 5, 3), 4.0, 2.5)
    raw_weights, raw_bias = scaler.unscaled(weights, bias)
    scores = ((features - scaler.shift_D) / scaler.spread_D) @ weights.T + bias
    np.testing.assert_allclose(features @ raw_weights.T + raw_bias, scores * 2.5 + 4, atol=1e-9)


# Labels


@pytest.mark.parametrize(
    ("kind", "bad", "allowed"),
    [
        ("binary", -1.0, "0 or 1 for a binary_classifier; got -1"),
        ("binary", 2.0, "0 or 1 for a binary_classifier; got 2"),
        ("binary", 0.5, "0 or 1 for a binary_classifier; got 0.5"),
        ("multiclass", 3.0, r"a whole number from 0 to 2 \(num_classes - 1\) for a multiclass_classifier; got 3"),
        ("multiclass", 1.5, r"a whole number from 0 to 2 \(num_classes - 1\) for a multiclass_classifier; got 1.5"),
        ("multiclass", -1.0, r"a whole number from 0 to 2 \(num_classes - 1\) for a multiclass_classifier; got -1"),
    ],
)
def test_a_label_that_cannot_be_is_refused_by_its_row(kind: str, bad: float, allowed: str) -> None:
    features, labels = rows()
    labels[40] = bad
    with pytest.raises(DataError, match=f"file rows, row 41: the label must be {allowed}"):
        surveyed(features, labels, **KINDS[kind])


def test_a_label_is_refused_in_the_file_that_it_stands_in() -> None:
    features, labels = rows()
    train, spool = channel("train", (features, labels)), Spool()
    spool.add(records(features, labels, "one"))
    spool.add(records(features, np.where(np.arange(ROWS) == 6, 7, labels), "two"))
    made, _ = job({"train": ChannelInput("train", train.place, train.content_type, kept=spool)}, **KINDS["binary"])
    with pytest.raises(DataError, match=r"^two, row 7: the label must be 0 or 1"):
        survey(made)


def test_a_regressor_takes_every_number() -> None:
    features, _ = rows()
    labels = np.linspace(-1e6, 1e6, ROWS)
    assert surveyed(features, labels).counts_C.tolist() == [0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("columns", "found"), [(None, "none"), (0, "none"), (2, "2")])
def test_each_row_has_one_label(kind: str, columns: int | None, found: str) -> None:
    whole = records(*rows())
    labels = None if columns is None else np.zeros((ROWS, columns), np.float32)
    hp = job({}, **KINDS[kind])[0].hyperparameters
    with pytest.raises(DataError, match=f"row 1: each row needs one label; found {found}"):
        checked_labels(type(whole)(whole.features, labels, "rows"), hp)


@pytest.mark.parametrize(("kind", "counts"), [("binary", [50, 47]), ("multiclass", [50, 47, 0]), ("regressor", [0])])
def test_rows_of_each_class_are_counted(kind: str, counts: list[int]) -> None:
    features, _ = rows()
    labels = np.repeat([0.0, 1.0], [50, 47])
    assert surveyed(features, labels, **KINDS[kind]).counts_C.tolist() == counts


# Widths and missing rows


def test_a_width_that_differs_from_feature_dim_is_refused_with_both() -> None:
    with pytest.raises(DataError, match="the row has 4 features, feature_dim is 5"):
        surveyed(*rows(), feature_dim=5)
    assert surveyed(*rows(), feature_dim=4).width == 4


def test_blocks_of_different_widths_are_refused() -> None:
    features, labels = rows()
    spool = Spool()
    spool.add(records(features, labels, "one"))
    spool.add(records(features[:, :3], labels, "two"))
    train = channel("train", (features, labels))
    made, _ = job({"train": ChannelInput("train", train.place, train.content_type, kept=spool)}, **KINDS["regressor"])
    with pytest.raises(DataError, match="two, row 1: the row has 3 features, feature_dim is 4"):
        survey(made)


def test_no_row_is_refused_and_a_stop_is_named() -> None:
    train = channel("train", rows())
    empty = ChannelInput("train", train.place, train.content_type, kept=Spool())
    made, _ = job({"train": empty}, **KINDS["regressor"])
    with pytest.raises(DataError, match="channel train: there is no row to learn from"):
        survey(made)
    made.stop.set()
    with pytest.raises(UserError, match="stopped before it had a batch of rows"):
        survey(made)


# Several hosts


def shards(hosts: int, stored: Any = np.asarray) -> list[ChannelInput]:
    """The rows shared out among hosts, of which the last has none."""
    features, labels = rows()
    cuts = np.linspace(0, ROWS, hosts).astype(int).tolist()
    made = [
        channel("train", (stored(features[start:stop]), labels[start:stop]), sharded=True)
        for start, stop in pairwise(cuts)
    ]
    empty = ChannelInput("train", made[0].place, made[0].content_type, sharded=True, kept=Spool())
    return [*made, empty]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_hosts_agree_on_what_one_host_finds(kind: str, stored: Any) -> None:
    features, labels = rows()
    channels = shards(3, stored)

    def work(cluster: Cluster) -> Survey:
        return survey(job({"train": channels[cluster.rank]}, cluster=cluster, **KINDS[kind])[0])

    first, *others = on_hosts(3, work)
    same(first, surveyed(stored(features), labels, **KINDS[kind]))
    for other in others:
        same(other, first)
        assert other.sparse == first.sparse == (stored is csr_matrix)


def test_hosts_that_see_the_same_rows_count_them_once() -> None:
    def work(cluster: Cluster) -> Survey:
        return survey(job({"train": channel("train", rows())}, cluster=cluster, **KINDS["binary"])[0])

    for found in on_hosts(2, work):
        same(found, surveyed(*rows(), **KINDS["binary"]))


def test_one_host_with_sparse_rows_makes_them_sparse_for_all() -> None:
    channels = [shards(3)[0], shards(3, csr_matrix)[1], shards(3)[2]]

    def work(cluster: Cluster) -> bool:
        return survey(job({"train": channels[cluster.rank]}, cluster=cluster, **KINDS["binary"])[0]).sparse

    assert on_hosts(3, work) == [True] * 3


def test_hosts_with_rows_of_different_widths_are_told_so() -> None:
    features, labels = rows()

    def work(cluster: Cluster) -> str:
        own = channel("train", (features[:, : 4 - cluster.rank], labels), sharded=True)
        with pytest.raises(DataError) as caught:
            survey(job({"train": own}, cluster=cluster, **KINDS["regressor"])[0])
        return str(caught.value)

    assert on_hosts(2, work) == ["channel train: hosts have rows of different widths: 3, 4"] * 2
