"""The declaration of PCA against the managed algorithm's published table."""

from __future__ import annotations

import re

import pytest

from clary.algorithms.pca.spec import SPEC, Hyperparameters
from clary.toolkit.errors import HyperparameterError

# name: type, least, default, required, choices
PUBLISHED = {
    "feature_dim": ("integer", 1, None, True, None),
    "mini_batch_size": ("integer", 1, None, True, None),
    "num_components": ("integer", 1, None, True, None),
    "algorithm_mode": ("categorical", None, "regular", False, ["regular", "randomized"]),
    "extra_components": ("integer", -1, -1, False, None),
    "subtract_mean": ("categorical", None, "true", False, ["true", "false"]),
}
REQUIRED = {"feature_dim": "64", "mini_batch_size": "500", "num_components": "7"}


def parsed(**given: str) -> Hyperparameters:
    found = SPEC.parse({**REQUIRED, **given})
    assert isinstance(found, Hyperparameters)
    return found


def test_the_hyperparameters_are_the_published_ones() -> None:
    described = {each["name"]: each for each in SPEC.describe()["hyperparameters"]}
    assert set(described) == set(PUBLISHED)
    for name, (kind, low, default, required, choices) in PUBLISHED.items():
        found = described[name]
        assert (found["type"], found["default"], found["required"], found["tunable"]) == (
            kind,
            default,
            required,
            None,
        ), name
        if kind == "integer":
            assert found["range"] == {"min": low, "max": None, "min_inclusive": True, "max_inclusive": False}
        else:
            assert found["values"] == choices


def test_the_types_of_requests_and_answers_are_the_published_ones() -> None:
    inference = SPEC.describe()["inference"]
    recordio = "application/x-recordio-protobuf"
    assert inference["requests"] == ["text/csv", "application/json", "application/jsonlines", recordio]
    # CSV comes on top.
    assert inference["responses"] == ["application/json", "application/jsonlines", "text/csv", recordio]
    assert SPEC.payloads.json_key == "projections"


def test_what_the_managed_sdk_sends_is_taken() -> None:
    sent = {
        "num_components": "10",
        "feature_dim": "784",
        "mini_batch_size": "500",
        "algorithm_mode": "stable",
        "subtract_mean": "True",
        "extra_components": "",
        "force_dense": "True",
        "epochs": "1",
        "_num_gpus": "auto",
        "_num_kv_servers": "auto",
        "_tuning_objective_metric": "",
        "sagemaker_region": "eu-west-1",
    }
    assert SPEC.parse(sent).spell() == {
        "feature_dim": "784",
        "mini_batch_size": "500",
        "num_components": "10",
        "algorithm_mode": "regular",
        "extra_components": "-1",
        "subtract_mean": "true",
    }


@pytest.mark.parametrize(
    ("components", "extra", "width"), [(5, -1, 15), (20, -1, 40), (5, 0, 5), (5, 3, 8), (40, -1, 64), (5, 1000, 64)]
)
def test_the_sketch_is_as_wide_as_published(components: int, extra: int, width: int) -> None:
    assert parsed(num_components=str(components), extra_components=str(extra)).sketch_width == width


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(HyperparameterError) as caught:
        SPEC.parse({"num_components": "0", "algorithm_mode": "exact", "subtract_mean": "maybe", "whiten": "true"})
    text = str(caught.value)
    for part in ("num_components", "algorithm_mode", "subtract_mean", "whiten", "feature_dim", "mini_batch_size"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train:progress", "#progress_metric: host=algo-1, completed 100.0 % of epochs"),
        ("train:throughput", "#throughput_metric: host=algo-1, train throughput=12345.6 records/second"),
    ],
)
def test_the_published_lines_are_read(name: str, line: str) -> None:
    found = re.search(SPEC.metric(name).regex, line)
    assert found is not None
    assert float(found[1]) > 0
