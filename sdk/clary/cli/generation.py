"""``clary generate``: writes what is generated from the declarations, or says what is stale."""

from __future__ import annotations

import click

from clary.cli import generated_text
from clary.cli.verbosity import with_verbosity


@with_verbosity
@click.command()
@click.option("--check", is_flag=True, help="Write nothing; name what is stale and end with status 1.")
def generate(check: bool) -> int:
    """Write the SDK's classes and the docs' tables from the declarations.

    For those who work on Clary itself: it needs a source checkout.
    """
    root = generated_text.checkout()
    changed = generated_text.stale(root) if check else generated_text.write(root)
    for path in changed:
        click.echo(f"{'stale' if check else 'written'}: {path.relative_to(root).as_posix()}")
    if check and changed:
        click.echo("clary: generated text is stale; run `make generate` and commit what it writes", err=True)
        return 1
    if not changed:
        click.echo("all generated text is up to date")
    return 0
