"""Candidates against loops written out by hand, against torch's optimizers, and against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge

from clary.algorithms.linear_learner.loss import Huber, Logistic, Loss, Softmax, Squared, probabilities, probability
from clary.algorithms.linear_learner.model import Candidates, Optimizer, Settings, to_numpy

Array = npt.NDArray[Any]
ROWS, WIDTH, STEPS = 24, 5, 30
RULES = (
    Optimizer(name="sgd"),
    Optimizer(name="sgd", momentum=0.9),
    Optimizer(name="adam", beta_1=0.8, beta_2=0.95),
    Optimizer(name="rmsprop"),
)
NAMES = [f"{rule.name} {rule.momentum or ''}".strip() for rule in RULES]


def settings(count: int = 1, **given: Any) -> Settings:
    """The same settings for so many candidates: plain steps of 0.05, unless something else is given."""
    plain = {"learning_rate": 0.05, "l1": 0.0, "l2": 0.0, "step": 1.0, "factor": 1.0, "minimum": 0.0, "positive": 1.0}
    return Settings(**{name: np.full(count, value, np.float64) for name, value in {**plain, **given}.items()})


def data(classes: int = 1, seed: int = 0) -> tuple[Array, Array]:
    """Rows, and labels that follow from them: numbers, 0 and 1, or classes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    score = features @ rng.normal(size=(WIDTH, max(classes, 1))) + 0.3 * rng.normal(size=(ROWS, max(classes, 1)))
    return features, score.argmax(axis=1) if classes > 1 else (score[:, 0] > 0).astype(np.float32)


def candidates(
    loss: Loss, at: Settings, rule: Optimizer, *, classes: int = 1, shift: Array | None = None, seed: int = 1
) -> Candidates:
    """Candidates that all start from the same weights."""
    start = np.random.default_rng(seed).normal(scale=0.3, size=(classes, WIDTH)).astype(np.float32)
    bias = np.full(len(at) * classes, 0.2, np.float32)
    return Candidates(loss, at, rule, np.tile(start, (len(at), 1)), bias, shift)


def train(
    found: Candidates, features: Any, labels: Array, steps: int = STEPS, weights: Array | None = None
) -> Candidates:
    """The candidates after so many steps over batches of a third of the rows."""
    size = len(labels) // 3
    for number in range(steps):
        part = slice(number % 3 * size, (number % 3 + 1) * size)
        rows = features[part]
        row_weights = None if weights is None else weights[part]
        found.update(found.gradient(rows, rows.T, labels[part], row_weights))
    return found


# Against other programs


class ByHand:
    """One number's way under an optimizer, as the papers have it, in float64."""

    def __init__(self, rule: Optimizer, start: Array) -> None:
        self.rule, self.at, self.count = rule, start.astype(np.float64), 0
        self.first: Array = np.zeros(start.shape)
        self.second: Array = np.zeros(start.shape)

    def step(self, slope: Any, rate: float) -> None:
        rule, self.count = self.rule, self.count + 1
        if rule.name == "sgd":
            self.first = rule.momentum * self.first + slope
            self.at = self.at - rate * self.first
        elif rule.name == "rmsprop":
            self.second = 0.9 * self.second + 0.1 * slope**2
            self.at = self.at - rate * slope / np.sqrt(self.second)
        else:
            self.first = rule.beta_1 * self.first + (1 - rule.beta_1) * slope
            self.second = rule.beta_2 * self.second + (1 - rule.beta_2) * slope**2
            first, second = self.first / (1 - rule.beta_1**self.count), self.second / (1 - rule.beta_2**self.count)
            self.at = self.at - rate * first / np.sqrt(second)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_one_candidate_is_a_loop_written_by_hand(rule: Optimizer) -> None:
    features, labels = data()
    at = settings(learning_rate=0.1, l2=0.02, factor=0.9, step=2, minimum=0.05)
    start = candidates(Squared(), at, rule)
    weights, bias = ByHand(rule, start.weights_KD[0].copy()), ByHand(rule, start.bias_K.copy())
    found = train(candidates(Squared(), at, replace(rule, bias_rate=3.0, bias_l2=0.5)), features, labels)
    size = ROWS // 3
    for number in range(STEPS):
        rows, wanted = (each[number % 3 * size : (number % 3 + 1) * size] for each in (features, labels))
        rate = max(0.05, 0.1 * 0.9 ** ((number + 1) // 2))
        error = 2 * (rows @ weights.at + bias.at - wanted) / size
        slopes = rows.T @ error + 0.02 * weights.at, error.sum() + 0.02 * 0.5 * bias.at
        weights.step(slopes[0], rate)
        bias.step(slopes[1], 3.0 * rate)
    np.testing.assert_allclose(found.weights_KD[0], weights.at, atol=1e-4)
    np.testing.assert_allclose(found.bias_K, bias.at, atol=1e-4)


def theirs(rule: Optimizer, weights: Any, bias: Any, rate: float, l2: float) -> torch.optim.Optimizer:
    """Torch's optimizer of that name, the bias with a learning rate of its own and without a penalty."""
    groups = [{"params": [weights]}, {"params": [bias], "lr": rate * rule.bias_rate, "weight_decay": 0.0}]
    if rule.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=rule.momentum, weight_decay=l2)
    if rule.name == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=(rule.beta_1, rule.beta_2), weight_decay=l2)
    return torch.optim.RMSprop(groups, lr=rate, alpha=0.9, weight_decay=l2)


