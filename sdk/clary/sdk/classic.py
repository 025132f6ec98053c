"""Names that the classic SDK's algorithm classes use for hyperparameters, and what they are called here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from clary.toolkit.errors import UserError
from clary.toolkit.spec import AlgorithmSpec

OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "kmeans": {
        "max_iterations": "local_lloyd_max_iter",
        "tol": "local_lloyd_tol",
        "num_trials": "local_lloyd_num_trials",
        "local_init_method": "local_lloyd_init_method",
        "center_factor": "extra_center_factor",
    },
}
# What the classic classes take and what has no counterpart here, because nothing here would obey it.
_WITHOUT_MEANING = ("sagemaker_session", "enable_network_isolation", "volume_kms_key")


def canonical(given: Mapping[str, Any], spec: AlgorithmSpec) -> dict[str, Any]:
    """The values under the declared names of their hyperparameters; names that mean nothing stay as they are.

    A name may be the classic SDK's, an alias, or the Python spelling of a name that Python forbids. UserError if
    a hyperparameter is given under two names.
    """
    other = other_names(spec)
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    for name, value in given.items():
        today = other.get(name, name)
        if value is not None and values.get(today) is not None:
            raise UserError(f"{today} was given twice, as {written[today]} and as {name}")
        if value is not None or today not in values:
            values[today], written[today] = value, name
    return values


def renamed(given: Mapping[str, Any], spec: AlgorithmSpec) -> dict[str, Any]:
    """``canonical`` for the keywords of a class; TypeError for one that is no hyperparameter at all.

    UserError if a keyword of the classic SDK means nothing here.
    """
    known = {*spec.hyperparameters.parameters(), *spec.inert, *other_names(spec)}
    for name in given:
        if name in _WITHOUT_MEANING:
            raise UserError(
                f"{spec.class_name} takes no {name}: name the place with backend=, output= and endpoint_url="
            )
        if name not in known and not name.startswith("_"):
            raise TypeError(f"{spec.class_name} takes no argument {name!r}; {_hint(name, known)}")
    return canonical(given, spec)


def other_names(spec: AlgorithmSpec) -> dict[str, str]:
    """What may be written for a hyperparameter instead of its declared name."""
    made: Any = spec.hyperparameters
    public = spec.hyperparameters.parameters()
    attributes = (each.name for each in dataclasses.fields(made))
    spelled = {attribute: name for attribute, name in zip(attributes, public, strict=True) if attribute != name}
    return {**spelled, **spec.aliases, **OLD_NAMES.get(spec.name, {})}


def _hint(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"its hyperparameters are {', '.join(sorted(known))}"
