"""An update's findings as one page for people: how the last forecast did, and the next one."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from clary.forecast import ensemble, figures, markup
from clary.forecast.candidates.suite import CANDIDATES
from clary.forecast.chart import BLUE, INK
from clary.forecast.figures import LEAST_COVERAGE, MOST_COVERAGE, SHOWN, Figures
from clary.forecast.forecasting import Update
from clary.forecast.output import FORECAST, REPORT
from clary.toolkit.artifact import write_whole

_BEFORE = 2  # horizons of history before the last forecast


def write(update: Update, folder: Path) -> None:
    """Put ``report.html`` into the folder."""
    write_whole(folder / REPORT, page(update).encode())


def page(update: Update) -> str:
    """The whole page."""
    panel, settings = update.kept.panel, update.kept.settings
    drawing = Figures(panel, settings)
    title = f"Forecast of {len(panel):,} series, {settings.horizon} steps ahead"
    last, until = panel.grid.texts([panel.end - 1, panel.end + settings.horizon - 1])
    made = (
        f"Goes on from a job that was fitted before: {update.added} new steps, each a {drawing.step}, up to {last}; "
        f"forecast to {until}. Nothing was fitted again."
    )
    return figures.whole(
        title,
        f'<h1>{escape(title)}</h1><p class="quiet">{escape(made)}</p>',
        figures.facts(_facts(update)),
        drawing.forecast(update.forecast),
        _since(update, drawing),
        figures.read(update.findings, f"The numbers are also in {FORECAST}."),
    )


def _facts(update: Update) -> list[tuple[str, str]]:
    chosen = update.kept.chosen
    title = ensemble.TITLE if chosen == ensemble.NAME else CANDIDATES[chosen].title
    found = [(title, "model"), (f"{update.added:,}", "new steps")]
    if update.came.size:
        found += [
            (f"{_error(update):.1%}", "error of the last median forecast on them, as a share of the volume (WAPE)"),
            (f"{_within(update):.0%}", "of them lay between p10 and p90; 80% is meant"),
        ]
    return found


def _since(update: Update, drawing: Figures) -> str:
    """What the last forecast said of the steps that came since."""
    if not update.came.size:
        return ""
    horizon, end = update.kept.settings.horizon, update.kept.panel.end - update.added
    share = _within(update)
    text = "What the last forecast said (blue), and what came (black)."
    if not LEAST_COVERAGE <= share <= MOST_COVERAGE and update.came.size >= horizon:
        text += " The range from p10 to p90 did not hold what it promised: consider running the job anew."
    key = markup.key((INK, "what came"), (BLUE, "last forecast (p50)"), area=(f"{BLUE}33", "p10 to p90"))
    rows = drawing.largest()[: SHOWN // 2]
    drawn = [drawing.tested(row, [(end, update.expected[row])], _BEFORE * horizon) for row in rows]
    return markup.section("Since the last forecast", text, key, figures.side_by_side(drawn))


def _error(update: Update) -> float:
    middle = update.expected[..., update.kept.settings.levels.index(0.5)]
    return float(np.abs(update.came - middle).sum() / max(np.abs(update.came).sum(), 1e-12))


def _within(update: Update) -> float:
    low, high = (update.expected[..., update.kept.settings.levels.index(level)] for level in (0.1, 0.9))
    return float(((update.came >= low) & (update.came <= high)).mean())
