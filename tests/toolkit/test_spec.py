"""Declarations read strings as the contract says, refuse in their own words, and describe themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.errors import HyperparameterError
from clary.toolkit.parameters import (
    AUTO,
    Auto,
    HyperparameterSet,
    Parameter,
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
from clary.toolkit.spec import AlgorithmSpec, Capabilities, Channel, Field, Metric, Option, Payloads
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
    sparse: bool | Auto = flag(AUTO, auto=True, doc="A truth value or auto.")
    pattern: str = text("a1", pattern=r"[a-z]\d", wording="a letter and a digit", doc="A patterned text.")
    words: str | None = text(doc="Any text.")
    scores: tuple[str, ...] = names(("msd",), of=("msd", "ssd"), doc="Some names.")
    layers: tuple[float, ...] = numbers((1.0, 2.5), at_least=0, doc="Some numbers.")
    weights: Mapping[str, Any] | None = mapping(doc="A mapping.")
    seed: int = integer(0, above=-8, below=8, doc="A whole number between two others.")
    parts: int = integer(2, of=(1, 2, 4, 8), doc="One of a few whole numbers.")
    balance: float | str = real(1.0, above=0, words=("balanced",), auto=True, doc="A number or a word.")
    criterion: str = choice("f_beta", of=("f_beta", "accuracy"), old={"f1": "f_beta"}, doc="A renamed choice.")
    metrics: tuple[str, ...] | None = names(of=("rmse", "error", "map"), commas=True, at=("error",), doc="A list.")

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
        ("seed", "-7", -7),
        ("seed", "7.0", 7),
        ("balance", "balanced", "balanced"),
        ("balance", " Balanced ", "balanced"),
        ("balance", "auto", AUTO),
        ("balance", "2.5", 2.5),
        ("criterion", "f1", "f_beta"),
        ("criterion", "'f1'", "f_beta"),
        ("criterion", "f_beta", "f_beta"),
        ("metrics", "rmse", ("rmse",)),
        ("metrics", "rmse,error@0.3", ("rmse", "error@0.3")),
        ("metrics", " error , map ", ("error", "map")),
        ("metrics", "error,error@0.5,error@5e-1", ("error", "error@0.5", "error@5e-1")),
        ("metrics", '["rmse", "error@2"]', ("rmse", "error@2")),
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
        ("seed", "-8"),
        ("seed", "8"),
        ("seed", "7.5"),
        ("balance", "0"),
        ("balance", "balance"),
        ("balance", "balanced, auto"),
        ("criterion", "F1"),
        ("criterion", "f2"),
        ("metrics", "rmse,"),
        ("metrics", "rmse,,map"),
        ("metrics", "rmse,rmse"),
        ("metrics", "rmse@0.3"),
        ("metrics", "error@"),
        ("metrics", "error@half"),
        ("metrics", "error@nan"),
        ("metrics", "error@1_0"),
        ("metrics", "error@0.1@0.2"),
        ("metrics", "@0.3"),
        ("metrics", "rmse;map"),
        ("metrics", '["rmse"'),
        ("metrics", '["rmse", 1]'),
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
        "seed": "an integer above -8 and below 8",
        "parts": "one of 1, 2, 4, 8",
        "balance": "a number above 0 or 'auto' or 'balanced'",
        "criterion": "one of 'f_beta', 'accuracy'",
        "metrics": "a list with commas of one or more of 'rmse', 'error', 'map', each at most once "
        "(error may have a number behind them, as in error@0.3)",
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


def test_a_set_knows_what_was_given() -> None:
    given = {"count": "3", "lambda": "0.1", "words": "", "_tuning_objective_metric": "x", "penalty": "1"}
    found = Everything.parse({**given, "sort": "first"}, inert=("penalty",), aliases={"sort": "method"})
    assert found.given == {"count", "lambda", "method"}
    assert found == Everything.parse({"count": "3"})
    assert Everything.given == frozenset()
    assert "given" not in found.spell()


def test_another_name_is_taken_for_its_hyperparameter() -> None:
    aliases = {"learning_rate": "rate"}
    assert Everything.parse({"count": "1", "learning_rate": "0.25"}, aliases=aliases).rate == 0.25
    with pytest.raises(HyperparameterError) as caught:
        Everything.parse({"count": "1", "learning_rate": "0.25", "rate": "0.5"}, aliases=aliases)
    assert caught.value.problems == (
        "learning_rate is another name of rate, which is given too; give one of the two",
    )
    with pytest.raises(HyperparameterError, match=r"^rate must be a number above 0 and below 1; got '2'$"):
        Everything.parse({"count": "1", "learning_rate": "2"}, aliases=aliases)
    assert "learning_rate is not" in refusals({"count": "1", "learning_rate": "0.25"})[0]


def test_an_old_spelling_is_spelled_as_today() -> None:
    assert Everything.parse({"count": "1", "criterion": "f1"}).spell()["criterion"] == "f_beta"


def test_a_list_with_commas_is_spelled_with_commas() -> None:
    found = Everything.parse({"count": "1", "metrics": '["rmse", "error@0.3"]'})
    assert found.spell()["metrics"] == "rmse,error@0.3"


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
    assert described["seed"]["range"] == {"min": -8, "max": 8, "min_inclusive": False, "max_inclusive": False}
    assert described["parts"]["range"] == {"min": 1, "max": 8, "min_inclusive": True, "max_inclusive": True}
    assert described["parts"]["values"] == [1, 2, 4, 8]
    assert (described["balance"]["type"], described["balance"]["values"]) == ("continuous", ["balanced", "auto"])
    assert (described["rate"]["values"], described["sparse"]["values"]) == (None, ["auto", "true", "false"])
    assert described["criterion"]["values"] == ["f_beta", "accuracy"]
    assert (described["metrics"]["default"], described["metrics"]["values"]) == (None, ["rmse", "error", "map"])
    assert json.loads(json.dumps(described)) == described


# Metrics, channels and the whole


@pytest.mark.parametrize(
    "line",
    [
        "#quality_metric: host={host}, epoch={epoch}, validation mAP <score>=({value})",
        "#quality_metric: host={host}, test binary_f_{beta} <score>={value}",
        "#quality_metric: host={host}, epoch={epoch}, train {objective}_objective <loss>={value}",
        "Epoch[{epoch}] Validation-accuracy={value}",
        "[{epoch}]\ttrain-rmse:{value}",
        "[{epoch}]{others}\tvalidation-rmse:{value}",
        "a+b*c?d.e|f^g$h\\i {value} % of epochs",
    ],
)
def test_a_metric_reads_its_own_line(line: str) -> None:
    metric = Metric("m", "Minimize", line, "A metric.")
    where = {"host": "algo-1", "epoch": 12, "beta": "1.000", "objective": "mse", "others": "\ttrain-auc:0.5"}

    @given(value=st.floats(allow_nan=False, allow_infinity=False))
    def check(value: float) -> None:
        shown = "prefix " + metric.render(value, **where)
        for text_ in (shown, shown.replace("\t", "#011")):
            found = re.search(metric.regex, text_)
            assert found is not None
            assert float(found.group(1)) == value

    check()


@pytest.mark.parametrize("tab", ["\t", "#011"])
def test_several_metrics_of_one_line_are_read_apart(tab: str) -> None:
    metrics = [
        Metric(name, "Minimize", f"[{{epoch}}]{{others}}\t{name}:{{value}}", "A metric.")
        for name in ("train-error", "train-error@0.3", "validation-error", "validation-f1", "validation-f1_macro")
    ]
    line = "\t".join(["[10]", *(f"{metric.name}:{number / 8}" for number, metric in enumerate(metrics))])
    found = [re.findall(metric.regex, line.replace("\t", tab)) for metric in metrics]
    assert found == [["0.0"], ["0.125"], ["0.25"], ["0.375"], ["0.5"]]


def test_a_gap_of_a_line_holds_one_word() -> None:
    metric = Metric("m", "Minimize", "host={host}, test {objective}_objective <loss>={value}", "A metric.")
    assert re.search(metric.regex, "host=algo-1, test mse_objective <loss>=1.5")
    assert not re.search(metric.regex, "host=algo-1, test mse <loss>=1.5")
    assert not re.search(metric.regex, "host=algo-1, epoch=3, test mse_objective <loss>=1.5")


def test_a_line_must_be_filled() -> None:
    with pytest.raises(KeyError, match="beta"):
        Metric("m", "Maximize", "f_{beta}={value}", "A metric.").render(1.0, host="algo-1")


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
    metrics=(Metric("train:loss", "Minimize", "loss={value}", "A loss.", "after every epoch"),),
    payloads=Payloads(
        requests=("text/csv",),
        responses=("text/csv",),
        fields=(Field(name="score", doc="A score."),),
        options=(Option(name="verbose", doc="More of it.", variable="PLAIN_VERBOSE", extension=True),),
        aliases={"csv": "text/csv"},
    ),
    capabilities=Capabilities(),
    extras=("train",),
    inert={"kvstore": "there is none"},
    aliases={"learning_rate": "rate"},
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
    assert described["metrics"][0]["when"] == "after every epoch"
    assert described["capabilities"]["missing"] is False


def test_a_spec_describes_options_and_other_names() -> None:
    described = SPEC.describe()
    assert described["inference"]["options"] == [
        {"name": "verbose", "doc": "More of it.", "variable": "PLAIN_VERBOSE", "extension": True}
    ]
    assert described["aliases"] == {"learning_rate": "rate"}
    assert SPEC.parse({"count": "1", "learning_rate": "0.25"}) == Everything.parse({"count": "1", "rate": "0.25"})
