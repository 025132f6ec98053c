"""Hypothesis strategies for hyperparameters, read from their declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from clary.algorithms import registry
from clary.toolkit.errors import HyperparameterError
from clary.toolkit.parameters import (
    AUTO,
    ChoiceParameter,
    IntegerParameter,
    MappingParameter,
    NamesParameter,
    NumbersParameter,
    Parameter,
    RealParameter,
)
from clary.toolkit.spec import AlgorithmSpec

WIDEST = 10.0**6  # an open end of a range stands here
LARGEST_STEP = 40  # a count is drawn at most this far from where it starts, so that a job ends in time
USUAL = 10.0  # a real number is drawn at most this many times as large or as small as its default
MOST_CHANGED = 8  # hyperparameters that differ from the example's; rules across them forbid most larger sets
Draw = Callable[[Parameter, str | None], st.SearchStrategy[str]]


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Every kind of legal value of the parameter, open ends cut at a million."""
    words = [*getattr(parameter, "words", ()), *([AUTO] if parameter.auto else [])]
    found = _values(parameter)
    return st.one_of(found, st.sampled_from(words)) if words else found


def _values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if isinstance(parameter, IntegerParameter):
        low, high = _whole_ends(parameter)
        return st.sampled_from(parameter.choices) if parameter.choices else st.integers(low, high)
    if isinstance(parameter, RealParameter):
        return _reals(parameter)
    if isinstance(parameter, ChoiceParameter):
        return st.booleans() if parameter.boolean else st.sampled_from(parameter.choices)
    if isinstance(parameter, NamesParameter):
        marked = [f"{name}@{number}" for name in parameter.at for number in ("0.3", "2")]
        return st.lists(st.sampled_from([*parameter.choices, *marked]), min_size=1, unique=True).map(tuple)
    if isinstance(parameter, NumbersParameter):
        return st.lists(_reals(parameter), max_size=4).map(tuple)
    if isinstance(parameter, MappingParameter):
        return st.dictionaries(st.text(max_size=8), st.integers(), max_size=3)
    # Free text follows no rule that a draw could know; its own default is the legal value at hand.
    return st.just(parameter.default)


def _reals(
    parameter: RealParameter | NumbersParameter, lowest: float = -WIDEST, highest: float = WIDEST
) -> st.SearchStrategy[float]:
    low, high = _ends(parameter)
    low_open = not parameter.low_included and low >= lowest
    high_open = not parameter.high_included and high <= highest
    return st.floats(max(low, lowest), min(high, highest), exclude_min=low_open, exclude_max=high_open)


def _ends(parameter: IntegerParameter | RealParameter | NumbersParameter) -> tuple[float, float]:
    low = -WIDEST if parameter.low is None else parameter.low
    high = max(WIDEST, low + 1) if parameter.high is None else parameter.high
    return low, high


def _whole_ends(parameter: IntegerParameter) -> tuple[int, int]:
    low, high = map(int, _ends(parameter))
    open_low = parameter.low is not None and not parameter.low_included
    open_high = parameter.high is not None and not parameter.high_included
    return low + open_low, high - open_high


def modest(spec: AlgorithmSpec) -> st.SearchStrategy[dict[str, str]]:
    """Hyperparameters around the example's, in usual sizes, with which any job trains in a moment.

    What describes the data, such as the number of features or the kind of task, stays as the data are.
    """
    return _around(spec, _usual)


def extreme(spec: AlgorithmSpec) -> st.SearchStrategy[dict[str, str]]:
    """The same, with real numbers from one end of their range to the other."""
    return _around(spec, _any)


def _around(spec: AlgorithmSpec, draw: Draw) -> st.SearchStrategy[dict[str, str]]:
    example = registry.example(spec.name)
    given, kept = example.hyperparameters, {*spec.measured, *example.fixed}
    drawn = {
        name: draw(parameter, given.get(name))
        for name, parameter in spec.hyperparameters.parameters().items()
        if name not in kept and not (given.get(name) is None and parameter.default is None)
    }
    chosen = st.lists(st.sampled_from(sorted(drawn)), max_size=MOST_CHANGED, unique=True)
    changed = chosen.flatmap(lambda names: st.fixed_dictionaries({name: drawn[name] for name in names}))
    return changed.map(lambda changes: {**given, **changes}).filter(lambda whole: _fits(spec, whole))


def _fits(spec: AlgorithmSpec, whole: Mapping[str, str]) -> bool:
    """Whether no rule across hyperparameters forbids the set."""
    try:
        spec.parse(whole)
    except HyperparameterError:
        return False
    return True


def _any(parameter: Parameter, given: str | None) -> st.SearchStrategy[str]:
    if not isinstance(parameter, IntegerParameter):
        return values(parameter).map(parameter.spell)
    middle = parameter.parse(given) if given else parameter.default
    low, high = _whole_ends(parameter)
    low = 0 if parameter.low is None else low
    start = max(low, middle // 2) if isinstance(middle, int) else low
    near = st.integers(start, min(start + LARGEST_STEP, high))
    return (st.one_of(near, st.just(AUTO)) if parameter.auto else near).map(parameter.spell)


def _usual(parameter: Parameter, given: str | None) -> st.SearchStrategy[str]:
    if not isinstance(parameter, RealParameter):
        return _any(parameter, given)
    middle = parameter.parse(given) if given else parameter.default
    ends = parameter.tunable.values if parameter.tunable else _near(parameter, middle)
    near = _reals(parameter, *ends)
    words = [*parameter.words, *([AUTO] if parameter.auto else [])]
    return (st.one_of(near, st.sampled_from(words)) if words else near).map(parameter.spell)


def _near(parameter: RealParameter, middle: object) -> tuple[float, float]:
    """The usual sizes of a number whose range for tuning nobody has published."""
    if not isinstance(middle, float | int) or not middle:
        low = parameter.low or 0.0
        return low, low + 1
    low, high = sorted((middle / USUAL, middle * USUAL))
    return low, high
