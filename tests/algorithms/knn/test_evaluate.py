"""The scores of the test channel against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from clary.algorithms.knn.evaluate import Tally
from clary.toolkit.cluster import Cluster
from linear import on_hosts

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@settings(deadline=None)
@given(pairs=PAIRS, cut=st.integers(0, 40))
def test_accuracy_and_macro_f_are_those_of_scikit_learn(pairs: list[tuple[int, int]], cut: int) -> None:
    true, predicted = np.array(pairs, np.float32).T
    tally = Tally("classifier")
    tally.update(true[:cut], predicted[:cut])
    tally.update(true[cut:], predicted[cut:])
    scores = tally.scores()
    assert scores["accuracy"] == pytest.approx(oracle.accuracy_score(true, predicted))
    if set(range(int(max(*true, *predicted)))) <= {*true, *predicted}:
        assert scores["macro_f_1.000"] == pytest.approx(
            oracle.f1_score(true, predicted, average="macro", zero_division=0)
        )
    else:
        assert math.isnan(scores["macro_f_1.000"]), "a class below the largest never occurs"


def test_the_squared_error_is_the_mean_over_all_rows() -> None:
    tally = Tally("regressor")
    tally.update(np.array([1, 2], np.float32), np.array([1, 4], np.float32))
    tally.update(np.array([5], np.float32), np.array([6], np.float32))
    assert tally.scores() == {"mse": pytest.approx(5 / 3)}


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_hosts_add_up_what_they_counted(kind: str) -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 3, (2, 50)).astype(np.float32)
    whole = Tally(kind)
    whole.update(true, predicted)

    def work(cluster: Cluster) -> Tally:
        tally = Tally(kind)
        own = slice(cluster.rank * 20, 20 if cluster.leads else 50)
        tally.update(true[own], predicted[own])
        tally.collect(cluster)
        return tally

    leader, follower = on_hosts(2, work)
    assert leader.scores() == pytest.approx(whole.scores())
    assert leader.rows == follower.rows == 50
