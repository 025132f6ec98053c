"""The declaration of k-means against the managed algorithm's published table."""

from __future__ import annotations

import re

import pytest

from clary.algorithms.kmeans.spec import SPEC
from clary.algorithms.kmeans.train import automatic_factor
from clary.toolkit.errors import HyperparameterError

# name: type, least, greatest (both included where given), default, auto, required
PUBLISHED = {
    "feature_dim": ("integer", 1, None, None, False, True),
    "k": ("integer", 1, None, None, False, True),
    "epochs": ("integer", 1, None, 1, False, False),
    "eval_metrics": ("text", None, None, '["msd"]', False, False),
    "extra_center_factor": ("integer", 1, None, "auto", True, False),
    "half_life_time_size": ("integer", 0, None, 0, False, False),
    "init_method": ("categorical", None, None, "random", False, False),
    "local_lloyd_init_method": ("categorical", None, None, "kmeans++", False, False),
    "local_lloyd_max_iter": ("integer", 1, None, 300, False, False),
    "local_lloyd_num_trials": ("integer", 1, None, "auto", True, False),
    "local_lloyd_tol": ("continuous", 0, 1, 0.0001, False, False),
    "mini_batch_size": ("integer", 1, None, 5000, False, False),
}

# Lines that the managed algorithm prints, and the patterns that its users' notebooks search for.
OFFICIAL = {
    "test:msd": (
        r"#quality_metric: host=\S+, test msd <loss>=(\S+)",
        "#quality_metric: host=algo-1, test msd <loss>=0.0718",
    ),
    "test:ssd": (
        r"#quality_metric: host=\S+, test ssd <loss>=(\S+)",
        "#quality_metric: host=algo-1, test ssd <loss>=231.2",
    ),
    "train:msd": (
        r"#quality_metric: host=\S+, train msd <loss>=(\S+)",
        "#quality_metric: host=algo-1, train msd <loss>=0.06",
    ),
    "train:progress": (
        r"#progress_metric: host=\S+, completed (\S+) %",
        "#progress_metric: host=algo-1, completed 100.0 % of epochs",
    ),
    "train:throughput": (
        r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
        "#throughput_metric: host=algo-1, train throughput=46284.2 records/second",
    ),
}


def test_the_hyperparameters_are_the_published_ones() -> None:
    described = {each["name"]: each for each in SPEC.describe()["hyperparameters"]}
    assert set(described) == set(PUBLISHED)
    for name, (kind, low, high, default, auto, required) in PUBLISHED.items():
        found = described[name]
        assert (found["type"], found["default"], found["auto"], found["required"]) == (kind, default, auto, required)
        if kind in ("integer", "continuous"):
            expected = {"min": low, "max": high, "min_inclusive": True, "max_inclusive": high is not None}
            assert found["range"] == expected, name


def test_choices_and_tunable_ranges_are_the_published_ones() -> None:
    described = {each["name"]: each for each in SPEC.describe()["hyperparameters"]}
    assert (
        described["init_method"]["values"] == described["local_lloyd_init_method"]["values"] == ["random", "kmeans++"]
    )
    assert described["eval_metrics"]["values"] == ["msd", "ssd"]
    tunable = {name: each["tunable"] for name, each in described.items() if each["tunable"]}
    assert tunable == {
        "epochs": {"range": [1, 10], "scaling": "Linear"},
        "extra_center_factor": {"range": [4, 10], "scaling": "Auto"},
        "init_method": {"range": ["kmeans++", "random"], "scaling": None},
        "mini_batch_size": {"range": [3000, 15000], "scaling": "Linear"},
    }


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_official_patterns_read_our_lines_and_ours_read_official_lines(name: str) -> None:
    pattern, line = OFFICIAL[name]
    ours = SPEC.metric(name)
    found = re.search(pattern, ours.render(12.5, host="algo-1"))
    assert found is not None
    assert float(found[1]) == 12.5
    theirs = re.search(ours.regex, line)
    assert theirs is not None
    assert float(theirs[1]) > 0


def test_what_the_managed_sdk_sends_is_taken() -> None:
    sent = {
        "k": "10",
        "feature_dim": "784",
        "force_dense": "True",
        "init_method": "kmeans++",
        "local_lloyd_tol": "1e-3",
        "eval_metrics": "['msd', 'ssd']",
        "mini_batch_size": "500.0",
        "_tuning_objective_metric": "test:msd",
        "_num_gpus": "auto",
        "sagemaker_region": "eu-west-1",
        "epochs": "",
    }
    values = SPEC.parse(sent).spell()
    assert values["eval_metrics"] == '["msd", "ssd"]'
    assert (values["mini_batch_size"], values["epochs"], values["local_lloyd_tol"]) == ("500", "1", "0.001")


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(HyperparameterError) as caught:
        SPEC.parse({"k": "0", "mini_batch_siz": "10", "init_method": "best", "local_lloyd_tol": "nan"})
    assert len(caught.value.problems) == 5
    text = str(caught.value)
    for part in (
        "k must be an integer at least 1; got '0'",
        "did you mean 'mini_batch_size'?",
        "init_method must be one of 'random', 'kmeans++'; got 'best'",
        "local_lloyd_tol must be a number at least 0 and at most 1; got 'nan'",
        "no value was given for 'feature_dim', which must be set",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("clusters", "factor"), [(1, 10), (8, 10), (10, 10), (11, 16), (25, 100), (50, 50), (1000, 10)]
)
def test_automatic_factor_is_ten_where_it_was_seen_and_bounded_elsewhere(clusters: int, factor: int) -> None:
    assert automatic_factor(clusters) == factor
