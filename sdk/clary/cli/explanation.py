"""``clary explain``: what each feature adds to the score of each row of a file, as CSV and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clary.cli import rows, scoring
from clary.cli.prediction import progress
from clary.cli.table import Table, show
from clary.cli.verbosity import with_verbosity
from clary.cli.whole_file import whole_file
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType

if TYPE_CHECKING:
    from clary.sdk.explanation import Explanation
    from clary.toolkit.predictor import Predictor

# Numbers of which a picture is drawn: a quarter of a gigabyte.
_MOST_DRAWN = 1 << 26
_LISTED = 10


@with_verbosity
@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", metavar="ROWS", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="CSV to write; stdout where there is no --plot."
)
@click.option("--plot", type=click.Path(path_type=Path), help="Picture to write: a .png, .svg or .pdf file.")
@click.option("--row", type=click.IntRange(0), help="Draw the way to the score of this row, counted from 0.")
@click.option(
    "--class", "class_", type=click.IntRange(0), help="Class to draw; the one that wins most rows otherwise."
)
@click.option("--top", type=click.IntRange(1), default=15, show_default=True, help="Features to draw one by one.")
@click.option(
    "--names", type=click.Path(path_type=Path), help="File with the features' names, in a line or in lines."
)
@click.option("--content-type", help="Media type of the rows, where the file's name does not tell it.")
@click.option("--algorithm", default="", help="Algorithm of a model that was made elsewhere.")
def explain(
    model: Path,
    data: Path,
    output: Path | None,
    plot: Path | None,
    row: int | None,
    class_: int | None,
    top: int,
    names: Path | None,
    content_type: str | None,
    algorithm: str,
) -> None:
    """Say what each feature adds to the score of every row of a file.

    MODEL is a model.tar.gz or the folder that it was packed from. ROWS is a file of rows without labels, or - for
    standard input. The CSV has a header: row, class (of several), score, base, and each feature's contribution.
    Base and contributions add up to the score before the link function. With --plot there is a picture of the
    features that matter most, or with --row of one row.
    """
    for option, value in (("--row", row), ("--class", class_)):
        if plot is None and value is not None:
            raise click.UsageError(f"{option} is for a picture; name its file with --plot")
    given = rows.type_of(data, content_type, option="--content-type")
    target = output if output is not None or plot is not None else Path("-")
    with scoring.loaded(model, algorithm) as predictor:
        printed = target is not None and str(target) == "-"
        parts = _explained(predictor, data, given, _named(names), shown=not printed)
        kept, count = _write(parts, target, keep=plot is not None)
    if plot is not None:
        _draw(kept, count, plot, row=row, class_=class_, top=top)
    if not printed:
        places = " and ".join(str(place) for place in (target, plot) if place is not None)
        click.echo(f"{count:,} rows explained, written to {places}", err=True)


def _named(path: Path | None) -> list[str]:
    """The names in a file, one in each line or with commas between them; empty without a file."""
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the names {path} cannot be read: {error}") from error
    return [name.strip() for line in csv.reader(text.splitlines()) for name in line if name.strip()]


def _explained(
    loaded: Predictor[Any, Any], data: Path, given: MediaType, names: list[str], *, shown: bool
) -> Iterator[Explanation]:
    """The explanations of the rows, part by part."""
    from clary.sdk.answers import Predictions
    from clary.sdk.contributions import OPTION, check_explains
    from clary.sdk.explanation import Explanation

    check_explains(loaded.spec)
    predictor = scoring.of_rows(loaded)
    with rows.opened(data) as stream, progress(stream, shown=shown) as advance:
        for block in rows.records(stream, given, rows.said(data), predictor.reading):
            for part, answer in scoring.answers(predictor, block, {OPTION: "true"}):
                found = Explanation.of(part, Predictions(answer), predictor.spec, names or None)
                if names and len(names) != len(found.names):
                    raise UserError(
                        f"there are {len(names)} names for {len(found.names)} features; give one for each feature, "
                        "and none for the label"
                    )
                yield found
            advance()


def _write(parts: Iterable[Explanation], target: Path | None, *, keep: bool) -> tuple[list[Explanation], int]:
    """Write the CSV, if a target is given; the parts to draw and the number of rows come back."""
    kept: list[Explanation] = []
    count, room = 0, _MOST_DRAWN
    with nullcontext(None) if target is None else whole_file(target) as sink:
        for part in parts:
            if sink is not None:
                sink.write(_header(part) if not count else b"")
                sink.write(_lines(part, first=count))
            if keep and room >= part.contributions.size:
                kept.append(part)
                room -= part.contributions.size
            count += len(part)
        if not count:
            raise UserError("there are no rows to explain")
    return kept, count


def _header(part: Explanation) -> bytes:
    text = io.StringIO()
    places = ["row", "class"] if part.classes > 1 else ["row"]
    csv.writer(text, lineterminator="\n").writerow([*places, "score", "base", *part.names])
    return text.getvalue().encode()


def _lines(part: Explanation, *, first: int) -> bytes:
    from clary.toolkit.codecs import csv as numbers

    cells = part.table()
    places = [
        f"{row},{class_}" if part.classes > 1 else f"{row}"
        for row in range(first, first + len(part))
        for class_ in range(part.classes)
    ]
    lines = numbers.encode({"cells": cells}).splitlines()
    return b"".join(b"%b,%b\n" % (place.encode(), line) for place, line in zip(places, lines, strict=True))


def _draw(kept: list[Explanation], count: int, plot: Path, *, row: int | None, class_: int | None, top: int) -> None:
    from clary.sdk.explanation import Explanation

    found = Explanation.join(kept)
    if row is not None and len(found) <= row < count:
        raise UserError(f"row {row} is behind the {len(found):,} rows that fit into memory for a picture")
    plot.parent.mkdir(parents=True, exist_ok=True)
    try:
        found.plot(plot, row=row, top=top, class_=class_)
    except (OSError, ValueError) as error:
        raise UserError(f"the picture {plot} cannot be written: {error}") from error
    shown = found.of_class(class_)
    order = (-shown.importance).argsort(kind="stable")[:_LISTED]
    lines = [(shown.names[at], f"{shown.importance[at]:.4g}") for at in order]
    show(Table(f"What moves the score most, over {len(found):,} rows", ("feature", "mean |contribution|"), lines))
