"""Rules across hyperparameters, and what they stand for."""

from __future__ import annotations

import pytest

from clary.toolkit.errors import HyperparameterError
from dirichlet import settings


def test_there_are_no_more_topics_than_words() -> None:
    with pytest.raises(HyperparameterError, match="num_topics must be at most feature_dim, which is 25; got 26"):
        settings(num_topics=26)


@pytest.mark.parametrize("alpha0", ["1e-7", "1e7"])
def test_a_prior_beside_which_nothing_counts_is_refused(alpha0: str) -> None:
    with pytest.raises(HyperparameterError, match="alpha0 must be between 1e-06 and 1e\\+06"):
        settings(alpha0=alpha0)


def test_a_quarter_more_topics_are_looked_for() -> None:
    assert [settings(num_topics=count).fitted for count in (1, 10, 20, 25)] == [2, 13, 25, 25]


def test_what_the_managed_image_knows_besides_is_taken() -> None:
    from clary.algorithms.lda.spec import SPEC

    given = {"num_topics": "2", "feature_dim": "5", "mini_batch_size": "3", "epochs": "1", "allow_svd_init": "true"}
    assert SPEC.parse({**given, "_kvstore": "local", "_tuning_objective_metric": "test:pwll"})
