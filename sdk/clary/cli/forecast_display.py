"""The progress of a forecast job on standard error: a bar for a person, plain lines for everything else."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from clary.cli.table import on_terminal

if TYPE_CHECKING:
    from clary.forecast.job import Entry

_EVERY = 10.0  # seconds between the lines of one candidate


class Display:
    """Shows each candidate while it is tried, and what became of it."""

    def __init__(self) -> None:
        self._title = ""
        self._told = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Display:
        if on_terminal(sys.stderr):
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("reading", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, name: str, title: str) -> None:
        """A candidate begins."""
        self._title, self._told = title, time.monotonic()
        self.step(title)

    def step(self, what: str) -> None:
        """Something begins whose length nobody knows."""
        if self._bar is not None:
            self._bar.reset(self._task, description=what, total=None)

    def tell(self, done: int, of: int) -> None:
        """So much of its work is done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=of)
        elif time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            click.echo(f"{self._title}: {done} of {of}", err=True)

    def end(self, entry: Entry) -> None:
        """It has been scored, or left out."""
        if entry.scores is None:
            text = f"{entry.title}: left out: {entry.left_out}"
        else:
            text = f"{entry.title}: wQL {entry.scores.loss:.4f} in {entry.seconds:.1f} s"
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=True)
