"""Forecast jobs on real series: the chosen model beside every candidate in hindsight, coverage, and time kept.

    python -m benchmarks.forecast [--data FOLDER] [--only quality|speed|budget] [--sets NAMES] [--origins 1]
                                  [--models auto] [--budget 5m] [--quick] [--json FILE]

FOLDER holds m4-hourly, ETTh1 and the PJM load, anywhere below. The last 48 hours are held back, and all candidates'
forecasts of them are scored by the same code. With more origins the two long sets are forecast again from four weeks
earlier, and so on. Speed and budget need no data: 1,000 monthly series of 120 points are made. Needs the extra
`forecast`.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import series
from benchmarks.report import Row, keep, met, show
from clary.forecast import forecasting, job
from clary.forecast.clock import Clock
from clary.forecast.scores import Scores, scored
from clary.forecast.settings import Settings, models, seconds

Array = npt.NDArray[Any]
LEVELS = tuple(number / 10 for number in range(1, 10))
HORIZON, BETWEEN_ORIGINS = 48, 28 * 24
# What the data's publishers report for 48 steps, mean of 0.1 to 0.9; their windows are others on the second set.
PUBLISHED = {
    "m4-hourly": "auto-ARIMA 0.0337; seasonal naive 0.0376; Chronos-Bolt 0.0254",
    "ett-h1": "auto-ARIMA 0.223; TFT 0.199; Chronos-Bolt 0.181",
    "pjm-hourly": "",
}
WITHIN, LEAST, MOST = 1.05, 0.7, 0.9
MOST_SECONDS, MOST_OF_BUDGET = 180.0, 75.0


@dataclass(frozen=True)
class Held:
    """A set without its last steps, and these."""

    name: str
    starts: list[str]
    known: list[Array]
    later: Array


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--only", choices=("quality", "speed", "budget"))
    parser.add_argument("--sets", default="m4-hourly,ett-h1,pjm-hourly", help="which of the sets")
    parser.add_argument("--origins", type=int, default=1, help="how many windows are held back, one at a time")
    parser.add_argument("--models", default="auto")
    parser.add_argument("--budget", default="5m", help="time of each job on the sets")
    parser.add_argument("--quick", action="store_true", help="short budgets, few series")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        if options.data is not None and options.only in (None, "quality"):
            budget = 30.0 if options.quick else seconds(options.budget)
            settings = Settings(horizon=HORIZON, quantiles=LEVELS, models=models(options.models), budget=budget)
            results["quality"] = quality(
                options.data, settings, options.sets.split(","), options.origins, Path(scratch)
            )
            show("Weighted quantile loss of the held-back hours (mean of 0.1 to 0.9)", results["quality"])
        count = 100 if options.quick else 1000
        if options.only in (None, "speed"):
            results["speed"] = [speed(count, Path(scratch))]
            show(f"{count:,} monthly series of 120 points, statistical candidates", results["speed"])
        if options.only in (None, "budget"):
            results["budget"] = [kept_budget(count, Path(scratch))]
            show(f"{count:,} monthly series of 120 points, all candidates, --budget 60s", results["budget"])
    keep(options.json, results)


def quality(folder: Path, settings: Settings, sets: list[str], origins: int, scratch: Path) -> list[Row]:
    """A line for each set: the chosen one, the ensemble, the best single candidate in hindsight, and the baseline."""
    rows: list[Row] = []
    for data in series.at_hand(folder):
        if data.name not in sets:
            continue
        found: list[tuple[str, dict[str, Scores]]] = []
        for held in held_back(data, origins):
            print(f"{held.name} ...", file=sys.stderr, flush=True)
            found.append(hindsight(held, settings, scratch))
        rows.append(_row(data.name, found))
    return rows


def hindsight(held: Held, settings: Settings, scratch: Path) -> tuple[str, dict[str, Scores]]:
    """The candidate that a job on the set chose, and the scores of all on the steps held back."""
    path = scratch / "target.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item_id", "timestamp", "target_value"])
        for number, (start, points) in enumerate(zip(held.starts, held.known, strict=True)):
            first = datetime.fromisoformat(start)
            writer.writerows(
                [f"S{number}", first + timedelta(hours=hour), "" if np.isnan(value) else repr(float(value))]
                for hour, value in enumerate(points)
            )
    result = forecasting.forecast(path, settings, watcher=Lines(), clock=Clock(settings.budget))
    naive = np.ones((1, len(held.later)))
    scores = {
        name: scored(held.later[None], each[None], settings.levels, settings.quantiles, naive)
        for name, each in result.forecasts.items()
    }
    for name, each in sorted(scores.items(), key=lambda pair: pair[1].loss):
        print(f"  {name}: {each.loss:.4f}, p10 to p90 {each.between(0.1, 0.9):.1%}", file=sys.stderr)
    return result.chosen, scores


class Lines(job.Silent):
    """Prints what became of each candidate."""

    def end(self, entry: job.Entry) -> None:
        """A line on standard error."""
        said = entry.left_out if entry.scores is None else f"backtests {entry.scores.loss:.4f}"
        print(f"  {entry.title}: {said}, {entry.seconds:.0f} s", file=sys.stderr, flush=True)


def held_back(data: series.Series, origins: int) -> Iterator[Held]:
    """The set without its last hours; the long ones also without so many weeks before."""
    whole = {id(points): (start, points) for start, points in data.test}
    longest = list(whole.values()) if data.name == "m4-hourly" else data.test[:: len(data.test) // len(data.train)]
    for origin in range(1 if data.name == "m4-hourly" else origins):
        stop = origin * BETWEEN_ORIGINS
        cut = [(start, points[: len(points) - stop]) for start, points in longest]
        starts = [start for start, _ in cut]
        if data.name == "m4-hourly":  # their starts are not known, so they are made to end together
            last = datetime.fromisoformat(starts[0]) + timedelta(hours=max(len(points) for _, points in cut))
            starts = [str(last - timedelta(hours=len(points))) for _, points in cut]
        later = np.stack([points[-HORIZON:] for _, points in cut])
        yield Held(f"{data.name}, origin {origin + 1}", starts, [points[:-HORIZON] for _, points in cut], later)


def speed(count: int, scratch: Path) -> Row:
    """Seconds of the command, with the statistical candidates alone."""
    path = monthly(count, scratch)
    found = _timed(path, scratch / "speed", "--models", "statistical")
    return {"seconds": found, "bar": f"<= {MOST_SECONDS:g}", "met": met(found <= MOST_SECONDS)}


def kept_budget(count: int, scratch: Path) -> Row:
    """Seconds of the command that was given a minute, and whether it left a forecast."""
    output = scratch / "budget"
    found = _timed(monthly(count, scratch), output, "--budget", "60s")
    with (output / "forecast.csv").open(encoding="utf-8") as stream:
        rows = sum(1 for _ in stream) - 1
    fine = found <= MOST_OF_BUDGET and rows == 12 * count
    return {"seconds": found, "rows of the forecast": rows, "bar": f"<= {MOST_OF_BUDGET:g}", "met": met(fine)}


def monthly(count: int, scratch: Path) -> Path:
    """A CSV of monthly series with trend, season and noise of several sizes."""
    path, rng = scratch / "monthly.csv", np.random.default_rng(1)
    months = np.arange(120)
    times = [f"{2014 + month // 12}-{month % 12 + 1:02}-01" for month in months]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item_id", "timestamp", "target_value"])
        for number in range(count):
            season = 0.3 * rng.random() * np.sin((months + rng.integers(12)) / 6 * np.pi)
            wander = np.cumsum(0.03 * rng.normal(size=120)) + 0.1 * rng.normal(size=120)
            values = rng.lognormal(4, 1) * (1 + season + wander + 0.003 * rng.normal() * months)
            rows = zip(times, values.tolist(), strict=True)
            writer.writerows([f"S{number}", time, f"{value:.3f}"] for time, value in rows)
    return path


def _row(name: str, found: list[tuple[str, dict[str, Scores]]]) -> Row:
    """The means over the origins; what every candidate lost in hindsight is compared with what was chosen without."""
    common = set.intersection(*(set(scores) for _, scores in found))
    losses = {each: statistics.mean(scores[each].loss for _, scores in found) for each in common}
    single = {each: loss for each, loss in losses.items() if each != "ensemble"}
    best = min(single, key=lambda each: single[each])
    chosen = statistics.mean(scores[name].loss for name, scores in found)
    coverage = statistics.mean(scores[name].between(0.1, 0.9) for name, scores in found)
    fine = chosen <= WITHIN * single[best] and chosen < losses["seasonal_naive"] and LEAST <= coverage <= MOST
    return {
        "set": name,
        "chosen": "/".join(sorted({name for name, _ in found})),
        "loss": chosen,
        "ensemble": losses.get("ensemble", float("nan")),
        "best single": f"{best} {single[best]:.4f}",
        "ratio": chosen / single[best],
        "seasonal naive": losses["seasonal_naive"],
        "coverage": coverage,
        "ensemble below all": met(losses.get("ensemble", np.inf) < single[best]),
        "published": PUBLISHED[name],
        "bar": f"ratio <= {WITHIN}, coverage {LEAST} to {MOST}",
        "met": met(fine),
    }


def _timed(path: Path, output: Path, *options: str) -> float:
    command = [sys.executable, "-m", "clary.cli.main", "forecast", "run", str(path), "--horizon", "12"]
    began = time.perf_counter()
    subprocess.run([*command, "--output", str(output), *options], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
