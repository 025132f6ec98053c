"""Hyperparameters are read in every spelling that clients use."""

from __future__ import annotations

import math

import pytest

from clary.toolkit.errors import HyperparameterError
from topics import settings


@pytest.mark.parametrize(
    ("spelled", "widths"),
    [
        ("auto", (6, 4)),
        ("AUTO", (6, 4)),
        ("100,50", (100, 50)),
        ("[100, 50]", (100, 50)),
        (" 100 , 50 ", (100, 50)),
        ("7", (7,)),
        ("[7]", (7,)),
    ],
)
def test_widths_of_layers_come_as_a_list_or_with_commas(spelled: str, widths: tuple[int, ...]) -> None:
    assert settings(encoder_layers=spelled, num_topics=2).widths() == widths


@pytest.mark.parametrize("spelled", ["0", "-1", "1.5", "[]", "[100", "a,b", "100,,50", "1e3", "100;50"])
def test_what_are_no_widths_is_refused(spelled: str) -> None:
    with pytest.raises(HyperparameterError, match="encoder_layers must be integers of at least 1 with commas"):
        settings(encoder_layers=spelled)


def test_a_network_has_not_too_many_layers() -> None:
    with pytest.raises(HyperparameterError, match="encoder_layers may name 32 layers at most; got 33"):
        settings(encoder_layers=",".join(["4"] * 33))


@pytest.mark.parametrize(("spelled", "size"), [("inf", math.inf), ("Inf", math.inf), ("0.5", 0.5), ("1e9", 1e9)])
def test_gradients_may_be_cut_or_not(spelled: str, size: float) -> None:
    assert settings(clip_gradient=spelled).largest == size


@pytest.mark.parametrize("spelled", ["-inf", "nan", "0", "infinite"])
def test_no_other_size_is_taken(spelled: str) -> None:
    with pytest.raises(HyperparameterError, match=r"clip_gradient must be a number at least 0\.001 or 'inf'"):
        settings(clip_gradient=spelled)


def test_patience_beyond_the_last_epoch_turns_early_stopping_off() -> None:
    assert settings(epochs=5, num_patience_epochs=5).stops_early
    assert not settings(epochs=5, num_patience_epochs=6).stops_early


def test_a_learning_rate_that_is_not_read_is_named() -> None:
    (told,) = settings(learning_rate=0.1).without_effect()
    assert told.startswith("learning_rate has no effect with optimizer adadelta")
    assert not list(settings(learning_rate=0.1, optimizer="sgd").without_effect())
    assert not list(settings().without_effect())
