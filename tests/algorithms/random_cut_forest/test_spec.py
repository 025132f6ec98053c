"""The declaration of the random cut forest against the managed algorithm's published table."""

from __future__ import annotations

import re

import pytest

from clary.algorithms.random_cut_forest.spec import SPEC
from clary.toolkit import media
from clary.toolkit.errors import HyperparameterError

# name: type, least, greatest, default, required, tunable
PUBLISHED = {
    "feature_dim": ("integer", 1, 10000, None, True, None),
    "eval_metrics": ("text", None, None, '["accuracy", "precision_recall_fscore"]', False, None),
    "num_samples_per_tree": ("integer", 1, 2048, 256, False, [1, 2048]),
    "num_trees": ("integer", 50, 1000, 100, False, [50, 1000]),
}
OFFICIAL = {
    "test:f1": "#quality_metric: host=algo-1, test f1 <score>=0.7",
    "train:progress": "#progress_metric: host=algo-1, completed 100 % epochs",
    "train:throughput": "#throughput_metric: host=algo-1, train throughput=12345.6 records/second",
}
RESERVED = ("_num_gpus", "_num_kv_servers", "_kvstore", "_log_level", "_enable_profiler", "_ftp_port")


def test_hyperparameters_are_those_of_the_managed_algorithm() -> None:
    found = {}
    for each in SPEC.describe()["hyperparameters"]:
        bounds, tunable = each["range"] or {"min": None, "max": None}, each["tunable"]
        found[each["name"]] = (
            each["type"],
            bounds["min"],
            bounds["max"],
            each["default"],
            each["required"],
            tunable and tunable["range"],
        )
    assert found == PUBLISHED


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_published_line_is_read(name: str) -> None:
    found = re.search(SPEC.metric(name).regex, OFFICIAL[name])
    assert found is not None
    assert float(found.group(1)) > 0


def test_what_the_platform_and_the_classic_client_send_is_accepted() -> None:
    client = {"mini_batch_size": "1000", "force_dense": "True", "epochs": "1"}
    parsed = SPEC.parse({"feature_dim": "3", **client, **dict.fromkeys(RESERVED, "1")})
    assert parsed == SPEC.parse({"feature_dim": "3"})


def test_metrics_come_as_json_or_as_python_writes_a_list() -> None:
    for text in ('["accuracy"]', "['accuracy']"):
        assert SPEC.parse({"feature_dim": "3", "eval_metrics": text}).eval_metrics == ("accuracy",)  # type: ignore[attr-defined]
    with pytest.raises(HyperparameterError, match="eval_metrics must be"):
        SPEC.parse({"feature_dim": "3", "eval_metrics": '["f1"]'})


def test_answers_are_scores_and_never_csv() -> None:
    assert SPEC.payloads.json_key == "scores"
    assert SPEC.payloads.responses == (media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF)
    assert [option.extension for option in SPEC.payloads.options] == [True]
