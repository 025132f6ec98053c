"""What the cloud's service model asks of a request beyond what its client library checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def problems(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """A sentence for every pattern, choice or upper limit of the shape that the value breaks."""
    if shape.type_name == "structure":
        for name, content in value.items():
            yield from problems(content, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        yield from _too_long(value, shape, where)
        for number, content in enumerate(value):
            yield from problems(content, shape.member, f"{where}[{number}]")
    elif shape.type_name == "string":
        yield from _too_long(value, shape, where)
        pattern = shape.metadata.get("pattern", "")
        if pattern and r"\p{" not in pattern and not re.fullmatch(pattern, value):
            yield f"{where}: {value!r} does not fit {pattern}"
        if shape.enum and value not in shape.enum:
            yield f"{where}: {value!r} is not one of {shape.enum}"


def _too_long(value: Any, shape: Any, where: str) -> Iterator[str]:
    limit = shape.metadata.get("max")
    if limit is not None and len(value) > limit:
        yield f"{where}: {len(value)} is more than {limit}"
