"""Names that the classic SDK's algorithm classes use for hyperparameters, and what they are called here."""

from __future__ import annotations

from collections.abc import Mapping
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


def renamed(given: Mapping[str, Any], spec: AlgorithmSpec) -> dict[str, Any]:
    """The hyperparameters under today's names; TypeError for a keyword that is no hyperparameter at all.

    UserError if one is given under both of its names, or if a keyword of the classic SDK means nothing here.
    """
    old, known = OLD_NAMES.get(spec.name, {}), spec.hyperparameters.parameters()
    values: dict[str, Any] = {}
    for name, value in given.items():
        today = old.get(name, name)
        if name in _WITHOUT_MEANING:
            raise UserError(
                f"{spec.class_name} takes no {name}: name the place with backend=, output= and endpoint_url="
            )
        if today not in known and today not in spec.inert and not today.startswith("_"):
            raise TypeError(f"{spec.class_name} takes no argument {name!r}; {_hint(name, [*known, *old])}")
        if today in values or (name != today and given.get(today) is not None):
            raise UserError(f"{today} was given twice, as {name} too")
        values[today] = value
    return values


def _hint(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"its hyperparameters are {', '.join(sorted(known))}"
