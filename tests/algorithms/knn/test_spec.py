"""The declaration of k-NN against the managed algorithm's published table, and what it refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clary.algorithms.knn.spec import SPEC, Hyperparameters
from clary.sdk import KNN
from clary.toolkit.errors import HyperparameterError

PARTS = [1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96]
WHEN_REDUCED = "when dimension_reduction_type is set"
# name: type, values, least, greatest, default, auto, required
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "feature_dim": ("integer", None, 1, None, None, False, True),
    "k": ("integer", None, 1, None, None, False, True),
    "predictor_type": ("categorical", ["classifier", "regressor"], None, None, None, False, True),
    "sample_size": ("integer", None, 1, None, None, False, True),
    "dimension_reduction_target": ("integer", None, 1, None, None, False, WHEN_REDUCED),
    "dimension_reduction_type": ("categorical", ["sign", "fjlt"], None, None, None, False, False),
    "faiss_index_ivf_nlists": ("integer", None, 1, None, "auto", True, False),
    "faiss_index_pq_m": ("integer", PARTS, 1, 96, None, False, False),
    "index_metric": ("categorical", ["L2", "INNER_PRODUCT", "COSINE"], None, None, "L2", False, False),
    "index_type": (
        "categorical",
        ["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW"],  # the last is an extension
        None,
        None,
        "faiss.Flat",
        False,
        False,
    ),
    "mini_batch_size": ("integer", None, 1, None, 5000, False, False),
}
EXTENSIONS = {
    "faiss_index_nprobe",
    "faiss_index_hnsw_m",
    "faiss_index_hnsw_ef_construction",
    "faiss_index_hnsw_ef_search",
}
# Lines that the managed algorithm prints, and the patterns that its users' notebooks search for.
OFFICIAL = {
    "test:accuracy": (
        r"#quality_metric: host=\S+, test accuracy <score>=(\S+)",
        "#quality_metric: host=algo-1, test accuracy <score>=0.9221",
    ),
    "test:mse": (
        r"#quality_metric: host=\S+, test mse <loss>=(\S+)",
        "#quality_metric: host=algo-1, test mse <loss>=0.013333333333333334",
    ),
    "test:macro_f_1.000": (
        r"#quality_metric: host=\S+, test macro_f_1.000 <score>=(\S+)",
        "#quality_metric: host=algo-1, test macro_f_1.000 <score>=0.5",
    ),
    "train:progress": (
        r"#progress_metric: host=\S+, completed (\S+) %",
        "#progress_metric: host=algo-1, completed 100.0 % of epochs",
    ),
    "train:throughput": (
        r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
        "#throughput_metric: host=algo-1, train throughput=123456.7 records/second",
    ),
}
LEGAL = {"feature_dim": "10", "k": "3", "predictor_type": "classifier", "sample_size": "100"}


def test_the_hyperparameters_are_the_published_ones_and_the_extensions() -> None:
    described = {each["name"]: each for each in SPEC.describe()["hyperparameters"]}
    assert set(described) == {*PUBLISHED, *EXTENSIONS}
    for name, (kind, values, low, high, default, auto, required) in PUBLISHED.items():
        found = described[name]
        assert (found["type"], found["values"], found["default"]) == (kind, values, default), name
        assert (found["auto"], found["required"]) == (auto, required), name
        if kind == "integer":
            expected = {"min": low, "max": high, "min_inclusive": True, "max_inclusive": high is not None}
            assert found["range"] == expected, name


def test_tunable_ranges_are_the_published_ones() -> None:
    tunable = {each["name"]: each["tunable"] for each in SPEC.describe()["hyperparameters"] if each["tunable"]}
    assert tunable == {
        "k": {"range": [1, 1024], "scaling": "Auto"},
        "sample_size": {"range": [256, 20000000], "scaling": "Linear"},
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


def test_what_the_managed_platform_sends_is_taken() -> None:
    sent = {
        **LEGAL,
        "_tuning_objective_metric": "test:accuracy",
        "_num_gpus": "auto",
        "_kvstore": "dist_async",
        "_faiss_index_nprobe": "7",
        "epochs": "1",
        "dimension_reduction_type": "",
    }
    values = SPEC.parse(sent)
    assert isinstance(values, Hyperparameters)
    assert values.faiss_index_nprobe == 7
    assert values.dimension_reduction_type is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sample_size": "2"}, "sample_size must be at least k, which is 3; got 2"),
        (
            {"dimension_reduction_type": "sign"},
            "dimension_reduction_target', which must be set when dimension_reduction_type is sign",
        ),
        (
            {"dimension_reduction_type": "fjlt", "dimension_reduction_target": "10"},
            "dimension_reduction_target must be less than feature_dim, which is 10; got 10",
        ),
        (
            {"index_type": "faiss.IVFPQ", "index_metric": "COSINE"},
            "index_metric must be L2 where index_type is faiss.IVFPQ; got COSINE",
        ),
        (
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": "101"},
            "faiss_index_ivf_nlists must be at most sample_size, which is 100; got 101",
        ),
        (
            {"faiss_index_pq_m": "5"},
            "faiss_index_pq_m must be one of 1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96; got '5'",
        ),
        (
            {"index_type": "faiss.LSH"},
            "index_type must be one of 'faiss.Flat', 'faiss.IVFFlat', 'faiss.IVFPQ', 'faiss.HNSW'; got 'faiss.LSH'",
        ),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_in_a_sentence(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        SPEC.parse({**LEGAL, **changes})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].endswith(problem)


def test_what_has_no_effect_is_said() -> None:
    given = {"faiss_index_pq_m": "4", "faiss_index_nprobe": "5", "dimension_reduction_target": "4"}
    values = SPEC.parse({**LEGAL, **given})
    assert isinstance(values, Hyperparameters)
    assert sorted(values.without_effect()) == [
        "dimension_reduction_target has no effect without dimension_reduction_type",
        "faiss_index_nprobe has no effect with index_type faiss.Flat; it acts with faiss.IVFFlat and faiss.IVFPQ",
        "faiss_index_pq_m has no effect with index_type faiss.Flat; it acts with faiss.IVFPQ",
    ]
    quiet = SPEC.parse(LEGAL)
    assert isinstance(quiet, Hyperparameters)
    assert not list(quiet.without_effect())


def test_the_class_takes_what_the_classic_one_does_in_its_order() -> None:
    made = KNN("role", 1, "ml.m5.large", 5, 200, "classifier", index_type="faiss.IVFFlat", index_metric="COSINE")
    given = {name: str(made.hyperparameters()[name]) for name in ("k", "sample_size", "predictor_type", "index_type")}
    assert given == {"k": "5", "sample_size": "200", "predictor_type": "classifier", "index_type": "faiss.IVFFlat"}
