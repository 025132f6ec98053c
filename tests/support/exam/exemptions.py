"""An algorithm's exemptions from the exam: check names with reasons, in ``tests/algorithms/<name>/exemptions.py``."""

from __future__ import annotations

import runpy
from pathlib import Path

TESTS = Path(__file__).parents[2]


def exemptions(name: str) -> dict[str, str]:
    """The checks that the algorithm is known to fail, with the reason for each; empty where there is no file."""
    path = TESTS / "algorithms" / name / "exemptions.py"
    if not path.exists():
        return {}
    found: dict[str, str] = runpy.run_path(str(path))["EXEMPTIONS"]
    return found
