"""What the command's tests share: rows to read, and a model that the command has trained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clary.cli.main import run
from command import clary


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged digits as CSV without labels."""
    path = tmp_path_factory.mktemp("rows") / "digits.csv"
    assert run(["data", "sample", "digits", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def training(digits: Path) -> subprocess.CompletedProcess[str]:
    """A training run in the folder of the rows; its results are in ``out`` there."""
    arguments = ["--train", "digits.csv", "--test", "digits.csv", "-p", "k=10", "-p", "epochs=2"]
    return clary("train", "kmeans", *arguments, "--output", "out", cwd=digits.parent)


@pytest.fixture(scope="session")
def model(digits: Path, training: subprocess.CompletedProcess[str]) -> Path:
    """The archive that the training run wrote."""
    assert training.returncode == 0, training.stderr
    return digits.parent / "out" / "model.tar.gz"
