"""``clary data``: sample rows to begin with, and rows from one format to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clary.cli import rows
from clary.cli.verbosity import with_verbosity
from clary.cli.whole_file import whole_file
from clary.toolkit import media
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from clary.toolkit.records import Records


@click.group()
def data() -> None:
    """Sample data, and conversion between the formats."""


@with_verbosity
@data.command()
@click.argument("name", type=click.Choice(["breast-cancer", "diabetes", "digits"]))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--labels", is_flag=True, help="Keep the label; in CSV it is the first column.")
@click.option("--content-type", help="Media type to write, where the file's name does not tell it.")
def sample(name: str, output: Path, labels: bool, content_type: str | None) -> None:
    """Write a real data set that comes with the package.

    breast-cancer: 569 tumors by 30 measures; the label is 1 for benign.

    diabetes: 442 patients by 10 measures; the label is the progression in a year.

    digits: 1,797 handwritten digits of 8 by 8 pixels, from 0 to 16; the label is the digit.
    """
    found = _samples()[name]()
    if not labels:
        found = _unlabeled(found)
    kind = rows.type_of(output, content_type, option="--content-type")
    from clary.toolkit import tabular

    with whole_file(output) as sink:
        tabular.write(sink, found, kind)
    click.echo(f"{len(found):,} rows of {found.width} features written to {output} as {kind.name}", err=True)


@with_verbosity
@data.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--from", "source_type", help="Media type of IN, where its name does not tell it.")
@click.option("--to", "output_type", help="Media type of OUT, where its name does not tell it.")
def convert(source: Path, output: Path, source_type: str | None, output_type: str | None) -> None:
    """Rewrite rows in another format, in bounded memory unless OUT is parquet.

    The names of IN and OUT tell the formats: .csv, .libsvm, .recordio, .jsonl, .parquet. CSV has no header
    line; with label columns it is --from 'text/csv;label_size=1'.
    """
    given = rows.type_of(source, source_type, option="--from")
    wanted = rows.type_of(output, output_type, option="--to")
    from clary.toolkit import tabular

    count = 0
    with rows.opened(source) as stream, whole_file(output) as sink:
        blocks = rows.records(stream, given, str(source))
        # A parquet file is written at once; the other formats grow block by block.
        for block in _joined(blocks) if wanted.name == media.PARQUET else blocks:
            tabular.write(sink, block, wanted)
            count += len(block)
        if not count:
            raise UserError(f"{source} holds no rows")
    click.echo(f"{count:,} rows converted from {given.name} to {wanted.name}, written to {output}", err=True)


def _joined(blocks: Iterable[Records]) -> list[Records]:
    from clary.toolkit.records import Records

    found = list(blocks)
    return [Records.join(found)] if found else []


def _samples() -> dict[str, Callable[[], Records]]:
    from clary.datasets import samples

    return {
        "breast-cancer": samples.breast_cancer,
        "diabetes": samples.diabetes,
        "digits": samples.digits,
    }


def _unlabeled(records: Records) -> Records:
    from dataclasses import replace

    return replace(records, labels=None)
