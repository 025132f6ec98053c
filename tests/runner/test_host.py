"""One host's root holds exactly what the contract says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from clary.container.layout import Layout
from clary.runner.host import find_channels, lay_out
from clary.runner.request import ChannelRequest, TrainingRequest
from clary.toolkit.errors import UserError


def prepared(tmp_path: Path, host: str = "algo-2") -> tuple[Layout, Path]:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        (data / name).write_text("1,2\n")
    request = TrainingRequest(
        name="job",
        algorithm="kmeans",
        hyperparameters={"k": "10", "eval_metrics": '["msd","ssd"]'},
        channels={
            "train": ChannelRequest(
                sources=(data,), content_type="text/csv;label_size=0", distribution="ShardedByS3Key"
            ),
            "test": ChannelRequest(sources=(data / "a.csv",), mode="FastFile"),
        },
        hosts=2,
        instance_type="ml.m5.large",
        checkpoints=tmp_path / "kept",
    )
    layout = Layout(tmp_path / "root")
    lay_out(request, find_channels(request), host, layout)
    return layout, data


def test_the_three_configuration_files_are_those_of_the_contract(tmp_path: Path) -> None:
    layout, _ = prepared(tmp_path)
    assert json.loads(layout.hyperparameters.read_text()) == {"k": "10", "eval_metrics": '["msd","ssd"]'}
    assert json.loads(layout.channels.read_text()) == {
        "train": {
            "ContentType": "text/csv;label_size=0",
            "TrainingInputMode": "File",
            "S3DistributionType": "ShardedByS3Key",
            "RecordWrapperType": "None",
        },
        "test": {
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
    }
    resources = json.loads(layout.resources.read_text())
    assert resources.pop("network_interface_name") in ("lo", "lo0")
    assert resources == {
        "current_host": "algo-2",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1", "algo-2"],
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": "ml.m5.large",
                "hosts": ["algo-1", "algo-2"],
            }
        ],
    }


def test_channels_outputs_and_checkpoints_are_where_the_program_looks(tmp_path: Path) -> None:
    layout, _ = prepared(tmp_path)
    assert [path.name for path in (layout.data / "train").iterdir()] == ["b.csv"]
    assert [path.name for path in (layout.data / "test").iterdir()] == ["a.csv"]
    assert layout.model.is_dir()
    assert layout.output_data.is_dir()
    (layout.checkpoints / "progress").write_text("half")
    assert (tmp_path / "kept/progress").read_text() == "half"


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are POSIX")
def test_rows_that_would_run_together_in_pipe_mode_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    (tmp_path / "b.csv").write_text("3,4\n")
    channel = ChannelRequest(sources=(tmp_path,), content_type="text/csv", mode="Pipe")
    request = TrainingRequest(name="job", algorithm="kmeans", hyperparameters={}, channels={"train": channel})
    with pytest.raises(UserError, match=r"a\.csv does not end in a newline"):
        find_channels(request)
