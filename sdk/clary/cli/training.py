"""``clary train``: a job from files to a model archive; each algorithm's options come from its declaration."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from clary.algorithms import registry
from clary.cli import declaration, program
from clary.cli.catalog import find
from clary.cli.job_display import follow, show_metrics
from clary.cli.verbosity import verbose_option
from clary.runner.request import Mode
from clary.sdk.contributions import explains
from clary.toolkit import media
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from clary.cli.local_job import Result

MAX_SEED = 2**31 - 1


class _Suite(click.Group):
    """A subcommand for each algorithm, made from its declaration when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(registry.NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        return _TrainingCommand(find(cmd_name, ctx))


@click.command(cls=_Suite, subcommand_metavar="ALGORITHM [OPTIONS]")
def train() -> None:
    """Train an algorithm on files.

    `clary train ALGORITHM --help` lists that algorithm's channels and hyperparameters.
    """


class _TrainingCommand(click.Command):
    """``clary train NAME``: its channels are options, its hyperparameters are in the help."""

    def __init__(self, spec: AlgorithmSpec) -> None:
        self._spec = spec
        super().__init__(
            spec.name,
            params=_options(spec),
            callback=partial(_train, spec),
            help=f"{spec.summary}\n\nWrites model.tar.gz and metrics.json into the output folder.",
            short_help=spec.summary,
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for each in self._spec.hyperparameters.parameters().values():
            default = declaration.default(each)
            told = " (told by the data)" if each.name in self._spec.measured else ""
            default = f"{default}{told}" if each.required else f"default {default}"
            rows.append((each.name, f"{each.doc} {each.wording[0].upper()}{each.wording[1:]}; {default}."))
        with formatter.section("Hyperparameters (-p NAME=VALUE)"):
            formatter.write_dl(rows)


def _options(spec: AlgorithmSpec) -> list[click.Parameter]:
    return [
        *(
            click.Option(
                [f"--{each.name}", _argument(each.name)],
                multiple=True,
                metavar="PATH",
                help=("[required] " if each.required is True else "") + each.doc,
            )
            for each in spec.channels
        ),
        click.Option(["--channel"], multiple=True, metavar="NAME=PATH", help="A channel by its name, as above."),
        click.Option(
            ["-p", "--hyperparameter", "given"],
            multiple=True,
            metavar="NAME=VALUE",
            help="One of those listed below.",
        ),
        click.Option(
            ["--content-type", "types"],
            multiple=True,
            metavar="[CHANNEL=]TYPE",
            help="Media type of one channel or of all, where the files' names do not tell it.",
        ),
        click.Option(["--input-mode"], type=click.Choice(get_args(Mode)), default="File", show_default=True),
        click.Option(
            ["--hosts"], type=click.IntRange(1), default=1, show_default=True, help="Processes to share work."
        ),
        click.Option(
            ["--shard"],
            multiple=True,
            metavar="CHANNEL",
            help="Channel whose files the hosts share out among them; otherwise each reads all.",
        ),
        click.Option(
            ["--checkpoint"], type=click.Path(path_type=Path), help="Folder to keep progress in, and to resume from."
        ),
        click.Option(["--seed"], type=click.IntRange(0, MAX_SEED), help="Start of the random numbers; 0 otherwise."),
        click.Option(
            ["--output", "-o"],
            type=click.Path(path_type=Path),
            default="out",
            show_default=True,
            help="Folder for the results.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as JSON; the log goes to stderr."),
        verbose_option(),
    ]


def _argument(channel: str) -> str:
    """The name of a channel's argument, which can be no other option's."""
    return f"channel_{channel}"


def _train(
    spec: AlgorithmSpec,
    *,
    channel: Sequence[str],
    given: Sequence[str],
    types: Sequence[str],
    input_mode: Mode,
    hosts: int,
    shard: Sequence[str],
    checkpoint: Path | None,
    seed: int | None,
    output: Path,
    as_json: bool,
    **named: Sequence[str],
) -> None:
    data = _channels(spec, channel, named)
    if strangers := [name for name in shard if name not in data]:
        raise click.UsageError(f"--shard {strangers[0]}: there is no data for this channel")
    hyperparameters = _hyperparameters(given)
    # What the data will tell is not known yet; a large number stands in for it, since such rules are "at most".
    spec.parse({**{name: _largest(spec, name) for name in spec.measured}, **hyperparameters})
    from clary.cli.local_job import run

    began = time.monotonic()
    result = run(
        spec,
        data,
        output,
        hyperparameters=hyperparameters,
        content_types=_content_types(types, data),
        watch=lambda view: follow(view, spec, sys.stderr if as_json else sys.stdout),
        shared=shard,
        instance_count=hosts,
        seed=seed,
        checkpoints=checkpoint,
        input_mode=input_mode,
    )
    if as_json:
        click.echo(json.dumps(_summary(spec, result, time.monotonic() - began), indent=2))
    else:
        _tell(spec, result, data)


def _channels(
    spec: AlgorithmSpec, by_name: Sequence[str], named: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    data = {each.name: list(named[_argument(each.name)]) for each in spec.channels}
    for text in by_name:
        name, path = _pair(text, "--channel", "train=rows.csv")
        data.setdefault(name, []).append(path)
    for each in spec.channels:
        if each.required is True and not data[each.name]:
            raise click.UsageError(f"{spec.title} needs data: --{each.name} PATH")
    return {name: paths for name, paths in data.items() if paths}


def _hyperparameters(given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in given:
        name, value = _pair(text, "-p", "k=10")
        if name in values:
            raise click.UsageError(f"-p {name}=... is given twice, as {values[name]!r} and as {value!r}")
        values[name] = value
    return values


def _content_types(given: Sequence[str], data: Mapping[str, object]) -> dict[str, str]:
    """The media type of each channel that was given one; one without a channel is for all the others."""
    general: dict[str, str] = {}
    own: dict[str, str] = {}
    for text in given:
        name, equals, kind = text.partition("=")
        # A type may hold a "=" too, but only in a parameter, behind the "/" of its name.
        if not equals or "/" in name:
            general = dict.fromkeys(data, text)
        elif name in data:
            own[name] = kind
        else:
            raise click.UsageError(f"--content-type {text}: there is no data for channel {name!r}")
    return general | own


def _largest(spec: AlgorithmSpec, name: str) -> str:
    """A large legal value of an integer hyperparameter."""
    high = getattr(spec.hyperparameters.parameters()[name], "high", None)
    return str(MAX_SEED if high is None else high)


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.UsageError(f"{option} wants a name and a value, such as {option} {example}; got {text!r}")
    return name.strip(), value


def _summary(spec: AlgorithmSpec, result: Result, seconds: float) -> dict[str, object]:
    return {
        "algorithm": spec.name,
        "model": str(result.model),
        "metrics_file": str(result.metrics_file),
        "metrics": {name: history.value for name, history in result.metrics.items()},
        "hyperparameters": dict(result.hyperparameters),
        "seconds": round(seconds, 3),
    }


def _tell(spec: AlgorithmSpec, result: Result, data: Mapping[str, Sequence[str]]) -> None:
    show_metrics(result.metrics)
    size = result.model.stat().st_size / 1000
    click.echo(f"model    {result.model} ({size:,.1f} kB)\nmetrics  {result.metrics_file}\n\nnext:")
    first = data[spec.channels[0].name][0] if spec.channels[0].name in data else ""
    unlabeled = not spec.capabilities.supervised and Path(first).is_file()
    some = "ROWS.csv" if media.CSV in spec.payloads.requests else "ROWS.jsonl"
    rows, folder = first if unlabeled else some, result.model.parent
    scores, picture = str(folder / "scores.jsonl"), str(folder / "explanation.png")
    for arguments in (
        ("predict", str(result.model), rows, "--output", scores),
        *([("explain", str(result.model), rows, "--plot", picture)] if explains(spec) else []),
        ("serve", str(result.model), "--port", "8080"),
        ("describe", spec.name),
    ):
        click.echo(f"  {program.command(*arguments)}")