@pytest.mark.slow
@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_optimizers_are_those_of_torch(rule: Optimizer, l2: float) -> None:
    rule = replace(rule, bias_rate=2.0)
    features, labels = data()
    ours = candidates(Logistic(), settings(learning_rate=0.02, l2=l2), rule)
    weights, bias = (torch.tensor(start, requires_grad=True) for start in (ours.weights_KD[0], ours.bias_K[0]))
    optimizer = theirs(rule, weights, bias, 0.02, l2)
    train(ours, features, labels)
    size = ROWS // 3
    for number in range(STEPS):
        rows, wanted = (
            torch.tensor(each[number % 3 * size : (number % 3 + 1) * size]) for each in (features, labels)
        )
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(rows @ weights + bias, wanted).backward()
        optimizer.step()
    np.testing.assert_allclose(ours.weights_KD[0], weights.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.bias_K[0], bias.detach(), rtol=1e-4, atol=1e-5)


def test_the_gradient_of_several_classes_is_the_numerical_one() -> None:
    features, labels = data(classes=3)
    found = candidates(Softmax(), settings(), RULES[0], classes=3)
    gradient = found.gradient(features, features.T, labels, None)

    def lost(weights: Array, bias: Array) -> float:
        scores = features.astype(np.float64) @ weights.T + bias
        return float(-np.log(probabilities(scores)[np.arange(ROWS), labels]).sum())

    weights, bias, step = found.weights_KD.astype(np.float64), found.bias_K.astype(np.float64), 1e-6
    assert gradient.loss == pytest.approx(lost(weights, bias), rel=1e-5)
    for at in np.ndindex(*weights.shape):
        moved = np.zeros_like(weights)
        moved[at] = step
        numerical = (lost(weights + moved, bias) - lost(weights - moved, bias)) / (2 * step)
        assert gradient.weights_KD[at] == pytest.approx(numerical, abs=1e-4)
    for column in range(3):
        moved = np.zeros_like(bias)
        moved[column] = step
        numerical = (lost(weights, bias + moved) - lost(weights, bias - moved)) / (2 * step)
        assert gradient.bias_K[column] == pytest.approx(numerical, abs=1e-4)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_steps_end_at_the_closed_form_of_ridge_regression(rule: Optimizer) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    labels = (features @ rng.normal(size=WIDTH) + rng.normal(size=ROWS) + 3).astype(np.float32)
    rate = 0.15 if rule == RULES[0] else 0.05
    at = settings(2, learning_rate=rate, l2=np.array([0.0, 0.3]), factor=0.985)
    found = full_batches(candidates(Squared(), at, replace(rule, bias_rate=2.0)), features, labels)
    for number, penalty in enumerate(at.l2):
        # The mean of squared errors has the derivative 2 X'(Xw - y) / n, to which the penalty adds its part of w.
        exact = Ridge(alpha=penalty * ROWS / 2).fit(features, labels)
        np.testing.assert_allclose(found.weights_KD[number], exact.coef_, atol=2e-3)
        assert found.bias_K[number] == pytest.approx(exact.intercept_, abs=2e-3)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@pytest.mark.parametrize("classes", [1, 3])
