"""Losses are the negative logarithms of SciPy's densities, and samples are drawn from the same laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clary.algorithms.deepar.loss import LIKELIHOODS, Noise
from clary.algorithms.deepar.spec import BETA, DETERMINISTIC, GAUSSIAN, NEGATIVE_BINOMIAL, STUDENT_T
from clary.algorithms.deepar.spec import LIKELIHOODS as NAMES

Array = npt.NDArray[Any]
SMALLEST = 1e-6
EXTREMES = (-1e4, -100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, 1e4)
RAW = st.floats(-15, 15)


def softplus(values: Any) -> Any:
    return np.logaddexp(0, values) + SMALLEST


def law(name: str, raw: Any, scale: Any) -> Any:
    """SciPy's distribution of a target."""
    if name == GAUSSIAN:
        return stats.norm(raw[0] * scale, softplus(raw[1]) * scale)
    if name == STUDENT_T:
        return stats.t(np.logaddexp(0, raw[2]) + 2, raw[0] * scale, softplus(raw[1]) * scale)
    if name == NEGATIVE_BINOMIAL:
        mean, shape = softplus(raw[0]) * scale, softplus(raw[1]) / np.sqrt(scale)
        return stats.nbinom(1 / shape, 1 / (1 + mean * shape))
    if name == BETA:
        return stats.beta(softplus(raw[0]), softplus(raw[1]))
    return stats.laplace(raw[0] * scale, scale)


def density(name: str, raw: Any, scale: Any, target: Any) -> Any:
    found = law(name, raw, scale)
    return found.logpmf(target) if name == NEGATIVE_BINOMIAL else found.logpdf(target)


def tensors(values: Any, kind: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.tensor(each, dtype=kind, requires_grad=True) for each in values]


def noise(*seeds: int) -> Noise:
    return Noise([np.random.default_rng(seed) for seed in seeds])


def test_every_likelihood_is_there() -> None:
    assert tuple(LIKELIHOODS) == tuple(name for name in NAMES if name in LIKELIHOODS) or set(LIKELIHOODS) == set(
        NAMES
    )
    assert {name: each.width for name, each in LIKELIHOODS.items()} == {
        GAUSSIAN: 2,
        STUDENT_T: 3,
        NEGATIVE_BINOMIAL: 2,
        BETA: 2,
        DETERMINISTIC: 1,
    }


@pytest.mark.parametrize("name", NAMES)
@given(raw=st.tuples(RAW, RAW, RAW), scale=st.floats(1e-3, 1e4), place=st.floats(-3, 3))
def test_the_loss_is_the_negative_log_likelihood(
    name: str, raw: tuple[float, ...], scale: float, place: float
) -> None:
    target = {
        NEGATIVE_BINOMIAL: float(round(abs(place) * scale)),
        BETA: float(np.clip(abs(place) / 3, 1e-4, 1 - 1e-4)),
    }.get(name, place * scale)
    likelihood = LIKELIHOODS[name]
    found = likelihood.loss(tensors(raw[: likelihood.width]), *tensors([target, scale]))
    wanted = -density(name, raw, scale, target)
    assert found.item() == pytest.approx(wanted, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_the_edges_of_the_beta_law_are_a_little_inside(edge: float) -> None:
    raw = (-2.0, -2.0)  # where the density is infinite at both edges
    found = LIKELIHOODS[BETA].loss(tensors(raw), *tensors([edge, 0.5]))
    assert found.item() == pytest.approx(-density(BETA, raw, 1.0, abs(edge - 1e-4)), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e8])
