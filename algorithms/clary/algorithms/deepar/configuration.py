"""What a caller may ask of a forecast: how many samples are drawn, and what of them is answered.

N series, S samples, T steps, L quantile levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from clary.algorithms.deepar.spec import CONFIGURATION, FORWARDED, LEVELS, MEAN, OUTPUT_TYPES, QUANTILES, SAMPLES
from clary.toolkit.errors import DataError, UserError

Floats = npt.NDArray[np.float32]
Forecast = dict[str, Any]

MOST_SAMPLES = 10_000  # of one series
MOST_LEVELS = 1000
_KEYS = ("num_samples", "output_types", "quantiles")


@dataclass(frozen=True)
class Configuration:
    """The members of a request's configuration; None is a member that it leaves out.

    ``quantiles`` are levels as the caller writes them, since the answer repeats them so.
    """

    num_samples: int | None = None
    output_types: tuple[str, ...] | None = None
    quantiles: tuple[str, ...] | None = None

    @classmethod
    def of(cls, given: Any) -> Configuration:
        """The configuration that a JSON object holds; DataError names the member that is wrong."""
        if not isinstance(given, dict):
            raise DataError(f"must be a JSON object with any of {', '.join(_KEYS)}", field=CONFIGURATION)
        if strangers := [name for name in given if name not in _KEYS]:
            raise _wrong(strangers[0], f"is not known; a configuration has {', '.join(_KEYS)}")
        found = cls(
            _count(given["num_samples"]) if "num_samples" in given else None,
            _types(given["output_types"]) if "output_types" in given else None,
            _levels(given["quantiles"]) if "quantiles" in given else None,
        )
        if found.quantiles == () and QUANTILES in (found.output_types or (QUANTILES,)):
            raise _wrong("quantiles", 'must hold at least one level, such as "0.5"')
        return found

    def over(self, usual: Configuration) -> Configuration:
        """This configuration, its gaps filled from another; levels alone ask for quantiles beside what is usual."""
        types = self.output_types or usual.output_types
        if self.quantiles and self.output_types is None and types is not None and QUANTILES not in types:
            types = (*types, QUANTILES)
        return Configuration(self.num_samples or usual.num_samples, types, self.quantiles or usual.quantiles)

    def forecasts(self, drawn_NST: Floats) -> list[Forecast]:
        """What is answered of the samples of each series; quantiles are interpolated between sorted samples."""
        assert self.output_types is not None
        assert self.quantiles is not None
        found: list[Forecast] = [{} for _ in drawn_NST]
        if MEAN in self.output_types:
            for forecast, mean_T in zip(found, drawn_NST.mean(axis=1, dtype=np.float64), strict=True):
                forecast[MEAN] = mean_T.astype(np.float32)
        if QUANTILES in self.output_types:
            levels = [float(level) for level in self.quantiles]
            quantiles_LNT = np.ascontiguousarray(np.quantile(drawn_NST, levels, axis=1), np.float32)
            for number, forecast in enumerate(found):
                forecast[QUANTILES] = dict(zip(self.quantiles, quantiles_LNT[:, number], strict=True))
        if SAMPLES in self.output_types:
            for forecast, drawn_ST in zip(found, drawn_NST, strict=True):
                forecast[SAMPLES] = drawn_ST
        return found


_EVERY_TENTH = tuple(map(str, LEVELS))
# What an endpoint answers to a request without a configuration, and what a batch transform does.
ENDPOINT = Configuration(100, (MEAN,), _EVERY_TENTH)
BATCH = Configuration(100, (MEAN, QUANTILES), _EVERY_TENTH)


def of_options(options: Mapping[str, str]) -> tuple[Configuration, tuple[str, ...]]:
    """The configuration and the forwarded fields that declared options ask for; UserError names the wrong one."""
    configuration = Configuration()
    if CONFIGURATION in options:
        configuration = Configuration.of(_loaded(CONFIGURATION, options[CONFIGURATION]))
    names = _loaded(FORWARDED, options[FORWARDED]) if FORWARDED in options else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f'{FORWARDED} must be a JSON list of names, such as ["id"]; got {options[FORWARDED]}')
    if taken := [name for name in names if name in OUTPUT_TYPES]:
        raise UserError(f"{FORWARDED} cannot hold {taken[0]!r}: the forecast itself has a field of that name")
    return configuration, tuple(names)


def _loaded(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        raise UserError(f"{name} must be JSON; got {text!r}") from None


def _wrong(name: str, reason: str) -> DataError:
    return DataError(reason, field=f"{CONFIGURATION}.{name}")


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:80]}..."


def _count(given: Any) -> int:
    if type(given) is not int or not 1 <= given <= MOST_SAMPLES:
        raise _wrong("num_samples", f"must be an integer from 1 to {MOST_SAMPLES}; got {_shown(given)}")
    return given


def _types(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or any(each not in OUTPUT_TYPES for each in given):
        allowed = ", ".join(f'"{name}"' for name in OUTPUT_TYPES)
        raise _wrong("output_types", f"must be a list of one or more of {allowed}; got {_shown(given)}")
    return tuple(name for name in OUTPUT_TYPES if name in given)


def _levels(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > MOST_LEVELS:
        raise _wrong("quantiles", f"must be a list of at most {MOST_LEVELS} levels; got {_shown(given)}")
    for place, level in enumerate(given):
        if not _is_level(level):
            reason = f'must be a number between 0 and 1, such as "0.5"; got {_shown(level)}'
            raise _wrong(f"quantiles[{place}]", reason)
    return tuple(dict.fromkeys(map(str, given)))


def _is_level(level: Any) -> bool:
    if type(level) not in (str, int, float):
        return False
    try:
        return 0 <= float(level) <= 1
    except ValueError:
        return False
