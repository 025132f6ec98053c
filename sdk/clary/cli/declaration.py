"""A declaration in words: the tables that the terminal, the help texts and the docs pages all show."""

from __future__ import annotations

from collections import Counter

from clary.cli.table import Table
from clary.toolkit.parameters import Parameter
from clary.toolkit.spec import AlgorithmSpec

_OFTEN, _SHORT = 2, 30


def hyperparameters(spec: AlgorithmSpec) -> Table:
    """What may be set, in the order of the declaration."""
    headings = ("name", "allowed", "default", "tunable", "meaning")
    found = spec.hyperparameters.parameters().values()
    rows = [(each.name, each.wording, default(each), tunable(each), each.doc) for each in found]
    return Table("Hyperparameters", headings, rows, codes=True)


def channels(spec: AlgorithmSpec) -> Table:
    """What a job reads."""
    headings = ("name", "required", "content types", "input modes", "meaning")
    rows = [
        (each.name, _when(each.required), ", ".join(each.content_types), ", ".join(each.input_modes), each.doc)
        for each in spec.channels
    ]
    return Table("Channels", headings, rows, codes=True)


def metrics(spec: AlgorithmSpec) -> Table:
    """What a job reports, and when, where some of it is not always reported."""
    if not any(each.when for each in spec.metrics):
        rows = [(each.name, each.goal.lower(), each.doc) for each in spec.metrics]
        return Table("Metrics", ("name", "goal", "meaning"), rows, codes=True)
    conditions = [each.when or "always" for each in spec.metrics]
    # What is said of many metrics is said once, below them.
    often = [text for text, count in Counter(conditions).items() if count >= _OFTEN and len(text) > _SHORT]
    marks = {text: f"({number})" for number, text in enumerate(often, 1)}
    lines = [
        (each.name, each.goal.lower(), marks.get(when, when), each.doc)
        for each, when in zip(spec.metrics, conditions, strict=True)
    ]
    notes = tuple(f"{mark} {text}" for text, mark in marks.items())
    return Table("Metrics", ("name", "goal", "reported", "meaning"), lines, codes=True, notes=notes)


def output(spec: AlgorithmSpec) -> Table:
    """What a prediction holds for each record."""
    rows = [(f.name, f.shape + (", where it applies" if f.optional else ""), f.doc) for f in spec.payloads.fields]
    return Table("Output", ("field", "shape", "meaning"), rows, codes=True)


def options(spec: AlgorithmSpec) -> Table:
    """What a caller may ask of an answer, behind the type in ``Accept``, or set for a server by its environment."""
    rows = [
        (each.name, each.variable or "none", "yes" if each.extension else "no", each.doc)
        for each in spec.payloads.options
    ]
    return Table("Options of an answer", ("name", "environment variable", "extension", "meaning"), rows, codes=True)


def capabilities(spec: AlgorithmSpec) -> Table:
    """What the algorithm can do, and the types that its endpoint reads and writes."""
    can = spec.capabilities
    rows = [
        ("tasks", ", ".join(spec.tasks)),
        ("needs labels", _yes(can.supervised)),
        ("takes missing values", _yes(can.missing)),
        ("GPU", _yes(can.gpu)),
        ("several hosts", _yes(can.hosts)),
        ("resumes from a checkpoint", _yes(can.resumes)),
        ("continues from an earlier model", _yes(can.incremental)),
        ("same seed, same model", _yes(can.deterministic)),
        ("request types", ", ".join(spec.payloads.requests)),
        ("response types", ", ".join(spec.payloads.responses)),
        *((alias, f"another name of {name}") for alias, name in spec.aliases.items()),
        *((alias or "a request without a type", f"is {name}") for alias, name in spec.payloads.aliases.items()),
        *((name, f"accepted without effect: {reason}") for name, reason in spec.inert.items()),
    ]
    return Table("Capabilities", ("what", "here"), rows)


def default(parameter: Parameter) -> str:
    """The default as it would be written, or why there is none."""
    if parameter.required:
        return "required" if parameter.required is True else f"required {parameter.required}"
    return "unset" if parameter.default is None else parameter.spell(parameter.default)


def tunable(parameter: Parameter) -> str:
    """The range that a tuning job may search; ``no`` where it may not."""
    if parameter.tunable is None:
        return "no"
    values = [str(value) for value in parameter.tunable.values]
    return ", ".join(values) if parameter.tunable.scaling is None else " to ".join(values)


def _when(required: bool | str) -> str:
    return required if isinstance(required, str) else _yes(required)


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
