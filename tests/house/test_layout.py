"""The folders are as the contributing guide says, and every algorithm has all of its parts."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from clary.algorithms import registry

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {
    "algorithms": {"algorithms", "toolkit"},
    "containers": {"container"},
    "datasets": {"datasets"},
    "sdk": {"cli", "forecast", "plane", "runner", "sdk"},
}
# What cannot be named better does not belong together.
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc", "core"}
# The one package that hands out names of other modules: what a user imports.
DOOR = ROOT / "sdk" / "clary" / "sdk" / "__init__.py"


def sources() -> Iterator[Path]:
    """Every Python file of the four roots."""
    for root in ROOTS:
        yield from sorted((ROOT / root / "clary").rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_registry_lists_the_folders_in_order() -> None:
    folder = ROOT / "algorithms" / "clary" / "algorithms"
    assert tuple(sorted(path.parent.name for path in folder.glob("*/__init__.py"))) == registry.NAMES


@pytest.mark.parametrize("root", ROOTS)
def test_nothing_hides_the_other_roots(root: str) -> None:
    assert not (ROOT / root / "__init__.py").exists()
    assert not (ROOT / root / "clary" / "__init__.py").exists()


@pytest.mark.parametrize("root", ROOTS)
def test_nothing_is_importable_in_a_root_but_clary(root: str) -> None:
    importable = {
        path.name
        for path in (ROOT / root).iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    }
    assert importable == {"clary"}
    assert {path.name for path in (ROOT / root / "clary").iterdir() if any(path.glob("*.py"))} <= ROOTS[root]


def test_a_folder_of_ours_does_not_stand_for_a_well_known_package() -> None:
    found = find_spec("datasets")
    assert found is None or not str(found.origin or found.submodule_search_locations).startswith(str(ROOT))


@pytest.mark.parametrize("path", [path for path in sources() if path.name == "__init__.py"], ids=named)
def test_a_package_file_holds_its_docstring_alone(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert ast.get_docstring(ast.Module(body, [])), "say in one line what the package is"
    assert len(body) == 1 or path == DOOR, "import from the defining module"


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    parts = {part.removesuffix(".py"): named(path) for path in sources() for part in path.relative_to(ROOT).parts}
    tests = {path.stem: named(path) for path in (ROOT / "tests").rglob("*.py")}
    assert {name: path for name, path in (parts | tests).items() if name in FORBIDDEN} == {}


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_algorithm_has_a_page_and_tests(name: str) -> None:
    assert (ROOT / "docs" / "algorithms" / f"{name}.md").is_file(), f"write docs/algorithms/{name}.md"
    assert list((ROOT / "tests" / "algorithms" / name).glob("test_*.py")), f"write tests in tests/algorithms/{name}/"


def test_tests_are_no_package() -> None:
    assert [named(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


@pytest.mark.parametrize("folder", ["algorithms", "golden"])
def test_no_tests_are_left_of_an_algorithm_that_is_gone(folder: str) -> None:
    found = {
        path.name for path in (ROOT / "tests" / folder).iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert found <= set(registry.NAMES)


def test_imports_flow_as_the_contracts_say() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_every_package_says_that_it_is_typed() -> None:
    packages = {path.parent for path in sources() if path.name == "__init__.py"}
    tops = {path for path in packages if path.parent.name == "clary"}
    assert [named(path) for path in sorted(tops) if not (path / "py.typed").exists()] == []
