"""Tables with a column for each series, turned into one row for each value."""

from __future__ import annotations

from collections.abc import Sequence

from clary.forecast.columns import ITEMS, TARGETS, by_name, is_numeric, timestamp_column
from clary.forecast.findings import Findings
from clary.forecast.settings import Roles, Settings
from clary.forecast.table import Table
from clary.toolkit.errors import UserError

ITEM, TARGET = "item_id", "target_value"
_FEWEST = 3  # columns of numbers: two could be a target and what explains it
_LISTED = 5


def is_wide(table: Table, settings: Settings) -> bool:
    """Whether to read the table so: as asked, or where nothing but a time stands beside three numbers and more."""
    if settings.layout != "auto":
        return settings.layout == "wide"
    roles = settings.roles
    if roles.item or roles.target or roles.dimensions or by_name(table.names, (*ITEMS, *TARGETS)):
        return False
    try:
        names = _series(table, roles)
    except UserError:
        return False
    return len(names) >= _FEWEST and all(is_numeric(table, name) for name in names)


def long(table: Table, roles: Roles, findings: Findings) -> Table:
    """A row for each series and time, with the line and the column that it comes from; UserError without a series."""
    time, names = timestamp_column(table, roles.timestamp), _series(table, roles)
    if not names:
        raise UserError(f"{table.source} has no column beside {time}; a wide table has one for each series")
    shown = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    text = f"each column is a series: {shown}; name one with --target-column if only that is to be forecast"
    findings.repair(table.source, "layout", len(names), text)
    count = len(table)
    columns = {
        ITEM: [name for name in names for _ in range(count)],
        time: table.columns[time] * len(names),
        TARGET: [cell for name in names for cell in table.columns[name]],
    }
    return Table(table.source, columns, list(table.lines) * len(names), table.decimal_comma, columns[ITEM])


def _series(table: Table, roles: Roles) -> Sequence[str]:
    time = timestamp_column(table, roles.timestamp)
    return [name for name in table.names if name != time and name not in roles.ignored]
