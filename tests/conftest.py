"""What holds for every test: no network, no cloud settings, and property tests without a stopwatch."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from exam import network

# Machines that share their cores are slow at times; a deadline would then fail what is right.
settings.register_profile(
    "suite", deadline=None, max_examples=50, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# Each of several workers has its share of the cores; libraries read this when they are loaded.
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

# A shell that runs the tests in the background lets them ignore interrupts, and what they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    network.forbid(monkeypatch)
