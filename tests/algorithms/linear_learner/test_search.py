"""Candidates' settings lie where they should, and of all candidates of all epochs the right one wins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.linear_learner.model import Settings
from clary.algorithms.linear_learner.search import (
    AUTO_RATE,
    FALL,
    NEIGHBORS,
    NOISE,
    Contest,
    batch_size,
    described,
    settings,
)
from clary.algorithms.linear_learner.spec import SPEC, Hyperparameters

Array = npt.NDArray[Any]
COUNTS = np.array([900, 100])
UPDATES = 750


def job(**given: object) -> Hyperparameters:
    found = SPEC.parse({"predictor_type": "binary_classifier", **{name: str(value) for name, value in given.items()}})
    assert isinstance(found, Hyperparameters)
    return found


def drawn(
    models: int = 200, updates: int = UPDATES, counts: Array = COUNTS, seed: int = 0, **given: object
) -> Settings:
    return settings(job(**given), models, updates, counts, np.random.default_rng(seed))


# Settings


def test_the_first_candidate_has_the_settings_of_the_job() -> None:
    given: dict[str, Any] = {
        "learning_rate": 0.02,
        "l1": 0.003,
        "wd": 0.004,
        "lr_scheduler_step": 7,
        "lr_scheduler_factor": 0.9,
        "lr_scheduler_minimum_lr": 0.001,
        "positive_example_weight_mult": 2.5,
    }
    first = drawn(**given).one(0)
    assert first == {
        "learning_rate": 0.02,
        "l1": 0.003,
        "l2": 0.004,
        "step": 7,
        "factor": 0.9,
        "minimum": 0.001,
        "positive": 2.5,
    }
    assert drawn(models=1, **given).one(0) == first


@pytest.mark.parametrize("optimizer", sorted(AUTO_RATE))
def test_an_automatic_first_candidate_has_no_penalty_and_the_optimizers_rate(optimizer: str) -> None:
    first = drawn(optimizer=optimizer).one(0)
    assert (first["l1"], first["l2"], first["positive"]) == (0, 0, 1)
    assert first["learning_rate"] == AUTO_RATE[optimizer]
    rates = drawn(optimizer=optimizer).learning_rate
    assert rates.min() >= AUTO_RATE[optimizer] / 30
    assert rates.max() <= AUTO_RATE[optimizer] * 5
    assert rates.max() / rates.min() > 50


def test_a_given_rate_is_searched_nearby() -> None:
    rates = drawn(learning_rate=0.3).learning_rate
    assert rates.min() >= 0.3 / NEIGHBORS
    assert rates.max() <= 0.3 * NEIGHBORS
    assert len(set(rates.tolist())) == 200


def test_a_penalty_that_is_left_open_is_tried_by_half_of_the_candidates() -> None:
    for penalty in (drawn().l1, drawn().l2):
        assert penalty[0] == 0
        assert 60 < np.count_nonzero(penalty) < 140
        tried = penalty[penalty > 0]
        assert tried.min() >= 1e-6
        assert tried.max() <= 1e-2


def test_a_penalty_that_is_given_is_searched_nearby_and_zero_stays_zero() -> None:
    found = drawn(l1=0, wd=0.01)
    assert not found.l1.any()
    assert found.l2.min() >= 0.001
    assert found.l2.max() <= 0.1
    assert len(set(found.l2.tolist())) == 200


@given(st.integers(1, 10_000), st.integers(1, 50))
def test_an_automatic_schedule_has_fallen_to_its_share_at_the_last_update(updates: int, models: int) -> None:
    found = drawn(models, updates)
    last = found.factor ** (updates // found.step)
    assert last[0] == pytest.approx(FALL)
    assert (last >= 0.01 * (1 - 1e-9)).all()
    assert (last <= 1).all()


def test_half_of_a_schedule_takes_the_old_default_for_the_other_half() -> None:
    assert (drawn(lr_scheduler_step=10).step == 10).all()
    assert drawn(lr_scheduler_step=10).factor[0] == 0.99
    assert (drawn(lr_scheduler_factor=0.5).step == 100).all()
    assert drawn(lr_scheduler_factor=0.5).factor[0] == 0.5
    others = drawn(lr_scheduler_factor=0.5).factor
    assert others.min() >= 0.25
    assert others.max() <= 0.5**0.5
    assert (drawn().minimum == 1e-5).all()


def test_no_schedule_leaves_the_rate_alone() -> None:
    found = drawn(use_lr_scheduler=False)
    assert (found.factor == 1).all()
    assert (found.minimum == 0).all()


def test_the_weight_of_positive_rows() -> None:
    assert (drawn(positive_example_weight_mult=3).positive == 3).all()
    assert (drawn(positive_example_weight_mult="balanced").positive == 9).all()
    tried = drawn(positive_example_weight_mult="auto").positive
    assert tried[0] == 9
    assert tried.min() >= 1
    assert tried.max() <= 9
    assert len(set(tried.tolist())) == 200
    for counts in (np.array([5, 0]), np.array([0, 5])):
        assert (drawn(counts=counts, positive_example_weight_mult="balanced").positive == 1).all()


def test_settings_follow_the_seed() -> None:
    first, again, other = (drawn(seed=seed) for seed in (0, 0, 1))
    assert first.one(3) == again.one(3) != other.one(3)


def test_a_candidate_is_described_by_the_names_of_hyperparameters() -> None:
    found = described(drawn(models=1, learning_rate=0.02), 0, "adam")
    assert set(found) <= set(SPEC.hyperparameters.parameters())
    assert list(found)[:7] == [
        "lr_scheduler_step",
        "wd",
        "optimizer",
        "lr_scheduler_factor",
        "l1",
        "learning_rate",
        "lr_scheduler_minimum_lr",
    ]
    assert (found["learning_rate"], found["optimizer"]) == (0.02, "adam")


# Batch size


@pytest.mark.parametrize(
    ("rows", "hosts", "size"),
    [(1, 1, 16), (800, 1, 16), (5_000, 1, 100), (5_000, 4, 25), (50_000, 1, 1000), (10**9, 8, 1000)],
)
def test_few_rows_are_learned_in_small_batches(rows: int, hosts: int, size: int) -> None:
    assert batch_size(job(), rows, hosts) == size


def test_a_batch_size_that_is_given_is_taken() -> None:
    assert batch_size(job(mini_batch_size=1000), 500, 1) == 1000
    assert batch_size(job(mini_batch_size=3), 10**6, 1) == 3


# Contest

LEVELS = st.sampled_from([0.5, 0.88, 0.895, 0.9, 0.905, 0.91, 1.0])
LOST = st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan, math.inf])
EPOCHS = st.lists(st.lists(st.tuples(LEVELS, LOST), min_size=3, max_size=3), min_size=1, max_size=6)
Entries = list[list[tuple[float, float]]]


def held(epochs: Entries, rows: int | None, cuts: tuple[int, ...] = ()) -> Contest:
    """The contest after these epochs; at each cut it goes through a checkpoint."""
    contest = Contest()
    for epoch, pairs in enumerate(epochs):
        value, loss = (np.array(each) for each in zip(*pairs, strict=True))
        weights = np.arange(3, dtype=np.float32)[:, None, None] + 10 * epoch + np.zeros((3, 1, 2), np.float32)
        contest.enter(epoch, value, loss, weights, weights[:, :, 0], rows)
        if epoch in cuts:
            kept = contest.arrays()
            contest = Contest()
            contest.restore(kept)
    return contest


def least(epochs: Entries, rows: int | None) -> float:
    """The value from which on candidates count as equally good, written out for all entries at once."""
    best = max(value for pairs in epochs for value, loss in pairs if math.isfinite(loss))
    return best if rows is None else best - NOISE * math.sqrt(max(best * (1 - best), 1 / rows) / rows)


@given(EPOCHS, st.sampled_from([None, 10, 400, 10**6]))
def test_the_winner_has_the_lowest_loss_of_all_that_are_good_enough(epochs: Entries, rows: int | None) -> None:
    winner = held(epochs, rows).winner
    finite = [pair for pairs in epochs for pair in pairs if math.isfinite(pair[1])]
    if not finite:
        assert winner is None
        return
    assert winner is not None
    allowed = [(loss, -value) for value, loss in finite if value >= least(epochs, rows)]
    assert (winner.loss, -winner.value) == min(allowed)
    assert epochs[winner.epoch][winner.number] == (winner.value, winner.loss)
    np.testing.assert_array_equal(winner.weights_CD, np.full((1, 2), winner.number + 10 * winner.epoch))


@given(EPOCHS, st.sampled_from([None, 400]))
def test_no_contender_is_kept_that_cannot_win(epochs: Entries, rows: int | None) -> None:
    contenders = held(epochs, rows).contenders
    for each in contenders:
        assert each.value >= least(epochs, rows)
        beaten = [other for other in contenders if other.value >= each.value and other.loss <= each.loss]
        assert beaten == [each]


@given(EPOCHS, st.sets(st.integers(0, 5)))
def test_a_contest_goes_on_behind_a_checkpoint(epochs: Entries, cuts: set[int]) -> None:
    whole, resumed = held(epochs, 400), held(epochs, 400, tuple(cuts))
    assert {name: array.tolist() for name, array in whole.arrays().items()} == {
        name: array.tolist() for name, array in resumed.arrays().items()
    }


def test_with_losses_alone_the_lowest_wins() -> None:
    epochs = [
        [(-loss, loss) for loss in losses] for losses in ((3.0, 2.0, 4.0), (2.5, 1.5, math.nan), (1.6, 9.0, 1.7))
    ]
    contest = held(epochs, None)
    assert [(each.epoch, each.number, each.loss) for each in contest.contenders] == [(1, 1, 1.5)]


def test_a_missed_target_is_no_share_of_rows() -> None:
    """Below 0 a value says by how much a target is missed, and chance has no part in that."""
    winner = held([[(-0.2, 0.1), (-0.1, 0.4), (-0.3, 0.05)]], 100).winner
    assert winner is not None
    assert winner.value == -0.1


def test_weights_are_those_of_the_epoch_and_not_of_later_ones() -> None:
    contest, weights = Contest(), np.zeros((1, 1, 2), np.float32)
    contest.enter(0, np.array([0.9]), np.array([0.1]), weights, weights[:, :, 0], 100)
    weights += 1
    assert contest.winner is not None
    assert not contest.winner.weights_CD.any()
