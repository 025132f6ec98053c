"""A failure is told in one line: who can act on it first, then what to do; never a traceback."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from clary.container import failure
from clary.container.layout import Layout
from clary.toolkit.errors import DataError, HyperparameterError, PlatformError, UserError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("fix it"), "ClientError: fix it"),
        (HyperparameterError(["k must be 1", "x is unknown"]), "ClientError: k must be 1; x is unknown"),
        (DataError("no number", source="a.csv", row=2, column=3), "ClientError: a.csv, row 2, column 3: no number"),
        (PlatformError("host algo-2 has left"), "AlgorithmError: host algo-2 has left"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "AlgorithmError: the disk is full; free some space, or have the job write to another one",
        ),
        (OSError(errno.EIO, "Input/output error"), "AlgorithmError: the machine failed: Input/output error"),
        (OSError(13, "Permission denied", "/x"), "AlgorithmError: the machine failed: Permission denied (/x)"),
        (UserError("two\nlines\t and  blanks"), "ClientError: two lines and blanks"),
    ],
)
def test_the_reason_begins_with_who_can_act(error: Exception, text: str) -> None:
    assert failure.reason(error) == text


def test_a_lack_of_memory_says_what_to_do() -> None:
    assert "give it more, or less data at a time" in failure.reason(MemoryError())


def test_a_bug_of_ours_says_so() -> None:
    text = failure.reason(ZeroDivisionError("division by zero"))
    assert text.startswith("AlgorithmError: ZeroDivisionError: division by zero; this is a bug")


def test_the_file_holds_at_most_what_the_platform_uses(tmp_path: Path) -> None:
    text = failure.reason(UserError("ü" * 5000))
    assert len(text) == failure.LIMIT == 1024
    failure.write(Layout(tmp_path), text)
    assert (tmp_path / "output" / "failure").read_text(encoding="utf-8") == text


def test_a_disk_that_takes_nothing_hides_no_reason(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("in the way")
    failure.write(Layout(tmp_path), "ClientError: fix it")
    assert (tmp_path / "output").read_text() == "in the way"
