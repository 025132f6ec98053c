"""Lists of dicts as lines of JSON, in files and in requests, and what comes back for them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from clary.algorithms import registry
from clary.sdk import wire
from clary.sdk.inputs import understand, understand_payload
from clary.sdk.objects import as_lines
from clary.sdk.shards import write_shards
from clary.toolkit.errors import UserError

SPEC, ROWS = registry.spec("deepar"), registry.spec("kmeans")
SERIES = [{"start": "2024-01-01", "target": [1.0, 2.0]}, {"start": "2024-01-02", "target": [3.0, None]}]


def bodies(data: Any, limit: int = 1 << 20, **configuration: Any) -> list[Any]:
    return [json.loads(body) for body, _ in wire.bodies(data, None, SPEC, limit, configuration)]


def test_values_of_other_libraries_become_json() -> None:
    record = {
        "start": pandas.Timestamp("2024-01-31 13:00"),
        "target": np.array([1.5, np.nan], np.float32),
        "cat": (np.int64(3),),
        "dynamic_feat": [pandas.Series([1.0, 2.0]), np.arange(4.0)[::2]],
        "day": datetime.date(2024, 1, 31),
        "none": pandas.NA,
    }
    (line,) = as_lines([record], name="it")
    assert json.loads(line) == {
        "start": "2024-01-31T13:00:00",
        "target": [1.5, None],
        "cat": [3],
        "dynamic_feat": [[1.0, 2.0], [0.0, 2.0]],
        "day": "2024-01-31",
        "none": None,
    }


def test_what_json_cannot_hold_is_named_by_its_place() -> None:
    with pytest.raises(UserError, match=r"channel train, item 2: this cannot be written as JSON: .*object"):
        understand("train", [SERIES[0], {"start": object()}], SPEC)


@pytest.mark.parametrize("data", [7, [[1, 2]], np.ones((2, 2)), [SERIES[0], 7], ({"a": 1}, "label")], ids=repr)
def test_what_is_no_list_of_dicts_is_refused(data: Any) -> None:
    with pytest.raises(UserError, match="channel train takes files, a list of dicts, or a pandas data frame with a"):
        understand("train", data, SPEC)


def test_a_label_has_no_meaning_for_objects() -> None:
    with pytest.raises(UserError, match="DeepAR learns without labels; leave out label='y'"):
        understand("train", SERIES, SPEC, label="y")


def test_a_list_is_shared_out_among_files_in_order(tmp_path: Path) -> None:
    given = understand("train", [*SERIES, SERIES[0]], SPEC)
    assert given.in_memory
    assert given.content_type == "application/jsonlines"
    assert write_shards(given, tmp_path, 2) == ["part_0.jsonl", "part_1.jsonl"]
    files = [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted(tmp_path.iterdir())]
    assert files == [[SERIES[0]], [SERIES[1], SERIES[0]]]
    assert understand_payload(SERIES, SPEC).lines == given.lines[:2]  # type: ignore[index]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.json"], "json"),
        (["a.jsonl"], "json"),
        (["A.JSON.GZ"], "json.gz"),
        (["a.parquet"], "parquet"),
        (["a.json", "b.parquet", "c.jsonl.gz"], "application/jsonlines"),
    ],
)
def test_the_extension_tells_the_type_of_series(tmp_path: Path, names: list[str], kind: str) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert understand("train", tmp_path, SPEC).content_type == kind


def test_a_name_that_tells_nothing_needs_a_type(tmp_path: Path) -> None:
    (tmp_path / "part-0").write_bytes(b"{}\n")
    with pytest.raises(
        UserError, match="does not tell what it holds; say so with content_type=, for example content_type='applic"
    ):
        understand("train", tmp_path, SPEC)
    assert understand("train", tmp_path, SPEC, content_type="json").content_type == "json"
    assert understand("train", "s3://b/prefix/", SPEC).content_type is None
    assert understand("train", "s3://b/a.json.gz", SPEC).content_type == "json.gz"


# Data frames

DAYS = pandas.date_range("2024-01-30", periods=4)
FRAME = pandas.DataFrame({"a": [1, 2, 3, 4], "b": [np.nan, 5, np.nan, 7], "c": [8, 9, None, None]}, index=DAYS)


@pytest.mark.parametrize("frame", [FRAME, FRAME.to_period("D"), FRAME.astype("Float64")], ids=["times", "days", "NA"])
def test_each_column_of_a_data_frame_is_a_series(frame: Any) -> None:
    expected = [
        {"start": "2024-01-30 00:00:00", "target": [1.0, 2.0, 3.0, 4.0]},
        {"start": "2024-01-31 00:00:00", "target": [5.0, None, 7.0]},
        {"start": "2024-01-30 00:00:00", "target": [8.0, 9.0]},
    ]
    assert [json.loads(line) for line in understand("train", frame, SPEC).lines or ()] == expected
    assert bodies(frame, num_samples=5) == [{"instances": expected, "configuration": {"num_samples": 5}}]


def test_months_of_different_lengths_are_regular() -> None:
    ends = pandas.DataFrame({"a": [1, 2, 3]}, index=pandas.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31"]))
    (line,) = understand("train", ends, SPEC).lines or ()
    assert json.loads(line) == {"start": "2024-01-31 00:00:00", "target": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (FRAME.reset_index(drop=True), "the index of the data frame must hold times without a zone; it holds int64"),
        (FRAME.tz_localize("UTC"), "must hold times without a zone"),
        (FRAME.iloc[[0, 1, 3]], r"the times of the data frame have no regular step; asfreq\(\)"),
        (FRAME.iloc[::-1], "no regular step"),
        (FRAME.iloc[[0, 0, 1, 2]], "no regular step"),
        (FRAME.assign(d=np.nan), "column 'd' holds no value"),
        (FRAME.assign(d="x"), "column 'd' must hold numbers"),
    ],
    ids=["no times", "zone", "gap", "backwards", "twice", "empty", "text"],
)
def test_a_data_frame_that_holds_no_series_is_refused(frame: Any, reason: str) -> None:
    with pytest.raises(UserError, match=f"channel train: .*{reason}"):
        understand("train", frame, SPEC)


# Requests and answers


def test_a_configuration_goes_along_with_every_request() -> None:
    data, more = SERIES * 20, {"num_samples": 7, "quantiles": np.array([0.5])}
    found = bodies(data, 400, **more)
    assert len(found) > 5
    assert [each for body in found for each in body["instances"]] == data
    assert all(body["configuration"] == {"num_samples": 7, "quantiles": [0.5]} for body in found)
    assert "configuration" not in bodies(SERIES)[0]


def test_an_object_above_the_limit_travels_alone() -> None:
    long = {"start": "2024-01-01", "target": [1.0] * 500}
    assert [len(body["instances"]) for body in bodies([SERIES[0], long, SERIES[1], SERIES[1]], 300)] == [1, 1, 2]


def test_lines_are_cut_as_documents_are() -> None:
    found = [body for body, _ in wire.bodies(SERIES * 20, "application/jsonlines", SPEC, 400)]
    assert len(found) > 5
    assert [json.loads(line) for body in found for line in body.splitlines()] == SERIES * 20


def test_a_configuration_that_cannot_go_along_is_refused() -> None:
    for data, kind in ((SERIES, "application/jsonlines"), ({"instances": SERIES}, None), (b"{}", None)):
        with pytest.raises(UserError, match="a configuration goes along with a list of dicts that is sent as JSON"):
            list(wire.bodies(data, kind, SPEC, 1 << 20, {"num_samples": 1}))
    with pytest.raises(TypeError, match="requests of K-means have no configuration"):
        list(wire.bodies([[1.0]], None, ROWS, 1 << 20, {"num_samples": 1}))


def test_answers_with_objects_in_them_come_as_dicts() -> None:
    answer = b'{"predictions": [{"mean": [1.0], "quantiles": {"0.5": [2.0]}}, {"mean": [3.0]}]}'
    found = wire.read(answer, "application/json", None, SPEC)
    assert found == [{"mean": [1.0], "quantiles": {"0.5": [2.0]}}, {"mean": [3.0]}]
    assert wire.join([found, found], SPEC) == found * 2
    assert wire.read(answer, "application/json", "application/json", SPEC) == json.loads(answer)
