"""What reading the input found: repairs that were made, and rows that could not be used, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clary.toolkit.errors import DataError

_LISTED = 5


@dataclass(frozen=True)
class Repair:
    """Something that was changed or decided: which file, what kind, how often, and a sentence for a person."""

    source: str
    kind: str
    count: int
    text: str


@dataclass(frozen=True)
class Rejection:
    """A row that is left out: its line, the column, and why."""

    source: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.source}, line {self.line}{column}: {self.reason}"


@dataclass
class Findings:
    """Repairs and rejections, in the order in which they were found."""

    repairs: list[Repair] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def repair(self, source: str, kind: str, count: int, text: str) -> None:
        """Note a repair; nothing where it happened no times."""
        if count:
            self.repairs.append(Repair(source, kind, count, text))

    def reject(self, source: str, line: int, column: str, reason: str) -> None:
        """Note a row that is left out."""
        self.rejections.append(Rejection(source, line, column, reason))

    def check(self, source: str, rows: int, most: float) -> None:
        """DataError where more than that share of the file's rows had to be left out, with the first of them."""
        found = sorted({each.line: each for each in self.rejections if each.source == source}.items())
        if not found or len(found) <= most * rows:
            return
        listed = [each for _, each in found[:_LISTED]]
        more = f" (and {len(found) - len(listed)} more)" if len(found) > len(listed) else ""
        rest = "; ".join(f"line {each.line}, column {each.column}: {each.reason}" for each in listed[1:])
        reason = f"{listed[0].reason}{'; ' + rest if rest else ''}{more}; {len(found)} of {rows} rows cannot be used"
        raise DataError(reason, source=source, row=listed[0].line, column=listed[0].column or None, kind="line")

    def as_json(self) -> dict[str, Any]:
        """Both lists, for an artifact or a script."""
        return {
            "repairs": [vars(each) for each in self.repairs],
            "rejected": [vars(each) for each in self.rejections],
        }
