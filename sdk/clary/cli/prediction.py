"""``clary predict``: a model's answers for a file of rows of any size."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from clary.cli import rows
from clary.cli.table import on_terminal
from clary.cli.verbosity import with_verbosity
from clary.cli.whole_file import whole_file
from clary.toolkit import media
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType

if TYPE_CHECKING:
    from clary.toolkit.predictor import TabularPredictor

# Answers of these types can follow one another in a file; a JSON document cannot.
_FILE_TYPES = (media.JSON_LINES, media.CSV, media.RECORDIO_PROTOBUF)


@with_verbosity
@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", metavar="ROWS", type=click.Path(path_type=Path))
@click.option("--output", "-o", default="-", type=click.Path(path_type=Path), help="File to write; stdout otherwise.")
@click.option("--accept", default=media.JSON_LINES, show_default=True, help="Media type of the answers.")
@click.option("--content-type", help="Media type of the rows, where the file's name does not tell it.")
@click.option("--algorithm", default="", help="Algorithm of a model that was made elsewhere.")
def predict(model: Path, data: Path, output: Path, accept: str, content_type: str | None, algorithm: str) -> None:
    """Score every row of a file with a model.

    MODEL is a model.tar.gz or the folder that it was packed from. ROWS is a file of rows without labels (CSV
    without a header line, say), gzip allowed, or - for standard input. Rows are read, scored and written in
    blocks, so their number does not matter; an output file appears when it is complete.
    """
    given = rows.type_of(data, content_type, option="--content-type")
    wanted = _answer_type(accept)
    with _loaded(model, algorithm) as predictor, rows.opened(data) as stream, whole_file(output) as sink:
        supported = predictor.spec.payloads.responses
        if wanted.name not in supported:
            raise UserError(f"{predictor.spec.title} does not answer in {wanted}; it has {', '.join(supported)}")
        count = _score(predictor, stream, given, sink, wanted, source="stdin" if str(data) == "-" else str(data))
    if str(output) != "-":
        click.echo(f"{count:,} rows scored, written to {output}", err=True)


def _answer_type(accept: str) -> MediaType:
    wanted = MediaType.parse(accept)
    if wanted.name not in _FILE_TYPES:
        raise UserError(f"--accept must be one of {', '.join(_FILE_TYPES)} for a file of answers; got {accept!r}")
    return wanted


@contextmanager
def _loaded(model: Path, algorithm: str) -> Iterator[TabularPredictor]:
    from clary.container.model import load
    from clary.toolkit.artifact import opened
    from clary.toolkit.predictor import TabularPredictor

    with opened(model) as folder:
        predictor = load(folder, algorithm).predictor
        if not isinstance(predictor, TabularPredictor):
            raise UserError(f"{predictor.spec.title} does not answer rows of numbers; use `clary serve` for it")
        yield predictor


def _score(
    predictor: TabularPredictor, stream: BinaryIO, given: MediaType, sink: BinaryIO, wanted: MediaType, *, source: str
) -> int:
    count = 0
    with _progress(stream, shown=sink is not sys.stdout.buffer) as advance:
        for block in rows.records(stream, given, source):
            answer = predictor.encode(predictor.predict(predictor.check(block)), wanted)
            sink.write(answer)
            if wanted.name != media.RECORDIO_PROTOBUF and not answer.endswith(b"\n"):
                sink.write(b"\n")
            count += len(block)
            advance()
    if not count:
        raise UserError(f"{source} holds no rows")
    return count


@contextmanager
def _progress(stream: BinaryIO, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A function to call when more was read; it moves a bar where a person watches, and does nothing elsewhere."""
    if not (shown and on_terminal(sys.stderr) and stream.seekable()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scoring", total=os.fstat(stream.fileno()).st_size or None)
        yield lambda: bar.update(task, completed=stream.tell())