def test_losses_and_gradients_are_finite_at_extremes(name: str, scale: float) -> None:
    likelihood = LIKELIHOODS[name]
    corners = np.stack(np.meshgrid(*[EXTREMES] * likelihood.width), axis=-1).reshape(-1, likelihood.width).T
    for target in {BETA: (0.0, 0.5, 1.0), NEGATIVE_BINOMIAL: (0.0, 1.0, round(scale))}.get(
        name, (0.0, scale, -scale)
    ):
        raw = tensors(corners, torch.float32)
        shape = raw[0].shape
        loss = likelihood.loss(raw, torch.full(shape, target), torch.full(shape, scale))
        assert loss.dtype == torch.float32
        assert bool(loss.isfinite().all())
        loss.sum().backward()
        assert all(each.grad is not None and bool(each.grad.isfinite().all()) for each in raw)


@pytest.mark.parametrize("shape", [-12.0, -9.0, -5.0, 0.0])
def test_counts_close_to_the_law_of_poisson_lose_no_digits(shape: float) -> None:
    target = np.random.default_rng(0).poisson(50, 200)
    found = {}
    for kind in (torch.float32, torch.float64):
        raw = tensors([np.full(200, 0.5), np.full(200, shape)], kind)
        loss = LIKELIHOODS[NEGATIVE_BINOMIAL].loss(
            raw, *(each.detach() for each in tensors([target, [50.0] * 200], kind))
        )
        loss.sum().backward()
        found[kind] = [loss.detach().double(), *(each.grad.double() for each in raw if each.grad is not None)]
    for one, other in zip(found[torch.float32], found[torch.float64], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("raw", "scale"), [((0.5, 1.0, 1.0), 40.0), ((-1.0, -1.0, 3.0), 0.5), ((2.0, 0.3, -4.0), 3e3)]
)
def test_samples_follow_the_law(name: str, raw: tuple[float, ...], scale: float) -> None:
    count = 40_000
    likelihood = LIKELIHOODS[name]
    given = [np.full((1, count), each, np.float32) for each in raw[: likelihood.width]]
    drawn = likelihood.draw(given, np.full((1, count), scale, np.float32), noise(5))
    assert drawn.shape == (1, count)
    if name == DETERMINISTIC:
        assert (drawn == np.float32(raw[0])).all()
        return
    wanted = law(name, raw, scale)
    samples = drawn[0] * scale
    if name == NEGATIVE_BINOMIAL:
        assert samples == pytest.approx(np.round(samples), abs=1e-2)
        samples = np.round(samples)
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        quantile = wanted.ppf(level)
        below, through = np.mean(samples < quantile * (1 - 1e-6 * np.sign(quantile))), np.mean(samples <= quantile)
        assert below - 0.012 < level < max(through, below) + 0.012
    if name != STUDENT_T:
        assert samples.mean() == pytest.approx(wanted.mean(), abs=5 * wanted.std() / np.sqrt(count))
        assert samples.std() == pytest.approx(wanted.std(), rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_series_has_its_own_chance(name: str) -> None:
    likelihood = LIKELIHOODS[name]
    rng = np.random.default_rng(0)
    raw = [rng.normal(size=(3, 50)).astype(np.float32) for _ in range(likelihood.width)]
    scale = np.repeat(np.array([[1.0], [50.0], [0.1]], np.float32), 50, axis=1)
    together = likelihood.draw(raw, scale, noise(1, 2, 3))
    for place in range(3):
        own = slice(place, place + 1)
        alone = likelihood.draw([each[own] for each in raw], scale[own], noise(place + 1))
        assert np.array_equal(alone, together[own])


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_finite_at_extremes(name: str) -> None:
    likelihood = LIKELIHOODS[name]
    corners = np.stack(np.meshgrid(*[EXTREMES] * likelihood.width), axis=-1).reshape(-1, likelihood.width).T
    raw = [each[None].astype(np.float32) for each in corners]
    for scale in (1e-10, 1.0, 1e8):
        drawn = likelihood.draw(raw, np.full(raw[0].shape, scale, np.float32), noise(0))
        assert np.isfinite(drawn).all()
        if name == BETA:
            assert ((drawn * scale >= -1e-6) & (drawn * scale <= 1 + 1e-6)).all()
