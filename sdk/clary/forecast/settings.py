"""What a user may choose about a forecast job, checked at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from clary.forecast.filling import AGGREGATES, RULES
from clary.toolkit.errors import UserError

QUANTILES = (0.1, 0.5, 0.9)
# The candidates in the order in which they are tried, and the groups that stand for several.
NAMES = ("seasonal_naive", "theta", "intermittent", "npts", "linear", "ets", "trees", "arima", "mstl", "deepar")
STATISTICAL = ("seasonal_naive", "theta", "intermittent", "npts", "linear", "ets", "arima", "mstl")
GROUPS: Mapping[str, Sequence[str]] = {"auto": NAMES, "statistical": STATISTICAL}
LAYOUTS = ("auto", "long", "wide")
_LONGEST_HORIZON = 1000
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h)?")
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which columns of the target table mean what, where names and contents do not tell."""

    item: str | None = None
    timestamp: str | None = None
    target: str | None = None
    dimensions: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The choices of one job; ``budget`` is in seconds."""

    horizon: int
    frequency: str | None = None
    quantiles: tuple[float, ...] = QUANTILES
    models: tuple[str, ...] = NAMES
    budget: float | None = None
    windows: int | None = None
    roles: Roles = field(default_factory=Roles)
    timestamp_format: str | None = None
    layout: str = "auto"
    aggregate: str = "sum"
    fill: str = "auto"
    fill_end: str = "auto"
    fill_related: str = "previous"
    bad_rows: str = "skip"
    seed: int = 0

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise UserError("; ".join(problems))

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that are forecast: those asked for, and those that the report needs."""
        return tuple(sorted({*self.quantiles, *QUANTILES}))

    def as_json(self) -> dict[str, Any]:
        """All choices by name, for an artifact."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**found, "roles": {each.name: getattr(self.roles, each.name) for each in fields(self.roles)}}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Settings:
        """The settings that ``as_json`` wrote."""
        roles = {name: _tupled(value) for name, value in given["roles"].items()}
        rest = {name: _tupled(value) for name, value in given.items() if name != "roles"}
        return cls(roles=Roles(**roles), **rest)

    def _problems(self) -> list[str]:
        found = []
        if not 1 <= self.horizon <= _LONGEST_HORIZON:
            found.append(f"horizon must be from 1 to {_LONGEST_HORIZON} steps; got {self.horizon}")
        bad = [each for each in self.quantiles if not 0 < each < 1]
        if bad or not self.quantiles:
            found.append(f"quantiles must lie above 0 and below 1; got {', '.join(map(str, bad)) or 'none'}")
        if strangers := [name for name in self.models if name not in NAMES]:
            known = ", ".join((*GROUPS, *NAMES))
            found.append(f"models must be among {known}; got {', '.join(strangers)}")
        if not self.models:
            found.append("models must name one candidate at least")
        if self.budget is not None and self.budget < 5:
            found.append(f"budget must be 5 seconds at least; got {self.budget:g}")
        if self.windows is not None and not 1 <= self.windows <= 20:
            found.append(f"windows must be from 1 to 20; got {self.windows}")
        if self.aggregate not in AGGREGATES:
            found.append(f"aggregate must be one of {', '.join(AGGREGATES)}; got {self.aggregate!r}")
        for name in ("fill", "fill_end", "fill_related"):
            if not _is_rule(getattr(self, name)):
                found.append(f"{name} must be a number or one of {', '.join(RULES)}; got {getattr(self, name)!r}")
        if self.layout not in LAYOUTS:
            found.append(f"layout must be one of {', '.join(LAYOUTS)}; got {self.layout!r}")
        if self.bad_rows not in ("skip", "refuse"):
            found.append(f"bad_rows must be skip or refuse; got {self.bad_rows!r}")
        return found


def models(text: str | Sequence[str]) -> tuple[str, ...]:
    """The candidates of a list such as ``auto`` or ``ets,theta``, in the order in which they are tried."""
    words = text.split(",") if isinstance(text, str) else text
    named = [each for word in words if word.strip() for each in GROUPS.get(word.strip(), (word.strip(),))]
    return tuple(sorted(dict.fromkeys(named), key=lambda name: NAMES.index(name) if name in NAMES else len(NAMES)))


def quantiles(text: str) -> tuple[float, ...]:
    """The levels of a list such as ``0.1,0.5,0.9``, rising; UserError names what is no number."""
    found = set()
    for word in text.split(","):
        try:
            found.add(float(word))
        except ValueError:
            raise UserError(f"--quantiles wants numbers such as 0.1,0.5,0.9; got {word!r}") from None
    return tuple(sorted(found))


def seconds(text: str | float) -> float:
    """The seconds of a duration such as ``90``, ``60s``, ``5m`` or ``1h``; UserError if it is none."""
    found = _DURATION.fullmatch(str(text).strip())
    if found is None:
        raise UserError(f"--budget wants a time such as 60s, 5m or 1h; got {text!r}")
    return float(found[1]) * _SECONDS[found[2] or ""]


def _is_rule(text: str) -> bool:
    if text in RULES:
        return True
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
