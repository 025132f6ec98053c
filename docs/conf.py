"""How Sphinx builds these pages; ``make docs`` runs it, and a broken reference is an error."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

project = "Clary"
author = "The Clary authors"
copyright = "The Clary authors"  # noqa: A001 - the name that Sphinx reads
version = release = installed_version("clary")

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build", "news/*"]
nitpicky = True
smartquotes = False  # quotation marks in these pages are part of what one types

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Clary"
html_static_path = ["_static"]
html_css_files = ["clary.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True


def add_news(_app: Any, page: str, source: list[str]) -> None:
    """Put the fragments of ``docs/news`` below the heading of the page that shows them, newest first."""
    if page != "news":
        return
    for folder in sorted((HERE / "news").iterdir(), key=lambda path: _numbers(path.name), reverse=True):
        if folder.is_dir():
            lines = [fragment.read_text(encoding="utf-8").strip() for fragment in sorted(folder.glob("*.md"))]
            source[0] += f"\n## {folder.name}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def setup(app: Any) -> None:
    """Called by Sphinx once, at the start."""
    app.connect("source-read", add_news)
