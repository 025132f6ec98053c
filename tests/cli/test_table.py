"""Tables and progress: drawn on a terminal, plain elsewhere, and without colors for those who want none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from clary.cli.table import Table
from command import clary_on_terminal

TABLE = Table("Fruit", ("name", "color"), [("apple", "red or green"), ("fig|date", "dark")], codes=True)
COLOR = re.compile(r"\x1b\[[\d;]*m")
needs_terminal = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX ones")


def test_plain_text_is_aligned_and_breaks_no_line() -> None:
    assert TABLE.plain() == "Fruit\n  name      color\n  apple     red or green\n  fig|date  dark"


def test_a_long_cell_does_not_push_the_others_apart_and_notes_stand_below() -> None:
    rows = [("apple", "x" * 100, "round"), ("fig", "dark", "oval")]
    shown = Table("Fruit", ("name", "color", "shape"), rows, notes=("(1) a note",))
    assert shown.plain().splitlines()[2:] == [f"  apple  {'x' * 100}  round", "  fig    dark   oval", "  (1) a note"]
    assert shown.markdown().endswith("| fig | dark | oval |\n\n(1) a note")


def test_markdown_sets_names_as_code_and_escapes_what_would_split_a_cell() -> None:
    assert TABLE.markdown() == "| name | color |\n| --- | --- |\n| `apple` | red or green |\n| `fig\\|date` | dark |"


@needs_terminal
def test_a_terminal_gets_a_drawn_table_with_colors() -> None:
    shown = clary_on_terminal("describe", "kmeans")
    assert "────" in shown
    assert COLOR.search(shown)
    assert "local_lloyd_max_iter" in shown


@needs_terminal
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colors_can_be_refused(name: str, value: str) -> None:
    found = COLOR.findall(clary_on_terminal("describe", "kmeans", cwd=None, **{name: value}))
    assert set(found) <= {"\x1b[0m", "\x1b[1m"}, "bold is no color"


@needs_terminal
def test_a_terminal_gets_a_bar_instead_of_the_log_unless_it_asks(digits: Path, tmp_path: Path) -> None:
    arguments = ["train", "kmeans", "--train", digits, "-p", "k=5", "-p", "epochs=3"]
    shown = clary_on_terminal(*arguments, cwd=tmp_path)
    assert "training K-means" in shown
    assert "#quality_metric" not in shown
    assert "train:msd" in shown
    assert "#quality_metric" in clary_on_terminal(*arguments, "--verbose", cwd=tmp_path)
