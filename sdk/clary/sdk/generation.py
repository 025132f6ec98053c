"""The text of ``estimators.py``: one class for each algorithm, its signature and docstring from the declaration."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from clary.algorithms import registry
from clary.toolkit.spec import AlgorithmSpec, ChoiceParameter, Parameter

_HEAD = '''"""A class for each algorithm. Generated from the declarations by ``make generate``; not to be edited."""

from __future__ import annotations

{imports}

from clary.sdk.estimator import Options, TypedEstimator

if TYPE_CHECKING:
    from typing_extensions import Unpack

'''
_WIDE = 118


def render_estimators() -> str:
    """The whole file, formatted as the linter wants it."""
    specs = registry.specs()
    body = "\n\n".join(_class(spec) for spec in specs)
    head = _HEAD.format(imports="\n".join(_imports(body)))
    return head + "__all__ = [" + ", ".join(f'"{spec.class_name}"' for spec in specs) + "]\n\n\n" + body


def _imports(body: str) -> Iterator[str]:
    """The imports that the classes need, and no others, so that the linter has nothing to say."""
    collections = [name for name in ("Mapping", "Sequence") if f"{name}[" in body]
    if collections:
        yield f"from collections.abc import {', '.join(collections)}"
    used = [name for name in ("Any", "ClassVar", "Literal") if re.search(rf"\b{name}\b[^.]", body)]
    yield f"from typing import {', '.join(['TYPE_CHECKING', *used])}"


def _class(spec: AlgorithmSpec) -> str:
    declared = list(_arguments(spec))
    positional = [each for each in declared if each[1].required is True and each[1].name not in spec.measured]
    named = [each for each in declared if each not in positional]
    lines = [
        f"class {spec.class_name}(TypedEstimator):",
        f'    """{spec.summary}',
        "",
        "    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.",
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
        *(f"        {_argument(*each)}," for each in positional),
        "        *,",
        *(f"        {_argument(*each)}," for each in named),
        "        **options: Unpack[Options],",
        "    ) -> None:",
        "        given = {",
        *(f'            "{parameter.name}": {attribute},' for attribute, parameter, _ in [*positional, *named]),
        "        }",
        "        super().__init__(role, instance_count, instance_type, given, options)",
    ]
    return "\n".join(lines) + "\n"


def _arguments(spec: AlgorithmSpec) -> Iterator[tuple[str, Parameter, str]]:
    """Each hyperparameter's name in Python, its declaration and its type."""
    made: Any = spec.hyperparameters
    kinds = {field.name: str(field.type) for field in dataclasses.fields(made)}
    public = spec.hyperparameters.parameters().values()
    for (attribute, kind), parameter in zip(kinds.items(), public, strict=True):
        yield attribute, parameter, _python_type(kind, parameter)


def _python_type(kind: str, parameter: Parameter) -> str:
    """The type that a caller may give: lists for tuples, choices and 'auto' spelled out, and None for unset."""
    if isinstance(parameter, ChoiceParameter) and not parameter.boolean:
        choices = ", ".join(f'"{choice}"' for choice in parameter.choices)
        kind = kind.replace("str", f"Literal[{choices}]", 1)
    kind = kind.replace("Auto", 'Literal["auto"]').replace("tuple[", "Sequence[").replace(", ...]", "]")
    return kind if "None" in kind.split(" | ") else f"{kind} | None"


def _argument(attribute: str, parameter: Parameter, kind: str) -> str:
    default = parameter.default
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    if isinstance(default, tuple):
        shown = "(" + ", ".join(f'"{each}"' if isinstance(each, str) else repr(each) for each in default) + ",)"
        shown = shown if len(default) == 1 else shown.replace(",)", ")")
    return f"{attribute}: {kind} = {shown}"


def _docs(declared: list[tuple[str, Parameter, str]], spec: AlgorithmSpec) -> Iterator[str]:
    for attribute, parameter, _ in declared:
        measured = " Told by the data if not given." if parameter.name in spec.measured else ""
        condition = f" Required {parameter.required}." if isinstance(parameter.required, str) else ""
        allowed = parameter.wording[0].upper() + parameter.wording[1:]
        text = f"{attribute}: {parameter.doc}{measured}{condition} {allowed}."
        yield from textwrap.wrap(text, _WIDE - 4, initial_indent="    ", subsequent_indent="        ")
