"""One host's root: the three configuration files of the contract, its channels, its checkpoints."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clary.container.layout import Layout
from clary.runner.pipes import Feeder, check_pipeable
from clary.runner.placement import Files, find, link_folder, place, share
from clary.runner.request import ChannelRequest, TrainingRequest


def find_channels(request: TrainingRequest) -> dict[str, Files]:
    """The files of every channel by their keys; UserError names the channel that has none or cannot be piped."""
    found = {name: find(channel.sources, channel=name) for name, channel in request.channels.items()}
    for name, channel in request.channels.items():
        if channel.mode == "Pipe":
            check_pipeable(name, list(found[name].values()), channel.content_type)
    return found


def lay_out(request: TrainingRequest, files: Mapping[str, Files], host: str, layout: Layout) -> list[Feeder]:
    """Prepare everything that the training program of that host finds; its feeders, not yet started, come back."""
    for folder in (layout.config, layout.data, layout.model, layout.output_data):
        folder.mkdir(parents=True, exist_ok=True)
    _write(layout.hyperparameters, dict(request.hyperparameters))
    _write(layout.channels, {name: channel_entry(channel) for name, channel in request.channels.items()})
    _write(layout.resources, resource_entry(request, host))
    if request.checkpoints is not None:
        request.checkpoints.mkdir(parents=True, exist_ok=True)
        link_folder(request.checkpoints, layout.checkpoints)
    feeders = []
    rank = request.host_names.index(host)
    for name, channel in request.channels.items():
        mine = share(files[name], channel.distribution, rank, request.hosts)
        if channel.mode == "Pipe":
            feeders.append(Feeder(layout.data, name, list(mine.values())))
        else:
            place(mine, layout.data / name)
    return feeders


def channel_entry(channel: ChannelRequest) -> dict[str, str]:
    """A channel's member of inputdataconfig.json; ``ContentType`` is absent when the request had none."""
    entry = {
        "TrainingInputMode": channel.mode,
        "S3DistributionType": channel.distribution,
        "RecordWrapperType": "None",
    }
    return entry if channel.content_type is None else {"ContentType": channel.content_type, **entry}


def resource_entry(request: TrainingRequest, host: str) -> dict[str, Any]:
    """The content of resourceconfig.json on that host, one homogeneous group."""
    group = "homogeneousCluster"
    return {
        "current_host": host,
        "current_instance_type": request.instance_type,
        "current_group_name": group,
        "hosts": request.host_names,
        "instance_groups": [
            {"instance_group_name": group, "instance_type": request.instance_type, "hosts": request.host_names}
        ],
        "network_interface_name": "lo0" if sys.platform == "darwin" else "lo",
    }


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
