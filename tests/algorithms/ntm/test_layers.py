"""The sparse products and the loss of the decoder against the same, written out densely in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.algorithms.ntm import layers
from clary.algorithms.ntm.layers import Counts, one_thread, reconstruction

CPU = torch.device("cpu")
Array = npt.NDArray[Any]


def counted(rows: Array) -> Counts:
    return Counts.of(csr_matrix(rows, dtype=np.float32), CPU)


def loss(given_: Any, rows: Array) -> Any:
    """The loss of shares, topics and background: the sum, and that of each document."""
    shares, topics, background = given_
    return reconstruction(shares, topics, background, counted(rows))


def dense_loss(rows: Array, shares: torch.Tensor, topics: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Minus the log likelihood per word of each document."""
    counts = torch.from_numpy(rows.astype(np.float64))
    logarithms = torch.log_softmax(shares @ topics.T + background, dim=1)
    return -(counts * logarithms).sum(dim=1) / counts.sum(dim=1).clamp(min=1)


def wanting(*arrays: Array, dtype: torch.dtype) -> Any:
    return [torch.tensor(each, dtype=dtype, requires_grad=True) for each in arrays]


@given(st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 30), st.integers(1, 7))
@settings(max_examples=40)
def test_products_and_their_gradients_are_those_of_dense_matrices(
    seed: int, count: int, words: int, wide: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, table, weight = (
        rng.poisson(0.3, (count, words)),
        rng.normal(size=(words, wide)),
        rng.normal(size=(count, wide)),
    )
    mine = wanting(table, dtype=torch.float32)[0]
    found = counted(rows).times(mine)
    (found * torch.from_numpy(weight).float()).sum().backward()
    assert found.detach().numpy() == pytest.approx(rows @ table, rel=1e-5, abs=1e-5)
    assert mine.grad.numpy() == pytest.approx(rows.T @ weight, rel=1e-5, abs=1e-5)


@given(
    st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 30), st.integers(2, 5), st.sampled_from([1, 7, 64, 1000])
)
@settings(max_examples=60)
def test_the_loss_of_the_decoder_is_that_of_a_dense_one(
    seed: int, count: int, words: int, topics: int, tile: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.poisson(0.5, (count, words))
    given_ = rng.dirichlet(np.ones(topics), count), rng.normal(size=(words, topics)) * 3, rng.normal(size=words)
    mine, dense = wanting(*given_, dtype=torch.float32), wanting(*given_, dtype=torch.float64)
    usual, layers.TILE_OF_A_CORE = layers.TILE_OF_A_CORE, tile
    try:
        total, each_B = loss(mine, rows)
    finally:
        layers.TILE_OF_A_CORE = usual
    expected_B = dense_loss(rows, *dense)
    (2 * total).backward()
    (2 * expected_B.sum()).backward()
    assert each_B.numpy() == pytest.approx(expected_B.detach().numpy(), rel=1e-5, abs=1e-5)
    assert total.item() == pytest.approx(expected_B.sum().item(), rel=1e-5, abs=1e-5)
    for one, other in zip(mine, dense, strict=True):
        assert one.grad.numpy() == pytest.approx(other.grad.numpy(), rel=1e-4, abs=1e-5)


def test_a_document_without_words_has_no_loss_and_no_gradient() -> None:
    mine = wanting(np.full((2, 2), 0.5), np.arange(6.0).reshape(3, 2), np.zeros(3), dtype=torch.float32)
    total, each_B = loss(mine, np.zeros((2, 3)))
    total.backward()
    assert each_B.tolist() == [0, 0]
    assert all(not each.grad.any() for each in mine)


def test_weights_far_apart_neither_overflow_nor_vanish() -> None:
    topics = np.array([[500.0, -500.0], [-500.0, 500.0], [0.0, 0.0]])
    mine = wanting(np.array([[1.0, 0.0], [0.0, 1.0]]), topics, np.zeros(3), dtype=torch.float32)
    total, each_B = loss(mine, np.array([[1, 0, 0], [1, 0, 0]]))
    total.backward()
    assert each_B.tolist() == [0, 1000]
    assert all(bool(torch.isfinite(each.grad).all()) for each in mine)


def test_nothing_of_the_gradient_is_worked_out_where_none_is_wanted() -> None:
    total, _ = reconstruction(torch.ones(2, 2) / 2, torch.ones(3, 2), torch.zeros(3), counted(np.ones((2, 3))))
    assert not total.requires_grad
    assert float(total) == pytest.approx(2 * np.log(3))


def test_logarithms_take_the_place_of_counts() -> None:
    rows = np.array([[0, 3, 1], [7, 0, 0]])
    found = counted(rows).logarithms()
    assert found.times(torch.eye(3)).numpy() == pytest.approx(np.log1p(rows))
    assert found.totals_B.tolist() == [4, 7]


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