def test_steps_end_at_scikit_learns_logistic_regression(rule: Optimizer, classes: int) -> None:
    features, labels = data(classes)
    loss: Loss = Softmax() if classes > 1 else Logistic()
    rate = 1.5 if rule == RULES[0] else 0.1
    at = settings(2, learning_rate=rate, l2=np.array([0.03, 0.3]), factor=0.985)
    found = full_batches(candidates(loss, at, replace(rule, bias_rate=3.0), classes=classes), features, labels)
    scores = found.scores(features).reshape(ROWS, 2, classes)
    for number, penalty in enumerate(at.l2):
        exact = LogisticRegression(C=1 / (ROWS * penalty), tol=1e-8).fit(features, labels)
        expected = exact.predict_proba(features)[:, -1] if classes == 1 else exact.predict_proba(features)
        score = scores[:, number]
        np.testing.assert_allclose(
            probability(score[:, 0]) if classes == 1 else probabilities(score), expected, atol=5e-3
        )


def full_batches(found: Candidates, features: Array, labels: Array) -> Candidates:
    """The candidates after as many steps as it takes, each over all rows."""
    for _ in range(300):
        found.update(found.gradient(features, features.T, labels, None))
    return found


# Candidates do not see each other


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_many_candidates_together_are_what_each_is_alone(rule: Optimizer, classes: int) -> None:
    rng, (features, labels) = np.random.default_rng(0), data(classes)
    loss: Loss = Softmax() if classes > 1 else Logistic()
    at = Settings(
        learning_rate=rng.uniform(0.01, 0.1, 6),
        l1=rng.uniform(0, 0.05, 6),
        l2=rng.uniform(0, 0.1, 6),
        step=rng.integers(1, 5, 6).astype(float),
        factor=rng.uniform(0.8, 1, 6),
        minimum=rng.uniform(0, 0.05, 6),
        positive=np.ones(6) if classes > 1 else rng.uniform(0.5, 3, 6),
    )
    rule = replace(rule, bias_rate=2.0, bias_l2=0.5)
    together = train(candidates(loss, at, rule, classes=classes), features, labels)
    for number in range(6):
        alone = train(candidates(loss, at.take(np.array([number])), rule, classes=classes), features, labels)
        own = slice(number * classes, (number + 1) * classes)
        np.testing.assert_allclose(together.weights_KD[own], alone.weights_KD, rtol=2e-4, atol=2e-6)
        np.testing.assert_allclose(together.bias_K[own], alone.bias_K, rtol=2e-4, atol=2e-6)


def test_scores_of_several_classes_stand_beside_each_other() -> None:
    features, _ = data()
    found = candidates(Softmax(), settings(4), RULES[0], classes=3)
    found.weights_KD = np.arange(12 * WIDTH, dtype=np.float32).reshape(12, WIDTH)
    scores = found.scores(features)
    assert scores.shape == (ROWS, 4, 3)
    np.testing.assert_allclose(scores[:, 2, 1], features @ found.weights_KD[7] + 0.2, rtol=1e-5)
    assert candidates(Squared(), settings(4), RULES[0]).scores(features).shape == (ROWS, 4)


# Penalties, weights, bias


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_l1_makes_weights_exactly_zero(rule: Optimizer) -> None:
    features, labels = data()
    found = train(candidates(Logistic(), settings(3, l1=np.array([0.0, 0.05, 100.0])), rule), features, labels, 200)
    zeros = np.count_nonzero(found.weights_KD == 0, axis=1)
    assert zeros[0] == 0
    assert zeros[2] == WIDTH
    assert zeros[1] >= zeros[0]
    assert found.bias_K[2] != 0, "the bias is not penalized"


