"""The suite, by name: a plain tuple, and the doors to each algorithm's parts."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from clary.toolkit.artifact import Artifact
    from clary.toolkit.example import Example
    from clary.toolkit.job import Job
    from clary.toolkit.predictor import Predictor

NAMES = (
    "blazingtext",
    "deepar",
    "factorization_machines",
    "kmeans",
    "knn",
    "lda",
    "linear_learner",
    "ntm",
    "pca",
    "random_cut_forest",
    "xgboost",
)


def spec(name: str) -> AlgorithmSpec:
    """The declaration of the algorithm with that folder or image name; UserError lists the suite otherwise."""
    wanted = name.strip().lower()
    for each in NAMES:
        found = cast(AlgorithmSpec, _part(each, "spec").SPEC)
        if wanted in (found.name, found.repository, found.class_name.lower()):
            return found
    raise UserError(f"{name!r} is not an algorithm of this suite; it has {', '.join(NAMES)}")


def specs() -> tuple[AlgorithmSpec, ...]:
    """Every declaration, in the order of ``NAMES``."""
    return tuple(spec(name) for name in NAMES)


def trainer(name: str) -> Callable[[Job[Any]], Artifact]:
    """The algorithm's ``train``: a job in, an artifact out."""
    return cast("Callable[[Job[Any]], Artifact]", _part(name, "train").train)


def predictor(name: str) -> type[Predictor[Any, Any]]:
    """The algorithm's ``Predictor`` class."""
    return cast("type[Predictor[Any, Any]]", _part(name, "serve").Predictor)


def example(name: str) -> Example:
    """The algorithm's smallest honest job, for the exam and the demo."""
    return cast("Example", _part(name, "example").EXAMPLE)


def _part(name: str, part: str) -> Any:
    try:
        return import_module(f"clary.algorithms.{name}.{part}")
    except ModuleNotFoundError as missing:
        package = (missing.name or "clary").partition(".")[0]
        if package == "clary":
            raise
        declared = spec(name)
        extras = ",".join(declared.extras)
        raise PlatformError(
            f"{declared.title} needs the package {package}; pip install 'clary[{extras}]' brings it"
        ) from None
