"""The command ``clary``: its verbs, and what every failure becomes, one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from clary.cli.catalog import algorithms, describe
from clary.cli.data import data
from clary.cli.demo import demo
from clary.cli.explanation import explain
from clary.cli.forecast import forecast
from clary.cli.generation import generate
from clary.cli.prediction import predict
from clary.cli.serving import serve
from clary.cli.training import train
from clary.cli.verbosity import Verbosity
from clary.toolkit.errors import ClaryError

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


_HELP = """Train and serve the built-in algorithms on this machine.

\b
A first model, from sample data that comes with the package:
  clary data sample digits digits.csv
  clary train kmeans --train digits.csv -p k=10 --output out
  clary predict out/model.tar.gz digits.csv
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="clary", prog_name="clary")
def commands() -> None:
    """Train and serve the built-in algorithms on this machine."""


for _command in (algorithms, describe, train, predict, explain, serve, forecast, data, generate, demo):
    commands.add_command(_command)


def main() -> int:
    """Run the command that this process was started with; its exit status comes back."""
    for stream in (sys.stdout, sys.stderr):
        # A console of an old code page must not end a job because it lacks a letter.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    _hear_signals()
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; its exit status comes back.

    0 is success, 1 a failed job, 2 wrong usage, 130 an interrupt.
    """
    verbosity = Verbosity()
    color = False if os.environ.get("NO_COLOR") else None
    try:
        status = commands.main(list(arguments), "clary", standalone_mode=False, obj=verbosity, color=color)
        return int(status or 0)
    except click.ClickException as error:
        error.show()
        return WRONG_USAGE if isinstance(error, click.UsageError) else FAILED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        _explain(error, verbose=verbosity.verbose)
        return FAILED


def _hear_signals() -> None:
    """Let a request to end, or a closed terminal, stop what runs as cleanly as Ctrl-C does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Whoever started us with the signal ignored, as nohup does, wants it ignored.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _explain(error: Exception, *, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if not isinstance(error, (ClaryError, OSError)):
        text = f"this is a defect of clary ({type(error).__name__}: {text})"
        text += "" if verbose else "; the same command with --verbose shows where"
    click.echo(f"clary: {text}", err=True)


if __name__ == "__main__":
    sys.exit(main())
