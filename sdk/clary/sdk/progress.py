"""What is shown while one waits: bars and quiet lines for people, plain lines for everything else."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

_PERCENT = re.compile(r"#progress_metric: .*completed (\S+) %")
_ROUND = re.compile(r"(?:^|\s)\[(\d+)\](?:\t|#011)")


def interactive() -> bool:
    """Whether a person is likely to watch: a terminal, or a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def follow(lines: Iterable[str], title: str, *, rounds: int | None = None) -> None:
    """Show the log as it comes; for a person with a bar, and without the lines that are for machines.

    ``rounds`` is how many a job has whose log counts them instead of telling its progress.
    """
    if not interactive():
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn()) as progress:
        task = progress.add_task(title, total=100)
        for line in lines:
            if "#metrics {" in line:
                continue
            progress.console.print(line, markup=False, highlight=False)
            if match := _PERCENT.search(line):
                progress.update(task, completed=float(match.group(1)))
            elif rounds and (match := _ROUND.search(line)):
                progress.update(task, completed=100 * (int(match.group(1)) + 1) / rounds)


def say(sentence: str) -> None:
    """Tell a person something that is no part of the output."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


@contextmanager
def bytes_progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to be told how many of so many bytes are done; a bar for a person, nothing otherwise."""
    if not interactive():
        yield lambda _done: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
