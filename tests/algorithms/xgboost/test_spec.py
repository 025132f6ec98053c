"""The declaration of XGBoost against the published table of the managed one, and the rules across hyperparameters."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clary.algorithms.xgboost.model import settings
from clary.algorithms.xgboost.spec import METRICS, ON_TRAIN, SPEC, Hyperparameters
from clary.toolkit.errors import HyperparameterError

FLAG = ["true", "false"]
# name: least, greatest, whether each is included, default, tunable range
NUMBERS: dict[str, tuple[str, float | None, float | None, bool, bool, float | None, list[float] | None]] = {
    "num_round": ("integer", 1, None, True, False, None, [1, 4000]),
    "num_class": ("integer", 2, None, True, False, None, None),
    "alpha": ("continuous", 0, None, True, False, 0, [0, 1000]),
    "base_score": ("continuous", 0, None, True, False, 0.5, None),
    "colsample_bylevel": ("continuous", 0, 1, False, True, 1, [0.1, 1]),
    "colsample_bynode": ("continuous", 0, 1, False, True, 1, [0.1, 1]),
    "colsample_bytree": ("continuous", 0, 1, False, True, 1, [0.5, 1]),
    "csv_weights": ("integer", 0, 1, True, True, 0, None),
    "early_stopping_rounds": ("integer", 1, None, True, False, None, None),
    "eta": ("continuous", 0, 1, True, True, 0.3, [0.1, 0.5]),
    "gamma": ("continuous", 0, None, True, False, 0, [0, 5]),
    "lambda": ("continuous", 0, None, True, False, 1, [0, 1000]),
    "lambda_bias": ("continuous", 0, 1, True, True, 0, None),
    "max_bin": ("integer", 0, None, True, False, 256, None),
    "max_delta_step": ("continuous", 0, None, True, False, 0, [0, 10]),
    "max_depth": ("integer", 0, None, True, False, 6, [0, 10]),
    "max_leaves": ("integer", 0, None, True, False, 0, None),
    "min_child_weight": ("continuous", 0, None, True, False, 1, [0, 120]),
    "nthread": ("integer", 1, None, True, False, None, None),
    "one_drop": ("integer", 0, 1, True, True, 0, None),
    "rate_drop": ("continuous", 0, 1, True, True, 0.0, None),
    "refresh_leaf": ("integer", 0, 1, True, True, 1, None),
    "scale_pos_weight": ("continuous", 0, None, False, False, 1, None),
    "seed": ("integer", -2147483648, 2147483647, False, False, 0, None),
    "sketch_eps": ("continuous", 0, 1, False, False, 0.03, None),
    "skip_drop": ("continuous", 0, 1, True, True, 0.0, None),
    "subsample": ("continuous", 0, 1, False, True, 1, [0.5, 1]),
    "tweedie_variance_power": ("continuous", 1, 2, False, False, 1.5, None),
    "verbosity": ("integer", 0, 3, True, True, 1, None),
    "aft_loss_distribution_scale": ("continuous", 0, None, True, False, None, None),
    "num_parallel_tree": ("integer", 1, None, True, False, None, None),
    "prob_buffer_row": ("integer", 1, None, False, False, None, None),
    "_kfold": ("integer", 2, None, True, False, None, None),
    "_num_cv_round": ("integer", 1, None, True, False, None, None),
    "silent": ("integer", 0, 1, True, True, 0, None),
}
# name: values, default
CHOICES: dict[str, tuple[list[str], str | None]] = {
    "booster": (["gbtree", "gblinear", "dart"], "gbtree"),
    "deterministic_histogram": (FLAG, "true"),
    "grow_policy": (["depthwise", "lossguide"], "depthwise"),
    "normalize_type": (["tree", "forest"], "tree"),
    "process_type": (["default", "update"], "default"),
    "sample_type": (["uniform", "weighted"], "uniform"),
    "single_precision_histogram": (FLAG, "false"),
    "tree_method": (["auto", "exact", "approx", "hist", "gpu_hist"], "auto"),
    "aft_loss_distribution": (["normal", "logistic", "extreme"], None),
    "dsplit": (["row", "col"], None),
    "predictor": (["auto", "cpu_predictor", "gpu_predictor"], None),
    "sampling_method": (["uniform", "gradient_based"], None),
    "save_model_on_termination": (FLAG, "false"),
    "use_dask_gpu_training": (FLAG, "false"),
    "_tuning_objective_metric": ([f"validation:{name}" for name in METRICS], None),
    "objective": (
        [
            *("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror"),
            *("reg:absoluteerror", "reg:gamma", "reg:tweedie", "binary:logistic", "binary:logitraw", "binary:hinge"),
            *("count:poisson", "multi:softmax", "multi:softprob", "rank:pairwise", "rank:ndcg", "rank:map"),
            *("survival:cox", "survival:aft", "aft_loss_distribution"),
        ],
        "reg:squarederror",
    ),
}
TEXTS = {"eval_metric": None, "interaction_constraints": None, "monotone_constraints": "(0, 0)"}
TEXTS["updater"] = "grow_colmaker,prune"
MINIMIZED = {
    *("aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy"),
    *("logloss", "mae", "mape", "merror", "mlogloss", "mphe", "mse", "poisson-nloglik", "rmse", "rmsle"),
    "tweedie-nloglik",
}
LINE = "[10]\ttrain-{0}:0.12345\tvalidation-{0}:0.23456"
OFFICIAL = r".*\[[0-9]+\].*#011validation-{}:(\S+)"


def parsed(**given: str) -> Hyperparameters:
    made = SPEC.parse({"num_round": "3", **given})
    assert isinstance(made, Hyperparameters)
    return made


def refused(**given: str) -> str:
    with pytest.raises(HyperparameterError) as caught:
        parsed(**given)
    return str(caught.value)


def described() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in SPEC.describe()["hyperparameters"]}


def test_the_hyperparameters_are_the_published_ones() -> None:
    found = described()
    assert set(found) == {*NUMBERS, *CHOICES, *TEXTS}
    for name, (kind, low, high, low_in, high_in, number, tunable) in NUMBERS.items():
        each = found[name]
        assert (each["type"], each["default"]) == (kind, number), name
        bounds = {"min": low, "max": high, "min_inclusive": low_in, "max_inclusive": high_in}
        assert each["range"] == bounds, name
        assert each["tunable"] == (tunable and {"range": tunable, "scaling": "Linear"}), name
    for name, (values, default) in CHOICES.items():
        each = found[name]
        assert (each["type"], each["values"], each["default"], each["tunable"]) == (
            "categorical",
            values,
            default,
            None,
        ), name
    for name, default in TEXTS.items():
        assert (found[name]["type"], found[name]["default"]) == ("text", default)
    assert {name for name, each in found.items() if each["auto"]} == {"tree_method", "predictor"}
    assert {name: each["required"] for name, each in found.items() if each["required"]} == {
        "num_round": True,
        "num_class": "when objective is multi:softmax or multi:softprob",
    }


def test_the_metrics_are_the_published_ones() -> None:
    found = {each.name: each.goal for each in SPEC.metrics}
    names = [f"validation:{name}" for name in METRICS] + [f"train:{name}" for name in ON_TRAIN]
    assert list(found) == names
    for name, goal in found.items():
        assert goal == ("Minimize" if name.partition(":")[2] in MINIMIZED else "Maximize"), name
    assert described()["eval_metric"]["values"] == list(METRICS)


@pytest.mark.parametrize("shown", ["\t", "#011"])
@pytest.mark.parametrize("name", METRICS)
def test_patterns_read_the_published_lines(name: str, shown: str) -> None:
    line = LINE.format(name).replace("\t", shown)
    found = {each.name: re.search(each.regex, line) for each in SPEC.metrics}
    values = {metric: float(match[1]) for metric, match in found.items() if match}
    expected = {f"validation:{name}": 0.23456} | ({f"train:{name}": 0.12345} if name in ON_TRAIN else {})
    assert values == expected
    several = line + f"{shown}validation-x:9"
    assert re.findall(SPEC.metric(f"validation:{name}").regex, several) == ["0.23456"]


def test_official_patterns_read_our_lines() -> None:
    for name in METRICS:
        ours = SPEC.metric(f"validation:{name}").render(0.5, epoch=3, others="\ttrain-rmse:0.1").replace("\t", "#011")
        found = re.search(OFFICIAL.format(re.escape(name)), ours)
        assert found is not None
        assert float(found[1]) == 0.5


def test_other_names_are_taken() -> None:
    other = {"learning_rate": "0.2", "min_split_loss": "1", "reg_lambda": "2", "reg_alpha": "3"}
    made = parsed(**other)
    assert (made.eta, made.gamma, made.lambda_, made.alpha) == (0.2, 1.0, 2.0, 3.0)
    assert made.given == {"num_round", "eta", "gamma", "lambda", "alpha"}


@pytest.mark.parametrize("objective", ["multi:softmax", "multi:softprob"])
def test_several_classes_need_their_number(objective: str) -> None:
    assert "num_class must be set" in refused(objective=objective)
    assert parsed(objective=objective, num_class="4").num_class == 4
    assert "num_class is for multi:softmax" in refused(objective="binary:logistic", num_class="2")


def test_a_name_that_is_no_objective_is_explained() -> None:
    text = refused(objective="aft_loss_distribution")
    assert "set objective to survival:aft" in text


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"eval_metric": "auc"}, "metric auc needs an objective that begins with binary: or rank:"),
        ({"_tuning_objective_metric": "validation:auc"}, "metric auc needs an objective"),
        ({"eval_metric": "aft-nloglik"}, "metric aft-nloglik needs objective survival:aft"),
        ({"eval_metric": "interval-regression-accuracy"}, "needs objective survival:aft"),
        ({"eval_metric": "merror"}, "metric merror needs objective multi:softmax or multi:softprob"),
        (
            {"eval_metric": "f1_binary", "objective": "multi:softmax", "num_class": "3"},
            "metric f1_binary is about two classes, and num_class is 3; take f1_macro",
        ),
        (
            {"eval_metric": "logloss", "objective": "multi:softprob", "num_class": "3"},
            "metric logloss compares numbers, but objective multi:softprob predicts classes",
        ),
        ({"objective": "binary:logistic", "base_score": "1"}, "base_score must be above 0 and below 1"),
        ({"objective": "count:poisson", "base_score": "0"}, "base_score must be above 0"),
        ({"max_bin": "1"}, "max_bin must be at least 2"),
        ({"tree_method": "exact", "max_depth": "0"}, "max_depth must be at least 1"),
        ({"booster": "gblinear", "updater": "grow_colmaker"}, "updater must be one of shotgun, coord_descent"),
        ({"booster": "gblinear", "updater": "shotgun,coord_descent"}, "updater must be one of shotgun"),
        ({"booster": "gblinear", "process_type": "update"}, "booster gblinear has none"),
        ({"process_type": "update"}, "updater must be one or both of refresh, prune"),
        ({"process_type": "update", "updater": "grow_colmaker"}, "updater must be one or both of refresh, prune"),
        ({"updater": "shotgun"}, "updater must name no shotgun or coord_descent"),
        ({"updater": "prune"}, "updater must begin with the one part that grows trees"),
        ({"updater": "grow_colmaker,grow_histmaker"}, "updater must begin with the one part that grows trees"),
        ({"interaction_constraints": "[1,2]"}, "interaction_constraints must be a list of lists"),
        ({"monotone_constraints": "(2,0)"}, "monotone_constraints must be a list of -1, 0 and 1"),
        ({"eval_metric": "logloss@0.3"}, "eval_metric must be"),
        ({"eval_metric": "ndcg@0"}, "metric ndcg@0 looks at the first rows of a query"),
        ({"eval_metric": "map@2.5"}, "the number must be whole and at least 1"),
        ({"device": "cuda"}, "device is not a hyperparameter"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, str], reason: str) -> None:
    assert reason in refused(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"eval_metric": "error@0.3,ndcg@5,map@2"},
        {"eval_metric": "auc,accuracy", "objective": "binary:logistic"},
        {"eval_metric": "auc", "objective": "rank:pairwise"},
        {"eval_metric": "f1_binary", "objective": "multi:softprob", "num_class": "2"},
        {"updater": "grow_colmaker, prune"},
        {"updater": "grow_quantile_histmaker"},
        {"monotone_constraints": "(1,-1)"},
        {"interaction_constraints": "[[0,1],[2]]", "tree_method": "gpu_hist"},
        {"process_type": "update", "updater": "refresh,prune"},
        {"deterministic_histogram": "True", "single_precision_histogram": "false"},
        {"num_round": "5.0", "sagemaker_region": "eu-west-1", "_tuning_objective_metric": "validation:rmse"},
    ],
)
def test_what_is_allowed_is_taken(given: dict[str, str]) -> None:
    assert parsed(**given).given >= given.keys() - {"sagemaker_region"}


def test_only_what_was_set_is_sent_to_the_library() -> None:
    assert settings(parsed()).parameters == {}
    assert settings(parsed(eta="0.3", nthread="2")).parameters == {"eta": "0.3", "nthread": "2"}
    sent = settings(parsed(tree_method="gpu_hist", silent="1", eval_metric="f1")).parameters
    expected = {"tree_method": "hist", "device": "cuda", "verbosity": "0", "disable_default_eval_metric": "1"}
    assert sent == expected
