"""Which declared type a request has, and in which declared type its answer goes back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clary.toolkit.errors import NotAcceptableError, UnsupportedMediaError, UserError
from clary.toolkit.media import MediaType

OCTETS = "application/octet-stream"
_NO_ALIASES: Mapping[str, str] = {}
_ENTRY = re.compile(r'(?:[^,"]|"[^"]*"?)+')  # of a list, where quotes hide commas


@dataclass(frozen=True)
class _Range:
    """One entry of an Accept header; ``place`` is its position there."""

    type: MediaType
    quality: float
    place: int

    @property
    def precision(self) -> int:
        """2 for a type, 1 for ``text/*``, 0 for ``*/*``."""
        return 2 - self.type.name.count("*")

    def covers(self, name: str) -> bool:
        """Whether the type of that name lies within this range."""
        family, _, kind = self.type.name.partition("/")
        return (kind == "*" and family in ("*", name.partition("/")[0])) or self.type.name == name


def request_type(header: str, supported: Sequence[str], aliases: Mapping[str, str] = _NO_ALIASES) -> MediaType:
    """The type of a request body with its parameters; UnsupportedMediaError lists the supported ones.

    A request without a type, or with the ``application/octet-stream`` that clients put on bytes that they know
    nothing about, has the algorithm's first declared type. ``aliases`` maps other names to supported ones.
    """
    asked = MediaType.parse(header)
    if asked.name in supported:
        return asked
    if asked.name in aliases:
        return MediaType(aliases[asked.name], asked.parameters)
    if asked.name in ("", OCTETS):
        return MediaType(supported[0])
    raise UnsupportedMediaError(f"Content-Type {asked.name!r} is not supported; send {', '.join(supported)}")


def by_default(wanted: str, supported: Sequence[str]) -> Sequence[str]:
    """The supported types with the wanted one first, where there is one; UserError if it is not among them."""
    name = wanted.strip().lower()
    if not name:
        return supported
    if name not in supported:
        raise UserError(
            f"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT must be one of {', '.join(supported)}, "
            f"which this model answers in; got {wanted!r}"
        )
    return (name, *(each for each in supported if each != name))


def response_type(header: str, supported: Sequence[str]) -> MediaType:
    """The type to answer in, with the parameters it was asked for; NotAcceptableError lists the supported ones.

    Highest quality first, then a type named outright before one that a ``*`` covers, then the order of the
    header, then the order of the declaration. No header, or only commas, asks for the first declared type.
    """
    ranges = [_range(text, place) for place, text in enumerate(_ENTRY.findall(header)) if text.strip()]
    if not ranges:
        return MediaType(supported[0])
    candidates = [
        (found.quality, found.precision, -found.place, -position, name, found)
        for position, name in enumerate(supported)
        if (found := _closest(ranges, name)) is not None and found.quality > 0
    ]
    if not candidates:
        raise NotAcceptableError(f"no answer fits Accept {header.strip()!r}; ask for {', '.join(supported)}")
    *_, name, found = max(candidates, key=lambda candidate: candidate[:4])
    return MediaType(name, found.type.parameters)


def _closest(ranges: Sequence[_Range], name: str) -> _Range | None:
    """The range that speaks for a type: the most precise one; of equals that with the highest quality."""
    covering = [each for each in ranges if each.covers(name)]
    return max(covering, key=lambda each: (each.precision, each.quality, -each.place), default=None)


def _range(text: str, place: int) -> _Range:
    asked = MediaType.parse(text)
    parameters = dict(asked.parameters)
    quality = parameters.pop("q", "1")
    try:
        value = float(quality)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"Accept has {text.strip()!r}, where q must be a number from 0 to 1; got {quality!r}")
    return _Range(MediaType("*/*" if asked.name == "*" else asked.name, parameters), value, place)