def test_l1_with_sgd_ends_at_the_lasso() -> None:
    """Features of spread 1 that are not correlated have a closed form: least squares, moved towards 0."""
    rng = np.random.default_rng(0)
    features = np.linalg.qr(rng.normal(size=(ROWS, WIDTH)))[0].astype(np.float32) * np.float32(ROWS**0.5)
    labels = (features @ np.array([2, 0.05, -1, 0.3, 0]) + 0.01 * rng.normal(size=ROWS)).astype(np.float32)
    rule = Optimizer(name="sgd", use_bias=False)
    found = candidates(Squared(), settings(learning_rate=0.1, l1=0.2), rule)
    found.bias_K[:] = 0
    for _ in range(300):
        found.update(found.gradient(features, features.T, labels, None))
    least = features.T @ labels / ROWS
    # The squared error has the derivative 2 * (w - least), so a penalty of 0.2 moves by 0.1.
    expected = np.sign(least) * np.maximum(np.abs(least) - 0.1, 0)
    np.testing.assert_allclose(found.weights_KD[0], expected, atol=1e-5)
    assert (found.weights_KD[0] == 0).sum() == 2


def test_a_model_without_a_bias_keeps_none() -> None:
    features, labels = data()
    found = candidates(Logistic(), settings(), Optimizer(name="adam", use_bias=False))
    assert (train(found, features, labels).bias_K == np.float32(0.2)).all()


@given(st.integers(1, 4), st.sampled_from(NAMES))
def test_a_positive_weight_of_n_is_each_positive_row_n_times(times: int, name: str) -> None:
    features, labels = data()
    rule = RULES[NAMES.index(name)]
    found = candidates(Logistic(), settings(positive=times), rule)
    again = np.repeat(np.arange(ROWS), np.where(labels > 0, times, 1))
    repeated = candidates(Logistic(), settings(), rule)
    for _ in range(10):
        one = found.gradient(features, features.T, labels, None)
        other = repeated.gradient(features[again], features[again].T, labels[again], None)
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.total_M == other.total_M == len(again)
        found.update(one)
        repeated.update(other)
    np.testing.assert_allclose(found.weights_KD, repeated.weights_KD, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.bias_K, repeated.bias_K, rtol=1e-4, atol=1e-5)


def test_a_row_weight_of_n_is_the_row_n_times() -> None:
    features, labels = data(classes=3)
    times = np.random.default_rng(0).integers(1, 4, ROWS)
    found, repeated = (candidates(Softmax(), settings(2), RULES[2], classes=3) for _ in range(2))
    again = np.repeat(np.arange(ROWS), times)
    for _ in range(10):
        found.update(found.gradient(features, features.T, labels, times.astype(np.float32)))
        repeated.update(repeated.gradient(features[again], features[again].T, labels[again], None))
    np.testing.assert_allclose(found.weights_KD, repeated.weights_KD, rtol=1e-4, atol=1e-5)


