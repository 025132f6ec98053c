"""Hypothesis strategies for hyperparameters, read from their declarations."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from clary.algorithms import registry
from clary.toolkit.spec import (
    AUTO,
    AlgorithmSpec,
    ChoiceParameter,
    IntegerParameter,
    MappingParameter,
    NamesParameter,
    NumbersParameter,
    Parameter,
    RealParameter,
)

WIDEST = 10.0**6  # an open end of a range stands here
LARGEST_STEP = 40  # a count is drawn at most this far from where it starts, so that a job ends in time


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Every kind of legal value of the parameter, open ends cut at a million."""
    found = _values(parameter)
    return st.one_of(found, st.just(AUTO)) if parameter.auto else found


def _values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if isinstance(parameter, IntegerParameter):
        low, high = _ends(parameter)
        return st.integers(int(low), int(high))
    if isinstance(parameter, RealParameter):
        return _reals(parameter)
    if isinstance(parameter, ChoiceParameter):
        return st.booleans() if parameter.boolean else st.sampled_from(parameter.choices)
    if isinstance(parameter, NamesParameter):
        return st.lists(st.sampled_from(parameter.choices), min_size=1, unique=True).map(tuple)
    if isinstance(parameter, NumbersParameter):
        return st.lists(_reals(parameter), max_size=4).map(tuple)
    if isinstance(parameter, MappingParameter):
        return st.dictionaries(st.text(max_size=8), st.integers(), max_size=3)
    # Free text follows no rule that a draw could know; its own default is the legal value at hand.
    return st.just(parameter.default)


def _reals(parameter: RealParameter | NumbersParameter) -> st.SearchStrategy[float]:
    low, high = _ends(parameter)
    return st.floats(low, high, exclude_min=not parameter.low_included, exclude_max=not parameter.high_included)


def _ends(parameter: IntegerParameter | RealParameter | NumbersParameter) -> tuple[float, float]:
    low = -WIDEST if parameter.low is None else parameter.low
    high = max(WIDEST, low + 1) if parameter.high is None else parameter.high
    return low, high


def modest(spec: AlgorithmSpec) -> st.SearchStrategy[dict[str, str]]:
    """Hyperparameters around the example's, in sizes that train in a moment; each drawn one differs from it.

    What describes the data, such as the number of features, stays as the data are.
    """
    given = registry.example(spec.name).hyperparameters
    drawn = {
        name: _near(parameter, given.get(name))
        for name, parameter in spec.hyperparameters.parameters().items()
        if name not in spec.measured and not (given.get(name) is None and parameter.default is None)
    }
    return st.fixed_dictionaries({}, optional=drawn).map(lambda changed: {**given, **changed})


def _near(parameter: Parameter, given: str | None) -> st.SearchStrategy[str]:
    if not isinstance(parameter, IntegerParameter):
        return values(parameter).map(parameter.spell)
    middle = parameter.parse(given) if given else parameter.default
    low = 0 if parameter.low is None else int(parameter.low)
    start = low if middle == AUTO else max(low, middle // 2)
    highest = start + LARGEST_STEP if parameter.high is None else min(start + LARGEST_STEP, int(parameter.high))
    near = st.integers(start, highest)
    return (st.one_of(near, st.just(AUTO)) if parameter.auto else near).map(parameter.spell)
