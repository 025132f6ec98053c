"""Everything in a source checkout that is written from the declarations, and where it stands.

A generated part of a Markdown file lies between ``<!-- generated: NAME -->`` and ``<!-- end generated -->``.
On an algorithm's page NAME is one of that algorithm's tables; ``algorithms``, the suite, may stand anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from clary.algorithms import registry
from clary.cli import declaration
from clary.cli.table import Table
from clary.toolkit.errors import UserError
from clary.toolkit.spec import AlgorithmSpec

TABLES: Mapping[str, Callable[[AlgorithmSpec], Table]] = {
    "hyperparameters": declaration.hyperparameters,
    "channels": declaration.channels,
    "metrics": declaration.metrics,
    "output": declaration.output,
    "options": declaration.options,
    "capabilities": declaration.capabilities,
}
PAGES = Path("docs", "algorithms")
_CLASSES = Path("sdk", "clary", "sdk", "estimators.py")
_BEGIN = re.compile(r"<!-- generated: (.*?) -->")
_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end generated -->)", re.DOTALL)


def checkout() -> Path:
    """The root of the source checkout that this package runs from; UserError if it is installed otherwise."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "pyproject.toml").is_file() or not (root / PAGES).is_dir():
        raise UserError(
            "the generated text is part of a source checkout; this clary is installed without one, "
            "so run `pip install -e .` in a checkout and try again"
        )
    return root


def written(root: Path) -> dict[Path, str]:
    """Every file with generated text and the whole content that it should have.

    UserError if an algorithm's page is missing, lacks a table, or a marker is not known or not closed.
    """
    from clary.sdk.generation import render_estimators

    found = {root / _CLASSES: render_estimators()}
    for path in _pages(root):
        text = path.read_text(encoding="utf-8")
        if _BEGIN.search(text):
            found[path] = _filled(text, root, path)
    for name in registry.NAMES:
        _check_page(root, name)
    return found


def stale(root: Path) -> list[Path]:
    """The files whose generated text does not say what the declarations say now."""
    return [
        path for path, text in written(root).items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def write(root: Path) -> list[Path]:
    """Bring every file up to date; those that changed come back."""
    changed = stale(root)
    for path, text in written(root).items():
        if path in changed:
            path.write_bytes(text.encode())
    return changed


def _pages(root: Path) -> list[Path]:
    docs = (path for path in sorted((root / "docs").rglob("*.md")) if "_build" not in path.parts)
    return [path for path in (root / "README.md", *docs) if path.is_file()]


def _filled(text: str, root: Path, path: Path) -> str:
    where = path.relative_to(root).as_posix()
    spec = registry.spec(path.stem) if path.parent == root / PAGES and path.stem in registry.NAMES else None

    def block(match: re.Match[str]) -> str:
        name = match.group(2)
        if name == "algorithms":
            content = _suite(root, path)
        elif spec is not None and name in TABLES:
            content = TABLES[name](spec).markdown()
        else:
            known = ", ".join((*TABLES, "algorithms") if spec else ("algorithms",))
            raise UserError(f"{where}: there is no generated text {name!r} here; known here are {known}")
        return f"{match.group(1)}\n{content}\n\n{match.group(4)}"

    if len(_BEGIN.findall(text)) != len(_BLOCK.findall(text)):
        raise UserError(f"{where}: a '<!-- generated: NAME -->' has no '<!-- end generated -->' after it")
    return _BLOCK.sub(block, text)


def _suite(root: Path, page: Path) -> str:
    def row(spec: AlgorithmSpec) -> tuple[str, str, str]:
        link = Path(os.path.relpath(root / PAGES / f"{spec.name}.md", page.parent)).as_posix()
        return f"[{spec.title}]({link})", f"`{spec.name}`", spec.summary

    return Table("", ("algorithm", "name", "does"), [row(spec) for spec in registry.specs()]).markdown()


def _check_page(root: Path, name: str) -> None:
    page = root / PAGES / f"{name}.md"
    where = page.relative_to(root).as_posix()
    if not page.is_file():
        raise UserError(f"{where} is missing: every algorithm has a page")
    spec = registry.spec(name)
    needed = {each for each, table in TABLES.items() if table(spec).rows}
    missing = sorted(needed - set(_BEGIN.findall(page.read_text(encoding="utf-8"))))
    if missing:
        marks = ", ".join(f"'<!-- generated: {each} -->'" for each in missing)
        raise UserError(f"{where} lacks {marks}; put each where its table belongs, with '<!-- end generated -->'")
