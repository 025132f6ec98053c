"""Generated text is fresh: whatever is written from the declarations agrees with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from exam.programs import clean_environment

ROOT = Path(__file__).resolve().parents[2]


def test_generated_text_is_fresh() -> None:
    command = [str(Path(sys.executable).parent / "clary"), "generate", "--check"]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"run `make generate`\n{done.stdout}{done.stderr}"
