"""Metrics are read from log lines by the declared patterns."""

from __future__ import annotations

import json
import math

from clary.runner.metrics import Extractor, History, Metrics, Point
from clary.toolkit.spec import Metric

LOSS = Metric(
    "train:loss", "Minimize", "#quality_metric: host={host}, epoch={epoch}, train loss <loss>={value}", "Loss."
)
RMSE = Metric("validation:rmse", "Minimize", "[{epoch}]{others}\tvalidation-rmse:{value}", "Error.")
TRAIN = Metric("train:rmse", "Minimize", "[{epoch}]{others}\ttrain-rmse:{value}", "Error.")


def test_values_come_with_time_and_epoch() -> None:
    extractor = Extractor([LOSS])
    assert extractor.read("[01/02/2030 INFO 1] " + LOSS.render(0.5, host="algo-1", epoch=3), 7.0) == ["train:loss"]
    assert extractor.metrics["train:loss"].points == [Point(0.5, 7.0, 3)]


def test_a_tab_and_its_escaped_form_are_the_same() -> None:
    extractor = Extractor([RMSE, TRAIN])
    assert extractor.read("[1]\ttrain-rmse:2.0\tvalidation-rmse:1.5", 1.0) == ["validation:rmse", "train:rmse"]
    extractor.read("[12]#011train-rmse:1.75#011validation-rmse:1.25", 2.0)
    extractor.read("03:04:05 [13]\ttrain-rmse:1.5\tvalidation-rmse:1.3", 3.0)
    assert extractor.metrics["validation:rmse"].points == [
        Point(1.5, 1.0, 1),
        Point(1.25, 2.0, 12),
        Point(1.3, 3.0, 13),
    ]
    assert extractor.metrics["train:rmse"].values == [2.0, 1.75, 1.5]


def test_the_best_value_is_the_goals() -> None:
    points = [Point(math.nan, 0.0, 0), Point(2.0, 1.0, 1), Point(1.0, 2.0, 2), Point(3.0, 3.0, 3)]
    assert History("a", "Minimize", points).best.epoch == 2
    assert History("a", "Maximize", points).best.epoch == 3
    assert math.isnan(History("a", "Maximize", points[:1]).best.value)


def test_lines_without_a_number_and_other_lines_report_nothing() -> None:
    extractor = Extractor([LOSS])
    assert extractor.read("#quality_metric: host=a, epoch=1, train loss <loss>=none", 0.0) == []
    assert extractor.read("nothing here", 0.0) == []
    assert len(extractor.metrics) == 0
    assert repr(extractor.metrics) == "no metrics yet"


def test_the_last_value_is_the_final_one_and_the_table_shows_it() -> None:
    extractor = Extractor([LOSS])
    for epoch, value in enumerate((3.0, 2.0, 1.0)):
        extractor.read(LOSS.render(value, host="algo-1", epoch=epoch), float(epoch))
    history = extractor.metrics["train:loss"]
    assert (history.value, history.values, len(history)) == (1.0, [3.0, 2.0, 1.0], 3)
    assert "train:loss" in repr(extractor.metrics)
    assert "<td>train:loss</td>" in extractor.metrics._repr_html_()


def test_json_is_valid_and_reads_back_whatever_the_values() -> None:
    points = [Point(1.5, 1.0, 0), Point(math.nan, 2.0), Point(math.inf, 3.0)]
    text = json.dumps(Metrics([History("a", "Minimize", points)]).as_json(), allow_nan=False)
    again = Metrics.from_json(json.loads(text))["a"]
    assert again.points[0] == points[0]
    assert math.isnan(again.points[1].value)
    assert again.value == math.inf
