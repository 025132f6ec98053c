"""``clary forecast``: from a CSV to quantiles, with no model to choose, and again when newer data has come."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clary.cli import program
from clary.cli.table import Table, show
from clary.cli.verbosity import with_verbosity
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from clary.forecast.findings import Findings
    from clary.forecast.job import Result

_PATH = click.Path(path_type=Path)
_LISTED = 12


@click.group()
def forecast() -> None:
    """Forecast time series from a CSV."""


def _input_options(command: Any) -> Any:
    options = [
        click.option("--item-column", metavar="NAME", help="Column that names the series; otherwise told by name."),
        click.option("--timestamp-column", metavar="NAME", help="Column of the times."),
        click.option("--target-column", metavar="NAME", help="Column of the values to forecast."),
        click.option(
            "--dimension",
            multiple=True,
            metavar="NAME",
            help="Further column that parts the series, such as a store.",
        ),
        click.option("--ignore", multiple=True, metavar="NAME", help="Column to leave out."),
        click.option("--timestamp-format", metavar="FORM", help="Form of the times, such as '%d/%m/%Y %H:%M'."),
        click.option(
            "--layout",
            type=click.Choice(["auto", "long", "wide"]),
            default="auto",
            show_default=True,
            help="A row for each value (long), or a column for each series (wide); otherwise told by the columns.",
        ),
        click.option(
            "--aggregate",
            default="sum",
            show_default=True,
            help="What becomes of rows of one step: sum, mean, median, min, max, first or last.",
        ),
        click.option(
            "--fill",
            default="auto",
            show_default=True,
            metavar="RULE",
            help="Value of a step without a row: auto, zero, previous, next, linear, mean, median, min, max, number.",
        ),
        click.option(
            "--fill-end",
            default="auto",
            show_default=True,
            metavar="RULE",
            help="The same, behind a series' last row up to the last row of all.",
        ),
        click.option(
            "--fill-related", default="previous", show_default=True, metavar="RULE", help="The same, for features."
        ),
        click.option(
            "--bad-rows",
            type=click.Choice(["skip", "refuse"]),
            default="skip",
            show_default=True,
            help="Rows that cannot be read are left out and listed, up to one in twenty; or the first ends the job.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@with_verbosity
@forecast.command()
@click.argument("target", type=_PATH)
@click.option("--horizon", type=int, required=True, help="How many steps to forecast.")
@click.option("--frequency", help="Time between two points, such as D, H, 15min, W or M; otherwise inferred.")
@click.option(
    "--related", type=_PATH, help="CSV of features by item and time; those that reach over the horizon help."
)
@click.option("--items", type=_PATH, help="CSV of facts about each item.")
@click.option("--quantiles", default="0.1,0.5,0.9", show_default=True, help="Quantiles to forecast.")
@click.option(
    "--models",
    default="auto",
    show_default=True,
    help="Candidates: auto, statistical, or names such as ets,trees,deepar.",
)
@click.option("--budget", help="Time that the job may take, such as 60s, 5m or 1h; no end otherwise.")
@click.option(
    "--windows", type=int, help="How many backtests to compare in; otherwise 3 to 8, by the number of series."
)
@_input_options
@click.option("--seed", type=int, default=0, show_default=True, help="Start of the random numbers.")
@click.option("--output", "-o", type=_PATH, default="out", show_default=True, help="Folder for the results.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def run(target: Path, output: Path, related: Path | None, items: Path | None, as_json: bool, **given: Any) -> None:
    """Choose, backtest and run models on TARGET.csv.

    TARGET holds item_id, timestamp and target_value, under these names or others. Writes forecast.csv,
    leaderboard.csv, backtests.csv, report.html, summary.json and model.tar.gz into the output folder.
    """
    began = time.monotonic()
    from clary.cli.forecast_display import Display
    from clary.forecast import archive, forecasting, report
    from clary.forecast import output as files
    from clary.forecast.clock import Clock

    settings = _settings(given)
    _writable(output)
    with Display() as display:
        clock = Clock(settings.budget, began)
        result = forecasting.forecast(target, settings, related=related, items=items, watcher=display, clock=clock)
        display.step("writing")
        files.write(result, output)
        archive.save(archive.Kept.of(result), output)
        report.write(result, output)
    if as_json:
        click.echo(json.dumps(files.summary(result), indent=2))
        return
    _show_findings(result.findings)
    _show_leaderboard(result)
    click.echo(
        f"forecast  {output / files.FORECAST}\nreport    {output / files.REPORT}\n\nnext, when newer rows have come:"
    )
    click.echo(f"  {program.command('forecast', 'update', str(output), 'NEWER.csv', '--output', 'out-next')}")


@with_verbosity
@forecast.command()
@click.argument("job", type=_PATH)
@click.argument("target", type=_PATH)
@click.option("--related", type=_PATH, help="CSV of the features of the new steps, if the job was fitted with some.")
@click.option("--output", "-o", type=_PATH, default="out-next", show_default=True, help="Folder for the results.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def update(job: Path, target: Path, related: Path | None, output: Path, as_json: bool) -> None:
    """Forecast again from newer data, without fitting.

    JOB is the output folder of `clary forecast run`, or its model.tar.gz. TARGET holds newer rows, in the same
    columns; rows that were known before may be there, too, and count. Writes forecast.csv, report.html and
    model.tar.gz.
    """
    from clary.forecast import archive, forecasting, update_report
    from clary.forecast import output as files

    _writable(output)
    kept = archive.load(job)
    found = forecasting.update(kept, target, related=related)
    panel, settings = found.kept.panel, found.kept.settings
    rows = files.forecast_rows(panel, found.forecast, settings.levels, settings.quantiles)
    files.write_table(output / files.FORECAST, rows)
    files.write_rejected(found.findings, output)
    archive.save(found.kept, output)
    update_report.write(found, output)
    last = panel.grid.texts([panel.end - 1])[0]
    if as_json:
        summary = {"chosen": kept.chosen, "series": len(panel), "new_steps": found.added, "last": last}
        click.echo(json.dumps({**summary, **found.findings.as_json()}, indent=2))
        return
    _show_findings(found.findings)
    click.echo(f"{len(panel):,} series go on for {found.added} steps to {last}")
    click.echo(f"forecast  {output / files.FORECAST}\nreport    {output / files.REPORT}")


def _settings(given: dict[str, Any]) -> Any:
    from clary.forecast import settings as choices

    roles = choices.Roles(
        item=given.pop("item_column"),
        timestamp=given.pop("timestamp_column"),
        target=given.pop("target_column"),
        dimensions=given.pop("dimension"),
        ignored=given.pop("ignore"),
    )
    budget = given.pop("budget")
    return choices.Settings(
        roles=roles,
        quantiles=choices.quantiles(given.pop("quantiles")),
        models=choices.models(given.pop("models")),
        budget=None if budget is None else choices.seconds(budget),
        **given,
    )


def _writable(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the output folder {output} cannot be written: {error.strerror}") from error


def _show_findings(findings: Findings) -> None:
    for each in findings.repairs:
        click.echo(f"{each.source}: {each.kind}: {each.text} ({each.count:,})", err=True)
    for rejection in findings.rejections[:_LISTED]:
        click.echo(f"left out: {rejection}", err=True)
    if len(findings.rejections) > _LISTED:
        click.echo(f"left out: {len(findings.rejections) - _LISTED} more rows, all in rejected.csv", err=True)


def _show_leaderboard(result: Result) -> None:
    rows = []
    for entry in result.entries:
        mark = "*" if entry.name == result.chosen else ""
        scores = entry.scores
        if scores is None:
            rows.append((entry.title, mark, "", "", "", "", "", f"left out: {entry.left_out}"))
            continue
        weight = f"{entry.weight:.0%}" if entry.weight else ""
        numbers = (
            f"{scores.loss:.4f}",
            f"{scores.wape:.4f}",
            f"{scores.mase:.3f}",
            f"{scores.between(0.1, 0.9):.0%}",
        )
        rows.append((entry.title, mark, *numbers, weight, f"{entry.seconds:.1f} s"))
    headings = ("model", "", "wQL", "WAPE", "MASE", "p10-p90", "weight", "time")
    title = f"Leaderboard, {len(result.ends)} backtests of {len(result.panel):,} series; * is chosen"
    show(Table(title, headings, rows))
