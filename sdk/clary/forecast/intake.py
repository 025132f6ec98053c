"""From a table of the target to a panel: times aligned, rows of one step joined, gaps filled, all of it reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast import cells
from clary.forecast.columns import Columns, target_columns
from clary.forecast.filling import aggregated, chosen, filled
from clary.forecast.findings import Findings
from clary.forecast.grid import Grid, frequency, inferred
from clary.forecast.panel import Key, Panel
from clary.forecast.settings import Settings
from clary.forecast.table import Table
from clary.forecast.wide import ITEM, TARGET, is_wide, long
from clary.toolkit.errors import DataError, UserError

Array = npt.NDArray[Any]
_MOST_BAD = 0.05  # of a file's rows may be left out
_MOST_FILLED = 50  # times as many steps as rows: from there on a time is wrong rather than a gap
_ALONE = "series"


@dataclass(frozen=True)
class Rows:
    """The usable rows of a table: the series (a place in ``keys``), the time, the value and the line of each."""

    columns: Columns
    keys: tuple[Key, ...]
    series: Array
    times: Array
    values: Array
    lines: Array


def panel(table: Table, settings: Settings, findings: Findings) -> tuple[Panel, Columns]:
    """The panel of a target table, and which columns it was made from; UserError where there is nothing to learn."""
    if wide := is_wide(table, settings):
        table = long(table, settings.roles, findings)
        roles = replace(settings.roles, item=ITEM, target=TARGET, ignored=())
        settings = replace(settings, roles=roles)
    rows = usable(table, settings, findings)
    freq = frequency(settings.frequency) if settings.frequency else inferred(rows.times, rows.series)
    if not settings.frequency:
        findings.repair(table.source, "frequency", 1, f"the frequency is inferred from the times as {freq}")
    grid = Grid.of(rows.times, freq)
    found = on_grid(table.source, rows, grid, settings, findings)
    return found, replace(rows.columns, wide=wide)


def usable(table: Table, settings: Settings, findings: Findings) -> Rows:
    """The rows whose item, time and value can be read; the others are rejected."""
    columns = target_columns(table, settings.roles, findings)
    times = timestamps(table, columns.timestamp, settings, findings)
    values = cells.numbers(table.columns[columns.target], decimal_comma=table.decimal_comma)
    for note in values.notes:
        findings.repair(table.source, "numbers", 1, note)
    bad: dict[int, tuple[str, str]] = {}
    names = [columns.item, *columns.dimensions] if columns.item else list(columns.dimensions)
    for name in names:
        empty = {
            row: (name, "the cell is empty, so it names no series")
            for row, c in enumerate(table.columns[name])
            if not c
        }
        bad |= empty
    bad |= {row: (columns.target, reason) for row, reason in values.bad.items()}
    bad |= {row: (columns.timestamp, reason) for row, reason in times.bad.items()}
    _reject(table, bad, settings, findings)
    kept = np.array([row for row in range(len(table)) if row not in bad], np.int64)
    if not len(kept):
        raise UserError(f"{table.source} has no row that can be used")
    keys, series = _keys(table, names, kept)
    lines = np.asarray(table.lines, np.int64)[kept]
    return Rows(columns, keys, series, times.values[kept], values.values[kept], lines)


def timestamps(table: Table, column: str, settings: Settings, findings: Findings) -> cells.Times:
    """The times of a column; UserError names the table."""
    try:
        found = cells.times(table.columns[column], settings.timestamp_format)
    except UserError as error:
        raise UserError(f"{table.source}, column {column}: {error}") from None
    for note in found.notes:
        findings.repair(table.source, "timestamps", 1, note)
    return found


def on_grid(
    source: str,
    rows: Rows,
    grid: Grid,
    settings: Settings,
    findings: Findings,
    before: Panel | None = None,
) -> Panel:
    """The rows as a panel on that grid; ``before`` is a panel that they go on from, or correct."""
    names = (rows.columns.item or "item_id", *rows.columns.dimensions)
    steps = grid.steps(rows.times)
    moved = int((grid.times(steps) != rows.times.astype("M8[s]")).sum())
    findings.repair(source, "aligned times", moved, f"times within a step of {grid.frequency} count as the step's")
    series, steps, values = _joined(source, rows, steps, settings, findings)
    known = ~np.isnan(values)
    findings.repair(source, "missing values", int((~known).sum()), "rows without a value are filled like gaps")
    series, steps, values = series[known], steps[known], values[known]
    if not len(values):
        raise UserError(f"{source}: the target column holds no value at all")
    end = max(int(steps.max()) + 1, before.end if before else 0)
    _check_span(source, rows, grid, steps, end)
    keys, found, first = list[Key](), list[Array](), list[int]()
    counts: dict[str, int] = {}
    earlier = {} if before is None else {key: place for place, key in enumerate(before.keys)}
    order = (
        [rows.keys.index(key) if key in rows.keys else -1 for key in before.keys] if before else range(len(rows.keys))
    )
    bounds = np.searchsorted(series, np.arange(len(rows.keys) + 1))
    for place, number in enumerate(order):
        part = slice(bounds[number], bounds[number + 1]) if number >= 0 else slice(0, 0)
        own_steps, own = steps[part], values[part]
        if before is not None:
            own_steps, own = _continued(before, place, own_steps, own)
        if not len(own):
            findings.repair(source, "series without values", 1, f"{', '.join(rows.keys[number])} is left out")
            continue
        start = int(own_steps[0])
        keys.append(before.keys[place] if before else rows.keys[number])
        first.append(start)
        found.append(_whole(own_steps - start, own, end - start, settings, counts))
    if before is not None:
        new = [key for key in rows.keys if key not in earlier]
        text = f"series that the job was not fitted on are left out: {_some([', '.join(key) for key in new])}"
        findings.repair(source, "new series", len(new), text)
    _report(source, counts, settings, findings)
    return Panel(grid, names, tuple(keys), np.array(first, np.int64), end, tuple(found))


def _keys(table: Table, names: Sequence[str], kept: Array) -> tuple[tuple[Key, ...], Array]:
    if not names:
        return ((_ALONE,),), np.zeros(len(kept), np.int64)
    columns = [table.columns[name] for name in names]
    numbers: dict[Key, int] = {}
    series = [numbers.setdefault(tuple(column[row] for column in columns), len(numbers)) for row in kept]
    return tuple(numbers), np.array(series, np.int64)


def _reject(table: Table, bad: Mapping[int, tuple[str, str]], settings: Settings, findings: Findings) -> None:
    told = set()
    for row in sorted(bad):
        column, reason = bad[row]
        if table.origins and column == TARGET:
            column = table.origins[row]
        # A time of a wide table stands beside many values.
        if (table.lines[row], column) not in told:
            findings.reject(table.source, table.lines[row], column, reason)
        told.add((table.lines[row], column))
    findings.check(table.source, len(set(table.lines)), 0 if settings.bad_rows == "refuse" else _MOST_BAD)


def _joined(
    source: str, rows: Rows, steps: Array, settings: Settings, findings: Findings
) -> tuple[Array, Array, Array]:
    """Series, steps and values in order, with one value for each step."""
    order = np.lexsort((steps, rows.series))
    series, steps, values = rows.series[order], steps[order], rows.values[order]
    same = (np.diff(series) == 0) & (np.diff(steps) == 0)
    if not same.any():
        return series, steps, values
    place = int(np.flatnonzero(same)[0])
    lines = rows.lines[order][place : place + 2]
    where = f"the first on lines {lines[0]} and {lines[1]}"
    text = f"rows that share a step are joined by their {settings.aggregate}, {where}"
    findings.repair(source, "joined rows", int(same.sum()), text)
    starts = np.concatenate([[True], ~same])
    groups = np.cumsum(starts)
    return series[starts], steps[starts], aggregated(groups, values, settings.aggregate)


def _check_span(source: str, rows: Rows, grid: Grid, steps: Array, end: int) -> None:
    """DataError where one time lies so far from the others that filling up to it would invent the data."""
    low, high = np.quantile(steps, [0.01, 0.99])
    if end - steps.min() <= _MOST_FILLED * len(steps) + 1000:
        return
    far = rows.times.min() if low - steps.min() > end - high else rows.times.max()
    line = int(rows.lines[np.flatnonzero(rows.times == far)[0]])
    reason = (
        f"{str(far).replace('T', ' ')} is far from the other times: {int(end - steps.min()):,} steps of "
        f"{grid.frequency} for {len(steps):,} values; is the year right, or the frequency?"
    )
    raise DataError(reason, source=source, row=line, column=rows.columns.timestamp, kind="line")


def _continued(before: Panel, place: int, steps: Array, values: Array) -> tuple[Array, Array]:
    """The points of a series with newer ones, which count where there are both."""
    old = int(before.first[place]) + np.arange(len(before.values[place]))
    merged = dict(zip(old.tolist(), before.values[place].tolist(), strict=True))
    # What lies before the points that were kept would move the series' start, on which fitted states rest.
    merged |= {s: v for s, v in zip(steps.tolist(), values.tolist(), strict=True) if s >= old[0]}
    found = sorted(merged)
    return np.array(found, np.int64), np.array([merged[step] for step in found])


def _whole(steps: Array, values: Array, length: int, settings: Settings, counts: dict[str, int]) -> Array:
    """The series without gaps and up to the common end; ``counts`` are how often each rule was used."""
    whole = np.full(length, np.nan)
    whole[steps] = values
    last = int(steps[-1]) + 1
    inner, tail = last - len(steps), length - last
    if inner:
        rule = chosen(settings.fill, whole[:last])
        counts[f"gap {rule}"] = counts.get(f"gap {rule}", 0) + inner
        whole[:last] = filled(whole[:last], rule)
    if tail:
        rule = chosen(settings.fill_end, whole[:last])
        counts[f"end {rule}"] = counts.get(f"end {rule}", 0) + tail
        whole = filled(whole, rule)
    return whole


def _report(source: str, counts: Mapping[str, int], settings: Settings, findings: Findings) -> None:
    words = {"gap": "steps between a series' rows", "end": "steps between a series' last row and the last of all"}
    options = {"gap": ("--fill", settings.fill), "end": ("--fill-end", settings.fill_end)}
    for name, count in counts.items():
        where, rule = name.split(" ", 1)
        option, value = options[where]
        text = f"{words[where]} are filled by the rule {rule!r} ({option} {value})"
        findings.repair(source, "filled gaps" if where == "gap" else "filled ends", count, text)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
