"""Series come out of files and requests as they were written, in whatever form and however many files."""

from __future__ import annotations

import gzip
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.deepar.data import Fields, Series, instances, read
from clary.algorithms.deepar.frequency import Frequency
from clary.toolkit.errors import DataError, UserError
from forecasting import HOURLY, channel, lines, settings, written

FULL = {**HOURLY, "cat": [0, 2], "dynamic_feat": [[1, 2, 3], [0.5, 0.25, 0]]}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-(2**24), 2**24)
# What a JSON parser may find in a list, most of it usable.
ANYTHING = st.one_of(
    *[NUMBERS] * 6, st.sampled_from([None, "NaN", True, False, "nan", "1", [], [1.0], {}, 1e39, -(2**200)])
)
TARGETS = st.lists(NUMBERS | st.sampled_from([None, "NaN"]), min_size=1, max_size=8)


def loaded(folder: Path, content_type: str = "json", fields: Fields | None = None, **given: Any) -> Series:
    return read(channel(folder, content_type), settings(**given), fields)[0]


def fields_of(folder: Path, **given: Any) -> Fields:
    return read(channel(folder), settings(**given))[1]


def points(series: Series) -> list[list[float | None]]:
    """The points of each series, None where one is missing."""
    values = [None if np.isnan(point) else point for point in series.target.tolist()]
    return [values[begin:end] for begin, end in pairwise(series.ends)]


def features(series: Series) -> list[list[list[float]]]:
    """The dynamic features of each series, as a file has them."""
    return [series.dynamic[begin:end].T.tolist() for begin, end in pairwise(series.dynamic_ends)]


def same(one: Series, other: Series) -> bool:
    """Whether two hold the same series, wherever they came from."""
    names = ("start", "target", "ends", "cat", "dynamic", "dynamic_ends")
    return all(np.array_equal(getattr(one, n), getattr(other, n), equal_nan=n == "target") for n in names)


