"""The doors to the algorithms' parts, also where a package is missing behind one of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clary.algorithms import registry
from exam.programs import clean_environment

WITHOUT = """
import sys
sys.modules[sys.argv[2]] = None
from clary.algorithms import registry
from clary.toolkit.errors import PlatformError
try:
    registry.predictor(sys.argv[1])
except PlatformError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "package", "said"),
    [
        ("deepar", "torch", "DeepAR needs the package torch; pip install 'clary[train,serve,deepar]' brings it"),
        (
            "knn",
            "faiss",
            "K-nearest neighbors needs the package faiss; pip install 'clary[train,serve,knn]' brings it",
        ),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(name: str, package: str, said: str) -> None:
    command = [sys.executable, "-c", WITHOUT, name, package]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == said, done.stderr


def test_a_part_that_does_not_exist_is_our_own_mistake() -> None:
    with pytest.raises(ModuleNotFoundError):
        registry._part("deepar", "no_such_part")
