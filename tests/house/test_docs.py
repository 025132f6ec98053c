"""The documentation is true: its examples run, its links lead somewhere, and nothing public is left out."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import click
import pytest

from clary.algorithms import registry
from clary.cli.main import commands

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts),
]
DECISION = ("The question", "The choice", "Why", "What would change our mind")
_SKIP = re.compile(r"<!-- not run: .+ -->")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_MARK = "\x1e"


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, the line of the fence, and whether it is run."""

    language: str
    text: str
    line: int
    runs: bool


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page; a comment ``<!-- not run: reason -->`` above one keeps it from being run."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start, fence, before = 0, "", ""
    for number, line in enumerate(lines):
        if not fence and (opening := re.match(r"(`{3,})(\S*)", line)):
            start, fence = number, opening.group(1)
        elif fence and line == fence:
            language = lines[start].strip("`")
            yield Block(language, "\n".join(lines[start + 1 : number]), start + 1, not _SKIP.search(before))
            fence, before = "", ""
        elif not fence and line.strip():
            before = line


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^(`{3,}).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


NEWCOMER = DOCS / "adding_an_algorithm.md"
RUN = ("python", "console")
EXAMPLES = [page for page in PAGES if page != NEWCOMER and any(b.language in RUN and b.runs for b in blocks(page))]


# Links and pages


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{named(page)} links to {target}, which does not exist"
        if heading:
            assert heading in slugs(file), f"{named(page)} links to {target}, but there is no such heading"


def slugs(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_pages_begin_with_their_title_and_hold_no_placeholder(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX|lorem)\b", text)
    assert text.startswith("# ") or page == ROOT / "README.md" or page.parent.parent == DOCS / "news"


def test_no_page_is_left_of_an_algorithm_that_is_gone() -> None:
    assert {page.stem for page in (DOCS / "algorithms").glob("*.md")} == set(registry.NAMES)


def test_decisions_are_numbered_without_a_gap_and_have_the_same_headings() -> None:
    pages = sorted((DOCS / "decisions").glob("0*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        assert tuple(re.findall(r"^## (.+)$", prose(page), re.MULTILINE)) == DECISION, named(page)


# Nothing public is undocumented


def test_every_command_and_option_is_on_the_command_line_page() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    missing = [word for word in words_of(commands, "clary") if word not in text]
    assert not missing, f"docs/cli.md does not mention {', '.join(missing)}"


def words_of(command: click.Command, path: str) -> Iterator[str]:
    """The command's full name and its long options, and those of the commands below it."""
    if not command.hidden:
        yield path
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                yield max(option.opts, key=len)
        for name, child in getattr(command, "commands", {}).items():
            yield from words_of(child, f"{path} {name}")


def test_every_environment_variable_of_ours_is_documented() -> None:
    rooms = [ROOT / room / "clary" for room in ("algorithms", "containers", "datasets", "sdk")]
    sources = [path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py")]
    used = {name for source in sources for name in re.findall(r"\"(CLARY_[A-Z_]+)\"", source)}
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert used
    assert not {name for name in used if f"`{name}`" not in text and f"{name}=" not in text}


# Examples run, and print what the page says


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has only installed the package: no account, no settings, an empty home."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SM_", "SAGEMAKER_", "CLARY_"))}
    home = tmp_path / "home"
    home.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "PATH": path, "PYTHONSAFEPATH": "1", "TERM": "dumb"}


@pytest.mark.slow
@pytest.mark.parametrize("page", EXAMPLES, ids=named)
def test_examples_run_and_print_what_the_page_says(page: Path, tmp_path: Path, surroundings: dict[str, str]) -> None:
    """All examples of a page run in order, in one folder; neighbors of one language share a process."""
    port = str(free_port())
    for language, neighbors in groupby(examples(page), key=lambda example: example.language):
        if language == "console" and (sys.platform == "win32" or shutil.which("curl") is None):
            pytest.skip("the shell examples need bash and curl")
        together = list(neighbors)
        glue = f"\nprint({_MARK!r})\n" if language == "python" else f"\nprintf '{_MARK}\\n'\n"
        script = glue.join(example.code for example in together).replace("8080", port)
        program = [sys.executable, "-c"] if language == "python" else ["bash", "-e", "-c"]
        said = run([*program, script], tmp_path, surroundings).split(f"{_MARK}\n")
        for example, got in zip(together, said, strict=True):
            expect(example, got, page)


@dataclass(frozen=True)
class Example:
    """Code of a page, the line that it stands in, and what it prints according to the page."""

    language: str
    code: str
    line: int
    output: str


def examples(page: Path) -> Iterator[Example]:
    """A Python block with the text block after it, or a shell command with the lines below it, in order."""
    listed = list(blocks(page))
    for block, following in zip(listed, [*listed[1:], None], strict=True):
        if block.language == "python" and block.runs:
            output = following.text if following is not None and following.language == "text" else ""
            yield Example("python", block.text, block.line, output)
        if block.language == "console" and block.runs:
            for entry in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, output = entry.partition("\n")
                yield Example("console", command, block.line, output.strip("\n"))


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def expect(example: Example, got: str, page: Path) -> None:
    """Compare what was printed with the page, where ``...`` and every decimal fraction stand for anything.

    Fractions differ in their last digits from machine to machine, and in more of them where they are times.
    """
    wanted = re.sub(r"\d+\.\d+", "...", example.output)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    fits = not wanted or doctest.OutputChecker().check_output(f"{wanted}\n", got, flags)
    assert fits, f"{named(page)}, line {example.line}, says\n{example.output}\nbut it is\n{got}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# The page for a newcomer is followed to the letter, in a copy of this checkout


def test_the_page_for_a_new_algorithm_lists_the_others() -> None:
    (names,) = re.findall(r"^NAMES = \(([^)]*)\)$", NEWCOMER.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r'"(\w+)"', names) == sorted([*registry.NAMES, "column_mean"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the page is written for a POSIX shell")
def test_the_page_for_a_new_algorithm_leads_to_one_that_passes_the_exam(
    tmp_path: Path, surroundings: dict[str, str]
) -> None:
    checkout, text = tmp_path / "checkout", NEWCOMER.read_text(encoding="utf-8")
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__", "_build", "out"))
    programs = environment_of(checkout, tmp_path / "venv")
    surroundings["PATH"] = os.pathsep.join([str(programs), surroundings["PATH"]])

    for path, code in files_on(text):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(code, encoding="utf-8")
    listed = checkout / "algorithms" / "clary" / "algorithms" / "registry.py"
    (names,) = re.findall(r"^NAMES = \([^)]*\)$", text, re.MULTILINE)
    listed.write_text(re.sub(r"^NAMES = \([^)]*\)$", names, listed.read_text(), count=1, flags=re.MULTILINE))
    public = checkout / "tests" / "house" / "public_names.txt"
    public.write_text("\n".join(sorted([*public.read_text().split(), "ColumnMean"])) + "\n")

    for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
        run(["bash", "-e", "-c", command.replace("make generate", "clary generate")], checkout, surroundings)
        if "docs/algorithms/column_mean.md" in command:
            (recording,) = re.findall(r"^```python\n(import json\n.*?)^```", text, re.MULTILINE | re.DOTALL)
            run(["python", "-c", recording], checkout, surroundings)
    run(["python", "-m", "pytest", "-q", "-m", "not slow", "tests/house/test_ratchets.py"], checkout, surroundings)


def environment_of(checkout: Path, folder: Path) -> Path:
    """The programs of an environment in which the copy stands for the checkout that these tests run in."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    roots = [str(checkout / root) for root in ("algorithms", "containers", "sdk", "datasets")]
    site.joinpath("copy.pth").write_text("\n".join([*roots, sysconfig.get_path("purelib")]) + "\n")
    for name, module in (("clary", "clary.cli.main"), ("pytest", "pytest")):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        program.chmod(0o755)
    return folder / "bin"


def files_on(text: str) -> Iterator[tuple[Path, str]]:
    """The files that the page shows whole, and where they belong."""
    folder = Path("algorithms", "clary", "algorithms", "column_mean")
    parts = re.findall(r"^### `(\w+\.py)`.*?^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    tests = re.findall(r"^`(tests/\S+)`:\n\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(parts) == 6
    assert tests
    yield from ((folder / name, code) for name, code in parts)
    yield from ((Path(path), code) for path, code in tests)