def test_gradients_of_parts_add_up() -> None:
    features, labels = data()
    found = candidates(Logistic(), settings(3, positive=np.array([1.0, 2.0, 0.5])), RULES[0])
    whole = found.gradient(features, features.T, labels, None)
    parts = [
        found.gradient(features[cut], features[cut].T, labels[cut], None) for cut in (slice(0, 7), slice(7, ROWS))
    ]
    parts.append(found.no_gradient())
    for name in ("weights_KD", "bias_K", "total_M", "loss"):
        total = sum(getattr(part, name) for part in parts)
        np.testing.assert_allclose(total, getattr(whole, name), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(whole.total_M, [ROWS, ROWS + labels.sum(), ROWS - labels.sum() / 2])


# Forms of the rows


@pytest.mark.parametrize("classes", [1, 3])
def test_sparse_rows_give_what_dense_rows_give(classes: int) -> None:
    features, labels = data(classes)
    features *= np.random.default_rng(5).random(features.shape) < 0.4
    loss: Loss = Softmax() if classes > 1 else Logistic()
    shift = np.linspace(-1, 1, WIDTH, dtype=np.float32)
    dense, sparse = (candidates(loss, settings(4), RULES[2], classes=classes, shift=shift) for _ in range(2))
    train(dense, features, labels)
    train(sparse, csr_matrix(features), labels)
    np.testing.assert_allclose(sparse.weights_KD, dense.weights_KD, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_shift_is_taken_off_without_touching_the_rows(rule: Optimizer) -> None:
    features, labels = data()
    shift = np.linspace(-2, 3, WIDTH, dtype=np.float32)
    at = settings(2, learning_rate=np.array([0.01, 0.05]))
    moved = train(candidates(Huber(1.0), at, rule, shift=shift), features + shift, labels)
    plain = train(candidates(Huber(1.0), at, rule), features, labels)
    np.testing.assert_allclose(moved.weights_KD, plain.weights_KD, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(moved.scores(features + shift), plain.scores(features), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@pytest.mark.parametrize("classes", [1, 3])
def test_torch_trains_what_numpy_trains(rule: Optimizer, classes: int) -> None:
    features, labels = data(classes)
    loss: Loss = Softmax() if classes > 1 else Logistic()
    at = settings(
        3, learning_rate=np.array([0.01, 0.03, 0.1]), l1=0.01, l2=0.02, positive=1.0 if classes > 1 else 2.0
    )
    ours = train(candidates(loss, at, rule, classes=classes), features, labels)
    start = candidates(loss, at, rule, classes=classes)
    theirs = Candidates(loss, at, rule, torch.from_numpy(start.weights_KD), torch.from_numpy(start.bias_K))
    train(theirs, torch.from_numpy(features), torch.from_numpy(labels))
    assert isinstance(theirs.weights_KD, torch.Tensor)
    np.testing.assert_allclose(to_numpy(theirs.weights_KD), ours.weights_KD, rtol=1e-3, atol=1e-5)
    for name, array in theirs.state().items():
        assert isinstance(array, np.ndarray)
        np.testing.assert_allclose(array, ours.state()[name], rtol=1e-3, atol=1e-5)


# Means and checkpoints


def test_the_mean_is_that_of_the_updates_since_it_began() -> None:
    features, labels = data()
    found = train(candidates(Logistic(), settings(2), RULES[2]), features, labels)
    found.forget()
    np.testing.assert_array_equal(found.mean()[0], found.weights_KD)
    seen = []
    for _ in range(7):
        train(found, features, labels, 1)
        seen.append((found.weights_KD.copy(), found.bias_K.copy()))
    for mean, part in zip(found.mean(), zip(*seen, strict=True), strict=True):
        np.testing.assert_allclose(mean, np.mean(part, axis=0), rtol=1e-5, atol=1e-6)
    expected = features @ found.mean()[0].T + found.mean()[1]
    np.testing.assert_allclose(found.scores(features, averaged=True), expected, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@pytest.mark.parametrize("placed", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_what_is_restored_goes_on_bit_by_bit(rule: Optimizer, placed: Callable[[Array], Any]) -> None:
    features, labels = data()
    at = settings(3, learning_rate=np.array([0.01, 0.03, 0.1]), l1=0.01, l2=0.02, factor=0.9)

    def fresh() -> Candidates:
        start = candidates(Logistic(), at, rule)
        return Candidates(Logistic(), at, rule, placed(start.weights_KD), placed(start.bias_K))

    rows, wanted = placed(features), placed(labels)
    whole = train(train(fresh(), rows, wanted, 12), rows, wanted, 12)
    half = train(fresh(), rows, wanted, 12)
    kept = {name: array.copy() for name, array in half.state().items()}
    train(half, rows, wanted, 5)  # what was saved must not change with what goes on
    resumed = fresh()
    resumed.restore(kept)
    train(resumed, rows, wanted, 12)
    for name, array in resumed.state().items():
        np.testing.assert_array_equal(array, whole.state()[name], err_msg=name)
    for mean, expected in zip(resumed.mean(), whole.mean(), strict=True):
        np.testing.assert_array_equal(to_numpy(mean), to_numpy(expected))
