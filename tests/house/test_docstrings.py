"""Every module, and every public class, function and method, says what it is or what comes back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path for root in ("algorithms", "containers", "datasets", "sdk") for path in (ROOT / root / "clary").rglob("*.py")
]
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def public(body: list[ast.stmt]) -> Iterator[Documented]:
    """The public definitions at module and class level."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def is_overload(node: Documented) -> bool:
    return any("overload" in ast.dump(decorator) for decorator in node.decorator_list)


@pytest.mark.parametrize("path", sorted(SOURCES), ids=named)
def test_every_public_name_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module says its one idea"
    silent = [
        f"{node.name} (line {node.lineno})"
        for node in public(tree.body)
        if not ast.get_docstring(node) and not is_overload(node)
    ]
    assert silent == []


@pytest.mark.parametrize("path", sorted(SOURCES), ids=named)
def test_a_docstring_begins_with_a_whole_sentence(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.name: ast.get_docstring(node) or "" for node in public(tree.body)}
    broken = [
        name for name, text in texts.items() if text and not text.split("\n\n")[0].rstrip().endswith((".", ":"))
    ]
    assert broken == []
