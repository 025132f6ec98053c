"""What a job says, stops at, keeps and goes on from; and what it refuses once it sees its data and its machine."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost

from boosting import Bench, Trained, plain
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
RNG = np.random.default_rng(1)
FEATURES = RNG.normal(size=(400, 5)).astype(np.float32)
SCORES = FEATURES[:, 0] + FEATURES[:, 1] * FEATURES[:, 2] + 0.5 * RNG.normal(size=400)
BINARY = (SCORES > 0).astype(np.float32)
CLASSES = np.digitize(SCORES, [-0.7, 0.7]).astype(np.float32)
FIT, HELD = slice(0, 300), slice(300, 400)
LOGISTIC = {"objective": "binary:logistic", "num_round": "8"}


class InterruptedHereError(Exception):
    """Stands for a kill."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def laid_out(bench: Bench, labels: Array = BINARY) -> Bench:
    return bench.rows("train", FEATURES[FIT], labels[FIT]).rows("validation", FEATURES[HELD], labels[HELD])


def after(count: int, act: Callable[[], None]) -> Callable[[str], None]:
    """Acts when the line of that round is written."""

    def watch(line: str) -> None:
        if line.startswith(f"[{count}]"):
            act()

    return watch


def interrupt() -> None:
    raise InterruptedHereError


def test_each_round_is_one_line_with_the_library_s_metrics_first(bench: Bench) -> None:
    trained = laid_out(bench).train({**LOGISTIC, "eval_metric": "accuracy,logloss,f1,auc,error@0.3"})
    number = r"\d+\.\d{5}"
    columns = "".join(
        rf"\t{part}-{name}:{number}"
        for part in ("train", "validation")
        for name in ("logloss", "auc", "error@0.3", "accuracy", "f1")
    )
    assert len(trained.rounds) == 8
    for index, line in enumerate(trained.rounds):
        assert re.fullmatch(rf"\[{index}\]{columns}", line), line


def test_values_are_the_library_s(bench: Bench) -> None:
    trained = laid_out(bench).train({**LOGISTIC, "eval_metric": "logloss,error"})
    train, watched = (xgboost.DMatrix(FEATURES[rows], BINARY[rows]) for rows in (FIT, HELD))
    history: dict[str, Any] = {}
    parameters = {"objective": "binary:logistic", "eval_metric": ["logloss", "error"]}
    plain(parameters, train, 8, evals=[(train, "train"), (watched, "validation")], evals_result=history)
    for index, line in enumerate(trained.rounds):
        expected = [f"{part}-{m}:{v[index]:.5f}" for part, found in history.items() for m, v in found.items()]
        assert line.split("\t")[1:] == expected


def test_the_tuning_objective_joins_the_metrics_in_sorted_order(bench: Bench) -> None:
    given = {**LOGISTIC, "eval_metric": "logloss,error", "_tuning_objective_metric": "validation:auc"}
    names = re.findall(r"validation-([a-z]+)", laid_out(bench).train(given).rounds[0])
    assert names == ["auc", "error", "logloss"]
    alone = laid_out(bench).train({**LOGISTIC, "_tuning_objective_metric": "validation:f1"})
    assert re.findall(r"validation-([a-z0-9]+)", alone.rounds[0]) == ["f1"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"objective": "binary:logistic"}, ["logloss"]),
        ({"objective": "reg:squarederror"}, ["rmse"]),
        ({"objective": "reg:tweedie"}, ["tweedie-nloglik"]),
        ({"objective": "reg:tweedie", "eval_metric": "tweedie-nloglik,mae"}, ["tweedie-nloglik", "mae"]),
    ],
)
def test_metrics_have_their_declared_names(bench: Bench, given: dict[str, str], names: list[str]) -> None:
    line = laid_out(bench).train({"num_round": "1", **given}).rounds[0]
    assert re.findall(r"validation-([a-z0-9-]+):", line) == names


