"""Reads the three configuration files of a training job, and refuses what the algorithm does not allow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.container.layout import Layout
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.spec import AlgorithmSpec

MODES = ("File", "FastFile", "Pipe")
DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
WRAPPERS = ("None", "RecordIO")


@dataclass(frozen=True)
class ChannelSettings:
    """How one channel is delivered."""

    name: str
    content_type: MediaType
    mode: str
    sharded: bool
    wrapped: bool


@dataclass(frozen=True)
class Resources:
    """The job's hosts, sorted, and which of them this one is."""

    hosts: tuple[str, ...] = ("algo-1",)
    current: str = "algo-1"


def hyperparameters(layout: Layout) -> dict[str, Any]:
    """The job's map of strings; empty where there is no file."""
    found: dict[str, Any] = _object(layout.hyperparameters, missing={})
    return found


def resources(layout: Layout) -> Resources:
    """The hosts; a single one where there is no file. UserError if this host is not among them."""
    found = _object(layout.resources, missing={})
    hosts = found.get("hosts", [found.get("current_host", "algo-1")])
    if not isinstance(hosts, list) or not hosts or not all(isinstance(host, str) for host in hosts):
        raise UserError(f"{layout.resources.name}: hosts must be a list of names; got {hosts!r}")
    current = found.get("current_host", hosts[0])
    if current not in hosts or len(set(hosts)) != len(hosts):
        raise UserError(
            f"{layout.resources.name}: current_host {current!r} must be one of hosts, each named once: {hosts}"
        )
    return Resources(tuple(sorted(hosts)), current)


def channels(layout: Layout, spec: AlgorithmSpec) -> dict[str, ChannelSettings]:
    """The job's channels by name; UserError lists everything that the algorithm does not allow.

    Without an entry in the file, a folder of a declared channel's name counts as that channel in File mode.
    """
    given = _object(layout.channels, missing=None)
    if given is None:
        present = [each.name for each in spec.channels if (layout.data / each.name).exists()]
        given = {name: {} for name in present}
    problems: list[str] = []
    settings = {}
    for name, entry in given.items():
        if not isinstance(entry, dict):
            problems.append(f"channel {name}: its entry in {layout.channels.name} must be an object; got {entry!r}")
        elif spec.channel(name) is None:
            declared = ", ".join(channel.name for channel in spec.channels)
            problems.append(f"channel {name} is not one of {spec.title}'s channels, which are {declared}")
        else:
            settings[name] = _settings(name, entry, spec, problems)
    missing = [channel.name for channel in spec.channels if channel.required is True and channel.name not in given]
    if missing:
        problems.append(f"channel {', '.join(missing)} is missing; {spec.title} cannot train without it")
    if problems:
        raise UserError("; ".join(problems))
    return settings


def _settings(name: str, entry: Mapping[str, Any], spec: AlgorithmSpec, problems: list[str]) -> ChannelSettings:
    declared = spec.channel(name)
    assert declared is not None
    media = MediaType.parse(str(entry.get("ContentType") or declared.default_type))
    if media.name not in declared.content_types:
        problems.append(
            f"channel {name}: ContentType must be one of {', '.join(declared.content_types)}; got {media}"
        )
    mode = _one_of(name, "TrainingInputMode", entry, MODES, problems)
    if mode in MODES and mode not in declared.input_modes:
        problems.append(
            f"channel {name}: {spec.title} reads it in {' or '.join(declared.input_modes)} mode; got {mode}"
        )
    distribution = _one_of(name, "S3DistributionType", entry, DISTRIBUTIONS, problems)
    wrapper = _one_of(name, "RecordWrapperType", entry, WRAPPERS, problems)
    # RecordIO data is not wrapped again by the platform, whatever the entry says.
    wrapped = wrapper == "RecordIO" and "recordio" not in media.name
    return ChannelSettings(name, media, mode, distribution == "ShardedByS3Key", wrapped)


def _one_of(name: str, key: str, entry: Mapping[str, Any], allowed: tuple[str, ...], problems: list[str]) -> str:
    value = entry.get(key) or allowed[0]
    if value not in allowed:
        problems.append(f"channel {name}: {key} must be one of {', '.join(allowed)}; got {value!r}")
    return str(value)


def _object(path: Path, *, missing: Any) -> Any:
    """The JSON object in the file, or ``missing`` where there is no file."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return missing
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold one JSON object; got {type(content).__name__}")
    return content
