"""A training job as the command line shows it: a bar for a person, plain log lines for everything else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

import click

from clary.cli.table import Table, on_terminal, show
from clary.cli.verbosity import is_verbose

if TYPE_CHECKING:
    from clary.runner.metrics import History
    from clary.runner.view import JobView
    from clary.toolkit.spec import AlgorithmSpec

_BARS = "▁▂▃▄▅▆▇█"
_CURVE = 16
_PROGRESS = "train:progress"


def follow(view: JobView, spec: AlgorithmSpec, stream: TextIO) -> None:
    """Show the job on the stream until it is over."""
    if on_terminal(stream):
        _draw(view, spec, stream)
        return
    several = len(view.state().hosts) > 1
    for line in view.lines():
        click.echo(f"{line.host} | {line.text}" if several else line.text, file=stream)


def _draw(view: JobView, spec: AlgorithmSpec, stream: TextIO) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from clary.runner.metrics import Extractor

    extractor, every_line = Extractor(spec.metrics), is_verbose()
    rounds = view.state().hyperparameters.get("num_round")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    latest = TextColumn("{task.fields[latest]}", style="cyan")
    console = Console(file=stream)
    with Progress(*columns, TimeElapsedColumn(), latest, console=console, transient=True) as bar:
        task = bar.add_task(f"training {spec.title}", total=None, latest="")
        for line in view.lines():
            if every_line:
                console.print(line.text, markup=False, highlight=False, soft_wrap=True)
            # Of several metrics in one line the first declared is shown.
            for name in reversed(extractor.read(line.text, line.time)):
                point = extractor.metrics[name].points[-1]
                if name == _PROGRESS:
                    bar.update(task, total=100, completed=point.value)
                    continue
                bar.update(task, latest=f"{name} {point.value:.6g}")
                if rounds and point.epoch is not None:
                    bar.update(task, total=float(rounds), completed=point.epoch + 1)


def show_metrics(metrics: Mapping[str, History]) -> None:
    """Print the final value of each metric, and its curve where it was reported more than once."""
    drawn = [(history, _curve(history.values)) for history in metrics.values()]
    curves = any(curve for _, curve in drawn)
    headings = ("metric", "value", "better", *(("curve",) if curves else ()))
    rows = [
        (history.name, f"{history.value:,.6g}", _better(history), *((curve,) if curves else ()))
        for history, curve in drawn
    ]
    show(Table("Metrics", headings, rows))


def _better(history: History) -> str:
    return "lower" if history.goal == "Minimize" else "higher"


def _curve(values: Sequence[float]) -> str:
    """The history as a line of bars, where there is one and the output can show it."""
    if len(values) < 2 or not (sys.stdout.encoding or "").lower().startswith("utf"):
        return ""
    step = max(1, len(values) // _CURVE)
    low, span = min(values), (max(values) - min(values)) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values[-1::-step][::-1])