@pytest.mark.parametrize("metric", ["error", "auc", "accuracy", "rmse"])
def test_early_stopping_keeps_the_best_round(bench: Bench, metric: str) -> None:
    noisy = np.where(np.random.default_rng(4).random(400) < 0.3, 1 - BINARY, BINARY)
    given = {"objective": "binary:logistic", "num_round": "200", "eta": "1", "early_stopping_rounds": "5"}
    trained = laid_out(bench, noisy).train({**given, "eval_metric": f"logloss,{metric}"})
    values = [float(re.findall(rf"validation-{metric}:(\S+)", line)[0]) for line in trained.rounds]
    best = int(np.argmax(values) if metric in ("auc", "accuracy") else np.argmin(values))
    assert len(values) == best + 6 < 200
    assert trained.booster.num_boosted_rounds() == best + 1
    assert trained.said(f"round {best} is the best")
    matrix = xgboost.DMatrix(FEATURES[FIT], noisy[FIT])
    assert trained.model == plain({"objective": "binary:logistic", "eta": 1}, matrix, best + 1)


def test_early_stopping_keeps_the_best_linear_model(bench: Bench) -> None:
    noisy = np.where(np.random.default_rng(4).random(400) < 0.3, 1 - BINARY, BINARY)
    linear = {"objective": "binary:logistic", "booster": "gblinear", "updater": "coord_descent", "eta": "1"}
    given = {**linear, "num_round": "60", "early_stopping_rounds": "3", "eval_metric": "error"}
    trained = laid_out(bench, noisy).train(given)
    best = len(trained.rounds) - 4
    assert trained.model == plain(linear, xgboost.DMatrix(FEATURES[FIT], noisy[FIT]), best + 1)


@pytest.mark.parametrize(
    ("validation", "metric", "reason"),
    [(False, "error", "there is no validation channel"), (True, "", "name the metric to watch in eval_metric")],
)
def test_early_stopping_that_cannot_work_is_said(bench: Bench, validation: bool, metric: str, reason: str) -> None:
    laid_out(bench)
    if not validation:
        del bench.channels["validation"]
    trained = bench.train({**LOGISTIC, "early_stopping_rounds": "1", "eval_metric": metric})
    assert trained.said(f"early_stopping_rounds has no effect: {reason}")
    assert len(trained.rounds) == 8


