"""What a training job is asked to do, in the contract's words and without a trace of how it is done."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from clary.toolkit.errors import UserError

Mode = Literal["File", "Pipe", "FastFile"]
Distribution = Literal["FullyReplicated", "ShardedByS3Key"]
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_MOST_CHANNELS = 20


@dataclass(frozen=True, kw_only=True)
class ChannelRequest:
    """One input: files and folders, what they hold, and how the hosts are given them."""

    sources: tuple[Path, ...]
    content_type: str | None = None
    mode: Mode = "File"
    distribution: Distribution = "FullyReplicated"


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """One training job. ``timeout`` and ``stop_grace`` are seconds; ``checkpoints`` outlives the job."""

    name: str
    algorithm: str
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, ChannelRequest]
    hosts: int = 1
    instance_type: str = "local"
    environment: Mapping[str, str] = field(default_factory=dict)
    checkpoints: Path | None = None
    seed: int | None = None
    timeout: float | None = None
    stop_grace: float = 120.0

    @property
    def host_names(self) -> list[str]:
        """``algo-1`` and so on, sorted as the contract sorts them: ``algo-10`` before ``algo-2``."""
        return sorted(f"algo-{number}" for number in range(1, self.hosts + 1))

    def check(self) -> None:
        """Raise UserError if the request cannot be a job on this machine."""
        check_job_name(self.name)
        if self.hosts < 1:
            raise UserError(f"a job needs at least one host; got {self.hosts}")
        if len(self.channels) > _MOST_CHANNELS:
            raise UserError(f"a job has at most {_MOST_CHANNELS} channels; got {len(self.channels)}")
        for key, value in self.hyperparameters.items():
            if not isinstance(value, str):
                raise UserError(f"hyperparameter {key} must be a string by now; got {value!r}")
        for name, channel in self.channels.items():
            _check_channel(name, channel)


def check_job_name(name: str) -> None:
    """Raise UserError if the platform would not take the text as the name of a job or an endpoint."""
    if not _JOB_NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot be a name here: use 1 to 63 letters, digits and inner hyphens")


def _check_channel(name: str, channel: ChannelRequest) -> None:
    if not _CHANNEL_NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot be a channel's name: use 1 to 64 letters, digits, '.', '-' and '_'")
    if channel.mode not in get_args(Mode):
        raise UserError(f"channel {name}: the input mode must be one of {_words(Mode)}; got {channel.mode!r}")
    if channel.distribution not in get_args(Distribution):
        found = f"got {channel.distribution!r}"
        raise UserError(f"channel {name}: the distribution must be one of {_words(Distribution)}; {found}")
    if channel.mode == "Pipe" and not hasattr(os, "mkfifo"):
        raise UserError(f"channel {name}: this system has no named pipes; use input mode 'File' instead of 'Pipe'")


def _words(literal: object) -> str:
    return ", ".join(repr(value) for value in get_args(literal))
