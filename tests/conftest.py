"""What holds for every test: no network, no cloud settings, and property tests without a stopwatch."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from exam import network

# Machines that share their cores are slow at times; a deadline would then fail what is right.
settings.register_profile(
    "suite", deadline=None, max_examples=50, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# A shell that runs the tests in the background lets them ignore interrupts, and what they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    network.forbid(monkeypatch)
