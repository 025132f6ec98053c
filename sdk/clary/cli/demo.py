"""``clary demo``: the whole way from rows to answers on real data, in a few seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clary.algorithms import registry
from clary.cli import program
from clary.cli.job_display import follow, show_metrics
from clary.cli.table import Table, on_terminal, show
from clary.cli.verbosity import is_verbose, with_verbosity
from clary.cli.whole_file import whole_file
from clary.toolkit import media
from clary.toolkit.media import MediaType

if TYPE_CHECKING:
    from clary.cli.local_job import Result
    from clary.runner.view import JobView
    from clary.sdk.answers import Predictions
    from clary.toolkit.records import Floats, Records

SPEC = registry.spec("kmeans")
_PER_LINE = 7


@with_verbosity
@click.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), default="out/demo", show_default=True)
def demo(output: Path) -> None:
    """Train k-means on handwritten digits, deploy it, ask it, and show what came out.

    Needs no network, no account and no container engine, and ends by itself. It leaves the data, the model,
    the metrics and the answers in the output folder.
    """
    began = time.monotonic()
    example = registry.example(SPEC.name)
    _say(1, example.title)
    digits = example.channels["train"]()
    rows = output / "digits.csv"
    _write(digits, rows)
    click.echo(f"   The rows are {rows}: {digits.width} pixels from 0 to 16 each, no header, no label.\n")
    from clary.cli.local_job import run

    data = {"train": [str(rows)], "test": [str(rows)]}
    result = run(SPEC, data, output, hyperparameters=example.hyperparameters, watch=_watch)
    show_metrics(result.metrics)
    _say(2, "Deploy the model on this machine and ask it about every digit")
    answers = _ask(result, digits)
    _draw(result, digits, answers)
    _say(3, "What came out")
    _conclude(digits, answers)
    _suggest(result, rows, time.monotonic() - began)


def _say(number: int, sentence: str) -> None:
    click.echo(f"\n{click.style(f'{number}.', fg='cyan', bold=True)} {click.style(sentence, bold=True)}\n")


def _write(digits: Records, path: Path) -> None:
    from dataclasses import replace

    from clary.toolkit import tabular

    with whole_file(path) as sink:
        tabular.write(sink, replace(digits, labels=None), MediaType(media.CSV))


def _watch(view: JobView) -> None:
    """Show the job's progress; its log is left to those who ask for it."""
    if on_terminal(sys.stdout) or is_verbose():
        follow(view, SPEC, sys.stdout)
    view.wait()


def _ask(result: Result, digits: Records) -> Predictions:
    from clary.sdk.model import Model

    began = time.monotonic()
    with Model(result.model).deploy(workers=1) as predictor:
        ready = time.monotonic()
        answers: Predictions = predictor.predict(digits.features)
        asked = time.monotonic()
        click.echo(
            f"   The server at {predictor.url} was ready after {ready - began:.1f} s and answered "
            f"{len(answers):,} rows in {asked - ready:.2f} s.\n"
        )
    return answers


def _draw(result: Result, digits: Records, answers: Predictions) -> None:
    """Show digits that were asked about, and below each the center of its cluster."""
    from clary.cli.digit_art import captions

    asked = digits.dense()[:_PER_LINE]
    clusters = answers.closest_cluster[:_PER_LINE].astype(int)
    centers = _centers(result)[clusters]
    click.echo("   Seven of the digits:\n")
    _print(list(asked))
    click.echo("\n   The center of the cluster that each was given:\n")
    _print(list(centers))
    click.echo(captions([f"cluster {cluster}" for cluster in clusters]))
    click.echo(captions([f"{away:.1f} away" for away in answers.distance_to_cluster[:_PER_LINE]]))


def _print(pictures: Sequence[Floats]) -> None:
    from clary.cli.digit_art import outlined, shaded

    if not on_terminal(sys.stdout):
        click.echo(outlined(pictures, ascii_only=not _draws_blocks()))
        return
    from rich.console import Console

    console = Console()
    if console.no_color or console.color_system in (None, "standard", "windows"):
        console.print(outlined(pictures, ascii_only=not _draws_blocks()), highlight=False)
    else:
        console.print(shaded(pictures))


def _draws_blocks() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _centers(result: Result) -> Floats:
    from clary.toolkit.artifact import Artifact, opened

    with opened(result.model) as folder:
        centers: Floats = Artifact.read(folder).tensors["centers"]
    return centers


def _conclude(digits: Records, answers: Predictions) -> None:
    """Show what the clusters turned out to be, beside the labels that training never saw."""
    import numpy as np

    assert digits.labels is not None
    labels, clusters = digits.labels[:, 0].astype(int), answers.closest_cluster.astype(int)
    rows = []
    for cluster in range(clusters.max() + 1):
        counts = np.bincount(labels[clusters == cluster], minlength=10)
        size, digit = int(counts.sum()), int(counts.argmax())
        rows.append((str(cluster), f"{size:,}", str(digit), f"{counts[digit] / max(size, 1):.0%}"))
    show(Table("Clusters, beside the labels that training never saw", ("cluster", "rows", "mostly", "share"), rows))


def _suggest(result: Result, rows: Path, seconds: float) -> None:
    """Say where everything is, and what to do next; every line can be pasted."""
    folder, model = result.model.parent, str(result.model)
    python = f"from clary.sdk import KMeans; print(KMeans(k=10).fit({json.dumps(rows.as_posix())}).metrics)"
    click.echo(f"   model    {model} (open formats only: JSON, safetensors, and the managed suite's own)")
    click.echo(f"   metrics  {result.metrics_file}\n   The demo took {seconds:.1f} seconds.")
    _say(4, "Try next")
    for line in (
        program.command("describe", SPEC.name),
        program.command("train", SPEC.name, "--train", str(rows), "-p", "k=12", "--output", str(folder / "k12")),
        program.command("predict", model, str(rows), "--output", str(folder / "scores.jsonl")),
        program.command("serve", model, "--port", "8080"),
        f"head -1 {rows} | curl -H 'Content-Type: text/csv' --data-binary @- http://127.0.0.1:8080/invocations",
        program.python("-c", python),
    ):
        click.echo(f"   {line}")
