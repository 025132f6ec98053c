"""What comes beside the target: features that change with time, and facts about the items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast import cells
from clary.forecast.columns import Columns, is_numeric, item_column, timestamp_column
from clary.forecast.filling import aggregated, filled
from clary.forecast.findings import Findings
from clary.forecast.intake import timestamps
from clary.forecast.panel import Panel, Related, Statics
from clary.forecast.settings import Settings
from clary.forecast.table import Table, missing
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
_MOST_BAD = 0.05
_MOST_VALUES = 20  # of a text feature that is made into columns of zeros and ones
_AHEAD = 0.9  # of the steps of the forecast that must be there for a feature to be known


def with_related(panel: Panel, table: Table, columns: Columns, settings: Settings, findings: Findings) -> Panel:
    """The panel with the features of a related table; those that reach over the horizon are known ahead."""
    time = timestamp_column(table, columns.timestamp)
    parts = _key_columns(table, panel, columns)
    names = [name for name in table.names if name != time and name not in parts.values()]
    if not names:
        raise UserError(f"{table.source} has no column of features beside {', '.join([time, *parts.values()])}")
    times = timestamps(table, time, settings, findings)
    features, bad = _features(table, names, findings)
    bad |= {row: (time, reason) for row, reason in times.bad.items()}
    for row in sorted(bad):
        findings.reject(table.source, table.lines[row], *bad[row])
    findings.check(table.source, len(table), 0 if settings.bad_rows == "refuse" else _MOST_BAD)
    kept = np.array([row for row in range(len(table)) if row not in bad], np.int64)
    values_RF = np.stack(list(features.values()), axis=1)[kept]
    steps = panel.grid.steps(times.values[kept])
    rows = _rows_of(table, panel, parts, kept)
    made = _laid_out(panel, tuple(features), rows, steps, values_RF, settings)
    _report(table, panel, made, rows, findings)
    return replace(panel, related=made)


def with_items(panel: Panel, table: Table, columns: Columns, findings: Findings) -> Panel:
    """The panel with the facts of an item table: numbers, and codes of categories; dimensions are facts, too."""
    item = item_column(table, columns.item, needed=True)
    facts = [name for name in table.names if name != item]
    place = {cell: row for row, cell in reversed(list(enumerate(table.columns[item])))}
    again = len(table) - len(place)
    findings.repair(table.source, "items listed twice", again, "the first row of an item counts")
    rows = [place.get(key[0], -1) for key in panel.keys]
    lacking = [key[0] for key, row in zip(panel.keys, rows, strict=True) if row < 0]
    text = f"items of the target that are not listed have no facts: {', '.join(lacking[:5])}"
    findings.repair(table.source, "items without facts", len(lacking), text)
    strangers = len(place) - len({key[0] for key in panel.keys} & set(place))
    findings.repair(table.source, "unknown items", strangers, "items that are not in the target are left out")
    found = [_fact(table, name, rows) for name in facts]
    given = [(name, values, size) for name, (values, size) in zip(facts, found, strict=True)]
    return replace(panel, statics=_statics(panel, [*_dimensions(panel), *given]))


def with_dimensions(panel: Panel) -> Panel:
    """The panel with its dimensions as facts, where it has any."""
    return replace(panel, statics=_statics(panel, _dimensions(panel)))


def _statics(panel: Panel, found: Sequence[tuple[str, Array, int]]) -> Statics | None:
    if not found:
        return None
    names, values, sizes = zip(*found, strict=True)
    return Statics(names, np.stack(values, axis=1), sizes)


def _dimensions(panel: Panel) -> list[tuple[str, Array, int]]:
    found = []
    for number, name in enumerate(panel.names[1:], 1):
        codes: dict[str, int] = {}
        values = np.array([codes.setdefault(key[number], len(codes)) for key in panel.keys], float)
        found.append((name, values, len(codes)))
    return found


def _fact(table: Table, name: str, rows: Sequence[int]) -> tuple[Array, int]:
    """A fact's values by series and, where it is a category, how many it may have; an unlisted one is the first."""
    column = table.columns[name]
    if is_numeric(table, name):
        numbers = cells.numbers(column, decimal_comma=table.decimal_comma)
        if numbers.bad:
            row = min(numbers.bad)
            raise table.error(row, name, numbers.bad[row])
        return np.array([numbers.values[row] if row >= 0 else np.nan for row in rows]), 0
    codes: dict[str, int] = {"": 0}
    values = [codes.setdefault(column[row] if row >= 0 else "", len(codes)) for row in rows]
    return np.array(values, float), len(codes)


