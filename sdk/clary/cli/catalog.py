"""``clary algorithms`` and ``clary describe``: the declarations, for people and for scripts."""

from __future__ import annotations

import json

import click

from clary.algorithms import registry
from clary.cli import declaration
from clary.cli.table import Table, show
from clary.cli.verbosity import with_verbosity
from clary.toolkit.errors import UserError
from clary.toolkit.spec import AlgorithmSpec


def find(name: str, context: click.Context | None) -> AlgorithmSpec:
    """The declaration of the algorithm with that name; wrong usage if there is none."""
    try:
        return registry.spec(name)
    except UserError as error:
        raise click.UsageError(str(error), context) from error


def _found(context: click.Context, _argument: click.Parameter, name: str) -> AlgorithmSpec:
    return find(name, context)


def _names(_context: click.Context, _argument: click.Parameter, typed: str) -> list[str]:
    return [name for name in registry.NAMES if name.startswith(typed)]


@with_verbosity
@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def algorithms(as_json: bool) -> None:
    """List the suite, a line each."""
    suite = registry.specs()
    if as_json:
        fields = ("name", "repository", "title", "summary", "tasks")
        click.echo(json.dumps([{key: spec.describe()[key] for key in fields} for spec in suite], indent=2))
        return
    show(Table("Algorithms", ("name", "does"), [(spec.name, spec.summary) for spec in suite]))


@with_verbosity
@click.command()
@click.argument("spec", metavar="ALGORITHM", callback=_found, shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def describe(spec: AlgorithmSpec, as_json: bool) -> None:
    """Show an algorithm's hyperparameters, channels, metrics, answers and what may be asked of them."""
    if as_json:
        click.echo(json.dumps(spec.describe(), indent=2))
        return
    click.echo(f"{spec.title} ({spec.name}): {spec.summary}\n")
    for table in (
        declaration.hyperparameters,
        declaration.channels,
        declaration.metrics,
        declaration.output,
        declaration.options,
        declaration.capabilities,
    ):
        if (made := table(spec)).rows:
            show(made)
