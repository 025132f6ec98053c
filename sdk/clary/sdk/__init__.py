"""The one public door: estimators, jobs, models, predictors. A name is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.sdk.answers import Predictions as Predictions
    from clary.sdk.arrays import RecordSet as RecordSet
    from clary.sdk.estimator import Estimator as Estimator
    from clary.sdk.estimators import *  # noqa: F403
    from clary.sdk.explanation import Explanation as Explanation
    from clary.sdk.failures import EndpointFailedError as EndpointFailedError
    from clary.sdk.failures import RequestRefusedError as RequestRefusedError
    from clary.sdk.failures import TrainingFailedError as TrainingFailedError
    from clary.sdk.forecasting import ForecastJob as ForecastJob
    from clary.sdk.forecasting import forecast as forecast
    from clary.sdk.inputs import TrainingInput as TrainingInput
    from clary.sdk.job import TrainingJob as TrainingJob
    from clary.sdk.model import Model as Model
    from clary.sdk.predictor import Predictor as Predictor

_HOMES = {
    "EndpointFailedError": "failures",
    "Estimator": "estimator",
    "Explanation": "explanation",
    "ForecastJob": "forecasting",
    "Model": "model",
    "Predictions": "answers",
    "Predictor": "predictor",
    "RecordSet": "arrays",
    "RequestRefusedError": "failures",
    "TrainingFailedError": "failures",
    "TrainingInput": "inputs",
    "TrainingJob": "job",
    "forecast": "forecasting",
}


def _public(name: str) -> object:
    """The public name, from the module that defines it; what is not listed may be a generated class."""
    if name == "__all__":
        return __dir__()
    if name.startswith("_"):
        raise AttributeError(name)
    home = import_module(f"clary.sdk.{_HOMES.get(name, 'estimators')}")
    if name not in _HOMES and name not in home.__all__:
        raise AttributeError(f"module 'clary.sdk' has no {name!r}; it has {', '.join(__dir__())}")
    return getattr(home, name)


def __dir__() -> list[str]:
    classes: list[str] = import_module("clary.sdk.estimators").__all__
    return sorted([*_HOMES, *classes])


if not TYPE_CHECKING:
    # Type checkers know the names from the imports above, and so refuse any other.
    __getattr__ = _public
