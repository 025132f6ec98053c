"""Answers as columns: whole numbers, vectors, vectors of vectors, and what is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clary.algorithms import registry
from clary.sdk import Predictions

FIELDS = registry.spec("linear_learner").payloads.fields
ROWS: list[dict[str, Any]] = [
    {"predicted_label": 1, "score": [0.25, 0.75], "contributions": [[1.5, 2], [3, 4], [5, 6]]},
    {"predicted_label": 0, "score": [0.5, 0.5], "contributions": [[0, 0], [0, 0], [0, 0]]},
]


def test_each_field_is_an_array_of_its_kind() -> None:
    answers = Predictions.from_rows(ROWS, FIELDS)
    assert answers.predicted_label.dtype.kind == "i"
    assert answers.score.shape == (2, 2)
    assert answers.contributions.shape == (2, 3, 2)
    assert answers[0].label["score"].float32_tensor.values == [0.25, 0.75]
    assert answers[0].label["predicted_label"].float32_tensor.values == [1.0]
    assert repr(answers[1])[:42] == "{'predicted_label': 0, 'score': [0.5, 0.5]"
    assert answers.to_pandas()["predicted_label"].tolist() == [1, 0]


def test_the_table_shows_short_vectors_and_counts_long_ones() -> None:
    shown = repr(Predictions.from_rows(ROWS, FIELDS)).splitlines()
    assert shown[0].split() == ["predicted_label", "score", "contributions"]
    assert shown[1].split(maxsplit=1) == ["1", "[0.25 0.75]           [6 values]"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([1, None], [1.0, np.nan]),
        ([[1, None], [2, 3]], [[1.0, np.nan], [2.0, 3.0]]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_null_is_nan_and_texts_stay(given: list[Any], wanted: list[Any]) -> None:
    column = Predictions.from_rows([{"value": each} for each in given], ()).columns["value"]
    np.testing.assert_array_equal(column, np.array(wanted))


def test_values_of_different_lengths_stay_lists() -> None:
    answers = Predictions.from_rows([{"value": [1, 2]}, {"value": [3]}, {"value": None}], ())
    assert answers.value.tolist() == [[1, 2], [3], None]


def test_no_answers_have_the_columns_that_every_answer_has() -> None:
    assert list(Predictions.from_rows([], FIELDS).columns) == ["score"]
