"""How much a failure says: a line for people, the traceback too for who asks with ``--verbose``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Verbosity:
    """Whether the user asked for everything; one for each run of the command."""

    verbose: bool = False


def verbose_option() -> click.Option:
    """The option ``--verbose``, which sets the run's ``Verbosity`` and is no argument of the command."""
    return click.Option(
        ["--verbose"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_remember,
        help="Show every log line, and the traceback of a failure.",
    )


def with_verbosity(command: click.Command) -> click.Command:
    """The command, with ``--verbose`` as its last option."""
    command.params.append(verbose_option())
    return command


def is_verbose() -> bool:
    """Whether the command that runs now was given ``--verbose``."""
    found = click.get_current_context().find_object(Verbosity)
    return found is not None and found.verbose


def _remember(context: click.Context, _option: click.Parameter, given: bool) -> None:
    found = context.find_object(Verbosity)
    if given and found is not None:
        found.verbose = True
