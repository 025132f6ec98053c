"""``clary algorithms`` and ``clary describe``: for scripts the declaration as it is, for people every name of it."""

from __future__ import annotations

import json

import pytest

from clary.algorithms import registry
from clary.cli.main import run

# From the published documentation of the managed algorithm: name, type, default, required.
KMEANS = [
    ("feature_dim", "integer", None, True),
    ("k", "integer", None, True),
    ("epochs", "integer", 1, False),
    ("eval_metrics", "text", '["msd"]', False),
    ("extra_center_factor", "integer", "auto", False),
    ("half_life_time_size", "integer", 0, False),
    ("init_method", "categorical", "random", False),
    ("local_lloyd_init_method", "categorical", "kmeans++", False),
    ("local_lloyd_max_iter", "integer", 300, False),
    ("local_lloyd_num_trials", "integer", "auto", False),
    ("local_lloyd_tol", "continuous", 0.0001, False),
    ("mini_batch_size", "integer", 5000, False),
]


def test_describe_gives_scripts_what_the_managed_algorithm_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["describe", "kmeans", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    found = [(h["name"], h["type"], h["default"], h["required"]) for h in described["hyperparameters"]]
    assert found == KMEANS
    keys = {"name", "type", "range", "values", "default", "auto", "required", "tunable", "doc"}
    assert all(set(each) == keys for each in described["hyperparameters"])
    bounds = {"min", "max", "min_inclusive", "max_inclusive"}
    assert all(each["range"] is None or set(each["range"]) == bounds for each in described["hyperparameters"])
    assert [set(each) for each in described["channels"]] == [
        {"name", "required", "content_types", "input_modes", "doc"}
    ] * 2
    assert all({"name", "goal", "regex"} <= set(each) for each in described["metrics"])
    assert {"requests", "responses"} <= set(described["inference"])


@pytest.mark.parametrize("name", registry.NAMES)
def test_describe_prints_the_declaration_unchanged(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["describe", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(registry.spec(name).describe()))


@pytest.mark.parametrize("name", registry.NAMES)
def test_describe_shows_people_every_name_and_its_meaning(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["describe", name]) == 0
    shown, spec = capsys.readouterr().out, registry.spec(name)
    for hyperparameter in spec.hyperparameters.parameters().values():
        assert hyperparameter.name in shown
        assert hyperparameter.doc in shown
    for group in (spec.channels, spec.metrics, spec.payloads.fields, spec.payloads.options):
        assert [each.name for each in group if each.name not in shown] == []
    for metric in spec.metrics:
        assert metric.when in shown
    assert [alias for alias in (*spec.aliases, *spec.payloads.aliases) if alias not in shown] == []
    assert "\x1b" not in shown, "no colors where the output is not a terminal"


def test_options_and_other_names_say_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["describe", "xgboost"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["learning_rate", "another", "name", "of", "eta"] in lines
    assert ["csv", "is", "text/csv"] in lines
    assert ["takes", "missing", "values", "yes"] in lines
    (option,) = [line for line in lines if line[:1] == ["output"]]
    assert option[1:3] == ["SAGEMAKER_INFERENCE_OUTPUT", "no"]
    assert run(["describe", "kmeans"]) == 0
    assert "Options of an answer" not in capsys.readouterr().out, "k-means has none"


def test_an_algorithm_is_found_by_any_of_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kmeans", "KMeans", "KMEANS"):
        assert run(["describe", name, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["name"] == "kmeans"


def test_algorithms_lists_the_suite_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["algorithms"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for spec in registry.specs():
        assert [line for line in lines if line.split() and line.split()[0] == spec.name and spec.summary in line]


def test_algorithms_as_json_names_the_suite_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["algorithms", "--json"]) == 0
    suite = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in suite] == list(registry.NAMES)
    assert all(set(each) == {"name", "repository", "title", "summary", "tasks"} for each in suite)
