"""A request that cannot be a job is refused with the reason, before anything is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clary.runner.request import ChannelRequest, TrainingRequest
from clary.runner.training import start_training
from clary.toolkit.errors import UserError

CHANNEL = ChannelRequest(sources=(Path(__file__),))


def request(**changes: Any) -> TrainingRequest:
    settings: dict[str, Any] = {"name": "job", "algorithm": "kmeans", "hyperparameters": {}, "channels": {}}
    return TrainingRequest(**(settings | changes))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"name": "two words"}, "cannot be a name"),
        ({"name": "x" * 64}, "cannot be a name"),
        ({"hosts": 0}, "at least one host"),
        ({"hyperparameters": {"k": 3}}, "k must be a string"),
        ({"channels": {"no blanks": CHANNEL}}, "cannot be a channel's name"),
        ({"channels": {f"c{number}": CHANNEL for number in range(21)}}, "at most 20 channels"),
        ({"channels": {"train": ChannelRequest(sources=(), mode="Tape")}}, "'File', 'Pipe', 'FastFile'"),  # type: ignore[arg-type]
        ({"channels": {"train": ChannelRequest(sources=(), distribution="Half")}}, "distribution must be"),  # type: ignore[arg-type]
        ({"channels": {"train": ChannelRequest(sources=())}}, "channel train has no files"),
        ({"algorithm": "nothing"}, "not an algorithm of this suite"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(tmp_path: Path, changes: dict[str, Any], wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        start_training(request(**changes), tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_pipe_mode_is_refused_where_there_are_no_named_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "mkfifo", raising=False)
    with pytest.raises(UserError, match="no named pipes; use input mode 'File'"):
        request(channels={"train": ChannelRequest(sources=(), mode="Pipe")}).check()


def test_hosts_are_named_and_sorted_as_the_contract_says() -> None:
    assert request(hosts=11).host_names[:3] == ["algo-1", "algo-10", "algo-11"]
