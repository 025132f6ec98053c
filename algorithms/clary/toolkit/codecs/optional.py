"""Packages that only some installs have, loaded when a format needs them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from clary.toolkit.errors import PlatformError


def available(package: str) -> bool:
    """Whether this install has the package, for a way that is faster with it."""
    return find_spec(package) is not None


def load(module: str, *, purpose: str) -> Any:
    """The module; PlatformError names the package and the extra to install where it is missing."""
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as missing:
        package = module.partition(".")[0]
        if missing.name != package:
            raise
        raise PlatformError(f"{purpose} needs the package {package}; pip install 'clary[train]' brings it") from None
    if module == "pyarrow":
        # While it reads, Arrow would answer SIGTERM and SIGINT itself, by an error in the midst of the data.
        loaded.enable_signal_handlers(False)
    return loaded
