"""The files that a job leaves: forecasts, leaderboard and backtests as CSV, the summary as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast.findings import Findings
from clary.forecast.job import FALLBACK, Entry, Result
from clary.forecast.panel import Panel
from clary.forecast.scores import Scores
from clary.toolkit.artifact import write_whole

Array = npt.NDArray[Any]
FORECAST, LEADERBOARD, BACKTESTS = "forecast.csv", "leaderboard.csv", "backtests.csv"
REJECTED, SUMMARY, REPORT = "rejected.csv", "summary.json", "report.html"


def column(level: float) -> str:
    """The name of a quantile's column: p10, p50, p97.5."""
    return f"p{round(100 * level, 6):g}"


def forecast_rows(
    panel: Panel, forecast: Array, levels: Sequence[float], wanted: Sequence[float]
) -> Iterator[list[Any]]:
    """A header, and a row for each series and step of a forecast (N, H, Q)."""
    places = [list(levels).index(level) for level in wanted]
    yield [*panel.names, "timestamp", *map(column, wanted)]
    times = panel.grid.texts(panel.ahead(forecast.shape[1]))
    for key, quantiles_HQ in zip(panel.keys, forecast, strict=True):
        for time, quantiles in zip(times, quantiles_HQ[:, places].tolist(), strict=True):
            yield [*key, time, *map(_number, quantiles)]


def leaderboard_rows(result: Result) -> Iterator[list[Any]]:
    """A header, and a row for each candidate, the best first; those left out say why."""
    levels = result.settings.quantiles
    losses = [f"wQL_{column(level)}" for level in levels]
    yield [
        "rank",
        "model",
        "chosen",
        "mean_wQL",
        *losses,
        "WAPE",
        "RMSE",
        "MASE",
        "coverage_p10_p90",
        "weight",
        "seconds",
        "left_out",
    ]
    for rank, entry in enumerate(result.entries, 1):
        found = _scores(entry.scores, levels) if entry.scores else [""] * (len(levels) + 5)
        mark = "yes" if entry.name == result.chosen else ""
        weight = f"{entry.weight:.3f}" if entry.weight else ""
        yield [rank if entry.scores else "", entry.name, mark, *found, weight, f"{entry.seconds:.1f}", entry.left_out]


def backtest_rows(result: Result) -> Iterator[list[Any]]:
    """A header, and a row for each window, series and step of the chosen candidate and of the seasonal naive one."""
    panel, settings = result.panel, result.settings
    places = [settings.levels.index(level) for level in settings.quantiles]
    yield ["model", "window", *panel.names, "timestamp", "target_value", *map(column, settings.quantiles)]
    for name in dict.fromkeys([result.chosen, FALLBACK]):
        for window, end in enumerate(result.ends):
            times = panel.grid.texts(np.arange(end, end + settings.horizon))
            for row, key in enumerate(panel.keys):
                quantiles_HQ = result.backtests[name][window, row][:, places]
                if np.isnan(quantiles_HQ).any():
                    continue
                for time, value, quantiles in zip(
                    times, result.actual[window, row].tolist(), quantiles_HQ.tolist(), strict=True
                ):
                    yield [name, window + 1, *key, time, _number(value), *map(_number, quantiles)]


def summary(result: Result) -> dict[str, Any]:
    """What a script wants to know about a job; stable."""
    panel = result.panel
    entries = {entry.name: _entry(entry) for entry in result.entries}
    return {
        "chosen": result.chosen,
        "weights": dict(result.weights),
        "series": len(panel),
        "points": int(panel.lengths.sum()),
        "frequency": str(panel.grid.frequency),
        "first": panel.grid.texts([int(panel.first.min())])[0],
        "last": panel.grid.texts([panel.end - 1])[0],
        "horizon": result.settings.horizon,
        "quantiles": list(result.settings.quantiles),
        "windows": len(result.ends),
        "candidates": entries,
        **result.findings.as_json(),
        "seconds": round(result.seconds, 2),
    }


def write(result: Result, folder: Path) -> None:
    """Put the job's tables and summary into the folder, each whole."""
    settings = result.settings
    rows = forecast_rows(result.panel, result.forecast, settings.levels, settings.quantiles)
    write_table(folder / FORECAST, rows)
    write_table(folder / LEADERBOARD, leaderboard_rows(result))
    write_table(folder / BACKTESTS, backtest_rows(result))
    write_rejected(result.findings, folder)
    write_whole(folder / SUMMARY, json.dumps(summary(result), indent=2).encode() + b"\n")


def write_rejected(findings: Findings, folder: Path) -> None:
    """Put the rows that were left out into the folder, where there are any."""
    (folder / REJECTED).unlink(missing_ok=True)
    if findings.rejections:
        rows = [[each.source, each.line, each.column, each.reason] for each in findings.rejections]
        write_table(folder / REJECTED, [["source", "line", "column", "reason"], *rows])


def write_table(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write the rows as CSV, the whole file at once."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue().encode())


def _scores(scores: Scores, levels: Sequence[float]) -> list[str]:
    found = [scores.loss, *(scores.weighted_losses[level] for level in levels), scores.wape, scores.rmse, scores.mase]
    return [*(f"{each:.6g}" for each in found), f"{scores.between(0.1, 0.9):.4f}"]


def _entry(entry: Entry) -> dict[str, Any]:
    if entry.scores is None:
        return {"left_out": entry.left_out, "seconds": round(entry.seconds, 2)}
    scores = entry.scores
    return {
        "mean_wQL": scores.loss,
        "wQL": {column(level): loss for level, loss in scores.weighted_losses.items()},
        "WAPE": scores.wape,
        "RMSE": scores.rmse,
        "MASE": None if np.isnan(scores.mase) else scores.mase,
        "coverage": {column(level): share for level, share in scores.coverage.items()},
        "weight": entry.weight,
        "seconds": round(entry.seconds, 2),
    }


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.8g}"
