"""A model is, bit for bit, the one that the plain library trains on the same rows with the same parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost

from boosting import Bench, plain

Array = npt.NDArray[Any]
ROWS, WIDTH, ROUNDS = 600, 7, 6
RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(ROWS, WIDTH)).astype(np.float32)
FEATURES[RNG.random(FEATURES.shape) < 0.1] = np.nan
SIGNAL = np.nan_to_num(FEATURES[:, 0]) + 0.5 * np.nan_to_num(FEATURES[:, 1]) ** 2
WEIGHTS = (RNG.random(ROWS) + 0.5).astype(np.float32)
QUERIES = np.sort(RNG.integers(0, 40, ROWS)).astype(np.int64)

BINARY = (SIGNAL > 0.4).astype(np.float32)
CLASSES = np.digitize(SIGNAL, [0, 0.8]).astype(np.float32)
NUMBERS = (SIGNAL + 0.1 * RNG.normal(size=ROWS)).astype(np.float32)
AMOUNTS = np.exp(NUMBERS).astype(np.float32)
COUNTS = np.floor(AMOUNTS)
TIMES = np.where(BINARY > 0, AMOUNTS, -AMOUNTS).astype(np.float32)

CASES: dict[str, tuple[dict[str, str], Array]] = {
    "defaults": ({}, NUMBERS),
    "many parameters": (
        {
            "eta": "0.1",
            "max_depth": "4",
            "gamma": "0.2",
            "lambda": "2",
            "alpha": "0.5",
            "min_child_weight": "3",
            "max_delta_step": "0.7",
            "max_bin": "64",
            "base_score": "0.3",
            "verbosity": "0",
        },
        NUMBERS,
    ),
    "absolute error": ({"objective": "reg:absoluteerror"}, NUMBERS),
    "pseudo-Huber": ({"objective": "reg:pseudohubererror"}, NUMBERS),
    "squared log error": ({"objective": "reg:squaredlogerror"}, AMOUNTS),
    "gamma": ({"objective": "reg:gamma"}, AMOUNTS),
    "tweedie": ({"objective": "reg:tweedie", "tweedie_variance_power": "1.3"}, COUNTS),
    "poisson": ({"objective": "count:poisson"}, COUNTS),
    "logistic regression": ({"objective": "reg:logistic"}, np.clip(SIGNAL, 0, 1)),
    "two classes": ({"objective": "binary:logistic", "scale_pos_weight": "2"}, BINARY),
    "margins": ({"objective": "binary:logitraw"}, BINARY),
    "hinge": ({"objective": "binary:hinge"}, BINARY),
    "classes": ({"objective": "multi:softmax", "num_class": "3"}, CLASSES),
    "class probabilities": ({"objective": "multi:softprob", "num_class": "3"}, CLASSES),
    "cox": ({"objective": "survival:cox"}, TIMES),
    "exact": ({"objective": "binary:logistic", "tree_method": "exact"}, BINARY),
    "approx": ({"objective": "binary:logistic", "tree_method": "approx"}, BINARY),
    "by gain": ({"grow_policy": "lossguide", "max_leaves": "8", "max_depth": "0", "tree_method": "hist"}, NUMBERS),
    "samples": ({"subsample": "0.6", "colsample_bytree": "0.5", "colsample_bynode": "0.7", "seed": "11"}, NUMBERS),
    "forest": ({"num_parallel_tree": "3", "subsample": "0.5", "seed": "3"}, NUMBERS),
    "gradient sampling": ({"subsample": "0.5", "sampling_method": "gradient_based"}, NUMBERS),
    "dropout": (
        {
            "booster": "dart",
            "rate_drop": "0.3",
            "skip_drop": "0.2",
            "one_drop": "1",
            "sample_type": "weighted",
            "normalize_type": "forest",
            "objective": "binary:logistic",
        },
        BINARY,
    ),
    "linear": ({"booster": "gblinear", "updater": "coord_descent", "objective": "binary:logistic"}, BINARY),
    "updaters": ({"updater": "grow_colmaker, prune", "gamma": "0.1"}, NUMBERS),
    "newest updater": ({"updater": "grow_quantile_histmaker"}, NUMBERS),
    "monotone": ({"monotone_constraints": "(1, 0,-1)", "tree_method": "hist"}, NUMBERS),
    "monotone without a method": ({"monotone_constraints": "[1,0,0,0,0,0,0]"}, NUMBERS),
    "interactions": ({"interaction_constraints": "[[0, 1], [2,3,4]]"}, NUMBERS),
}


def as_sent(given: Mapping[str, str]) -> dict[str, Any]:
    """The same parameters in the spelling that the library takes."""
    spelled = dict(given)
    for name in ("updater", "monotone_constraints"):
        if name in spelled:
            spelled[name] = spelled[name].replace(" ", "").replace("[", "(").replace("]", ")")
    return spelled


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_model_is_the_library_s_own(bench: Bench, case: str) -> None:
    given, labels = CASES[case]
    trained = bench.rows("train", FEATURES, labels).train({"num_round": str(ROUNDS), **given})
    matrix = xgboost.DMatrix(FEATURES, labels)
    assert trained.model == plain(as_sent(given), matrix, ROUNDS)
    expected = xgboost.train({"nthread": 2, **as_sent(given)}, matrix, ROUNDS, verbose_eval=False).predict(matrix)
    assert np.array_equal(trained.booster.predict(xgboost.DMatrix(FEATURES)), expected)


@pytest.mark.parametrize("objective", ["rank:ndcg", "rank:pairwise", "rank:map"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rankings_are_the_library_s_own(bench: Bench, objective: str, weighted: bool) -> None:
    labels = BINARY if objective == "rank:map" else CLASSES
    weights = WEIGHTS[np.searchsorted(QUERIES, QUERIES)] if weighted else None
    bench.rows("train", FEATURES, labels, "text/libsvm", groups=QUERIES, weights=weights)
    trained = bench.train({"num_round": "4", "objective": objective, "eval_metric": "ndcg@5"})
    of_queries = None if weights is None else weights[np.unique(QUERIES, return_index=True)[1]]
    matrix = xgboost.DMatrix(FEATURES, labels, qid=QUERIES, weight=of_queries)
    assert trained.model == plain({"objective": objective}, matrix, 4)


@pytest.mark.parametrize("kind", ["text/csv", "csv"])
def test_weights_are_the_second_csv_column(bench: Bench, kind: str) -> None:
    bench.rows("train", FEATURES, np.stack([BINARY, WEIGHTS], axis=1), kind)
    trained = bench.train({"num_round": "4", "objective": "binary:logistic", "csv_weights": "1"})
    matrix = xgboost.DMatrix(FEATURES, BINARY, weight=WEIGHTS)
    assert trained.model == plain({"objective": "binary:logistic"}, matrix, 4)


def test_libsvm_weights_count(bench: Bench) -> None:
    bench.rows("train", FEATURES, BINARY, "libsvm", weights=WEIGHTS)
    trained = bench.train({"num_round": "4", "objective": "binary:logistic"})
    assert trained.model == plain(
        {"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES, BINARY, weight=WEIGHTS), 4
    )


def test_survival_times_are_both_bounds_and_negative_ones_are_lower_bounds(bench: Bench) -> None:
    given = {"objective": "survival:aft", "aft_loss_distribution": "logistic", "aft_loss_distribution_scale": "0.8"}
    trained = bench.rows("train", FEATURES, TIMES).train({"num_round": "4", **given})
    upper = np.where(TIMES < 0, np.inf, TIMES)
    matrix = xgboost.DMatrix(FEATURES, label_lower_bound=np.abs(TIMES), label_upper_bound=upper)
    assert trained.model == plain(given, matrix, 4)


@pytest.mark.parametrize(
    "kind", ["text/csv", "text/libsvm", "application/x-parquet", "application/x-recordio-protobuf"]
)
def test_every_format_gives_the_same_model(bench: Bench, kind: str) -> None:
    features = np.where(np.isnan(FEATURES), 2.5, FEATURES) if "recordio" in kind else FEATURES
    trained = bench.rows("train", features, NUMBERS, kind).train({"num_round": "4"})
    assert trained.model == plain({}, xgboost.DMatrix(features, NUMBERS), 4)


def test_many_blocks_give_the_same_model_as_one(bench: Bench) -> None:
    for number, start in enumerate(range(0, ROWS, 37)):
        rows = np.column_stack([NUMBERS, FEATURES])[start : start + 37]
        text = "\n".join(",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in rows) + "\n"
        bench.text("train", text, file=f"part-{number:03}")
    trained = bench.train({"num_round": "4"})
    assert trained.model == plain({}, xgboost.DMatrix(FEATURES, NUMBERS), 4)


PLACES = {"bins": 500_000, "files": 100_000}  # bytes that are left for the matrix


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "given",
    [
        {"objective": "binary:logistic"},
        {"objective": "binary:logistic", "csv_weights": "1", "max_bin": "32"},
        {"objective": "binary:logistic", "subsample": "0.5", "colsample_bytree": "0.5", "seed": "4"},
        {"objective": "rank:ndcg"},
    ],
    ids=["defaults", "weights", "samples", "queries"],
)
def test_little_memory_gives_the_same_model(bench: Bench, given: dict[str, str], place: str) -> None:
    rng = np.random.default_rng(8)
    features = rng.normal(size=(2000, 30)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] > 0).astype(np.float32)
    weights = (rng.random(2000) + 0.5).astype(np.float32) if "csv_weights" in given else None
    queries = np.repeat(np.arange(100), 20).astype(np.int64) if given["objective"] == "rank:ndcg" else None
    columns = labels if weights is None else np.stack([labels, weights], axis=1)
    kind = "text/csv" if queries is None else "text/libsvm"
    bench.memory = (256 << 20) + int(PLACES[place] / 0.6)
    trained = bench.rows("train", features, columns, kind, groups=queries).train({"num_round": "4", **given})
    sent = {name: value for name, value in given.items() if name != "csv_weights"}
    matrix = xgboost.DMatrix(features, labels, weight=weights, qid=queries)
    assert trained.model == plain(sent, matrix, 4)


def test_queries_with_weights_keep_them_where_memory_is_small(bench: Bench) -> None:
    rng = np.random.default_rng(8)
    features = rng.normal(size=(2000, 30)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] > 0).astype(np.float32)
    queries, of_queries = np.repeat(np.arange(100), 20).astype(np.int64), (rng.random(100) + 0.5).astype(np.float32)
    bench.memory = (256 << 20) + int(PLACES["bins"] / 0.6)
    bench.rows("train", features, labels, "text/libsvm", groups=queries, weights=np.repeat(of_queries, 20))
    trained = bench.train({"num_round": "4", "objective": "rank:ndcg"})
    matrix = xgboost.DMatrix(features, labels, weight=of_queries, qid=queries)
    assert trained.model == plain({"objective": "rank:ndcg"}, matrix, 4)


def test_sparse_rows_are_padded_to_the_widest_of_both_channels(bench: Bench) -> None:
    bench.text("train", "1 0:1.5 2:3\n0 1:2\n1 0:1 1:1\n0 1:4 2:1\n", "text/libsvm")
    bench.text("validation", "1 4:1.5\n0 1:2\n", "text/libsvm")
    trained = bench.train({"num_round": "2", "min_child_weight": "0"})
    assert trained.artifact.schema["feature_dim"] == 5
    assert trained.booster.num_features() == 5


def test_training_goes_on_from_an_earlier_model(bench: Bench) -> None:
    given = {"objective": "binary:logistic", "max_depth": "3"}
    matrix = xgboost.DMatrix(FEATURES[:300], BINARY[:300])
    earlier = xgboost.train({"nthread": 2, **given}, matrix, 3, verbose_eval=False)
    bench.rows("train", FEATURES, BINARY).text("model", bytes(earlier.save_raw("ubj")), file="xgboost-model")
    trained = bench.train({"num_round": "4", **given})
    again = xgboost.DMatrix(FEATURES, BINARY)
    assert trained.booster.num_boosted_rounds() == 7
    assert trained.model == plain(given, again, 4, xgb_model=bytearray(earlier.save_raw("ubj")))


@pytest.mark.parametrize("updater", ["refresh", "prune", "refresh,prune"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_earlier_model_is_updated(bench: Bench, updater: str) -> None:
    given = {"objective": "binary:logistic", "max_depth": "3"}
    earlier = xgboost.train(
        {"nthread": 2, **given}, xgboost.DMatrix(FEATURES[:300], BINARY[:300]), 5, verbose_eval=False
    )
    bench.rows("train", FEATURES, BINARY).text("model", bytes(earlier.save_raw("json")), file="xgboost-model")
    update = {**given, "process_type": "update", "updater": updater, "gamma": "1", "refresh_leaf": "0"}
    trained = bench.train({"num_round": "5", **update})
    expected = plain(update, xgboost.DMatrix(FEATURES, BINARY), 5, xgb_model=bytearray(earlier.save_raw("json")))
    assert trained.model == expected
    assert json.loads(trained.booster.save_raw("json"))["learner"]["objective"]["name"] == "binary:logistic"
