"""Each loss against its definition, its slope against the loss itself, and torch against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clary.algorithms.linear_learner.loss import (
    Absolute,
    Hinge,
    Huber,
    InsensitiveAbsolute,
    InsensitiveSquared,
    Logistic,
    Loss,
    Quantile,
    Softmax,
    Squared,
    probabilities,
    probability,
)

Array = npt.NDArray[Any]

BINARY: list[Loss] = [Logistic(), Hinge(1.0), Hinge(0.3)]
NUMBERS: list[Loss] = [
    Squared(),
    Absolute(),
    InsensitiveSquared(0.25),
    InsensitiveAbsolute(0.25),
    Quantile(0.9),
    Quantile(0.5),
    Huber(1.0),
    Huber(0.2),
]
# Where the derivative jumps: there the slope is that of one side.
KINKS: dict[type[Loss], Callable[[Any], list[float]]] = {
    Hinge: lambda loss: [loss.margin],
    Absolute: lambda _: [0.0],
    InsensitiveAbsolute: lambda loss: [-loss.width, loss.width],
    Quantile: lambda _: [0.0],
}
SCORES = st.floats(-30, 30)
STEP = 1e-6


def named(loss: Loss) -> str:
    return repr(loss) if "(" in repr(loss) and "object" not in repr(loss) else type(loss).__name__


def labels_of(loss: Loss) -> st.SearchStrategy[float]:
    return st.sampled_from([0.0, 1.0]) if loss in BINARY else SCORES


@pytest.mark.parametrize("loss", [*BINARY, *NUMBERS], ids=named)
@given(data=st.data())
def test_the_slope_is_the_derivative_of_the_value(loss: Loss, data: st.DataObject) -> None:
    score, label = data.draw(SCORES), data.draw(labels_of(loss))
    place = (2 * label - 1) * score if loss in BINARY else score - label
    kinks = KINKS.get(type(loss), lambda _: [])(loss)
    assume(all(abs(place - kink) > 2 * STEP for kink in kinks))
    scores, labels = np.array([[score - STEP, score, score + STEP]]), np.array([label])
    before, _, after = loss.value(scores, labels)[0]
    assert loss.slope(scores, labels)[0, 1] == pytest.approx((after - before) / (2 * STEP), rel=1e-5, abs=1e-5)


@given(arrays(np.float64, (2, 2, 3), elements=SCORES), arrays(np.int64, 2, elements=st.integers(0, 2)))
def test_the_slope_of_several_classes_is_the_derivative_of_the_value(scores: Array, labels: Array) -> None:
    loss = Softmax()
    for of in np.ndindex(2, 3):
        moved = np.zeros(scores.shape)
        moved[:, of[0], of[1]] = STEP
        numerical = (loss.value(scores + moved, labels) - loss.value(scores - moved, labels)) / (2 * STEP)
        others = [each for each in range(2) if each != of[0]]
        assert (numerical[:, others] == 0).all(), "a candidate's score changes no other's loss"
        np.testing.assert_allclose(loss.slope(scores, labels)[:, of[0], of[1]], numerical[:, of[0]], atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "score", "label", "value"),
    [
        (Logistic(), 0.0, 1.0, np.log(2)),
        (Logistic(), np.log(3), 1.0, np.log(4 / 3)),
        (Logistic(), np.log(3), 0.0, np.log(4)),
        (Hinge(1.0), 0.25, 1.0, 0.75),
        (Hinge(1.0), 0.25, 0.0, 1.25),
        (Hinge(2.0), 2.5, 1.0, 0.0),
        (Squared(), 5.0, 2.0, 9.0),
        (Absolute(), -1.0, 2.0, 3.0),
        (InsensitiveSquared(0.5), 2.0, 0.0, 2.25),
        (InsensitiveSquared(0.5), 0.4, 0.0, 0.0),
        (InsensitiveAbsolute(0.5), -2.0, 0.0, 1.5),
        (InsensitiveAbsolute(0.5), 0.4, 0.0, 0.0),
        (Quantile(0.9), 3.0, 1.0, 1.8),
        (Quantile(0.9), 1.0, 3.0, 0.2),
        (Huber(1.0), 0.5, 0.0, 0.125),
        (Huber(1.0), -3.0, 0.0, 2.5),
    ],
    ids=lambda value: named(value) if isinstance(value, Loss) else "",
)
def test_values_at_known_points(loss: Loss, score: float, label: float, value: float) -> None:
    assert loss.value(np.array([[score]]), np.array([label])) == pytest.approx(value)


def test_the_softmax_loss_is_that_of_the_right_class() -> None:
    scores = np.log([[[1.0, 2.0, 5.0], [1.0, 1.0, 1.0]]])
    for label, share in enumerate((1 / 8, 2 / 8, 5 / 8)):
        found = Softmax().value(scores, np.array([label]))
        np.testing.assert_allclose(found, [[-np.log(share), np.log(3)]])


def test_two_classes_of_a_softmax_are_a_logistic() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(20, 3, 2)), rng.integers(0, 2, 20)
    apart = scores[..., 1] - scores[..., 0]
    np.testing.assert_allclose(Softmax().value(scores, labels), Logistic().value(apart, labels))
    np.testing.assert_allclose(Softmax().slope(scores, labels)[..., 1], Logistic().slope(apart, labels))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_extreme_scores_do_not_overflow(kind: type) -> None:
    scores: Array = np.array([[-1e30, -800.0, 0.0, 800.0, 1e30]], kind)
    for label in (0.0, 1.0):
        labels: Array = np.array([label], kind)
        lost = Logistic().value(scores, labels)
        np.testing.assert_allclose(lost, np.maximum(0, (1 - 2 * label) * scores), atol=0.7)
        assert ((Logistic().slope(scores, labels) >= -1) & (Logistic().slope(scores, labels) <= 1)).all()
    np.testing.assert_array_equal(probability(scores), [[0, 0, 0.5, 1, 1]])
    assert Softmax().value(scores[:, None], np.array([0]))[0, 0] == pytest.approx(2e30)
    np.testing.assert_array_equal(probabilities(scores), [[0, 0, 0, 0, 1]])


@pytest.mark.parametrize("loss", [*BINARY, *NUMBERS, Softmax()], ids=named)
def test_torch_gives_what_numpy_gives(loss: Loss) -> None:
    rng = np.random.default_rng(0)
    several = isinstance(loss, Softmax)
    scores = rng.normal(scale=3, size=(30, 5, 4) if several else (30, 5)).astype(np.float32)
    labels: Array = rng.normal(size=30).astype(np.float32)
    if several or loss in BINARY:
        labels = rng.integers(0, 4, 30) if several else rng.integers(0, 2, 30).astype(np.float32)
    for function in (loss.value, loss.slope):
        found = function(torch.from_numpy(scores), torch.from_numpy(labels))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), function(scores, labels), rtol=1e-5, atol=1e-6)
        assert function(scores, labels).dtype == np.float32


def test_a_loss_of_scaled_labels_has_the_power_of_its_unit() -> None:
    """What the log reports in units of the label is the loss of the divided ones times this power of the spread."""
    rng, spread = np.random.default_rng(0), 7.0
    scores, labels = rng.normal(size=(50, 2)), rng.normal(size=50)
    scaled = [Squared(), Absolute(), InsensitiveSquared(0.25), InsensitiveAbsolute(0.25), Quantile(0.9), Huber(0.5)]
    raw = [
        Squared(),
        Absolute(),
        InsensitiveSquared(0.25 * spread),
        InsensitiveAbsolute(0.25 * spread),
        Quantile(0.9),
        Huber(0.5 * spread),
    ]
    for inner, outer in zip(scaled, raw, strict=True):
        expected = outer.value(scores * spread, labels * spread)
        np.testing.assert_allclose(inner.value(scores, labels) * spread**inner.power, expected)


def test_objectives_have_different_names() -> None:
    kinds = {type(loss) for loss in [*BINARY, *NUMBERS, Softmax()]}
    assert len({kind.objective for kind in kinds}) == len(kinds) == 9
