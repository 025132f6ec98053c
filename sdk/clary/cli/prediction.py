"""``clary predict``: a model's answers for a file of rows or objects of any size."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from clary.cli import rows, scoring
from clary.cli.table import on_terminal
from clary.cli.verbosity import with_verbosity
from clary.cli.whole_file import whole_file
from clary.toolkit import media
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType

if TYPE_CHECKING:
    from clary.toolkit.predictor import Predictor

_ENDED_LINES = (media.JSON_LINES, media.CSV)


@with_verbosity
@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", metavar="ROWS", type=click.Path(path_type=Path))
@click.option("--output", "-o", default="-", type=click.Path(path_type=Path), help="File to write; stdout otherwise.")
@click.option(
    "--accept",
    default=media.JSON_LINES,
    show_default=True,
    help="Media type of the answers; options of the answer stand behind it, as in 'text/csv; NAME=VALUE'.",
)
@click.option("--content-type", help="Media type of the rows, where the file's name does not tell it.")
@click.option("--algorithm", default="", help="Algorithm of a model that was made elsewhere.")
def predict(model: Path, data: Path, output: Path, accept: str, content_type: str | None, algorithm: str) -> None:
    """Score every row of a file with a model.

    MODEL is a model.tar.gz or the folder that it was packed from. ROWS is a file of rows without labels (CSV
    without a header line, say) or of JSON Lines, gzip allowed, or - for standard input. Rows are read, scored and
    written in blocks, so their number does not matter; an output file appears when it is complete.
    """
    wanted = MediaType.parse(accept)
    with scoring.loaded(model, algorithm) as predictor, rows.opened(data) as stream, whole_file(output) as sink:
        supported = predictor.spec.payloads.responses
        if wanted.name not in supported:
            raise UserError(f"{predictor.spec.title} does not answer in {wanted}; it has {', '.join(supported)}")
        count = _score(predictor, stream, data, content_type, sink, wanted)
    if str(output) != "-":
        click.echo(f"{count:,} rows scored, written to {output}", err=True)


def _score(
    predictor: Predictor[Any, Any],
    stream: BinaryIO,
    data: Path,
    content_type: str | None,
    sink: BinaryIO,
    wanted: MediaType,
) -> int:
    count, asked = 0, scoring.options(predictor, wanted)
    wanted = MediaType(wanted.name, {**wanted.parameters, **asked})
    put = _written_as(wanted, predictor.spec.payloads.json_key, sink)
    with progress(stream, shown=sink is not sys.stdout.buffer) as advance:
        for answered, answer in _answers(predictor, stream, data, content_type, asked):
            put(predictor.encode(answer, wanted))
            count += answered
            advance()
    if not count:
        raise UserError(f"{rows.said(data)} holds no rows")
    put(b"")
    return count


def _answers(
    predictor: Predictor[Any, Any], stream: BinaryIO, data: Path, content_type: str | None, asked: Mapping[str, str]
) -> Iterator[tuple[int, Any]]:
    """The answers in parts, in order, each with its number of rows or objects."""
    from clary.cli import lines
    from clary.toolkit.predictor import TabularPredictor

    source = rows.said(data)
    if not isinstance(predictor, TabularPredictor):
        # What has no telling name, or the managed algorithms' ``.json``, holds a record in each line.
        kind = content_type or media.of_file(data.name) or media.JSON_LINES
        yield from lines.answers(predictor, stream, MediaType.parse(kind), asked, source)
        return
    given = rows.type_of(data, content_type, option="--content-type")
    for block in rows.records(stream, given, source, predictor.reading):
        for part, answer in scoring.answers(predictor, block, asked):
            yield len(part), answer


def _written_as(wanted: MediaType, key: str, sink: BinaryIO) -> Callable[[bytes], None]:
    """A function that adds one part's answer to the file, and ends the file when it is given an empty one."""
    if wanted.name == media.JSON:
        return _Document(key, sink).add

    def add(answer: bytes) -> None:
        sink.write(answer)
        if answer and wanted.name in _ENDED_LINES and not answer.endswith(b"\n"):
            sink.write(b"\n")

    return add


class _Document:
    """One JSON document that holds the rows of many."""

    def __init__(self, key: str, sink: BinaryIO) -> None:
        # Without a key the document is the list of rows.
        self._key, self._head, self._tail = key, f'{{"{key}":['.encode() if key else b"[", b"]}" if key else b"]"
        self._sink, self._begun = sink, False

    def add(self, answer: bytes) -> None:
        """Add the rows of a document; an empty one ends the file."""
        if not answer:
            self._sink.write(self._tail + b"\n")
            return
        if not (answer.startswith(self._head) and answer.endswith(self._tail)):
            raise UserError(f"these answers make no JSON document of {self._key or 'rows'}; use {media.JSON_LINES}")
        self._sink.write(b"," if self._begun else self._head)
        self._sink.write(answer[len(self._head) : -len(self._tail)])
        self._begun = True


@contextmanager
def progress(stream: BinaryIO, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A function to call when more was read; it moves a bar where a person watches, and does nothing elsewhere."""
    if not (shown and on_terminal(sys.stderr) and stream.seekable()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scoring", total=os.fstat(stream.fileno()).st_size or None)
        yield lambda: bar.update(task, completed=stream.tell())
