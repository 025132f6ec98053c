"""Drawings and tables that the pages of a job and of an update share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast import markup
from clary.forecast.chart import BLUE, INK, Chart, limits, number, time_ticks
from clary.forecast.findings import Findings
from clary.forecast.panel import Panel
from clary.forecast.settings import Settings
from clary.toolkit.artifact import package_version

Array = npt.NDArray[Any]
SHOWN = 8  # series that are drawn
LEAST_COVERAGE, MOST_COVERAGE = 0.7, 0.9
_HISTORY = 4  # horizons of history before a forecast
_FEWEST_SHOWN, _MOST_SHOWN = 30, 240  # points of it
_LISTED = 12
_WORDS = {
    "S": "second",
    "min": "minute",
    "H": "hour",
    "D": "day",
    "B": "business day",
    "W": "week",
    "M": "month",
    "Q": "quarter",
    "Y": "year",
}


def whole(title: str, *parts: str) -> str:
    """A page of these parts that needs no other file."""
    style = files("clary.forecast").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{''.join(parts)}</main></body>"
        "</html>\n"
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Numbers in large letters, each over its words."""
    boxes = "".join(
        f'<div class="fact"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in pairs
    )
    return f'<div class="facts">{boxes}</div>'


@dataclass(frozen=True)
class Figures:
    """Draws series of a panel."""

    panel: Panel
    settings: Settings

    def forecast(self, forecast_NHQ: Array) -> str:
        """The section of the forecasts behind the panel's end, of the largest series."""
        rows = self.largest()
        more = f" The {len(rows)} largest of {len(self.panel):,} are drawn." if len(rows) < len(self.panel) else ""
        key = markup.key((INK, "what was"), (BLUE, "median forecast (p50)"), area=(f"{BLUE}33", "p10 to p90"))
        text = "Half of the time the value should be above the blue line, and in four of five cases within the band."
        drawn = side_by_side(self._ahead(row, forecast_NHQ[row]) for row in rows)
        return markup.section("The forecast", text + more, key, drawn)

    def largest(self) -> list[int]:
        """The series with the largest volume, which matter most."""
        late = self.settings.horizon * _HISTORY
        sizes = [float(np.abs(values[-late:]).sum()) for values in self.panel.values]
        return list(np.argsort(sizes, kind="stable")[::-1][:SHOWN])

    def three(self, quantiles_HQ: Array) -> tuple[Array, Array, Array]:
        """p10, p50 and p90 of a forecast."""
        low, middle, high = (quantiles_HQ[:, self.settings.levels.index(level)] for level in (0.1, 0.5, 0.9))
        return low, middle, high

    def ticks(self, steps: Array) -> list[tuple[float, str]]:
        """Some of the steps' times: months and longer ones without their day, and hours without their year."""
        grid = self.panel.grid
        texts = grid.texts(steps)
        if grid.frequency.unit in ("M", "Q", "Y"):
            return time_ticks([text[:7] for text in texts], 4)
        # Three fit beside each other on a narrow screen, too.
        return time_ticks(texts if len(texts[0]) == len("2024-01-31") else [text[5:16] for text in texts], 3)

    @property
    def step(self) -> str:
        """The time between two points in words."""
        freq = self.panel.grid.frequency
        return _WORDS[freq.unit] if freq.multiple == 1 else f"{freq.multiple} {_WORDS[freq.unit]}s"

    def tested(self, row: int, parts: Iterable[tuple[int, Array]], shown: int) -> str:
        """A series from ``shown`` steps before the first of the forecasts on, which are a step and quantiles each."""
        drawn = [(step, self.three(quantiles_HQ)) for step, quantiles_HQ in parts]
        begin = max(int(self.panel.first[row]), drawn[0][0] - shown)
        values = self.panel.values[row][begin - int(self.panel.first[row]) :]
        name = ", ".join(self.panel.keys[row])
        every = np.concatenate([np.concatenate(three) for _, three in drawn])
        chart = Chart(520, 190, (0, len(values) - 1), limits(values, every), f"Earlier forecasts of {name}")
        for step, (low, middle, high) in drawn:
            at = np.arange(step, step + len(middle), dtype=float) - begin
            chart.band(at.tolist(), low.tolist(), high.tolist(), BLUE, 0.2)
            chart.line(at.tolist(), middle.tolist(), BLUE, width=1.6)
            chart.upright(float(at[0]) - 0.5)
        chart.line(range(len(values)), values.tolist(), INK, width=1.3)
        return markup.figure(name, chart.svg(self.ticks(np.arange(begin, begin + len(values)))))

    def _ahead(self, row: int, forecast_HQ: Array) -> str:
        """One series: late history, and the forecast behind it."""
        panel, horizon = self.panel, self.settings.horizon
        history = panel.values[row][-self._back(row) :]
        low, middle, high = self.three(forecast_HQ)
        steps = np.arange(panel.end - len(history), panel.end + horizon)
        ahead = np.arange(len(history), len(history) + horizon, dtype=float)
        name = ", ".join(panel.keys[row])
        chart = Chart(520, 210, (0, len(steps) - 1), limits(history, low, high), f"Forecast of {name}")
        # From the last point on, so that there is no hole between what was and what will be.
        start = np.concatenate([[ahead[0] - 1], ahead])
        ends = [np.concatenate([[history[-1]], each]) for each in (low, middle, high)]
        chart.band(start.tolist(), ends[0].tolist(), ends[2].tolist(), BLUE, 0.2)
        chart.upright(ahead[0] - 1)
        chart.line(range(len(history)), history.tolist(), INK, width=1.4)
        chart.line(start.tolist(), ends[1].tolist(), BLUE, width=2)
        caption = f"next {horizon} steps: {number(float(middle.sum()))} in all (p50)"
        return markup.figure(name, chart.svg(self.ticks(steps)), caption)

    def _back(self, row: int) -> int:
        wanted = int(np.clip(_HISTORY * self.settings.horizon, _FEWEST_SHOWN, _MOST_SHOWN))
        return min(len(self.panel.values[row]), max(wanted, self.settings.horizon))


def side_by_side(figures: Iterable[str]) -> str:
    """The figures in as many columns as the page has room for."""
    return f'<div class="grid">{"".join(figures)}</div>'


def read(findings: Findings, where: str) -> str:
    """The section of what was decided or repaired while reading, and the page's last line."""
    repairs = [
        markup.row([each.source, each.kind, f"{each.count:,}", each.text], texts=(0, 1, 3))
        for each in findings.repairs
    ]
    table = markup.table(["File", "What", "How often", "What was done"], repairs, texts=(0, 1, 3)) if repairs else ""
    text = "What was decided or repaired while reading." if repairs else "Nothing had to be decided or repaired."
    left = "".join(f"<li>{escape(str(each))}</li>" for each in findings.rejections[:_LISTED])
    more = len(findings.rejections) - _LISTED
    rest = f"<p>and {more:,} more, all in rejected.csv</p>" if more > 0 else ""
    rejected = f"<h3>Rows that are left out</h3><ul>{left}</ul>{rest}" if left else ""
    made = f"Made by Clary {package_version()}. {where}"
    return markup.section("The input", text, table, rejected, f'<p class="quiet">{escape(made)}</p>')
