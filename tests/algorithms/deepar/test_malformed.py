"""What users get wrong in a file or a request of series: each mistake is refused by file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clary.algorithms.deepar.data import Fields, Series, check_observations, check_support, instances, read
from clary.algorithms.deepar.frequency import Frequency
from clary.toolkit.errors import DataError, UnsupportedMediaError, UserError
from forecasting import HOURLY, channel, lines, settings, written

GOOD = {**HOURLY, "cat": [0, 2], "dynamic_feat": [[1, 2, 3], [0.5, 0.25, 0]]}
FIRST = "as in the first series"
NUMBER = 'every value must be a number, null or "NaN"'
DATE = 'a date and time such as "2024-01-31 13:00:00"'


def but(**changed: Any) -> dict[str, Any]:
    """A good series with other values in some fields; those that are ``...`` are left out."""
    return {name: value for name, value in {**GOOD, **changed}.items() if value is not ...}


# The third line of a file, the field that the message names, and what it says of it.
IN_FILES = [
    # start
    (but(start=...), "start", "is missing; every series has start and target, this one target, cat, dynamic_feat"),
    (but(start=None), "start", "is missing"),
    (but(start=1706706000), "start", f"must be {DATE}; got 1706706000"),
    (but(start=True), "start", "got a boolean"),
    (but(start=["2024-01-31"]), "start", "got a list"),
    (but(start={}), "start", "got an object"),
    (but(start=""), "start", 'got ""'),
    (but(start="yesterday"), "start", 'got "yesterday"'),
    (but(start="31.01.2024"), "start", 'got "31.01.2024"'),
    (but(start="2024/01/31 13:00:00"), "start", 'got "2024/01/31 13:00:00"'),
    (but(start="2024-1-31"), "start", 'got "2024-1-31"'),
    (but(start="2024-01"), "start", 'got "2024-01"'),
    (but(start="31-01-2024"), "start", f'must be {DATE}; got "31-01-2024"'),
    (but(start="2024-01-31 13"), "start", 'got "2024-01-31 13"'),
    (but(start="2024-01-31 13:00:00 "), "start", "must be"),
    (but(start="2024-01-31 1:00 PM"), "start", "must be"),
    (but(start="2024-01-31 13:00:00Z"), "start", "must be without time zone"),
    (but(start="2024-01-31T13:00:00+01:00"), "start", "must be without time zone"),
    (but(start="2024-01-31 13:00:00 UTC"), "start", "must be without time zone"),
    (but(start="2023-02-29"), "start", "is no time of the calendar (day is out of range for month)"),
    (but(start="2024-13-01 00:00:00"), "start", "is no time of the calendar (month must be in 1..12"),
    (but(start="2024-01-31 24:00:00"), "start", "is no time of the calendar (hour must be in 0..23"),
    (but(start="0000-01-01"), "start", "is no time of the calendar"),
    (but(start="x" * 1000), "start", f'got "{"x" * 40}..."'),
    # target
    (but(target=...), "target", "is missing; every series has start and target, this one start, cat, dynamic_feat"),
    (but(target=None), "target", "is missing"),
    (but(target=5), "target", "must be a list of numbers; got 5"),
    (but(target="1,2,3"), "target", 'must be a list of numbers; got "1,2,3"'),
    (but(target={"0": 1}), "target", "got an object"),
    (but(target=[]), "target", "is empty; a series needs at least one point"),
    (but(target=[1, "2", 3]), "target[1]", f'found "2"; {NUMBER}'),
    (but(target=[1, 2, "nan"]), "target[2]", 'found "nan"'),
    (but(target=["", 2, 3]), "target[0]", 'found ""'),
    (but(target=[1, "NaN", "Infinity"]), "target[2]", 'found "Infinity"'),
    (but(target=[None, True, 3]), "target[1]", "found a boolean"),
    (but(target=[False, 2, 3]), "target[0]", "found a boolean"),
    (but(target=[1, [2], 3]), "target[1]", "found a list"),
    (but(target=[[1, 2, 3]]), "target[0]", "found a list"),
    (but(target=[1, {"value": 2}, 3]), "target[1]", "found an object"),
    (but(target=[1, 1e39, 3]), "target[1]", "found 1e+39, which is too large for a 32-bit float"),
    (but(target=[None, 2, -(10**40)]), "target[2]", "found -1e+40, which is too large"),
    # cat
    (but(cat=...), "cat", f"is missing; every series must have it, {FIRST}"),
    (but(cat=None), "cat", "is missing"),
    (but(cat="0"), "cat", 'must be a list of integers; got "0"'),
    (but(cat={"0": 2}), "cat", "got an object"),
    (but(cat=True), "cat", "got a boolean"),
    (but(cat=1.5), "cat", "got 1.5"),
    (but(cat=1), "cat", f"holds 1 integer; it must hold 2, {FIRST}"),
    (but(cat=[]), "cat", "is empty; leave the field out of every series where there is no integer"),
    (but(cat=[1]), "cat", "holds 1 integer; it must hold 2"),
    (but(cat=[1, 2, 3]), "cat", "holds 3 integers; it must hold 2"),
    (but(cat=[0, -1]), "cat[1]", "found -1; categories are integers from 0"),
    (but(cat=[0.0, 1]), "cat[0]", "found 0.0"),
    (but(cat=[1, 1.5]), "cat[1]", "found 1.5"),
    (but(cat=["red", 1]), "cat[0]", 'found "red"'),
    (but(cat=[1, "1"]), "cat[1]", 'found "1"'),
    (but(cat=[1, None]), "cat[1]", "found null"),
    (but(cat=[1, True]), "cat[1]", "found a boolean"),
    (but(cat=[[0, 1]]), "cat[0]", "found a list"),
    (but(cat=[1, 10_000_000]), "cat[1]", "found 10000000; categories are integers from 0 to 9999999"),
    (but(cat=[1, 2**70]), "cat[1]", "found 1.18"),
    # dynamic_feat
    (but(dynamic_feat=...), "dynamic_feat", f"is missing; every series must have it, {FIRST}"),
    (but(dynamic_feat=None), "dynamic_feat", "is missing"),
    (but(dynamic_feat="1,2,3"), "dynamic_feat", 'must be a list of lists, one for each feature; got "1,2,3"'),
    (but(dynamic_feat={"price": [1, 2, 3]}), "dynamic_feat", "got an object"),
    (but(dynamic_feat=[]), "dynamic_feat", "is empty; leave the field out"),
    (but(dynamic_feat=[1, 2, 3]), "dynamic_feat[0]", "found 1; dynamic_feat is a list of lists"),
    (but(dynamic_feat=[[1, 2, 3], None]), "dynamic_feat[1]", "found null"),
    (but(dynamic_feat=[[1, 2, 3]]), "dynamic_feat", f"holds 1 feature; it must hold 2, {FIRST}"),
    (but(dynamic_feat=[[1, 2, 3]] * 3), "dynamic_feat", "holds 3 features; it must hold 2"),
    (but(dynamic_feat=[[1, 2]] * 2), "dynamic_feat[0]", "holds 2 values; it must hold 3 or 5"),
    (but(dynamic_feat=[[1, 2, 3], []]), "dynamic_feat[1]", "holds 0 values; it must hold 3 or 5"),
    (but(dynamic_feat=[[1] * 4] * 2), "dynamic_feat[0]", "target has 3, the forecast 2"),
    (but(dynamic_feat=[[1] * 3, [1] * 5]), "dynamic_feat[1]", "holds 5 values, other than dynamic_feat[0]"),
    (but(dynamic_feat=[[1] * 6] * 2), "dynamic_feat[0]", "holds 6 values; it must hold 3 or 5"),
    (but(dynamic_feat=[[1, 2, 3], [1, None, 3]]), "dynamic_feat[1][1]", "found null; every value must be a number"),
    (but(dynamic_feat=[["NaN", 2, 3], [1, 2, 3]]), "dynamic_feat[0][0]", "features have no missing values"),
    (but(dynamic_feat=[[1, 2, "3"], [1, 2, 3]]), "dynamic_feat[0][2]", 'found "3"'),
    (but(dynamic_feat=[[1, 2, 3], [1, 2, True]]), "dynamic_feat[1][2]", "found a boolean"),
    (but(dynamic_feat=[[1, 2, [3]], [1, 2, 3]]), "dynamic_feat[0][2]", "found a list"),
    (but(dynamic_feat=[[1, 2, 3e38], [1, 2, 4e38]]), "dynamic_feat[1][2]", "which is too large for a 32-bit float"),
    (but(dynamic_feat=[[[1], [2], [3]]] * 2), "dynamic_feat[0][0]", "found a list"),
    # names
    (b'{"start": "2024-01-31", "target": [1], "target": [2]}', "target", "comes twice"),
    (b'{"start": "2024-01-31", "target": [1], "cat": [0, 1], "cat": [0, 1]}', "cat", "comes twice"),
    ({"Start": "2024-01-31", "Target": [1, 2]}, "start", "this one Start, Target"),
    ({"start": "2024-01-31", "targets": [1, 2]}, "target", "this one start, targets"),
    ({"instances": [GOOD]}, "start", "this one instances"),
    ({}, "start", "this one nothing"),
]
# A third line that is no object with fields, and what is said of it.
NO_OBJECTS = [
    (b"start,target", "each line holds one whole series"),
    (b"{", "each line holds one whole series"),
    (b"{'start': '2024-01-31', 'target': [1]}", "not JSON: "),
    (b'{"start": "2024-01-31", "target": [1, 2}', "not JSON: "),
    (b'{"start": "2024-01-31", "target": [1, 2],}', "not JSON: "),
    (b'{"start": "2024-01-31", "target": [1, NaN]}', '; a missing value is null or "NaN", in quotes'),
    (b'{"start": "2024-01-31", "target": [1, Infinity]}', "not JSON: "),
    (b'{"start": "2024-01-31", "target": [1, 1e400]}', "not JSON: number is infinity"),
    (b'{"start": "2024-01-31", "target": [1]} {"start": "2024-02-01", "target": [1]}', "not JSON: "),
    (b'{"start": "2024-01-31", "target"', "not JSON: "),
    (b'{"start": "\xff", "target": [1]}', "not JSON: str is not valid UTF-8"),
    (b"[" * 5000, "not JSON: "),
    (b"[1, 2, 3]", 'a series must be an object such as {"start": ..., "target": [...]}; got a list'),
    (b"5", "a series must be an object"),
    (b"null", "got null"),
    (b'"2024-01-31"', 'got "2024-01-31"'),
]
IDS = [f"{field}-{number}" for number, (_, field, _) in enumerate(IN_FILES)]
PLACE = "channel train, file part/b.json, line 3"


def message(folder: Path, third: object, **given: Any) -> str:
    """What is said of the second file, whose third line is that."""
    (folder / "part").mkdir()
    (folder / "a.json").write_bytes(lines(GOOD, GOOD, GOOD))
    (folder / "part" / "b.json").write_bytes(lines(GOOD, b"", third, GOOD))
    with pytest.raises(DataError) as refused:
        read(channel(folder), settings(**given))
    return str(refused.value)


def test_there_are_sixty_mistakes() -> None:
    assert len({json.dumps(each, default=repr) for each, _, _ in IN_FILES}) == len(IN_FILES) >= 60


@pytest.mark.parametrize(("third", "field", "words"), IN_FILES, ids=IDS)
def test_a_mistake_in_a_file_is_named(third: object, field: str, words: str, tmp_path: Path) -> None:
    found = message(tmp_path, third)
    assert found.startswith(f"{PLACE}, field {field}: ")
    assert words in found


@pytest.mark.parametrize(("third", "words"), NO_OBJECTS)
def test_a_line_that_is_no_object_is_named(third: bytes, words: str, tmp_path: Path) -> None:
    found = message(tmp_path, third)
    assert found.startswith(f"{PLACE}: ")
    assert words in found


# Hyperparameters, the third line, the field and what is said of it.
BY_SETTING = [
    ({"cardinality": "[1, 3]"}, but(cat=[1, 0]), "cat[0]", "the values 0 to 0, as cardinality is [1, 3]"),
    ({"cardinality": "[1, 3]"}, but(cat=[0, 3]), "cat[1]", "found 3; this category has the values 0 to 2"),
    ({"cardinality": "[1, 3]"}, but(cat=...), "cat", "every series must have it, as cardinality is [1, 3]"),
    ({"num_dynamic_feat": 2}, but(dynamic_feat=...), "dynamic_feat", "as num_dynamic_feat is 2"),
    ({"prediction_length": 7}, but(dynamic_feat=[[1] * 5] * 2), "dynamic_feat[0]", "it must hold 3 or 10"),
]


@pytest.mark.parametrize(("given", "third", "field", "words"), BY_SETTING)
def test_a_mistake_against_a_hyperparameter_is_named(
    given: dict[str, Any], third: object, field: str, words: str, tmp_path: Path
) -> None:
    found = message(tmp_path, third, **given)
    assert found.startswith(f"{PLACE}, field {field}: ")
    assert words in found


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"cardinality": "[3]"}, "cat", "holds 2 integers; it must hold 1, as cardinality is [3]"),
        ({"num_dynamic_feat": 1}, "dynamic_feat", "holds 2 features; it must hold 1, as num_dynamic_feat is 1"),
    ],
)
def test_the_first_series_has_to_be_as_the_hyperparameters_say(
    given: dict[str, Any], field: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as refused:
        read(channel(written(tmp_path, a=lines(GOOD))), settings(**given))
    assert str(refused.value) == f"channel train, file a.json, line 1, field {field}: {words}"


@pytest.mark.parametrize("name", ["cat", "dynamic_feat"])
def test_a_field_that_the_first_series_has_not_is_refused_in_later_ones(name: str, tmp_path: Path) -> None:
    later = {**HOURLY, name: GOOD[name]}
    with pytest.raises(DataError) as refused:
        read(channel(written(tmp_path, a=lines(HOURLY, later))), settings())
    assert str(refused.value) == f"channel train, file a.json, line 2, field {name}: must be left out, {FIRST}"


TRAINED = Fields((2, 3), 1)
# An instance of a request to a model with these fields that forecasts two steps.
ASKED = {**HOURLY, "cat": [1, 2], "dynamic_feat": [[1, 2, 3, 4, 5]]}
IN_REQUESTS = [
    ({**ASKED, "cat": [2, 0]}, "cat[0]", "found 2; this category has the values 0 to 1, as in training"),
    ({**ASKED, "cat": [1]}, "cat", "holds 1 integer; it must hold 2, as in training"),
    ({**ASKED, "cat": None}, "cat", "is missing; every series must have it, as in training"),
    ({**ASKED, "dynamic_feat": None}, "dynamic_feat", "is missing; every series must have it, as in training"),
    ({**ASKED, "dynamic_feat": [[1, 2, 3]]}, "dynamic_feat[0]", "holds 3 values; it must hold 5"),
    ({**ASKED, "dynamic_feat": [[1] * 6]}, "dynamic_feat[0]", "it must hold 5: target has 3, the forecast 2"),
    ({**ASKED, "dynamic_feat": [[1] * 5] * 2}, "dynamic_feat", "holds 2 features; it must hold 1, as in training"),
    ({**ASKED, "dynamic_feat": [[1, 2, 3, 4, float("nan")]]}, "dynamic_feat[0][4]", "found nan"),
    ({**ASKED, "target": [float("inf")]}, "target[0]", "found inf; every value must be a number"),
    ({**ASKED, "target": [1, 10**400]}, "target[1]", "too large for a 32-bit float"),
    ({**ASKED, "target": []}, "target", "is empty"),
    ({**ASKED, "start": "2024-01-31 13:00:00+00:00"}, "start", "must be without time zone"),
    ({"target": [1]}, "start", "is missing"),
]


def asked(record: object, fields: Fields, **how: Any) -> str:
    with pytest.raises(DataError) as refused:
        instances([ASKED, record] if fields == TRAINED else [record], fields, 2, Frequency("H"), **how)
    return str(refused.value)


@pytest.mark.parametrize(("record", "field", "words"), IN_REQUESTS)
def test_a_mistake_in_a_request_is_named(record: object, field: str, words: str) -> None:
    found = asked(record, TRAINED)
    assert found.startswith(f"instance 2, field {field}: ")
    assert words in found
    assert asked(record, TRAINED, kind="line").startswith(f"line 2, field {field}: ")


@pytest.mark.parametrize("name", ["cat", "dynamic_feat"])
def test_a_model_without_a_field_must_not_get_it(name: str) -> None:
    found = asked({**HOURLY, name: ASKED[name]}, Fields(None, 0))
    assert found == f"instance 1, field {name}: must be left out, as in training"


@pytest.mark.parametrize("record", [5, None, "x", [1, 2]])
def test_an_instance_is_an_object(record: object) -> None:
    assert asked(record, TRAINED).startswith("instance 2: a series must be an object")


def series(folder: Path, *targets: list[Any]) -> Series:
    found, _ = read(channel(written(folder, a=lines(*({**HOURLY, "target": each} for each in targets)))), settings())
    return found


@pytest.mark.parametrize(
    ("likelihood", "value", "words"),
    [
        ("beta", -0.01, "found -0.01; the likelihood beta is for values from 0 to 1"),
        ("beta", 1.5, "found 1.5; the likelihood beta"),
        ("negative-binomial", -1, "found -1; the likelihood negative-binomial is for counts"),
        ("negative-binomial", 0.5, "found 0.5; the likelihood negative-binomial is for counts"),
    ],
)
def test_a_point_that_the_likelihood_cannot_have_is_named(
    likelihood: str, value: float, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as refused:
        check_support(series(tmp_path, [0, 1, None], ["NaN", 1, value]), likelihood)
    assert str(refused.value).startswith(f"channel train, file a.json, line 2, field target[2]: {words}")


@pytest.mark.parametrize("likelihood", ["gaussian", "student-T", "deterministic-L1"])
def test_likelihoods_of_real_numbers_take_all(likelihood: str, tmp_path: Path) -> None:
    check_support(series(tmp_path, [-1e30, 0.5, None, 1e30]), likelihood)


def test_the_ends_of_the_support_are_taken(tmp_path: Path) -> None:
    check_support(series(tmp_path, [0, 1, None, 0.5]), "beta")
    check_support(series(tmp_path, [0, 1, None, 2e9]), "negative-binomial")


def test_too_few_observations_are_refused() -> None:
    check_observations(300)
    with pytest.raises(UserError, match=r"the train channel holds 299 observations.* at least 300 are needed"):
        check_observations(299)


def test_a_channel_without_a_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^channel train holds no series$"):
        read(channel(written(tmp_path, a=b"\n \n", b=b"")), settings())
    with pytest.raises(UserError, match="channel train has no data: there is no file in"):
        read(channel(tmp_path / "none"), settings())


def test_a_content_type_that_tells_no_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("2024-01-31,1,2\n")
    with pytest.raises(UnsupportedMediaError, match=r"'text/csv' is not a content type .* possible are json"):
        read(channel(tmp_path, "text/csv"), settings())
