"""The device that a process is to use: what was asked for, and what there is."""

from __future__ import annotations

import pytest

from clary.toolkit import device
from clary.toolkit.device import Device
from clary.toolkit.errors import PlatformError, UserError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpus", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpus", lambda: 0)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("asked", "found"),
    [("", Device("cuda", 2)), ("auto", Device("cuda", 2)), (" CUDA ", Device("cuda", 2)), ("cpu", Device("cpu", 0))],
)
def test_gpus_are_used_unless_the_cpu_is_asked_for(asked: str, found: Device) -> None:
    assert device.chosen({"CLARY_DEVICE": asked}) == found


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_taken() -> None:
    assert device.chosen({}) == Device()
    with pytest.raises(PlatformError, match="finds no GPU"):
        device.chosen({"CLARY_DEVICE": "cuda"})


def test_another_word_is_refused() -> None:
    with pytest.raises(UserError, match="cpu, cuda or auto; got 'tpu'"):
        device.chosen({"CLARY_DEVICE": "tpu"})


def test_asking_the_driver_does_no_harm_where_there_is_none() -> None:
    assert device.gpus() >= 0
