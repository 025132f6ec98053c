"""What must not grow: a number or a list in a file, which a test holds; lowering it is always welcome."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

import clary.sdk
from clary.algorithms import registry
from exam.exemptions import exemptions

HERE = Path(__file__).parent
EXAM = HERE.parent / "every_algorithm"


def checks() -> set[str]:
    """The names of the exam's checks."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in EXAM.glob("test_*.py")]
    return {
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_there_are_no_more_exemptions_than_before() -> None:
    found = sum(len(exemptions(name)) for name in registry.NAMES)
    allowed = int((HERE / "exemptions.txt").read_text())
    assert found <= allowed, "an algorithm may not be exempted from the exam without a decision of its own"
    assert found == allowed, f"fewer exemptions than before: write {found} into tests/house/exemptions.txt"


@pytest.mark.parametrize("name", registry.NAMES)
def test_an_exemption_names_a_check_and_gives_a_reason(name: str) -> None:
    for check, reason in exemptions(name).items():
        assert check in checks(), f"{check} is no check of the exam"
        assert len(reason.split()) >= 5, f"{check}: say why in a sentence"


def test_a_check_of_the_exam_is_short_and_has_a_name_of_its_own() -> None:
    trees = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in EXAM.glob("test_*.py")}
    found = [node for tree in trees.values() for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = [node.name for node in found if node.name.startswith("test_")]
    assert len(set(names)) == len(names)
    assert [node.name for node in found if (node.end_lineno or 0) - node.lineno >= 30] == []


def test_the_public_names_of_the_sdk_are_those_agreed() -> None:
    agreed = (HERE / "public_names.txt").read_text().split()
    assert sorted(dir(clary.sdk)) == agreed, "a public name is a promise: list it in tests/house/public_names.txt"


def test_every_public_name_of_the_sdk_can_be_had() -> None:
    for name in dir(clary.sdk):
        assert getattr(clary.sdk, name).__name__ == name


def test_the_bare_install_stays_small() -> None:
    if importlib.util.find_spec("tomllib") is None:
        pytest.skip("this Python reads no TOML")
    import tomllib

    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [requirement.partition(">=")[0] for requirement in project["dependencies"]]
    assert names == (HERE / "dependencies.txt").read_text().split()
