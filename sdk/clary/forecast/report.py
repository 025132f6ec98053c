"""A job's findings as one page for people: it needs no network, no script, and no other file."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast import markup
from clary.forecast.chart import BLUE, INK, ORANGE, QUIET, Chart, limits, number, time_ticks
from clary.forecast.job import FALLBACK, Result
from clary.forecast.output import REPORT, column
from clary.forecast.scores import losses
from clary.toolkit.artifact import package_version, write_whole

Array = npt.NDArray[Any]
_SHOWN = 8  # series that are drawn
_HISTORY = 4  # horizons of history before a forecast
_FEWEST_SHOWN, _MOST_SHOWN = 30, 240  # points of it
_LISTED = 12
_LEAST_COVERAGE, _MOST_COVERAGE = 0.7, 0.9


def write(result: Result, folder: Path) -> None:
    """Put ``report.html`` into the folder."""
    write_whole(folder / REPORT, page(result).encode())


def page(result: Result) -> str:
    """The whole page."""
    style = files("clary.forecast").joinpath("page.css").read_text(encoding="utf-8")
    panel = result.panel
    title = f"Forecast of {len(panel):,} series, {result.settings.horizon} steps ahead"
    body = "".join(
        [
            _head(result, title),
            _series(result),
            _leaderboard(result),
            _backtests(result),
            _calibration(result),
            _input(result),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(result: Result, title: str) -> str:
    panel, entry = result.panel, result.entry
    scores = entry.scores
    assert scores is not None
    baseline = next(each.scores for each in result.entries if each.name == FALLBACK)
    better = 1 - scores.loss / baseline.loss if baseline and baseline.loss else 0.0
    share = scores.between(0.1, 0.9)
    first, last = panel.grid.texts([int(panel.first.min()), panel.end - 1])
    until = panel.grid.texts([panel.end + result.settings.horizon - 1])[0]
    facts = [
        (entry.title, "chosen model"),
        (f"{better:.0%}", "lower loss than repeating the last season"),
        (f"{scores.wape:.1%}", "typical error of the median, as a share of the volume (WAPE)"),
        (f"{share:.0%}", "of what came lay between p10 and p90; 80% is meant"),
        (_time(result.seconds), "for the whole job"),
    ]
    boxes = "".join(f'<div class="fact"><b>{escape(big)}</b><span>{small}</span></div>' for big, small in facts)
    made = (
        f"Learned from {panel.lengths.sum():,} points every {_step(result)}, {first} to {last}; forecast to {until}."
    )
    said = _verdict(result, better, share)
    return f'<h1>{escape(title)}</h1><p class="quiet">{escape(made)}</p><div class="facts">{boxes}</div>{said}'


def _verdict(result: Result, better: float, share: float) -> str:
    """Sentences that say how far the numbers can be trusted."""
    said = []
    if result.chosen == FALLBACK:
        said.append("No model beat repeating the last season, so the forecast does just that.")
    elif better < 0.02:
        said.append("The models are hardly better here than repeating the last season.")
    if result.weights and len(result.weights) > 1:
        titles = {entry.name: entry.title for entry in result.entries}
        parts = sorted(result.weights.items(), key=lambda each: -each[1])
        mixed = ", ".join(f"{titles[name]} {weight:.0%}" for name, weight in parts)
        said.append(f"The ensemble is made of {mixed}.")
    if not _LEAST_COVERAGE <= share <= _MOST_COVERAGE:
        said.append("The range from p10 to p90 does not hold what it promises: plan with more room than it shows.")
    if result.findings.rejections:
        count = len({(each.source, each.line) for each in result.findings.rejections})
        said.append(f"{count:,} rows could not be read and are left out.")
    return f"<p>{escape(' '.join(said))}</p>" if said else ""


def _series(result: Result) -> str:
    rows = _largest(result)
    more = f" The {len(rows)} largest of {len(result.panel):,} are drawn." if len(rows) < len(result.panel) else ""
    key = markup.key((INK, "what was"), (BLUE, "median forecast (p50)"), area=(f"{BLUE}33", "p10 to p90"))
    text = "Half of the time the value should be above the blue line, and in four of five cases within the band."
    return markup.section("The forecast", text + more, key, _side_by_side(_drawn(result, row) for row in rows))


def _drawn(result: Result, row: int) -> str:
    """One series: late history, and the forecast behind it."""
    panel, horizon = result.panel, result.settings.horizon
    back = _back(result, row)
    history = panel.values[row][-back:]
    low, middle, high = _three(result, result.forecast[row])
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
    return markup.figure(name, chart.svg(_ticks(result, steps)), caption)


def _leaderboard(result: Result) -> str:
    levels = result.settings.quantiles
    shown = levels if len(levels) <= 5 else tuple(level for level in levels if level in (0.1, 0.5, 0.9))
    losses_of = [f"wQL {column(level)}" for level in shown]
    heads = ["Model", "Loss", *losses_of, "WAPE", "RMSE", "MASE", "p10–p90", "Weight", "Time"]
    rows = []
    for entry in result.entries:
        scores = entry.scores
        if scores is None:
            said = f"left out: {entry.left_out}"
            rows.append(markup.row([entry.title, said], kind="out", texts=(0, 1), span=len(heads) - 1))
            continue
        cells = [entry.title, f"{scores.loss:.4f}", *(f"{scores.weighted_losses[level]:.4f}" for level in shown)]
        cells += [f"{scores.wape:.4f}", number(scores.rmse), f"{scores.mase:.3f}", f"{scores.between(0.1, 0.9):.0%}"]
        cells += [f"{entry.weight:.0%}" if entry.weight else "", _time(entry.seconds)]
        rows.append(markup.row(cells, kind="chosen" if entry.name == result.chosen else ""))
    mean = ", ".join(column(level) for level in levels)
    text = (
        f"Each model forecast {len(result.ends)} times from what was known then, and was compared with what came. "
        f"Loss is the weighted quantile loss, mean of {mean}: 0 is perfect, the lowest is chosen. WAPE is the sum "
        "of the median's errors over the sum of the values. MASE below 1 is better than repeating the last season "
        "within the history."
    )
    return markup.section("The models compared", text, markup.table(heads, rows))


def _backtests(result: Result) -> str:
    figures = _side_by_side(_tested(result, row) for row in _largest(result)[: _SHOWN // 2])
    text = (
        "What the chosen model would have said at earlier times (blue), each time with nothing known behind the "
        "dotted line, and what came (black)."
    )
    return markup.section("Backtests", text, figures, _by_step(result))


def _tested(result: Result, row: int) -> str:
    panel, horizon = result.panel, result.settings.horizon
    windows = [w for w in range(len(result.ends)) if not np.isnan(result.backtests[result.chosen][w, row]).any()]
    windows = windows[-max(1, min(len(windows), _MOST_SHOWN // horizon)) :]
    if not windows:
        return ""
    begin = max(int(panel.first[row]), result.ends[windows[0]] - max(8, horizon // 2))
    values = panel.values[row][begin - int(panel.first[row]) :]
    drawn = [_three(result, result.backtests[result.chosen][window, row]) for window in windows]
    name = ", ".join(panel.keys[row])
    every = np.concatenate([np.concatenate(each) for each in drawn])
    chart = Chart(520, 190, (0, len(values) - 1), limits(values, every), f"Backtests of {name}")
    for window, (low, middle, high) in zip(windows, drawn, strict=True):
        at = np.arange(result.ends[window], result.ends[window] + horizon, dtype=float) - begin
        chart.band(at.tolist(), low.tolist(), high.tolist(), BLUE, 0.2)
        chart.line(at.tolist(), middle.tolist(), BLUE, width=1.6)
        chart.upright(float(at[0]) - 0.5)
    chart.line(range(len(values)), values.tolist(), INK, width=1.3)
    steps = np.arange(begin, begin + len(values))
    return markup.figure(name, chart.svg(_ticks(result, steps)))


def _by_step(result: Result) -> str:
    """How the loss grows with the distance, for the chosen model and repeating the last season."""
    horizon = result.settings.horizon
    if horizon < 3:
        return ""
    size = np.nanmean(np.abs(result.actual)) or 1.0
    curves = {}
    for name in dict.fromkeys([FALLBACK, result.chosen]):
        loss = losses(result.actual, result.backtests[name], result.settings.levels)
        curves[name] = np.nanmean(loss, axis=(0, 1, 3)) / size
    chart = Chart(520, 190, (1, horizon), limits(*curves.values(), zero=True), "Loss by steps ahead")
    colors = {FALLBACK: ORANGE, result.chosen: BLUE}
    for name, curve in curves.items():
        chart.line(range(1, horizon + 1), curve.tolist(), colors[name], width=2)
    step = max(1, round(horizon / 6))
    ticks = [(float(each), str(each)) for each in range(1, horizon + 1, step)]
    key = markup.key((BLUE, result.entry.title), (ORANGE, "repeating the last season"))
    return f'<div class="two">{markup.figure("Loss by steps ahead", chart.svg(ticks) + key)}</div>'


def _calibration(result: Result) -> str:
    scores = result.entry.scores
    assert scores is not None
    levels = sorted(scores.coverage)
    shares = [scores.coverage[level] for level in levels]
    chart = Chart(520, 300, (0, 1), (0, 1), "Share of points below each quantile")
    chart.line([0, 1], [0, 1], QUIET, width=1, dash="4 4")
    chart.line(levels, shares, BLUE, width=2)
    chart.dots(levels, shares, BLUE)
    ticks = [(each / 4, f"{each / 4:.0%}") for each in range(5)]
    rows = [
        markup.row([column(level), f"{level:.1%}", f"{share:.1%}"])
        for level, share in zip(levels, shares, strict=True)
    ]
    between = scores.between(0.1, 0.9)
    text = (
        "A quantile keeps its word if that share of what comes lies below it. The range from p10 to p90 should "
        f"hold 80% of the points, and held {between:.0%} in the backtests. Each backtest was calibrated by the "
        "others only."
    )
    if not _LEAST_COVERAGE <= between <= _MOST_COVERAGE:
        text += " This is far from 80%."
    drawing = markup.figure("Promised (across) and kept (up)", chart.svg(ticks, share=True))
    table = markup.table(["Quantile", "Meant to lie below", "Lay below"], rows)
    return markup.section("Calibration", text, f'<div class="two">{drawing}{table}</div>')


def _input(result: Result) -> str:
    findings = result.findings
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
    made = (
        f"Made by Clary {package_version()}. The numbers are also in summary.json, leaderboard.csv and backtests.csv."
    )
    return markup.section("The input", text, table, rejected, f'<p class="quiet">{escape(made)}</p>')


def _side_by_side(figures: Iterable[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'


def _ticks(result: Result, steps: Array) -> list[tuple[float, str]]:
    """Some of the steps' times: months and longer ones without their day, and hours without their year."""
    grid = result.panel.grid
    texts = grid.texts(steps)
    if grid.frequency.unit in ("M", "Q", "Y"):
        return time_ticks([text[:7] for text in texts], 4)
    return time_ticks(texts, 4) if len(texts[0]) == len("2024-01-31") else time_ticks([t[5:16] for t in texts], 3)


def _largest(result: Result) -> list[int]:
    """The series with the largest volume, which matter most."""
    sizes = [float(np.abs(values[-result.settings.horizon * _HISTORY :]).sum()) for values in result.panel.values]
    return list(np.argsort(sizes, kind="stable")[::-1][:_SHOWN])


def _back(result: Result, row: int) -> int:
    wanted = int(np.clip(_HISTORY * result.settings.horizon, _FEWEST_SHOWN, _MOST_SHOWN))
    return min(len(result.panel.values[row]), max(wanted, result.settings.horizon))


def _three(result: Result, quantiles_HQ: Array) -> tuple[Array, Array, Array]:
    low, middle, high = (quantiles_HQ[:, result.settings.levels.index(level)] for level in (0.1, 0.5, 0.9))
    return low, middle, high


def _step(result: Result) -> str:
    words = {
        "S": "second",
        "min": "minute",
        "H": "hour",
        "D": "day",
        "W": "week",
        "M": "month",
        "Q": "quarter",
        "Y": "year",
    }
    freq = result.panel.grid.frequency
    return words[freq.unit] if freq.multiple == 1 else f"{freq.multiple} {words[freq.unit]}s"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
