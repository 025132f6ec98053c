"""Which accelerators and cores this process can use, found without a numerical library."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache

from clary.toolkit.errors import PlatformError, UserError

VARIABLE = "CLARY_DEVICE"
CPU, CUDA, AUTO = "cpu", "cuda", "auto"
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


@dataclass(frozen=True)
class Device:
    """``name`` is ``cpu`` or ``cuda``; ``count`` is the number of GPUs, 0 on the CPU."""

    name: str = CPU
    count: int = 0


def chosen(environment: dict[str, str] | os._Environ[str] = os.environ) -> Device:
    """What ``CLARY_DEVICE`` asks for: ``cpu``, ``cuda``, or ``auto``, which is the GPUs where there are some.

    UserError for another word; PlatformError where ``cuda`` is asked for and there is no GPU.
    """
    asked = environment.get(VARIABLE, "").strip().lower() or AUTO
    if asked not in (CPU, CUDA, AUTO):
        raise UserError(f"{VARIABLE} must be {CPU}, {CUDA} or {AUTO}; got {asked!r}")
    count = 0 if asked == CPU else gpus()
    if asked == CUDA and not count:
        raise PlatformError(
            f"{VARIABLE} is {CUDA}, but the NVIDIA driver finds no GPU here; "
            f"start the container with its GPUs, or set {VARIABLE} to {AUTO}"
        )
    return Device(CUDA, count) if count else Device()


@cache
def gpus() -> int:
    """Number of GPUs that the NVIDIA driver offers this process; ``CUDA_VISIBLE_DEVICES`` counts."""
    for name in _DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def cores() -> int:
    """Number of processor cores that this process may keep busy."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
