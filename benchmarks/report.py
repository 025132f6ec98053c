"""Prints benchmark rows as a table for people and keeps them as JSON for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the rows under a title, a column for each key of the first row."""
    if not rows:
        return
    names = list(rows[0])
    cells = [[_text(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    print(f"\n{title}")
    print("  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)))
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)), flush=True)


def keep(path: Path | None, results: dict[str, Any]) -> None:
    """Write the results and the machine they were measured on as JSON; nothing without a path."""
    if path is None:
        return
    import os

    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, **results}, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")


def met(fulfilled: bool) -> str:
    """Whether a bar is met, for a column of that name."""
    return "yes" if fulfilled else "no"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
