"""A job's findings as one page for people: it needs no network, no script, and no other file."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from clary.forecast import figures, markup
from clary.forecast.chart import BLUE, ORANGE, QUIET, Chart, limits, number
from clary.forecast.figures import LEAST_COVERAGE, MOST_COVERAGE, SHOWN, Figures
from clary.forecast.job import FALLBACK, Result
from clary.forecast.output import REPORT, column
from clary.forecast.scores import losses
from clary.toolkit.artifact import write_whole

_MOST_SHOWN = 240  # points of backtests


def write(result: Result, folder: Path) -> None:
    """Put ``report.html`` into the folder."""
    write_whole(folder / REPORT, page(result).encode())


def page(result: Result) -> str:
    """The whole page."""
    drawing = Figures(result.panel, result.settings)
    title = f"Forecast of {len(result.panel):,} series, {result.settings.horizon} steps ahead"
    return figures.whole(
        title,
        _head(result, drawing, title),
        drawing.forecast(result.forecast),
        _leaderboard(result),
        _backtests(result, drawing),
        _calibration(result),
        figures.read(result.findings, "The numbers are also in summary.json, leaderboard.csv and backtests.csv."),
    )


def _head(result: Result, drawing: Figures, title: str) -> str:
    panel, entry = result.panel, result.entry
    scores = entry.scores
    assert scores is not None
    baseline = next(each.scores for each in result.entries if each.name == FALLBACK)
    better = 1 - scores.loss / baseline.loss if baseline and baseline.loss else 0.0
    share = scores.between(0.1, 0.9)
    first, last = panel.grid.texts([int(panel.first.min()), panel.end - 1])
    until = panel.grid.texts([panel.end + result.settings.horizon - 1])[0]
    found = [
        (entry.title, "chosen model"),
        (f"{better:.0%}", "lower loss than repeating the last season"),
        (f"{scores.wape:.1%}", "typical error of the median, as a share of the volume (WAPE)"),
        (f"{share:.0%}", "of what came lay between p10 and p90; 80% is meant"),
        (_time(result.seconds), "for the whole job"),
    ]
    made = (
        f"Learned from {panel.lengths.sum():,} points every {drawing.step}, {first} to {last}; forecast to {until}."
    )
    said = _verdict(result, better, share)
    return f'<h1>{escape(title)}</h1><p class="quiet">{escape(made)}</p>{figures.facts(found)}{said}'


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
    if not LEAST_COVERAGE <= share <= MOST_COVERAGE:
        said.append("The range from p10 to p90 does not hold what it promises: plan with more room than it shows.")
    if result.findings.rejections:
        count = len({(each.source, each.line) for each in result.findings.rejections})
        said.append(f"{count:,} rows could not be read and are left out.")
    return f"<p>{escape(' '.join(said))}</p>" if said else ""


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
        f"Loss is the weighted quantile loss, mean of {mean}: 0 is perfect. The ensemble is chosen "
        "unless a model alone loses clearly less. WAPE is the sum of the median's errors over the sum of the values. "
        "MASE below 1 is better than repeating the last season within the history."
    )
    return markup.section("The models compared", text, markup.table(heads, rows))


def _backtests(result: Result, drawing: Figures) -> str:
    drawn = figures.side_by_side(_tested(result, drawing, row) for row in drawing.largest()[: SHOWN // 2])
    text = (
        "What the chosen model would have said at earlier times (blue), each time with nothing known behind the "
        "dotted line, and what came (black)."
    )
    return markup.section("Backtests", text, drawn, _by_step(result))


def _tested(result: Result, drawing: Figures, row: int) -> str:
    horizon, backtests = result.settings.horizon, result.backtests[result.chosen]
    windows = [window for window in range(len(result.ends)) if not np.isnan(backtests[window, row]).any()]
    windows = windows[-max(1, min(len(windows), _MOST_SHOWN // horizon)) :]
    if not windows:
        return ""
    parts = [(result.ends[window], backtests[window, row]) for window in windows]
    return drawing.tested(row, parts, max(8, horizon // 2))


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
    if not LEAST_COVERAGE <= between <= MOST_COVERAGE:
        text += " This is far from 80%."
    drawing = markup.figure("Promised (across) and kept (up)", chart.svg(ticks, share=True))
    table = markup.table(["Quantile", "Meant to lie below", "Lay below"], rows)
    return markup.section("Calibration", text, f'<div class="two">{drawing}{table}</div>')


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
