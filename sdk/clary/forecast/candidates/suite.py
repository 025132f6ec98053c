"""The candidates by name, in the order in which a job tries them: first what is sure to be done in time."""

from __future__ import annotations

from clary.forecast.candidates.candidate import Candidate
from clary.forecast.candidates.deepar import DEEPAR
from clary.forecast.candidates.linear import LINEAR
from clary.forecast.candidates.naive import NPTS, SEASONAL_NAIVE
from clary.forecast.candidates.statistical import Statistical
from clary.forecast.candidates.trees import TREES
from clary.forecast.settings import NAMES

_FOUND: tuple[Candidate, ...] = (
    SEASONAL_NAIVE,
    NPTS,
    LINEAR,
    TREES,
    DEEPAR,
    Statistical("theta", "Theta"),
    Statistical("intermittent", "Intermittent demand"),
    Statistical("ets", "ETS"),
    Statistical("mstl", "MSTL"),
    Statistical("arima", "ARIMA"),
)
CANDIDATES = {name: next(each for each in _FOUND if each.name == name) for name in NAMES}