def test_a_stop_leaves_the_model_so_far(bench: Bench) -> None:
    trained = laid_out(bench).train({**LOGISTIC, "num_round": "100"}, watch=after(3, bench.stop.set))
    assert trained.said("stopping early, after 5 of 100 rounds")
    assert trained.model == plain({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 5)


def test_a_job_stopped_before_its_first_round_does_one(bench: Bench) -> None:
    bench.stop.set()
    assert laid_out(bench).train(LOGISTIC).booster.num_boosted_rounds() == 1


def test_the_model_is_published_after_each_round_where_that_is_asked_for(bench: Bench) -> None:
    trained = laid_out(bench).train({**LOGISTIC, "save_model_on_termination": "true"})
    assert len(trained.published) == 8
    assert trained.published[-1].files == trained.artifact.files
    matrix = xgboost.DMatrix(FEATURES[FIT], BINARY[FIT])
    assert trained.published[2].files["xgboost-model"] == plain({"objective": "binary:logistic"}, matrix, 3)
    assert laid_out(bench).train(LOGISTIC).published == []


RESUMED = {
    "defaults": {},
    "samples": {"subsample": "0.5", "colsample_bytree": "0.6", "colsample_bynode": "0.7", "seed": "9"},
    "forest": {"subsample": "0.5", "num_parallel_tree": "3"},
    "dropout": {"booster": "dart", "rate_drop": "0.4", "subsample": "0.7"},
    "approx": {"tree_method": "approx", "subsample": "0.5"},
    "exact": {"tree_method": "exact", "colsample_bytree": "0.5"},
    "linear": {"booster": "gblinear", "updater": "coord_descent"},
    "classes": {"objective": "multi:softprob", "num_class": "3", "subsample": "0.5", "eval_metric": "merror"},
}


@pytest.mark.parametrize("case", RESUMED)
def test_a_resumed_job_ends_as_an_uninterrupted_one(bench: Bench, tmp_path: Path, case: str) -> None:
    given = {**LOGISTIC, "eval_metric": "error", **RESUMED[case]}
    laid_out(bench, CLASSES if case == "classes" else BINARY)
    whole = bench.train(given, kept=tmp_path / "whole")
    lines = list(whole.rounds)
    for count in (1, 4):
        with pytest.raises(InterruptedHereError):
            bench.train(given, kept=tmp_path / str(count), watch=after(count, interrupt))
        resumed = bench.train(given, kept=tmp_path / str(count))
        assert resumed.said(f"resuming from a checkpoint, after {count} rounds")
        assert resumed.model == whole.model
        assert resumed.rounds == lines[count:]


def test_a_finished_job_gives_the_same_model_again(bench: Bench, tmp_path: Path) -> None:
    first = laid_out(bench).train(LOGISTIC, kept=tmp_path / "kept", every=3600)
    again = bench.train(LOGISTIC, kept=tmp_path / "kept")
    assert again.model == first.model
    assert again.rounds == []


@pytest.mark.parametrize("booster", ["gbtree", "gblinear"])
def test_early_stopping_goes_on_where_it_was(bench: Bench, tmp_path: Path, booster: str) -> None:
    noisy = np.where(np.random.default_rng(4).random(400) < 0.3, 1 - BINARY, BINARY)
    given = {
        "objective": "binary:logistic",
        "num_round": "60",
        "eta": "1",
        "eval_metric": "error",
        "booster": booster,
    }
    given |= {"early_stopping_rounds": "4", "nthread": "1"}
    whole = laid_out(bench, noisy).train(given)
    last = len(whole.rounds) - 1
    with pytest.raises(InterruptedHereError):
        bench.train(given, kept=tmp_path / "kept", watch=after(last, interrupt))
    resumed = bench.train(given, kept=tmp_path / "kept")
    assert resumed.model == whole.model
    assert bench.train(given, kept=tmp_path / "kept").model == whole.model


def test_an_earlier_model_is_gone_on_from_only_once(bench: Bench, tmp_path: Path) -> None:
    earlier = plain({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 3)
    laid_out(bench).text("model", earlier, file="xgboost-model")
    given = {**LOGISTIC, "eval_metric": "error", "early_stopping_rounds": "8"}
    whole = bench.train(given, kept=tmp_path / "whole")
    with pytest.raises(InterruptedHereError):
        bench.train(given, kept=tmp_path / "kept", watch=after(4, interrupt))
    assert bench.train(given, kept=tmp_path / "kept").model == whole.model


def test_a_model_archive_is_taken(bench: Bench) -> None:
    earlier = plain({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 3)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in (("./model.json", b"{}"), ("./xgboost-model", earlier)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    laid_out(bench).text("model", archive.getvalue(), file="model.tar.gz")
    assert bench.train({**LOGISTIC, "num_round": "2"}).booster.num_boosted_rounds() == 5


def test_what_has_no_effect_is_said(bench: Bench) -> None:
    retired = {
        "deterministic_histogram": "true",
        "dsplit": "row",
        "lambda_bias": "0.5",
        "_num_cv_round": "3",
        "predictor": "gpu_predictor",
        "prob_buffer_row": "2",
        "single_precision_histogram": "true",
        "sketch_eps": "0.1",
    }
    bench.text("code", "print()", file="script.py")
    trained = laid_out(bench).train({**LOGISTIC, **retired, "rate_drop": "0.5"})
    for name in retired:
        assert trained.said(f"{name} has no effect: "), name
    assert trained.said("without effect in this job: rate_drop")
    assert trained.said("channel code is not used")
    assert trained.model == plain({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 8)


def test_old_settings_have_their_modern_meaning(bench: Bench) -> None:
    matrix = xgboost.DMatrix(FEATURES[FIT], BINARY[FIT])
    given = {**LOGISTIC, "tree_method": "approx", "sketch_eps": "0.125", "silent": "1"}
    trained = laid_out(bench).train(given)
    assert trained.said("sketch_eps 0.125 is max_bin 8")
    expected = {"objective": "binary:logistic", "tree_method": "approx", "max_bin": 8}
    assert trained.model == plain(expected, matrix, 8)
    renamed = bench.train({**LOGISTIC, "updater": "grow_skmaker,prune"})
    assert renamed.said("updater grow_skmaker has left the library; grow_histmaker takes its place")


def refused(bench: Bench, given: dict[str, str], **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        bench.train({**LOGISTIC, **given}, **more)
    return str(caught.value)


def test_a_gpu_method_needs_a_gpu(bench: Bench) -> None:
    text = refused(laid_out(bench), {"tree_method": "gpu_hist"})
    assert text == (
        "tree_method gpu_hist needs a GPU, and this host has none; take an instance with GPUs, or tree_method hist"
    )


def test_all_that_does_not_go_with_dask_is_said_at_once(bench: Bench) -> None:
    bench.rows("train", FEATURES, BINARY, "text/libsvm")
    text = refused(bench, {"use_dask_gpu_training": "true", "tree_method": "exact"})
    assert text.startswith("Some configurations unsuitable for Dask GPU training were found: ")
    for part in ("tree_method must be gpu_hist or hist", "no GPU", "channel train holds text/libsvm"):
        assert part in text


def test_an_update_needs_a_model_with_enough_rounds(bench: Bench) -> None:
    update = {"process_type": "update", "updater": "refresh"}
    assert "give it in the channel model" in refused(laid_out(bench), update)
    earlier = plain({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 3)
    bench.text("model", earlier, file="xgboost-model")
    assert "num_round must be at most 3" in refused(bench, update)


@pytest.mark.parametrize("content", [b"\x80\x04\x95", b"", b"{}", b"{L\x00"])
def test_what_is_no_model_is_refused(bench: Bench, content: bytes) -> None:
    laid_out(bench).text("model", content, file="xgboost-model")
    assert "channel model" in refused(bench, {})


def test_half_a_model_is_refused(bench: Bench) -> None:
    """The library itself may crash on it."""
    earlier = plain({"objective": "binary:logistic"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 3)
    for part in (len(earlier) // 3, len(earlier) // 2, len(earlier) - 1):
        laid_out(bench).text("model", earlier[:part], file="xgboost-model")
        assert "the model is damaged or incomplete" in refused(bench, {})


@pytest.mark.parametrize("width", [3, 7])
def test_an_earlier_model_must_have_the_width_of_the_rows(bench: Bench, width: int) -> None:
    rows = RNG.normal(size=(300, width))
    earlier = plain({"objective": "binary:logistic"}, xgboost.DMatrix(rows, BINARY[FIT]), 3)
    laid_out(bench).text("model", earlier, file="xgboost-model")
    assert f"the rows have 5 features, the model in channel model has {width}" in refused(bench, {})


@pytest.mark.parametrize(("objective", "metric"), [("rank:ndcg", "ndcg"), ("rank:map", "map")])
def test_the_default_metric_of_a_ranking_has_its_declared_name(bench: Bench, objective: str, metric: str) -> None:
    bench.rows("train", FEATURES, BINARY, "text/libsvm", groups=np.arange(400) // 20)
    trained = bench.train({"objective": objective, "num_round": "2"})
    assert [line.partition(":")[0] for line in trained.rounds] == [f"[0]\ttrain-{metric}", f"[1]\ttrain-{metric}"]


def test_an_earlier_model_must_be_of_the_same_kind(bench: Bench) -> None:
    earlier = plain({"objective": "reg:squarederror"}, xgboost.DMatrix(FEATURES[FIT], BINARY[FIT]), 3)
    laid_out(bench).text("model", earlier, file="xgboost-model")
    text = refused(bench, {})
    assert text == (
        "objective is binary:logistic, and the model in channel model has reg:squarederror; set objective to that"
    )
    assert "booster is dart" in refused(bench, {"objective": "reg:squarederror", "booster": "dart"})


def test_an_earlier_model_may_have_names_for_its_features(bench: Bench) -> None:
    matrix = xgboost.DMatrix(FEATURES[FIT], BINARY[FIT], feature_names=list("abcde"))
    earlier = plain({"objective": "binary:logistic"}, matrix, 3)
    laid_out(bench).text("model", earlier, file="xgboost-model")
    assert bench.train({**LOGISTIC, "num_round": "2"}).booster.num_boosted_rounds() == 5


def test_constraints_name_features_that_there_are(bench: Bench) -> None:
    laid_out(bench)
    assert "6 entries, and the rows have 5 features" in refused(bench, {"monotone_constraints": "(0,0,0,0,0,1)"})
    assert "names feature 5; the rows have features 0 to 4" in refused(bench, {"interaction_constraints": "[[0,5]]"})


@pytest.mark.parametrize("given", [{"tree_method": "exact"}, {"booster": "gblinear"}])
def test_what_needs_all_rows_in_memory_says_so(bench: Bench, given: dict[str, str]) -> None:
    bench.memory = 257 << 20
    rows = RNG.normal(size=(8000, 5)).astype(np.float32)
    text = refused(bench.rows("train", rows, (rows[:, 0] > 0).astype(np.float32)), given)
    assert "needs all rows in memory" in text
    assert "take tree_method hist or approx" in text


@pytest.mark.parametrize("given", [{}, {"tree_method": "approx"}, {"subsample": "0.5"}])
def test_rows_that_do_not_fit_into_memory_train_from_files(bench: Bench, given: dict[str, str]) -> None:
    rows = RNG.normal(size=(8000, 5)).astype(np.float32)
    labels = (rows[:, 0] * rows[:, 1] > 0).astype(np.float32)
    bench.rows("train", rows, labels).rows("validation", rows[::2], labels[::2])
    settings = {**LOGISTIC, "eval_metric": "error", **given}
    whole = _last(bench.train(settings))
    bench.memory = 256 << 20
    assert _last(bench.train(settings)) == pytest.approx(whole, abs=0.01)


def _last(trained: Trained) -> float:
    return float(trained.rounds[-1].rpartition(":")[2])


@pytest.mark.parametrize(
    ("given", "labels", "kept"),
    [
        ({"objective": "binary:logistic"}, BINARY, "probability"),
        ({"objective": "multi:softprob", "num_class": "3"}, CLASSES, "class"),
        ({"objective": "reg:squarederror"}, SCORES.astype(np.float32), "number"),
    ],
)
def test_cross_validation_keeps_a_model_and_a_prediction_of_each_fold(
    bench: Bench, given: dict[str, str], labels: Array, kept: str
) -> None:
    trained = laid_out(bench, labels).train({"num_round": "6", "_kfold": "3", "_num_cv_round": "2", **given})
    assert sorted(trained.artifact.files) == [f"xgboost-model-{number}" for number in range(6)]
    assert len(set(trained.artifact.files.values())) == 6
    summaries = [line for line in trained.rounds if line.startswith("[6]")]
    assert len(summaries) == 3
    assert len(trained.rounds) == 6 * 6 + 3
    table = np.loadtxt(io.BytesIO(trained.outputs["predictions.csv"]), delimiter=",")
    assert table.shape == (400, 2 if kept == "number" else 3)
    assert np.allclose(table[:, 0], labels, atol=1e-5)
    if kept == "number":
        assert np.corrcoef(table[:, 0], table[:, 1])[0, 1] > 0.6
    else:
        assert (table[:, 2] == table[:, 0]).mean() > 0.6


def test_the_mean_line_is_the_mean_of_the_folds(bench: Bench) -> None:
    given = {**LOGISTIC, "_kfold": "4", "eval_metric": "logloss,accuracy"}
    trained = laid_out(bench).train(given)
    lasts = [line for line in trained.rounds if line.startswith("[7]")]
    summary = trained.rounds[-1]
    assert summary.startswith("[8]\ttrain-logloss:")
    for name in ("train-logloss", "validation-logloss", "train-accuracy", "validation-accuracy"):
        values = [float(re.findall(rf"{name}:(\S+)", line)[0]) for line in lasts]
        assert float(re.findall(rf"{name}:(\S+)", summary)[0]) == pytest.approx(np.mean(values), abs=2e-5)


def test_more_folds_than_rows_are_refused(bench: Bench) -> None:
    bench.rows("train", FEATURES[:3], BINARY[:3])
    assert "_kfold must be at most the number of rows, 3; got 4" in refused(bench, {"_kfold": "4"})
