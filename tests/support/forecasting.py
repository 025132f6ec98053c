"""Series as files and channels, and the hyperparameters of a forecaster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clary.algorithms.deepar.spec import SPEC, Hyperparameters
from clary.toolkit.channels import ChannelInput
from clary.toolkit.media import MediaType

HOURLY = {"start": "2024-01-31 13:00:00", "target": [1.0, 2.0, 3.0]}


def settings(**given: Any) -> Hyperparameters:
    """Hyperparameters from values of any kind; hourly series and two steps ahead unless they say otherwise."""
    usual = {"time_freq": "H", "context_length": 4, "prediction_length": 2, "epochs": 1}
    made = SPEC.parse({name: str(value) for name, value in {**usual, **given}.items()})
    assert isinstance(made, Hyperparameters)
    return made


def lines(*records: object) -> bytes:
    """One line for each record; bytes are a line as it is."""
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in records)


def channel(place: Path, content_type: str = "json", name: str = "train") -> ChannelInput:
    """The channel whose files are in that folder."""
    return ChannelInput(name, place, MediaType.parse(content_type))


def written(folder: Path, **files: bytes) -> Path:
    """The folder with these files, all of them JSON Lines."""
    for name, content in files.items():
        (folder / f"{name}.json").write_bytes(content)
    return folder
