"""Which column of a table is the item, the time, the target, a dimension: by option, by name, or by what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clary.forecast.cells import numbers
from clary.forecast.findings import Findings
from clary.forecast.settings import Roles
from clary.forecast.table import Table, missing
from clary.toolkit.errors import UserError

ITEMS = (
    "item_id",
    "item",
    "itemid",
    "unique_id",
    "series_id",
    "series",
    "sku",
    "product_id",
    "product",
    "id",
    "name",
)
_TIME = ("timestamp", "datetime", "date", "time", "ds", "day", "week", "month", "period", "date_time")
TARGETS = (
    "target_value",
    "target",
    "value",
    "demand",
    "sales",
    "y",
    "quantity",
    "qty",
    "units",
    "volume",
    "load",
    "amount",
)
_LOOKED_AT = 200


@dataclass(frozen=True)
class Columns:
    """The columns of a table by their part; ``item`` is empty where there is one series without a name.

    ``wide`` says that the table had a column for each series, which were its items.
    """

    item: str
    timestamp: str
    target: str
    dimensions: tuple[str, ...]
    wide: bool = False


def target_columns(table: Table, roles: Roles, findings: Findings) -> Columns:
    """The parts of the target table's columns; UserError where they cannot be told, with the option that tells."""
    given = [roles.item, roles.timestamp, roles.target, *roles.dimensions, *roles.ignored]
    _exist(table, [name for name in given if name])
    free = [name for name in table.names if name not in given]
    timestamp = roles.timestamp or _timestamp(table, free)
    free = [name for name in free if name != timestamp]
    target = roles.target or _target(table, free)
    free = [name for name in free if name != target]
    item = roles.item or _item(table, free)
    rest = [name for name in free if name != item]
    _no_numbers(table, rest)
    if not item:
        findings.repair(table.source, "columns", 1, "no column names an item, so all rows are one series")
    if rest:
        findings.repair(table.source, "columns", len(rest), f"further columns part the series: {', '.join(rest)}")
    if roles.ignored:
        shown = ", ".join(roles.ignored)
        findings.repair(table.source, "columns", len(roles.ignored), f"columns left out as asked: {shown}")
    named = {"item_id": item, "timestamp": timestamp, "target_value": target}
    told = [f"{name!r} is the {part}" for part, name in named.items() if name and name.lower() != part]
    findings.repair(table.source, "columns", len(told), "; ".join(told))
    return Columns(item, timestamp, target, (*roles.dimensions, *rest))


def timestamp_column(table: Table, named: str | None) -> str:
    """The column of times of a further table: the one named so for the target, if it is there, or the one found."""
    return named if named in table.columns and named else _timestamp(table, table.names)


def item_column(table: Table, named: str, *, needed: bool) -> str:
    """The column of items of a further table, empty where there is none and none is needed."""
    if named and named in table.columns:
        return named
    found = by_name(table.names, ITEMS)
    if len(found) == 1 or (found and not needed):
        return found[0]
    if needed:
        raise UserError(f"{table.source} has no column {named or 'item_id'!r}; it has {', '.join(table.names)}")
    return ""


def is_numeric(table: Table, name: str) -> bool:
    """Whether nine tenths of the first cells that hold something are numbers."""
    cells = [cell for cell in table.columns[name][:_LOOKED_AT] if not missing(cell)]
    return bool(cells) and len(numbers(cells, decimal_comma=table.decimal_comma).bad) <= len(cells) / 10


def _exist(table: Table, names: Iterable[str]) -> None:
    for name in names:
        if name not in table.columns:
            raise UserError(f"{table.source} has no column {name!r}; it has {', '.join(table.names)}")


def by_name(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The columns with a usual name, the most usual first."""
    lowered = {name.lower().replace(" ", "_"): name for name in reversed(names)}
    return [lowered[each] for each in known if each in lowered]


def _timestamp(table: Table, free: Sequence[str]) -> str:
    found = by_name(free, _TIME)
    if found:
        return found[0]
    dated = [name for name in free if not is_numeric(table, name) and _holds_dates(table, name)]
    if len(dated) == 1:
        return dated[0]
    what = f"several columns hold times: {', '.join(dated)}" if dated else "no column holds times"
    raise UserError(f"{table.source}: {what}; say which with --timestamp-column (there are {', '.join(table.names)})")


def _holds_dates(table: Table, name: str) -> bool:
    """Whether nine tenths of the first cells that hold something look like dates, whatever their order."""
    cells = [cell for cell in table.columns[name][:_LOOKED_AT] if not missing(cell)]
    dated = [sum(character.isdigit() for character in cell) >= 5 and any(c in cell for c in "-/.:") for cell in cells]
    return bool(cells) and sum(dated) >= 0.9 * len(cells)


def _target(table: Table, free: Sequence[str]) -> str:
    found = by_name(free, TARGETS)
    if found:
        return found[0]
    numeric = [name for name in free if is_numeric(table, name) and name not in by_name(free, ITEMS)]
    if len(numeric) == 1:
        return numeric[0]
    what = f"several columns hold numbers: {', '.join(numeric)}" if numeric else "no column holds numbers"
    raise UserError(f"{table.source}: {what}; say which is to be forecast with --target-column")


def _item(table: Table, free: Sequence[str]) -> str:
    found = by_name(free, ITEMS)
    if found:
        return found[0]
    texts = [name for name in free if not is_numeric(table, name)]
    return texts[0] if len(texts) == 1 else _several(table, texts)


def _several(table: Table, texts: Sequence[str]) -> str:
    if not texts:
        return ""
    raise UserError(
        f"{table.source}: {', '.join(texts)} could each name the item; say which with --item-column, and the others "
        "with --dimension"
    )


def _no_numbers(table: Table, rest: Sequence[str]) -> None:
    for name in rest:
        if is_numeric(table, name):
            raise UserError(
                f"{table.source}: column {name!r} holds numbers and has no part; say --dimension {name} if it parts "
                f"the series, --ignore {name} to leave it out, or move it to a file for --related if it explains the "
                "target"
            )
