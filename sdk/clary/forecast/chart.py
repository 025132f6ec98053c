"""Drawings as inline SVG: lines, bands and dots within axes, as wide as the page makes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
INK, QUIET, GRID = "#222222", "#6b6b6b", "#e4e4e4"
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 12.0, 10.0, 26.0


@dataclass
class Chart:
    """A frame with scales; ``x`` and ``y`` are the lowest and highest values that it shows."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    label: str
    parts: list[str] = field(default_factory=list)

    def across(self, x: float) -> float:
        """Where a value lies from left to right."""
        low, high = self.x
        return _LEFT + (x - low) / (high - low or 1.0) * (self.width - _LEFT - _RIGHT)

    def up(self, y: float) -> float:
        """Where a value lies from top to bottom."""
        low, high = self.y
        return _TOP + (high - y) / (high - low or 1.0) * (self.height - _TOP - _BOTTOM)

    def line(self, x: Iterable[float], y: Iterable[float], color: str, *, width: float = 1.6, dash: str = "") -> None:
        """A line through the points, parted where a value is missing."""
        for run in _runs(x, y):
            points = " ".join(f"{self.across(a):.1f},{self.up(b):.1f}" for a, b in run)
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            self.parts.append(
                f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"{dashed} '
                'stroke-linejoin="round"/>'
            )

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], color: str, opacity: float
    ) -> None:
        """The area between two lines."""
        there = [f"{self.across(a):.1f},{self.up(b):.1f}" for a, b in zip(x, high, strict=True)]
        back = [f"{self.across(a):.1f},{self.up(b):.1f}" for a, b in zip(x, low, strict=True)]
        points = " ".join([*there, *reversed(back)])
        self.parts.append(f'<polygon points="{points}" fill="{color}" fill-opacity="{opacity}"/>')

    def dots(self, x: Iterable[float], y: Iterable[float], color: str, *, radius: float = 3.5) -> None:
        """A dot for each point."""
        for a, b in zip(x, y, strict=True):
            self.parts.append(
                f'<circle cx="{self.across(a):.1f}" cy="{self.up(b):.1f}" r="{radius}" fill="{color}"/>'
            )

    def upright(self, x: float) -> None:
        """A thin line from top to bottom."""
        place = self.across(x)
        self.parts.append(
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{self.height - _BOTTOM}" stroke="{QUIET}" '
            'stroke-dasharray="2 3"/>'
        )

    def svg(self, ticks: Sequence[tuple[float, str]], *, share: bool = False) -> str:
        """The drawing with its axes; ``ticks`` are those below, ``share`` writes the others as per cent."""
        axes = []
        for value in _round_values(*self.y):
            place = self.up(value)
            shown = f"{value:.0%}" if share else number(value)
            axes.append(
                f'<line x1="{_LEFT}" x2="{self.width - _RIGHT}" y1="{place:.1f}" y2="{place:.1f}" stroke="{GRID}"/>'
                f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{shown}</text>'
            )
        for at, text in ticks:
            place = self.across(at)
            anchor = "start" if place < _LEFT + 20 else "end" if place > self.width - _RIGHT - 30 else "middle"
            axes.append(f'<text x="{place:.1f}" y="{self.height - 8}" text-anchor="{anchor}">{escape(text)}</text>')
        inner = "".join([*axes, *self.parts])
        size = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        return f'<svg {size} role="img" aria-label="{escape(self.label, quote=True)}">{inner}</svg>'


def limits(*values: Array, zero: bool = False) -> tuple[float, float]:
    """The lowest and highest of the values with some room, zero among them where asked."""
    known = np.concatenate([np.ravel(each) for each in values])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * ((high - low) or abs(high) or 1.0)
    return (low - room if low else low), high + room


def time_ticks(texts: Sequence[str], count: int = 5) -> list[tuple[float, str]]:
    """About so many of the times, evenly, as ticks at their places."""
    step = max(1, math.ceil(len(texts) / count))
    return [(float(place), texts[place]) for place in range(0, len(texts), step)]


def number(value: float) -> str:
    """A number with about three digits, thousands and millions abbreviated."""
    size = abs(value)
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if sign == 'k' else limit):.3g}{sign}".replace("-", "−")
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def _runs(x: Iterable[float], y: Iterable[float]) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for a, b in zip(x, y, strict=True):
        if math.isfinite(b):
            run.append((a, b))
            continue
        if run:
            yield run
        run = []
    if run:
        yield run


def _round_values(low: float, high: float) -> list[float]:
    """Three to six round numbers within the limits."""
    rough = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    return [each * step for each in range(math.ceil(low / step), math.floor(high / step) + 1)]
