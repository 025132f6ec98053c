"""A table for people: drawn with rich on a terminal, aligned plain text where the output goes elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

import click

# Longer cells than this are the exception in a column.
_WIDE = 70


@dataclass(frozen=True)
class Table:
    """Rows of texts under headings; ``title`` is a line above, ``notes`` are lines below.

    ``codes`` says that the first column holds names.
    """

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    codes: bool = False
    notes: Sequence[str] = ()

    def plain(self) -> str:
        """The table as aligned columns, two blanks apart, no line broken.

        A few very long cells do not push the others apart: behind one, its own line is out of step.
        """
        lines = [self.headings, *self.rows]
        columns = range(len(self.headings))
        widths = [
            max(len(cells[column]) for cells in lines if len(cells[column]) <= _WIDE or not column)
            for column in columns
        ]
        aligned = ("  ".join(f"{cell:<{w}}" for cell, w in zip(cells, widths, strict=True)) for cells in lines)
        return "\n".join([self.title, *(f"  {line}".rstrip() for line in (*aligned, *self.notes))])

    def markdown(self) -> str:
        """The table as Markdown, without the title; names are set as code."""
        marked = [(f"`{first}`", *rest) if self.codes else (first, *rest) for first, *rest in self.rows]
        lines = [self.headings, tuple("---" for _ in self.headings), *marked]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines)
        return "\n\n".join([table, *self.notes])


def show(table: Table) -> None:
    """Print the table on standard output."""
    if not on_terminal(sys.stdout):
        click.echo(table.plain() + "\n")
        return
    # Loaded for people alone: a script that reads our output does not wait for it.
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, heading in enumerate(table.headings):
        drawn.add_column(heading, style="cyan" if number == 0 else None, overflow="fold", no_wrap=number == 0)
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console()
    console.print(Text(table.title, style="bold"))
    console.print(drawn, *map(Text, table.notes), Text(), sep="\n")


def on_terminal(stream: TextIO) -> bool:
    """Whether a person watches the stream on a terminal that can draw."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
