"""What rows must be like: refused with the file, the row and the reason, before anything is learned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from boosting import Bench
from clary.algorithms.xgboost.data import earlier_model, read
from clary.algorithms.xgboost.spec import OBJECTIVES, SPEC, Hyperparameters
from clary.toolkit import tabular
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def refused(bench: Bench, given: dict[str, str]) -> str:
    with pytest.raises(UserError) as caught:
        bench.train({"num_round": "1", **given})
    return str(caught.value)


@pytest.mark.parametrize(
    ("objective", "bad", "wording"),
    [
        ("binary:logistic", "2", "a number from 0 to 1 with objective binary:logistic; got 2"),
        ("binary:logistic", "-0.5", "a number from 0 to 1 with objective binary:logistic; got -0.5"),
        ("binary:logitraw", "1.5", "a number from 0 to 1 with objective binary:logitraw; got 1.5"),
        ("binary:hinge", "0.5", "0 or 1 with objective binary:hinge; got 0.5"),
        ("reg:logistic", "1.01", "a number from 0 to 1 with objective reg:logistic; got 1.01"),
        ("reg:gamma", "0", "a number above 0 with objective reg:gamma; got 0"),
        ("reg:tweedie", "-1", "a number of at least 0 with objective reg:tweedie; got -1"),
        ("reg:squaredlogerror", "-1", "a number above -1 with objective reg:squaredlogerror; got -1"),
        ("count:poisson", "-3", "a number of at least 0 with objective count:poisson; got -3"),
        ("rank:ndcg", "0.5", "a whole number from 0 to 31 with objective rank:ndcg; got 0.5"),
        ("rank:pairwise", "32", "a whole number from 0 to 31 with objective rank:pairwise; got 32"),
        ("rank:map", "2", "0 or 1 with objective rank:map; got 2"),
        ("multi:softmax", "3", "a whole number from 0 to 2 with num_class 3; got 3"),
        ("multi:softprob", "0.5", "a whole number from 0 to 2 with num_class 3; got 0.5"),
    ],
)
@pytest.mark.parametrize("channel", ["train", "validation"])
def test_labels_outside_of_the_objective_are_refused(
    bench: Bench, objective: str, bad: str, wording: str, channel: str
) -> None:
    good = "1,2\n1,3\n"
    bench.text("train", good).text("validation", good)
    bench.text(channel, f"{good}{bad},5\n1,2\n")
    given = {"num_class": "3"} if objective.startswith("multi:") else {}
    text = refused(bench, {"objective": objective, **given})
    assert text == f"channel {channel}, file rows, row 3: the label must be {wording}"


@pytest.mark.parametrize(
    ("metric", "wording"),
    [
        ("accuracy", "0 or 1 with a metric of classes in eval_metric"),
        ("map", "0 or 1 with metric map"),
        ("ndcg@3", "a whole number from 0 to 31 with metric ndcg"),
    ],
)
def test_labels_outside_of_a_metric_are_refused(bench: Bench, metric: str, wording: str) -> None:
    text = refused(bench.text("train", "1,2\n1.5,3\n"), {"eval_metric": metric})
    assert text == f"channel train, file rows, row 2: the label must be {wording}; got 1.5"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_good_labels_train_with_every_objective(bench: Bench, objective: str) -> None:
    given = {"num_class": "2"} if objective.startswith("multi:") else {}
    bench.text("train", "1,2,3\n0,5,1\n1,3,3\n0,4,2\n" if objective != "reg:gamma" else "1,2\n2,3\n")
    trained = bench.train({"num_round": "2", "objective": objective, "min_child_weight": "0", **given})
    assert trained.booster.num_boosted_rounds() == 2


def test_every_row_needs_a_label(bench: Bench, tmp_path: Path) -> None:
    kind = "application/x-recordio-protobuf"
    (tmp_path / "train").mkdir()
    with (tmp_path / "train" / "rows").open("wb") as stream:
        tabular.write(stream, Records(np.ones((2, 3), np.float32)), MediaType(kind))
    assert "the row has no label" in refused(bench.text("train", None, kind), {})


@pytest.mark.parametrize(("kind", "size"), [("text/csv;label_size=0", "0"), ("text/csv;label_size=2", "2")])
def test_another_number_of_labels_is_refused(bench: Bench, kind: str, size: str) -> None:
    text = refused(bench.text("train", "1,2,3\n", kind), {})
    assert text.startswith("channel train: label_size must be 1")
    assert f"got '{size}'" in text


def test_one_label_may_be_said(bench: Bench) -> None:
    bench.text("train", "1,2,3\n0,3,4\n", "text/csv;label_size=1")
    assert bench.train({"num_round": "1"}).artifact.schema["feature_dim"] == 2


def test_weights_come_from_csv_alone_and_are_not_negative(bench: Bench) -> None:
    given = {"csv_weights": "1"}
    text = refused(bench.text("train", "1,0.5,2\n1,-1,2\n"), given)
    assert text == "channel train, file rows, row 2: the weight must be a number of at least 0; got -1"
    assert "the weights of all rows are 0" in refused(bench.text("train", "1,0,2\n1,0,2\n"), given)
    assert "csv_weights reads weights from CSV" in refused(bench.text("train", "1 0:2\n", "libsvm"), given)


def test_dense_rows_must_have_one_width(bench: Bench) -> None:
    bench.text("train", "1,2,3\n").text("train", "1,2\n", file="second")
    text = refused(bench, {})
    assert "file second, row 1" in text
    assert "1 feature" in text
    assert "is 2" in text


def test_channels_must_have_one_width(bench: Bench) -> None:
    bench.text("train", "1,2,3\n").text("validation", "1,2\n")
    assert refused(bench, {}) == "channel validation: the rows have 1 features, other rows of the job have 2"


def test_any_delimiter_is_found(bench: Bench) -> None:
    bench.text("train", "1;2;3\n0;;4\n1;3;3\n")
    semicolons = bench.train({"num_round": "2", "min_child_weight": "0"}).model
    bench.text("train", "1,2,3\n0,,4\n1,3,3\n")
    assert bench.train({"num_round": "2", "min_child_weight": "0"}).model == semicolons


def test_rows_of_a_query_must_follow_each_other(bench: Bench) -> None:
    bench.text("train", "1 qid:7 0:1\n0 qid:8 0:2\n1 qid:7 0:3\n", "libsvm")
    text = refused(bench, {"objective": "rank:ndcg"})
    assert (
        text
        == "channel train, file rows, row 3: qid 7 was there before; the rows of one query must follow each other"
    )


def test_rows_of_a_query_have_one_weight(bench: Bench) -> None:
    bench.text("train", "1:2 qid:7 0:1\n0:2 qid:7 0:2\n1:1 qid:8 0:3\n0:3 qid:8 0:4\n", "libsvm")
    text = refused(bench, {"objective": "rank:ndcg"})
    assert text.startswith(
        "channel train, file rows, row 4: all rows of a query must have the weight of its first row"
    )


def test_a_query_may_go_on_in_the_next_file(bench: Bench) -> None:
    bench.text("train", "1 qid:7 0:1\n0 qid:7 0:2\n", "libsvm", file="a")
    bench.text("train", "1 qid:7 0:3\n0 qid:3 0:2\n", "libsvm", file="b")
    channel = bench.channels["train"]
    hp = SPEC.parse({"num_round": "1", "objective": "rank:ndcg"})
    assert isinstance(hp, Hyperparameters)
    table = read(channel, hp, Cluster(), 1 << 20)
    blocks = list(table.blocks(1))
    assert [block.groups.tolist() for block in blocks if block.groups is not None] == [[1, 1, 1], [2]]


def test_a_ranking_without_queries_says_that_all_rows_are_one(bench: Bench) -> None:
    bench.text("train", "1,2,3\n0,3,4\n")
    assert bench.train({"num_round": "1", "objective": "rank:ndcg"}).said("all of them are one query")


def test_same_rows_in_both_channels_are_pointed_out(bench: Bench) -> None:
    bench.text("train", "1,2,3\n0,3,4\n").text("validation", "1,2,3\n0,3,4\n")
    assert bench.train({"num_round": "1"}).said("are they the same rows?")


def test_a_validation_channel_without_a_type_is_read_like_train(bench: Bench) -> None:
    bench.text("train", "1,2,3\n0,3,4\n").text("validation", "1,2,3\n", "text/libsvm")
    trained = bench.train({"num_round": "1"})
    assert trained.said("channel validation is read as text/csv, like channel train")
    assert trained.said("Validation matrix has 1 rows")


def test_an_empty_channel_is_refused(bench: Bench) -> None:
    bench.text("train", "1,2,3\n").text("validation", "\n")
    assert refused(bench, {}) == "channel validation: there is no row in it"


def test_a_model_channel_holds_one_model(bench: Bench) -> None:
    bench.text("model", b"{", file="xgboost-model-0").text("model", b"{", file="xgboost-model-1")
    with pytest.raises(UserError, match="must hold one model"):
        earlier_model(bench.channels["model"])
    bench.text("model", b"nothing", file="model.tar.gz")
    with pytest.raises(UserError, match="cannot be unpacked"):
        earlier_model(bench.channels["model"])
