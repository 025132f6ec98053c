"""The public door: light to open, complete, and the same for people, editors and type checkers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import clary.sdk
from clary.algorithms import registry

HEAVY = ("torch", "numpy", "scipy", "pandas", "polars", "pyarrow", "boto3", "botocore", "matplotlib", "rich")


def loaded_after(program: str) -> list[str]:
    """The heavy packages that a fresh interpreter has loaded after those lines."""
    ask = f"{program}\nimport json, sys\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "program",
    [
        "import clary.sdk",
        "from clary.sdk import KMeans, Estimator, TrainingJob, Model, Predictor; KMeans(k=3)",
        "from clary.sdk import *",
    ],
)
def test_opening_it_loads_nothing_heavy(program: str) -> None:
    found = loaded_after(program)
    # The star import also asks for the classes that hold arrays.
    assert found == (["numpy"] if "*" in program else [])


def test_every_listed_name_is_there_and_every_algorithm_is_listed() -> None:
    names = dir(clary.sdk)
    assert all(getattr(clary.sdk, name) is not None for name in names)
    assert {spec.class_name for spec in registry.specs()} <= set(names)


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(AttributeError, match=r"has no 'KMean'; it has .*KMeans"):
        _ = clary.sdk.KMean  # type: ignore[attr-defined]
