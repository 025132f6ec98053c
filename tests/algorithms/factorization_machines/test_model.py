"""The score against the sum over all pairs, and the start, the slopes and the bias against their definitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.algorithms.factorization_machines.model import Adam, Machine, slopes, start
from factorization import settings

Floats = npt.NDArray[np.float64]


def machine(features: int, factors: int, seed: int = 0) -> Machine:
    rng = np.random.default_rng(seed)
    linear_D, factors_DK = rng.normal(size=features), rng.normal(size=(features, factors))
    return Machine(0.5, linear_D.astype(np.float32), factors_DK.astype(np.float32))


def by_pairs(of: Machine, row_D: Floats) -> float:
    """The definition of the model, pair by pair."""
    found = of.bias + float(row_D @ of.linear_D)
    for one in range(len(row_D)):
        for other in range(one):
            product = of.factors_DK[one].astype(np.float64) @ of.factors_DK[other]
            found += float(product * row_D[one] * row_D[other])
    return found


@given(features=st.integers(1, 8), factors=st.integers(1, 5), rows=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_score_is_the_sum_over_pairs(features: int, factors: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features_ND = np.where(rng.random((rows, features)) < 0.5, rng.normal(size=(rows, features)), 0)
    model = machine(features, factors, seed)
    expected = [by_pairs(model, row_D) for row_D in features_ND]
    assert model.scores(features_ND) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert model.scores(csr_matrix(features_ND)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_row_without_values_scores_the_bias() -> None:
    assert machine(5, 2).scores(csr_matrix((2, 5), dtype=np.float32)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("predictor_type", ["regressor", "binary_classifier"])
def test_slopes_are_derivatives_of_the_loss(predictor_type: str) -> None:
    scores_N, labels_N, step = np.linspace(-5, 5, 21), np.arange(21) % 2.0, 1e-6

    def loss(scores: Floats) -> Floats:
        if predictor_type == "regressor":
            return np.square(scores - labels_N) / 2
        return np.logaddexp(0, scores) - labels_N * scores

    expected = (loss(scores_N + step) - loss(scores_N - step)) / (2 * step)
    assert slopes(scores_N, labels_N, predictor_type) == pytest.approx(expected, abs=1e-6)


def test_slopes_of_sure_classifiers_are_finite() -> None:
    assert slopes(np.array([-1e6, 1e6]), np.array([0.0, 0.0]), "binary_classifier").tolist() == [0, 1]


def test_groups_start_as_they_are_asked_to() -> None:
    hp = settings(
        feature_dim=20_000,
        num_factors=3,
        bias_init_method="constant",
        bias_init_value=-2,
        linear_init_method="uniform",
        linear_init_scale=0.5,
        factors_init_sigma=3,
    )
    bias, weights_DP = start(hp, seed=1)
    linear_D, factors_DK = weights_DP[:, -1], weights_DP[:, :-1]
    assert bias == -2
    assert weights_DP.dtype == np.float32
    assert weights_DP.shape == (20_000, 4)
    assert -0.5 <= linear_D.min() < -0.49 < 0.49 < linear_D.max() <= 0.5
    assert linear_D.std() == pytest.approx(0.5 / 3**0.5, rel=0.02)
    assert factors_DK.std() == pytest.approx(3, rel=0.02)
    assert abs(factors_DK.mean()) < 0.1


def test_a_seed_gives_one_start_and_another_seed_another() -> None:
    hp = settings(feature_dim=100)
    (one, first), (two, second), (other, third) = (start(hp, seed) for seed in (1, 1, 2))
    assert one == two != other
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_the_bias_follows_adam() -> None:
    rule = Adam.of(settings(feature_dim=3, bias_lr=0.3, bias_wd=0.1, eps=1e-4))
    bias, slope_sums = np.array([2.0, 0.0, 0.0]), (8.0, -4.0, 1.0)
    value, first, second = 2.0, 0.0, 0.0
    for number, slope_sum in enumerate(slope_sums, 1):
        bias = rule.moved(bias, slope_sum, rows=4, updates=number)
        pull = slope_sum / 4 + 0.1 * value
        first, second = 0.9 * first + 0.1 * pull, 0.999 * second + 0.001 * pull**2
        rate = 0.3 * np.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        value -= rate * first / (np.sqrt(second) + 1e-4)
    assert bias == pytest.approx([value, first, second])
