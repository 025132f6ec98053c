"""The three configuration files are read as the contract says: tolerant of extras, exact about what matters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clary.algorithms import registry
from clary.container import configuration
from clary.container.configuration import Resources
from clary.container.layout import Layout
from clary.toolkit.errors import UserError

SPEC = registry.spec("kmeans")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "input" / "config").mkdir(parents=True)
    return Layout(tmp_path)


def write(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


# Any of the three files

NO_OBJECTS = ["", "{", "[]", "null", "7", '"k"', "{'k': '10'}", '{"k": }', "\x00"]


@pytest.mark.parametrize("content", NO_OBJECTS, ids=repr)
def test_a_file_that_is_no_json_object_is_refused_by_name(layout: Layout, content: str) -> None:
    for path, read in (
        (layout.hyperparameters, lambda: configuration.hyperparameters(layout)),
        (layout.channels, lambda: configuration.channels(layout, SPEC)),
        (layout.resources, lambda: configuration.resources(layout)),
    ):
        write(path, content)
        with pytest.raises(UserError, match=path.name):
            read()
        path.unlink()


def test_bytes_that_are_no_text_are_refused(layout: Layout) -> None:
    layout.hyperparameters.write_bytes(b'{"k": "\xff"}')
    with pytest.raises(UserError, match=r"hyperparameters\.json cannot be read as JSON"):
        configuration.hyperparameters(layout)


def test_a_folder_in_the_place_of_a_file_is_refused(layout: Layout) -> None:
    layout.hyperparameters.mkdir()
    with pytest.raises(UserError, match=r"hyperparameters\.json cannot be read"):
        configuration.hyperparameters(layout)


def test_a_byte_order_mark_does_no_harm(layout: Layout) -> None:
    layout.hyperparameters.write_bytes(b'\xef\xbb\xbf{"k": "10"}')
    assert configuration.hyperparameters(layout) == {"k": "10"}


# hyperparameters.json


def test_without_a_file_there_are_no_hyperparameters(layout: Layout) -> None:
    assert configuration.hyperparameters(layout) == {}


@pytest.mark.parametrize(
    ("name", "spelled", "value"),
    [
        ("k", "10", 10),
        ("k", "10.0", 10),
        ("k", " 10", 10),
        ("eval_metrics", '["msd","ssd"]', ("msd", "ssd")),
        ("eval_metrics", "['ssd']", ("ssd",)),
        ("eval_metrics", "", ("msd",)),
        ("extra_center_factor", "auto", "auto"),
        ("extra_center_factor", "", "auto"),
        ("local_lloyd_tol", "1e-3", 0.001),
        ("half_life_time_size", "0", 0),
    ],
)
def test_every_way_that_clients_spell_a_value_is_read(layout: Layout, name: str, spelled: str, value: Any) -> None:
    write(layout.hyperparameters, {"k": "3", "feature_dim": "2", "force_dense": "True", name: spelled})
    assert getattr(SPEC.parse(configuration.hyperparameters(layout)), name) == value


# inputdataconfig.json


def channels(layout: Layout, content: Any) -> dict[str, configuration.ChannelSettings]:
    write(layout.channels, content)
    return configuration.channels(layout, SPEC)


def test_missing_keys_have_the_defaults_of_the_contract(layout: Layout) -> None:
    found = channels(layout, {"train": {}})["train"]
    assert (found.name, found.mode, found.sharded, found.wrapped) == ("train", "File", False, False)
    assert str(found.content_type) == "application/x-recordio-protobuf"


def test_every_key_is_read_and_unknown_ones_are_tolerated(layout: Layout) -> None:
    entry = {
        "ContentType": "Text/CSV; label_size=0",
        "TrainingInputMode": "Pipe",
        "S3DistributionType": "ShardedByS3Key",
        "RecordWrapperType": "RecordIO",
        "ShuffleConfig": {"Seed": 3},
        "Tomorrow": None,
    }
    found = channels(layout, {"train": entry, "test": {"ContentType": None, "TrainingInputMode": ""}})
    assert (found["train"].mode, found["train"].sharded, found["train"].wrapped) == ("Pipe", True, True)
    assert (found["train"].content_type.name, found["train"].content_type.parameters) == (
        "text/csv",
        {"label_size": "0"},
    )
    assert found["test"].mode == "File"


def test_recordio_data_is_not_unwrapped_again(layout: Layout) -> None:
    entry = {"ContentType": "application/x-recordio-protobuf", "RecordWrapperType": "RecordIO"}
    assert not channels(layout, {"train": entry})["train"].wrapped


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "channel train is missing; K-means cannot train without it"),
        ({"test": {}}, "channel train is missing"),
        ({"train": []}, "channel train: its entry in inputdataconfig.json must be an object; got []"),
        ({"train": "File"}, "channel train: its entry"),
        (
            {"train": {}, "validation": {}},
            "channel validation is not one of K-means's channels, which are train, test",
        ),
        ({"train": {"ContentType": "csv"}}, "channel train: ContentType must be one of"),
        ({"train": {"ContentType": 7}}, "channel train: ContentType must be one of"),
        (
            {"train": {"TrainingInputMode": "file"}},
            "TrainingInputMode must be one of File, FastFile, Pipe; got 'file'",
        ),
        ({"train": {"TrainingInputMode": ["File"]}}, "TrainingInputMode must be one of"),
        ({"train": {"S3DistributionType": "Sharded"}}, "S3DistributionType must be one of FullyReplicated"),
        ({"train": {"RecordWrapperType": "TFRecord"}}, "RecordWrapperType must be one of None, RecordIO"),
        ({"../train": {}, "train": {}}, "channel ../train is not one of"),
    ],
)
def test_what_the_algorithm_does_not_allow_is_refused_by_channel(layout: Layout, content: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        channels(layout, content)
    assert message in str(caught.value)


def test_all_problems_of_all_channels_are_in_one_message(layout: Layout) -> None:
    with pytest.raises(UserError) as caught:
        channels(layout, {"test": {"ContentType": "x", "TrainingInputMode": "y"}, "model": {}})
    assert str(caught.value).count("; ") >= 3
    assert "channel train is missing" in str(caught.value)


def test_without_a_file_the_folders_are_the_channels(layout: Layout) -> None:
    for name in ("train", "other"):
        (layout.data / name).mkdir(parents=True)
    assert list(configuration.channels(layout, SPEC)) == ["train"]


# resourceconfig.json


def resources(layout: Layout, content: Any) -> Resources:
    write(layout.resources, content)
    return configuration.resources(layout)


def test_without_a_file_there_is_one_host(layout: Layout) -> None:
    assert configuration.resources(layout) == Resources(("algo-1",), "algo-1")


def test_the_file_of_the_platform_is_read(layout: Layout) -> None:
    content = {
        "current_host": "algo-2",
        "current_instance_type": "ml.m5.xlarge",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1", "algo-2", "algo-10"],
        "instance_groups": [{"instance_group_name": "homogeneousCluster", "hosts": ["algo-1"]}],
        "network_interface_name": "eth0",
        "topology": {},
    }
    assert resources(layout, content) == Resources(("algo-1", "algo-10", "algo-2"), "algo-2")


def test_names_with_a_random_tail_are_taken(layout: Layout) -> None:
    found = resources(layout, {"current_host": "algo-1-x7k2p", "hosts": ["algo-1-x7k2p"]})
    assert found == Resources(("algo-1-x7k2p",), "algo-1-x7k2p")


def test_hosts_or_the_current_host_alone_are_enough(layout: Layout) -> None:
    assert resources(layout, {"hosts": ["a"]}) == Resources(("a",), "a")
    assert resources(layout, {"current_host": "b"}) == Resources(("b",), "b")
    assert resources(layout, {}) == Resources()


@pytest.mark.parametrize(
    "content",
    [
        {"hosts": []},
        {"hosts": "algo-1"},
        {"hosts": [1, 2]},
        {"hosts": {"algo-1": 1}},
        {"hosts": ["algo-1"], "current_host": "algo-2"},
        {"hosts": ["algo-1", "algo-1"], "current_host": "algo-1"},
        {"hosts": ["algo-1"], "current_host": 7},
    ],
    ids=str,
)
def test_hosts_that_make_no_job_are_refused(layout: Layout, content: Any) -> None:
    with pytest.raises(UserError, match=r"resourceconfig\.json: "):
        resources(layout, content)