@st.composite
def many(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Series that have the same fields."""
    cats, dynamic = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    found = []
    for target in draw(st.lists(TARGETS, min_size=1, max_size=6)):
        record: dict[str, Any] = {"start": str(draw(st.datetimes()).replace(microsecond=0)), "target": target}
        if cats:
            record["cat"] = draw(st.lists(st.integers(0, 9), min_size=cats, max_size=cats))
        if dynamic:
            size = len(target) + draw(st.sampled_from([0, 2]))
            row = st.lists(NUMBERS, min_size=size, max_size=size)
            record["dynamic_feat"] = draw(st.lists(row, min_size=dynamic, max_size=dynamic))
        found.append(record)
    return found


@given(many(), st.booleans())
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[Any], zipped: bool) -> None:
    folder, content = tmp_path_factory.mktemp("series"), lines(*records)
    (folder / "a.json").write_bytes(gzip.compress(content) if zipped else content)
    series, fields = read(channel(folder), settings(time_freq="S"))
    assert points(series) == [[None if each == "NaN" else each for each in record["target"]] for record in records]
    assert features(series) == [record.get("dynamic_feat", []) for record in records]
    assert series.cat.tolist() == [record.get("cat", []) for record in records]
    starts = [np.datetime64(record["start"], "s").astype(int) for record in records]
    assert series.start.tolist() == starts
    assert series.lengths.tolist() == [len(record["target"]) for record in records]
    assert (len(fields.categories or ()), fields.dynamic) == (series.cat.shape[1], series.dynamic.shape[1])
    asked = [{**each, "dynamic_feat": padded(each)} if fields.dynamic else each for each in records]
    assert points(instances(asked, fields, 2, Frequency("S"))) == points(series)


def padded(record: dict[str, Any]) -> list[list[float]]:
    """The features of a series with those of the forecast."""
    size = len(record["target"]) + 2
    return [([*row, 0, 0])[:size] for row in record["dynamic_feat"]]


def is_usable(value: Any) -> bool:
    if type(value) in (int, float):
        return bool(abs(value) < 3.4028235677973366e38)
    return bool(value is None or value == "NaN")


@given(st.lists(ANYTHING, min_size=1, max_size=12), st.sampled_from([0, 200]))
def test_values_are_taken_or_the_first_bad_one_is_named(values: list[Any], more: int) -> None:
    """However they are looked at: a long list of plain numbers is converted at once."""
    target = [2.5] * more + values
    bad = [at for at, value in enumerate(target) if not is_usable(value)]
    asked = [{**HOURLY, "target": target}], Fields(None, 0), 2, Frequency("H")
    if not bad:
        assert points(instances(*asked)) == [[None if value == "NaN" else value for value in target]]
        return
    with pytest.raises(DataError) as refused:
        instances(*asked)
    assert refused.value.field == f"target[{bad[0]}]"


MEMBERS = st.lists(
    st.tuples(st.sampled_from(["start", "target", "cat", "id", 'a "cat"']), st.integers(0, 5)), max_size=4
)


@given(MEMBERS)
def test_a_field_comes_once(tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, int]]) -> None:
    """Names within texts and other fields do not count."""
    texts = ["5", '"x"', '"\\"target\\""', '{"start": 1, "target": {"start": 1}}', '["cat", "cat"]', '"cat"']
    body = ", ".join(f"{json.dumps(name)}: {texts[which]}" for name, which in members)
    line = f'{{"target": [1], {body}{", " if body else ""}"start": "2024-01-31"}}'.encode()
    names = ["start", "target", *(name for name, _ in members)]
    twice = [name for name in ("start", "target", "cat") if names.count(name) > 1]
    folder = written(tmp_path_factory.mktemp("series"), a=lines(line))
    if not twice:
        assert points(loaded(folder, cardinality="ignore")) == [[1]]
        return
    with pytest.raises(DataError, match="comes twice; a series has each field once") as refused:
        loaded(folder, cardinality="ignore")
    assert refused.value.field == twice[0]


@given(many(), st.data())
def test_series_are_taken_and_joined(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any], data: st.DataObject
) -> None:
    series = loaded(written(tmp_path_factory.mktemp("series"), a=lines(*records)))
    chosen = data.draw(st.lists(st.integers(0, len(series) - 1), max_size=8))
    taken = series.take(np.array(chosen, np.int64))
    assert points(taken) == [points(series)[at] for at in chosen]
    assert features(taken) == [features(series)[at] for at in chosen]
    assert taken.rows.tolist() == [at + 1 for at in chosen]
    half = len(series) // 2
    parts = [series.take(np.arange(half)), series.take(np.arange(half, len(series))), taken]
    assert same(Series.join(parts), series.take(np.array([*range(len(series)), *chosen])))
    assert Series.join([series]) is series


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-31", "2024-01-31T00:00:00"),
        ("2024-01-31 13:05", "2024-01-31T13:05:00"),
        ("2024-01-31 13:05:07", "2024-01-31T13:05:07"),
        ("2024-01-31T13:05:07", "2024-01-31T13:05:07"),
        ("2024-01-31 13:05:07.999999999", "2024-01-31T13:05:07"),
        ("0001-01-01 00:00:00", "0001-01-01T00:00:00"),
        ("9999-12-31 23:59:59", "9999-12-31T23:59:59"),
    ],
)
def test_a_start_is_a_date_or_a_date_and_a_time(text: str, time: str, tmp_path: Path) -> None:
    series = loaded(written(tmp_path, a=lines({**HOURLY, "start": text})), time_freq="S")
    assert series.start.tolist() == [np.datetime64(time, "s").astype(int)]


def test_a_start_off_the_grid_counts_from_the_beginning_of_its_unit(tmp_path: Path) -> None:
    folder = written(tmp_path, a=lines(HOURLY, {**HOURLY, "start": "2024-01-31 13:59:59"}))
    assert loaded(folder).start.tolist() == [(np.datetime64("2024-01-31T13") - np.datetime64(0, "h")).astype(int)] * 2
    assert len(set(loaded(folder, time_freq="W").start.tolist())) == 1


def test_missing_points_are_nan_and_no_observations(tmp_path: Path) -> None:
    series = loaded(
        written(tmp_path, a=lines({**HOURLY, "target": [None, "NaN", 0, 1]}, {**HOURLY, "target": [None]}))
    )
    assert points(series) == [[None, None, 0, 1], [None]]
    assert series.observations == 2
    assert series.target.dtype == np.float32


def test_other_fields_are_left_alone(tmp_path: Path) -> None:
    series = loaded(written(tmp_path, a=lines({**HOURLY, "id": "x", "target_name": [{"start": 1}]})))
    assert points(series) == [[1, 2, 3]]


def test_a_name_may_come_again_within_other_fields(tmp_path: Path) -> None:
    again = {**HOURLY, "note": "target", "of": {"start": "cat", "target": []}}
    assert points(loaded(written(tmp_path, a=lines(again)))) == [[1, 2, 3]]


def test_a_single_category_needs_no_brackets(tmp_path: Path) -> None:
    series, fields = read(
        channel(written(tmp_path, a=lines({**HOURLY, "cat": 4}, {**HOURLY, "cat": [1]}))), settings()
    )
    assert series.cat.tolist() == [[4], [1]]
    assert fields == Fields((5,), 0)


def test_fields_are_found_in_the_data(tmp_path: Path) -> None:
    assert fields_of(written(tmp_path, a=lines(HOURLY))) == Fields(None, 0)
    assert fields_of(written(tmp_path, a=lines({**HOURLY, "cat": None, "dynamic_feat": None}))) == Fields(None, 0)
    assert fields_of(written(tmp_path, a=lines(FULL, {**FULL, "cat": [7, 0]}))) == Fields((8, 3), 2)
    assert fields_of(written(tmp_path, a=lines(FULL)), cardinality="[9, 3]", num_dynamic_feat=2) == Fields((9, 3), 2)


def test_fields_that_are_ignored_are_not_even_looked_at(tmp_path: Path) -> None:
    folder = written(tmp_path, a=lines({**FULL, "cat": "red", "dynamic_feat": 5}, HOURLY, FULL))
    series, fields = read(channel(folder), settings(cardinality="ignore", num_dynamic_feat="ignore"))
    assert fields == Fields(None, 0)
    assert (series.cat.shape, series.dynamic.shape, series.dynamic_ends.tolist()) == ((3, 0), (0, 0), [0] * 4)
    assert same(loaded(folder, fields=fields, cardinality="ignore", num_dynamic_feat="ignore"), series)


def test_a_test_channel_has_the_fields_of_the_train_channel(tmp_path: Path) -> None:
    folder, trained = written(tmp_path, a=lines(FULL)), Fields((1, 3), 2)
    assert read(channel(folder), settings(), trained)[1] is trained
    for fields, name in (
        (Fields((1, 2), 2), "cat[1]"),
        (Fields(None, 2), "cat"),
        (Fields((1, 3), 1), "dynamic_feat"),
    ):
        with pytest.raises(DataError, match="as in the train channel") as refused:
            loaded(folder, fields=fields)
        assert refused.value.field == name


def test_features_may_go_on_beyond_the_target(tmp_path: Path) -> None:
    ahead = {**FULL, "dynamic_feat": [[1, 2, 3, 4, 5], [0] * 5]}
    series = loaded(written(tmp_path, a=lines(FULL, ahead)))
    assert features(series) == [FULL["dynamic_feat"], ahead["dynamic_feat"]]
    assert series.dynamic_ends.tolist() == [0, 3, 8]


def test_files_are_read_in_order_and_markers_are_not(tmp_path: Path) -> None:
    for number, name in enumerate(["b.json", "a.jsonl", "part/x.json.gz", "part/deep/y.json", "z.parquet"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        record = {**HOURLY, "target": [number]}
        (tmp_path / name).write_bytes(
            parquet(record) if "parquet" in name else gzip.compress(lines(record)) if "gz" in name else lines(record)
        )
    for name in ("_SUCCESS", ".a.json.crc", "part/_SUCCESS", ".ipynb_checkpoints/b.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no series")
    series = loaded(tmp_path)
    assert points(series) == [[1], [0], [3], [2], [4]]
    assert str(series.error(3, "wrong", "cat")) == "channel train, file part/x.json.gz, line 1, field cat: wrong"
    assert str(series.error(4, "wrong")) == "channel train, file z.parquet, row 1: wrong"


@pytest.mark.parametrize(
    "content_type", ["json", "json.gz", "application/jsonlines", "application/json; charset=utf-8"]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_the_content_type_decides_without_an_extension(content_type: str, zipped: bool, tmp_path: Path) -> None:
    (tmp_path / "part-00000").write_bytes(gzip.compress(lines(HOURLY)) if zipped else lines(HOURLY))
    assert points(loaded(tmp_path, content_type)) == [[1, 2, 3]]


@pytest.mark.parametrize("content_type", ["parquet", "application/x-parquet"])
def test_the_extension_decides_against_the_content_type(content_type: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(lines(HOURLY))
    (tmp_path / "b").write_bytes(parquet(HOURLY))
    assert points(loaded(tmp_path, content_type)) == [[1, 2, 3]] * 2


def test_lines_may_end_as_on_windows_and_begin_with_a_mark(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines(HOURLY, b"", HOURLY).replace(b"\n", b"\r\n").rstrip()
    series = loaded(written(tmp_path, a=content))
    assert series.rows.tolist() == [1, 3]


def test_gzip_that_was_cut_off_is_refused_by_file(tmp_path: Path) -> None:
    whole = gzip.compress(lines(*[{**HOURLY, "target": np.random.default_rng(0).random(2000).tolist()}] * 50))
    (tmp_path / "a.json.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"^channel train, file a\.json\.gz: the gzip data end early"):
        loaded(tmp_path)
    (tmp_path / "a.json.gz").write_bytes(whole[:-20] + b"\0" * 20)
    with pytest.raises(DataError, match=r"^channel train, file a\.json\.gz: the gzip data"):
        loaded(tmp_path)


def test_gzip_members_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(lines(HOURLY)) * 3)
    assert loaded(tmp_path).rows.tolist() == [1, 2, 3]


def test_a_host_without_files_has_no_series_but_all_fields(tmp_path: Path) -> None:
    empty = channel(tmp_path)
    empty.may_be_empty = True
    series, fields = read(empty, settings(cardinality="[2, 3]", num_dynamic_feat=4))
    assert fields == Fields((2, 3), 4)
    assert (len(series), series.cat.shape, series.dynamic.shape) == (0, (0, 2), (0, 4))
    assert read(empty, settings())[1] == Fields(None, 0)


# Parquet


def table(**columns: Any) -> bytes:
    """A parquet file with these columns; arrays keep their types."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def parquet(*records: dict[str, Any]) -> bytes:
    return table(**{name: [record[name] for record in records] for name in records[0]})


def of_parquet(folder: Path, content: bytes, **given: Any) -> Series:
    (folder / "a.parquet").write_bytes(content)
    return loaded(folder, **given)


@given(many())
def test_parquet_holds_the_same_series(tmp_path_factory: pytest.TempPathFactory, records: list[Any]) -> None:
    text, rows = tmp_path_factory.mktemp("text"), tmp_path_factory.mktemp("rows")
    numbers = [
        {**each, "target": [None if point == "NaN" else point for point in each["target"]]} for each in records
    ]
    types = {"target": pa.list_(pa.float64()), "dynamic_feat": pa.list_(pa.list_(pa.float64()))}
    columns = {name: pa.array([each[name] for each in numbers], types.get(name)) for name in records[0]}
    assert same(of_parquet(rows, table(**columns)), loaded(written(text, a=lines(*records))))


@pytest.mark.parametrize("kind", ["float32", "int8", "uint64", "float16"])
def test_targets_are_lists_of_any_numbers(kind: str, tmp_path: Path) -> None:
    wide = pa.array([[1, None, 3], [4]], pa.list_(pa.float64() if kind.startswith("f") else getattr(pa, kind)()))
    targets = wide.cast(pa.large_list(getattr(pa, kind)()))
    assert points(of_parquet(tmp_path, table(start=["2024-01-31"] * 2, target=targets))) == [[1, None, 3], [4]]


def test_nan_and_null_are_missing_points(tmp_path: Path) -> None:
    content = table(start=["2024-01-31"], target=pa.array([[1.0, float("nan"), None]]))
    assert points(of_parquet(tmp_path, content)) == [[1, None, None]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_starts_may_be_times(unit: str, tmp_path: Path) -> None:
    times = pa.array(np.array(["2024-01-31T13:59:59", "1969-12-31T23:00:00"], f"M8[{unit}]"))
    series = of_parquet(tmp_path, table(start=times, target=[[1], [2]]))
    assert series.start.tolist() == [(np.datetime64("2024-01-31T13", "h")).astype(int), -1]


def test_starts_may_be_days(tmp_path: Path) -> None:
    days = pa.array(np.array(["2024-01-31"], "M8[D]"))
    assert of_parquet(tmp_path, table(start=days, target=[[1]]), time_freq="D").start.tolist() == [19753]


def test_starts_may_be_text_of_any_kind(tmp_path: Path) -> None:
    texts = pa.array(["2024-01-31"] * 2)
    for column in (texts.dictionary_encode(), texts.cast(pa.large_string())):
        assert len(of_parquet(tmp_path, table(start=column, target=[[1], [2]]))) == 2


def test_columns_that_are_ignored_or_empty_may_hold_anything(tmp_path: Path) -> None:
    content = table(start=TIMES, target=[[1], [2]], cat=["a", "b"], dynamic_feat=[1, 2], id=["x", "y"])
    assert points(of_parquet(tmp_path, content, cardinality="ignore", num_dynamic_feat="")) == [[1], [2]]
    content = table(start=TIMES, target=[[1], [2]], cat=pa.nulls(2), dynamic_feat=pa.nulls(2))
    assert points(of_parquet(tmp_path, content)) == [[1], [2]]


def test_rows_are_counted_over_many_groups(tmp_path: Path) -> None:
    targets = [[number] for number in range(1000)]
    stream = io.BytesIO()
    pq.write_table(pa.table({"target": targets, "start": ["2024-01-31"] * 1000}), stream, row_group_size=37)
    series = of_parquet(tmp_path, stream.getvalue())
    assert points(series) == targets
    assert series.rows.tolist() == list(range(1, 1001))


TIMES = pa.array(np.array(["2024-01-31"] * 2, "M8[s]"))
WHERE = "channel train, file a.parquet"
IN_PARQUET = [
    ({"start": None}, "field start", "there is no column of this name; the file has target, cat, dynamic_feat"),
    ({"target": None}, "field target", "there is no column of this name"),
    ({"start": pa.nulls(2)}, "row 1, field start", "is missing; every series has start and target"),
    ({"start": [1, 2]}, "field start", "the column holds int64; it must hold text or times without time zone"),
    (
        {"start": TIMES.cast(pa.timestamp("s", "UTC"))},
        "field start",
        ", tz=UTC]; it must hold text or times without time zone",
    ),
    ({"start": pa.array([TIMES[0].as_py(), None])}, "row 2, field start", "is missing"),
    ({"start": ["2024-01-31", None]}, "row 2, field start", "is missing"),
    ({"start": ["2024-01-31", "later"]}, "row 2, field start", 'got "later"'),
    ({"start": pa.array([0, 2**40], pa.timestamp("s"))}, "row 2, field start", "must be a date and time"),
    ({"target": [1.0, 2.0]}, "field target", "the column holds double; it must hold lists of numbers"),
    ({"target": [["1"], ["2"]]}, "field target", "the column holds list<"),
    ({"target": ["[1]", "[2]"]}, "field target", "the column holds string"),
    ({"target": [[True], [False]]}, "field target", "bool"),
    ({"target": [[[1.0]], [[2.0]]]}, "field target", "it must hold lists of numbers"),
    ({"target": [[1.0], None]}, "row 2, field target", "is missing"),
    ({"target": [[1.0], []]}, "row 2, field target", "is empty"),
    ({"target": [[1.0], [float("-inf")]]}, "row 2, field target[0]", "found -inf"),
    ({"target": [[1.0], [1e39]]}, "row 2, field target[0]", "too large"),
    ({"cat": [["a"], ["b"]]}, "field cat", "it must hold lists of integers"),
    ({"cat": [[0.0], [1.0]]}, "field cat", "it must hold lists of integers"),
    ({"cat": [[0], [-1]]}, "row 2, field cat[0]", "found -1"),
    ({"cat": [[0], [None]]}, "row 2, field cat[0]", "found null"),
    ({"cat": [[0], None]}, "row 2, field cat", "is missing; every series must have it, as in the first series"),
    ({"cat": [[0], [0, 1]]}, "row 2, field cat", "holds 2 integers"),
    ({"dynamic_feat": [[1.0], [1.0]]}, "field dynamic_feat", "it must hold lists of lists of numbers"),
    (
        {"dynamic_feat": [[[1.0]], [[1.0, 2.0]]]},
        "row 2, field dynamic_feat[0]",
        "holds 2 values; it must hold 1 or 3",
    ),
    ({"dynamic_feat": [[[1.0]], [[None]]]}, "row 2, field dynamic_feat[0][0]", "found nan"),
    ({"dynamic_feat": [[[1.0]], [None]]}, "row 2, field dynamic_feat[0]", "found null"),
    ({"dynamic_feat": [[[1.0]], None]}, "row 2, field dynamic_feat", "is missing"),
]


@pytest.mark.parametrize(("columns", "place", "words"), IN_PARQUET)
def test_a_mistake_in_parquet_is_named(columns: dict[str, Any], place: str, words: str, tmp_path: Path) -> None:
    good = {"start": TIMES, "target": [[1.0], [2.0]], "cat": [[0], [1]], "dynamic_feat": [[[1.0]], [[2.0]]]}
    kept = {name: column for name, column in {**good, **columns}.items() if column is not None}
    with pytest.raises(DataError) as refused:
        of_parquet(tmp_path, table(**kept))
    assert str(refused.value).startswith(f"{WHERE}, {place}: ")
    assert words in str(refused.value)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    twice = pa.table([TIMES, pa.array([[1], [2]]), pa.array([[1], [2]])], names=["start", "target", "target"])
    pq.write_table(twice, stream)
    with pytest.raises(DataError, match=f"^{WHERE}, field target: there are two columns of this name"):
        of_parquet(tmp_path, stream.getvalue())


@pytest.mark.parametrize("content", [b"", b"PAR1", json.dumps(HOURLY).encode(), b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_refused_by_file(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^{WHERE}.*: not a parquet file that can be read"):
        of_parquet(tmp_path, content)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    for name in ("a.json", "b.parquet"):
        (folder / name).write_bytes(gzip.compress(content) if zipped else content)
        with pytest.raises(UserError):
            loaded(folder / name)


# Requests


def test_a_request_is_read_like_a_file() -> None:
    ahead = {**FULL, "dynamic_feat": [[1, 2, 3, 4, 5], [0] * 5]}
    series = instances([ahead, ahead], Fields((1, 3), 2), 2, Frequency("H"))
    assert points(series) == [[1, 2, 3]] * 2
    assert features(series) == [ahead["dynamic_feat"]] * 2
    assert series.cat.tolist() == [[0, 2]] * 2
    assert str(series.error(1, "wrong")) == "instance 2: wrong"


def test_a_request_may_hold_nothing() -> None:
    series = instances([], Fields((1, 3), 2), 2, Frequency("H"))
    assert (len(series), series.cat.shape, series.dynamic.shape) == (0, (0, 2), (0, 2))
