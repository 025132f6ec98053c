"""The declaration of DeepAR against the managed algorithm's published table, and what it refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clary.algorithms.deepar.spec import LIKELIHOODS, SPEC, Hyperparameters
from clary.sdk import DeepAR
from clary.toolkit.errors import HyperparameterError

# name: type, least, greatest, whether the least itself is allowed, default, auto, required
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "context_length": ("integer", 1, None, True, None, False, True),
    "epochs": ("integer", 1, None, True, None, False, True),
    "prediction_length": ("integer", 1, None, True, None, False, True),
    "time_freq": ("text", None, None, None, None, False, True),
    "cardinality": ("text", None, None, None, "auto", True, False),
    "dropout_rate": ("continuous", 0, 1, True, 0.1, False, False),
    "early_stopping_patience": ("integer", 1, None, True, None, False, False),
    "embedding_dimension": ("integer", 1, None, True, 10, False, False),
    "learning_rate": ("continuous", 0, None, False, 0.001, False, False),
    "likelihood": ("categorical", None, None, None, "student-T", False, False),
    "mini_batch_size": ("integer", 1, None, True, 128, False, False),
    "num_cells": ("integer", 1, None, True, 40, False, False),
    "num_dynamic_feat": ("integer", 1, None, True, "auto", True, False),
    "num_eval_samples": ("integer", 1, None, True, 100, False, False),
    "num_layers": ("integer", 1, None, True, 2, False, False),
    "test_quantiles": ("text", 0, 1, True, "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]", False, False),
}
# name: range and scale for tuning
TUNABLE = {
    "context_length": ([1, 200], "Linear"),
    "epochs": ([1, 1000], "Linear"),
    "dropout_rate": ([0.0, 0.2], "Linear"),
    "embedding_dimension": ([1, 50], "Linear"),
    "learning_rate": ([1e-5, 0.1], "Logarithmic"),
    "mini_batch_size": ([32, 1028], "Linear"),
    "num_cells": ([30, 200], "Linear"),
    "num_layers": ([1, 8], "Linear"),
}
# Lines that the managed algorithm prints, and the patterns that its users' notebooks search for.
OFFICIAL = {
    "test:RMSE": (
        r"#quality_metric: host=\S+, test RMSE <loss>=(\S+)",
        "#quality_metric: host=algo-1, test RMSE <loss>=732.041494726",
    ),
    "test:mean_wQuantileLoss": (
        r"#quality_metric: host=\S+, test mean_wQuantileLoss <loss>=(\S+)",
        "#quality_metric: host=algo-1, test mean_wQuantileLoss <loss>=0.0689455494285",
    ),
    "train:final_loss": (
        r"#quality_metric: host=\S+, train final_loss <loss>=(\S+)",
        "#quality_metric: host=algo-1, train final_loss <loss>=3.14929084977",
    ),
    "train:loss": (
        r"#quality_metric: host=\S+, epoch=\S+, train loss <loss>=(\S+)",
        "#quality_metric: host=algo-1, epoch=0, train loss <loss>=5.80624961853",
    ),
    "train:loss:batch": (
        r"#quality_metric: host=\S+, epoch=\S+, batch=\S+ train loss <loss>=(\S+)",
        "#quality_metric: host=algo-1, epoch=0, batch=5 train loss <loss>=5.80624961853",
    ),
    "train:progress": (
        r"#progress_metric: host=\S+, completed (\S+) % of epochs",
        "#progress_metric: host=algo-1, completed 5 % of epochs",
    ),
    "train:throughput": (
        r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
        "#throughput_metric: host=algo-1, train throughput=211.212026281 records/second",
    ),
}
LEGAL = {"context_length": "24", "epochs": "2", "prediction_length": "12", "time_freq": "H"}


def values(**changes: str) -> Hyperparameters:
    found = SPEC.parse({**LEGAL, **changes})
    assert isinstance(found, Hyperparameters)
    return found


def test_the_hyperparameters_are_the_published_ones() -> None:
    described = {each["name"]: each for each in SPEC.describe()["hyperparameters"]}
    assert list(described) == list(PUBLISHED)
    for name, (kind, low, high, included, default, auto, required) in PUBLISHED.items():
        found = described[name]
        assert (found["type"], found["default"], found["auto"], found["required"]) == (kind, default, auto, required)
        bounds = found["range"] or {"min": None, "max": None, "min_inclusive": None}
        assert (bounds["min"], bounds["max"], bounds["min_inclusive"]) == (low, high, included), name


def test_tunable_ranges_are_the_published_ones() -> None:
    described = SPEC.describe()["hyperparameters"]
    found = {each["name"]: each["tunable"] for each in described if each["tunable"]}
    assert {name: (each["range"], each["scaling"]) for name, each in found.items()} == TUNABLE


def test_the_channels_are_the_published_ones() -> None:
    assert [(each.name, each.required) for each in SPEC.channels] == [("train", True), ("test", False)]
    for channel in SPEC.channels:
        assert {"json", "json.gz", "parquet"} <= {*channel.content_types}


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_official_patterns_read_our_lines_and_ours_read_official_lines(name: str) -> None:
    pattern, line = OFFICIAL[name]
    ours = SPEC.metric(name)
    found = re.search(pattern, ours.render(12.5, host="algo-1", epoch=3, batch=10))
    assert found is not None
    assert float(found[1]) == 12.5
    theirs = re.search(ours.regex, line)
    assert theirs is not None
    assert float(theirs[1]) > 0


def test_what_notebooks_and_the_platform_send_is_taken() -> None:
    found = values(
        likelihood="student-t",
        test_quantiles="[0.5, 0.9]",
        num_eval_samples="50",
        early_stopping_patience="",
        cardinality="[3, 20]",
        num_dynamic_feat="auto",
        _tuning_objective_metric="test:RMSE",
        _kvstore="auto",
        _num_gpus="auto",
        _num_kv_servers="auto",
    )
    assert found.likelihood == "student-T"
    assert found.test_quantiles == (0.5, 0.9)
    assert found.early_stopping_patience is None
    assert found.cardinalities() == (3, 20)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_capitals_of_a_likelihood_do_not_matter(name: str) -> None:
    assert {values(likelihood=each).likelihood for each in (name, name.lower(), name.upper())} == {name}


@pytest.mark.parametrize("text", ["ignore", ""])
def test_fields_are_left_out_by_a_word_or_an_empty_string(text: str) -> None:
    found = values(cardinality=text, num_dynamic_feat=text)
    assert found.cardinalities() is None
    assert found.num_dynamic_feat == "ignore"
    assert values().cardinalities() == "auto"


@pytest.mark.parametrize("text", ["M", "W", "D", "H", "min", "5min", "2H", "Q", "Y", "30S"])
def test_frequencies_are_a_number_and_a_unit(text: str) -> None:
    assert values(time_freq=text).time_freq == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("time_freq", "0H"),
        ("time_freq", "1.5H"),
        ("time_freq", "hourly"),
        ("time_freq", "h"),
        ("cardinality", "3"),
        ("cardinality", "[]"),
        ("cardinality", "[0]"),
        ("cardinality", "[1.5]"),
        ("likelihood", "poisson"),
        ("num_dynamic_feat", "0"),
        ("learning_rate", "0"),
        ("dropout_rate", "1.1"),
        ("test_quantiles", "[]"),
        ("test_quantiles", "[0, 0.5]"),
        ("test_quantiles", "[0.5, 1]"),
        ("test_quantiles", '["half"]'),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(HyperparameterError, match=f"^{name} must "):
        values(**{name: text})


def test_the_class_takes_numbers_and_lists() -> None:
    made = DeepAR(time_freq="D", prediction_length=7, context_length=14, epochs=3, cardinality="[3, 20]")
    made.set_hyperparameters(test_quantiles=[0.5, 0.9], num_dynamic_feat="ignore")
    assert made.hyperparameters() == {
        "time_freq": "D",
        "prediction_length": "7",
        "context_length": "14",
        "epochs": "3",
        "cardinality": "[3, 20]",
        "test_quantiles": "[0.5, 0.9]",
        "num_dynamic_feat": "ignore",
    }
