"""The text of ``estimators.py``: one class for each algorithm, its signature and docstring from the declaration."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from clary.algorithms import registry
from clary.sdk.estimator import Options
from clary.toolkit import media
from clary.toolkit.parameters import AUTO, ChoiceParameter, Parameter
from clary.toolkit.spec import AlgorithmSpec

_HEAD = '''"""A class for each algorithm. Generated from the declarations by ``make generate``; not to be edited."""

from __future__ import annotations

{imports}

from clary.sdk.estimator import Options, TypedEstimator

if TYPE_CHECKING:
    from typing_extensions import Unpack

'''
_TRAINED = "{}, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``."
_WIDE = 118


def render_estimators() -> str:
    """The whole file, formatted as the linter wants it."""
    specs = registry.specs()
    body = "\n\n".join(_class(spec) for spec in specs)
    head = _HEAD.format(imports="\n".join(_imports(body)))
    # The linter wants names in capitals before the others.
    names = sorted((spec.class_name for spec in specs), key=lambda name: (not name.isupper(), name))
    return head + "__all__ = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n\n\n" + body


def _imports(body: str) -> Iterator[str]:
    """The imports that the classes need, and no others, so that the linter has nothing to say."""
    collections = [name for name in ("Mapping", "Sequence") if f"{name}[" in body]
    if collections:
        yield f"from collections.abc import {', '.join(collections)}"
    used = [name for name in ("Any", "ClassVar", "Literal") if re.search(rf"\b{name}\b[^.]", body)]
    yield f"from typing import {', '.join(['TYPE_CHECKING', *used])}"


def _class(spec: AlgorithmSpec) -> str:
    declared = [*_arguments(spec), *_aliases(spec)]
    positional = [each for each in declared if each[1].required is True and each[1].name not in spec.measured]
    # A name that every estimator has is declared with its options.
    named = [each for each in declared if each not in positional and each[0] not in Options.__annotations__]
    lines = [
        f"class {spec.class_name}(TypedEstimator):",
        f'    """{spec.summary}',
        "",
        f"    {_TRAINED.format(_material(spec))}",
        "",
        *_docs(declared, spec),
        '    """',
        "",
        f'    algorithm: ClassVar[str] = "{spec.name}"',
        "",
        "    def __init__(",
        "        self,",
        "        role: str | None = None,",
        "        instance_count: int = 1,",
        "        instance_type: str | None = None,",
        *(line for attribute, _, kind in positional for line in _argument(attribute, kind)),
        "        *,",
        *(line for attribute, _, kind in named for line in _argument(attribute, kind)),
        "        **options: Unpack[Options],",
        "    ) -> None:",
        "        given = {",
        *(f'            "{parameter.name}": {attribute},' for attribute, parameter, _ in [*positional, *named]),
        "        }",
        "        super().__init__(role, instance_count, instance_type, given, options)",
    ]
    return "\n".join(lines) + "\n"


def _material(spec: AlgorithmSpec) -> str:
    """What the algorithm learns from."""
    return "Rows in memory" if media.RECORDIO_PROTOBUF in spec.channels[0].content_types else "Lists of dicts"


def _arguments(spec: AlgorithmSpec) -> Iterator[tuple[str, Parameter, str]]:
    """Each hyperparameter's name in Python, its declaration and its type; those of the platform are left out."""
    made: Any = spec.hyperparameters
    kinds = {field.name: str(field.type) for field in dataclasses.fields(made)}
    public = spec.hyperparameters.parameters().values()
    for (attribute, kind), parameter in zip(kinds.items(), public, strict=True):
        if not parameter.name.startswith("_"):
            yield attribute, parameter, _python_type(kind, parameter)


def _aliases(spec: AlgorithmSpec) -> Iterator[tuple[str, Parameter, str]]:
    """Further names of hyperparameters, as arguments of their own; those of the platform are left out."""
    kinds = {parameter.name: (attribute, parameter, kind) for attribute, parameter, kind in _arguments(spec)}
    for alias, name in spec.aliases.items():
        if alias.startswith("_"):
            continue
        attribute, parameter, kind = kinds[name]
        yield alias, dataclasses.replace(parameter, name=alias, doc=f"Another name of {attribute}."), kind


def _python_type(kind: str, parameter: Parameter) -> str:
    """The type that a caller may give: lists for tuples, choices and 'auto' spelled out, and None for unset."""
    if isinstance(parameter, ChoiceParameter) and not parameter.boolean:
        words = [*parameter.choices, *([AUTO] if parameter.auto and "Auto" not in kind else [])]
        choices = ", ".join(f'"{word}"' for word in words)
        kind = kind.replace("str", f"Literal[{choices}]", 1)
    kind = kind.replace("Auto", 'Literal["auto"]').replace("tuple[", "Sequence[").replace(", ...]", "]")
    return kind if "None" in kind.split(" | ") else f"{kind} | None"


def _argument(attribute: str, kind: str) -> Iterator[str]:
    """The argument as the formatter writes it; None stands for what is not set, so that a default can be set too."""
    line = f"        {attribute}: {kind} = None,"
    if len(line) <= _WIDE:
        yield line
        return
    first, *others = re.split(r" \| (?![^\[]*\])", kind)
    *parts, last = [f"        {attribute}: {first}", *(f"        | {other}" for other in others)]
    for part in [*parts, f"{last} = None,"]:
        head, bracket, rest = part.partition("[")
        if len(part) <= _WIDE:
            yield part
        else:
            inner, _, tail = rest.rpartition("]")
            yield from (
                f"{head}{bracket}",
                *(f"            {each}," for each in inner.split(", ")),
                f"        ]{tail}",
            )


def _docs(declared: list[tuple[str, Parameter, str]], spec: AlgorithmSpec) -> Iterator[str]:
    for attribute, parameter, _ in declared:
        text = f"{attribute}: {parameter.doc}"
        if attribute not in spec.aliases:
            text += f" {_allowed(parameter)}.{_otherwise(parameter, spec)}"
        yield from textwrap.wrap(text, _WIDE - 4, initial_indent="    ", subsequent_indent="        ")


def _allowed(parameter: Parameter) -> str:
    if isinstance(parameter, ChoiceParameter) and parameter.boolean:
        return "True, False or 'auto'" if parameter.auto else "True or False"
    return parameter.wording[0].upper() + parameter.wording[1:]


def _otherwise(parameter: Parameter, spec: AlgorithmSpec) -> str:
    """What holds where the hyperparameter is not given, as a sentence behind others."""
    if parameter.name in spec.measured:
        return " Told by the data if not given."
    if isinstance(parameter.required, str):
        return f" Required {parameter.required}."
    if parameter.required or parameter.default is None:
        return ""
    default = parameter.default
    return f" Default: {default if isinstance(default, bool) else parameter.spell(default)}."