def _key_columns(table: Table, panel: Panel, columns: Columns) -> dict[int, str]:
    """Which part of a key each column is; none where the table holds for all series."""
    item = item_column(table, columns.item, needed=False)
    found = {0: item} if item else {}
    return found | {
        number: name for number, name in enumerate(panel.names[1:], 1) if name in table.columns and name != item
    }


def _features(table: Table, names: Sequence[str], findings: Findings) -> tuple[dict[str, Array], dict[int, Any]]:
    """The features by name; texts become columns of zeros and ones."""
    features: dict[str, Array] = {}
    bad: dict[int, Any] = {}
    for name in names:
        if is_numeric(table, name) or all(missing(cell) for cell in table.columns[name]):
            numbers = cells.numbers(table.columns[name], decimal_comma=table.decimal_comma)
            features[name] = numbers.values
            bad |= {row: (name, reason) for row, reason in numbers.bad.items()}
            continue
        column = np.array(table.columns[name])
        kinds = sorted(set(column.tolist()) - {""})
        if len(kinds) > _MOST_VALUES:
            raise UserError(
                f"{table.source}, column {name}: a feature of texts may have {_MOST_VALUES} different ones and this "
                f"has {len(kinds)}; give it as numbers, or leave it out"
            )
        features |= {f"{name}={kind}": (column == kind).astype(float) for kind in kinds}
        findings.repair(table.source, "features of texts", len(kinds), f"{name} is a column of 0 and 1 for each text")
    return features, bad


def _rows_of(table: Table, panel: Panel, parts: Mapping[int, str], kept: Array) -> list[Array]:
    """For each series the places in ``kept`` of its rows."""
    if not parts:
        return [np.arange(len(kept))] * len(panel)
    wanted: dict[tuple[str, ...], list[int]] = {}
    columns = [table.columns[name] for name in parts.values()]
    for place, row in enumerate(kept.tolist()):
        wanted.setdefault(tuple(column[row] for column in columns), []).append(place)
    return [np.array(wanted.get(tuple(key[part] for part in parts), []), np.int64) for key in panel.keys]


def _laid_out(
    panel: Panel, names: tuple[str, ...], rows: Sequence[Array], steps: Array, values_RF: Array, settings: Settings
) -> Related:
    raw = []
    for number, own in enumerate(rows):
        length = panel.end - int(panel.first[number]) + settings.horizon
        whole = np.full((length, len(names)), np.nan)
        places = steps[own] - int(panel.first[number])
        inside = (places >= 0) & (places < length)
        order = np.argsort(places[inside], kind="stable")
        at = places[inside][order]
        for column in range(len(names)):
            if len(at):
                whole[np.unique(at), column] = aggregated(at, values_RF[own][inside][order, column], "mean")
        raw.append(whole)
    ahead = np.stack([~np.isnan(each[-settings.horizon :]) for each in raw])
    known = tuple(bool(share >= _AHEAD) for share in ahead.mean(axis=(0, 1)))
    return Related(names, known, tuple(_complete(each, known, settings) for each in raw))


def _complete(raw_TF: Array, known: Sequence[bool], settings: Settings) -> Array:
    """The features without gaps: to the end of the forecast where they are known, else to the end of the series."""
    out = raw_TF.copy()
    for column, ahead in enumerate(known):
        stop = len(raw_TF) if ahead else len(raw_TF) - settings.horizon
        part = raw_TF[:stop, column]
        out[stop:, column] = np.nan
        out[:stop, column] = 0.0 if np.isnan(part).all() else filled(part, settings.fill_related)
    return out


def _report(table: Table, panel: Panel, made: Related, rows: Sequence[Array], findings: Findings) -> None:
    for ahead, word in ((True, "known ahead"), (False, "known up to the last target only")):
        names = [name for name, known in zip(made.names, made.known, strict=True) if known is ahead]
        findings.repair(table.source, "features", len(names), f"{word}: {', '.join(names)}")
    lacking = [", ".join(key) for key, own in zip(panel.keys, rows, strict=True) if not len(own)]
    text = f"series without features have zeros: {', '.join(lacking[:5])}"
    findings.repair(table.source, "series without features", len(lacking), text)
