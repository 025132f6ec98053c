"""Declarations read strings as the contract says, refuse in their own words, and describe themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.errors import HyperparameterError
from clary.toolkit.spec import (
    AUTO,
    AlgorithmSpec,
    Auto,
    Capabilities,
    Channel,
    Field,
    HyperparameterSet,
    Metric,
    Parameter,
    Payloads,
    choice,
    flag,
    hyperparameters,
    integer,
    mapping,
    names,
    numbers,
    real,
    text,
)
from exam import legal


@hyperparameters
class Everything(HyperparameterSet):
    """One hyperparameter of every kind."""

    count: int = integer(at_least=1, required=True, doc="A count.")
    steps: int | Auto = integer(AUTO, at_least=1, at_most=100, auto=True, tunable=(1, 10), doc="Steps or auto.")
    offset: int = integer(0, doc="Any whole number.")
    rate: float = real(0.5, above=0, below=1, doc="A rate between 0 and 1.")
    share: float = real(1.0, at_least=0, at_most=1, doc="A share from 0 to 1.")
    lambda_: float = real(0.1, at_least=0, name="lambda", doc="A name that Python forbids.")
    method: str = choice("first", of=("first", "second one"), doc="A method.")
    dense: bool = flag(True, doc="A truth value.")
    sparse: bool | Auto = flag(AUTO, auto=True, doc="A truth value or auto.")  # type: ignore[arg-type]
    pattern: str = text("a1", pattern=r"[a-z]\d", wording="a letter and a digit", doc="A patterned text.")
    words: str | None = text(doc="Any text.")
    scores: tuple[str, ...] = names(("msd",), of=("msd", "ssd"), doc="Some names.")
    layers: tuple[float, ...] = numbers((1.0, 2.5), at_least=0, doc="Some numbers.")
    weights: Mapping[str, Any] | None = mapping(doc="A mapping.")

    def problems(self) -> Iterator[str]:
        """Two rules across fields."""
        if self.offset > self.count:
            yield "offset must not be above count"
        if self.method == "first" and self.offset < -100:
            yield "offset must be at least -100 for the first method"


PARAMETERS = Everything.parameters()


def refusals(given: Mapping[str, Any]) -> tuple[str, ...]:
    with pytest.raises(HyperparameterError) as caught:
        Everything.parse(given)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


# Reading


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda each: each.name)
def test_every_kind_is_spelled_and_read_back(parameter: Parameter) -> None:
    @given(value=legal.values(parameter))
    def check(value: Any) -> None:
        if value is not None:
            assert parameter.parse(parameter.spell(value)) == value

    check()


@pytest.mark.parametrize(
    ("name", "spelled", "value"),
    [
        ("count", "10", 10),
        ("count", " 10 ", 10),
        ("count", "10.0", 10),
        ("count", "10.", 10),
        ("count", "+7", 7),
        ("count", "1e3", 1000),
        ("count", "99999999999999999999", 99999999999999999999),
        ("steps", "auto", AUTO),
        ("steps", "AUTO", AUTO),
        ("offset", "-3", -3),
        ("rate", "1e-3", 0.001),
        ("rate", ".5", 0.5),
        ("share", "1", 1.0),
        ("share", "0", 0.0),
        ("lambda", "2", 2.0),
        ("method", "second one", "second one"),
        ("method", '"first"', "first"),
        ("dense", "True", True),
        ("dense", "FALSE", False),
        ("dense", "1", True),
        ("dense", "0", False),
        ("dense", '"true"', True),
        ("sparse", "auto", AUTO),
        ("scores", '["ssd","msd"]', ("ssd", "msd")),
        ("scores", "['msd', 'ssd']", ("msd", "ssd")),
        ("scores", "('msd',)", ("msd",)),
        ("layers", "[10, 2.5]", (10.0, 2.5)),
        ("layers", "[]", ()),
        ("weights", '{"a": 1}', {"a": 1}),
        ("weights", "{'a': None}", {"a": None}),
    ],
)
def test_the_spellings_of_the_contract_are_read(name: str, spelled: str, value: Any) -> None:
    assert PARAMETERS[name].parse(spelled) == value


@pytest.mark.parametrize(
    ("name", "spelled"),
    [(each.name, bad) for each in PARAMETERS.values() for bad in each.bad_texts()]
    + [
        ("count", "10.5"),
        ("count", "1_000"),
        ("count", "0x10"),
        ("count", "ten"),
        ("count", "auto"),
        ("count", "1e400"),
        ("count", "True"),
        ("steps", "automatic"),
        ("steps", "101"),
        ("rate", "0"),
        ("rate", "1"),
        ("rate", "1_0"),
        ("rate", "0,5"),
        ("share", "1.0000001"),
        ("dense", "yes"),
        ("dense", "2"),
        ("method", "First"),
        ("pattern", "a12"),
        ("pattern", "a1\nb2"),
        ("scores", "msd"),
        ("scores", "['msd'"),
        ("scores", '["msd", 7]'),
        ("scores", "[[]]"),
        ("scores", "__import__('os')"),
        ("scores", "[" * 2000),
        ("scores", "('msd'"),
        ("layers", "[-1]"),
        ("layers", '["many"]'),
        ("layers", "[NaN]"),
        ("layers", "[null]"),
        ("layers", "3"),
        ("layers", '{"a": 1}'),
        ("weights", '["a"]'),
        ("weights", '{"a":' * 2000),
    ],
)
def test_every_other_spelling_is_refused_by_name(name: str, spelled: str) -> None:
    if not spelled and name != "count":
        assert Everything.parse({"count": "1", name: ""}) == Everything.parse({"count": "1"})
        return
    (problem,) = refusals({"count": "1", name: spelled})
    assert problem.startswith(f"{name} must be {PARAMETERS[name].wording}; got ")


@given(spelled=st.text(max_size=40), name=st.sampled_from(sorted(PARAMETERS)))
def test_any_text_is_read_or_refused_but_never_a_crash(spelled: str, name: str) -> None:
    try:
        found = Everything.parse({"count": "1", name: spelled})
    except HyperparameterError:
        return
    assert Everything.parse(found.spell()) == found


def test_the_wording_says_what_is_allowed() -> None:
    assert {name: each.wording for name, each in PARAMETERS.items()} == {
        "count": "an integer at least 1",
        "steps": "an integer at least 1 and at most 100 or 'auto'",
        "offset": "an integer",
        "rate": "a number above 0 and below 1",
        "share": "a number at least 0 and at most 1",
        "lambda": "a number at least 0",
        "method": "one of 'first', 'second one'",
        "dense": "one of 'true', 'false'",
        "sparse": "one of 'true', 'false' or 'auto'",
        "pattern": "a letter and a digit",
        "words": "a text",
        "scores": "a JSON list of one or more of 'msd', 'ssd', each at most once",
        "layers": "a JSON list of numbers, each at least 0",
        "weights": "a JSON object",
    }


# A whole set


def test_defaults_fill_what_is_not_given() -> None:
    found = Everything.parse({"count": "3"})
    assert (found.count, found.steps, found.rate, found.lambda_) == (3, AUTO, 0.5, 0.1)
    assert (found.method, found.dense, found.words, found.layers) == ("first", True, None, (1.0, 2.5))


def test_all_problems_are_in_one_message() -> None:
    problems = refusals({"rate": "7", "dense": "yes", "cuont": "1", "layers": "x"})
    assert len(problems) == 5
    assert problems[0] == "rate must be a number above 0 and below 1; got '7'"
    assert problems[2] == "cuont is not a hyperparameter of this algorithm; did you mean 'count'?"
    assert problems[4] == "no value was given for 'count', which must be set"


def test_an_unknown_name_without_a_likeness_is_told_all_names() -> None:
    (problem,) = refusals({"count": "1", "zzz": "1"})
    assert all(name in problem for name in PARAMETERS)


def test_rules_across_fields_are_told_together() -> None:
    assert refusals({"count": "1", "offset": "2"}) == ("offset must not be above count",)


def test_a_refused_required_value_is_not_called_missing_too() -> None:
    assert len(refusals({"count": "0"})) == 1
    assert len(refusals({"count": ""})) == 1


@pytest.mark.parametrize("value", [1, 1.5, True, None, ["1"], {"a": 1}])
def test_a_value_that_is_no_string_is_refused(value: Any) -> None:
    assert refusals({"count": value}) == (f"count must be a JSON string; got {json.dumps(value)}",)


def test_a_long_value_is_shown_in_part() -> None:
    (problem,) = refusals({"count": "x" * 2500})
    assert len(problem) < 200
    assert problem.endswith("...'")


def test_an_empty_string_leaves_an_optional_value_unset() -> None:
    optional = {name: " " for name, each in PARAMETERS.items() if each.required is not True}
    assert Everything.parse({"count": "1", **optional}) == Everything.parse({"count": "1"})


def test_keys_of_the_platform_and_inert_ones_are_set_aside() -> None:
    given = {"count": "1", "_tuning_objective_metric": "x", "sagemaker_region": "y", "old": "1"}
    assert Everything.parse(given, inert=("old",)) == Everything.parse({"count": "1"})
    assert "old is not" in refusals({"count": "1", "old": "1"})[0]


def test_a_set_is_spelled_and_read_back() -> None:
    given = {"count": "3", "scores": "['ssd']", "dense": "False", "weights": '{"a": [1]}', "lambda": "0"}
    found = Everything.parse(given)
    spelled = found.spell()
    assert all(isinstance(value, str) for value in spelled.values())
    assert "words" not in spelled
    assert (spelled["dense"], spelled["scores"], spelled["lambda"]) == ("false", '["ssd"]', "0.0")
    assert Everything.parse(spelled) == found


def test_a_set_cannot_be_changed() -> None:
    found = Everything.parse({"count": "3"})
    with pytest.raises(AttributeError):
        found.count = 4  # type: ignore[misc]


def test_a_field_without_a_declaration_is_refused_at_definition() -> None:
    with pytest.raises(TypeError, match="declare width with"):

        @hyperparameters
        class _Half(HyperparameterSet):
            width: int = 3


# Descriptions


def test_a_range_is_described_with_its_ends() -> None:
    described = {name: each.describe() for name, each in PARAMETERS.items()}
    assert described["rate"]["range"] == {"min": 0, "max": 1, "min_inclusive": False, "max_inclusive": False}
    assert described["count"]["range"] == {"min": 1, "max": None, "min_inclusive": True, "max_inclusive": False}
    assert described["method"]["values"] == ["first", "second one"]
    assert described["steps"]["tunable"] == {"range": [1, 10], "scaling": "Linear"}
    assert (described["dense"]["type"], described["dense"]["default"]) == ("categorical", "true")
    assert described["scores"]["default"] == '["msd"]'
    assert json.loads(json.dumps(described)) == described


# Metrics, channels and the whole


@pytest.mark.parametrize(
    "line",
    [
        "#quality_metric: host={host}, epoch={epoch}, validation mAP <score>=({value})",
        "Epoch[{epoch}] Validation-accuracy={value}",
        "[{epoch}]\ttrain-rmse:{value}",
        "a+b*c?d.e|f^g$h\\i {value} % of epochs",
    ],
)
def test_a_metric_reads_its_own_line(line: str) -> None:
    import re

    metric = Metric("m", "Minimize", line, "A metric.")

    @given(value=st.floats(allow_nan=False, allow_infinity=False))
    def check(value: float) -> None:
        found = re.search(metric.regex, "prefix " + metric.render(value, host="algo-1", epoch=12, batch=3))
        assert found is not None
        assert float(found.group(1)) == value

    check()


SPEC = AlgorithmSpec(
    name="plain",
    repository="plain-image",
    title="Plain",
    class_name="Plain",
    summary="Does nothing.",
    tasks=("clustering",),
    hyperparameters=Everything,
    channels=(
        Channel(name="train", required=True, content_types=("text/csv",), default_type="text/csv", doc="Rows."),
    ),
    metrics=(Metric("train:loss", "Minimize", "loss={value}", "A loss."),),
    payloads=Payloads(requests=("text/csv",), responses=("text/csv",), fields=(Field(name="score", doc="A score."),)),
    capabilities=Capabilities(),
    extras=("train",),
    inert={"kvstore": "there is none"},
)


def test_a_spec_finds_its_parts() -> None:
    assert SPEC.channel("train") is SPEC.channels[0]
    assert SPEC.channel("test") is None
    assert SPEC.metric("train:loss") is SPEC.metrics[0]
    with pytest.raises(KeyError, match="declares no metric"):
        SPEC.metric("train:los")


def test_a_spec_describes_itself_in_json() -> None:
    described = SPEC.describe()
    assert json.loads(json.dumps(described)) == described
    assert [each["name"] for each in described["hyperparameters"]] == list(PARAMETERS)
    assert described["accepted_without_effect"] == {"kvstore": "there is none"}
    assert SPEC.parse({"count": "1", "kvstore": "dist"}) == Everything.parse({"count": "1"})
