"""A job knows its channels, and its log carries declared metrics alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clary.algorithms import registry
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def job(tmp_path: Path, lines: list[str]) -> Job[Any]:
    channels = {name: ChannelInput(name, tmp_path / name, MediaType("text/csv")) for name in ("train", "test")}
    log = Log(registry.spec("kmeans"), "algo-1", lines.append)
    return Job(hyperparameters=None, channels=channels, cluster=Cluster(), log=log, checkpoints=Checkpoints(None, {}))


def test_a_channel_is_found_or_named(job: Job[Any]) -> None:
    assert job.channel("train").name == "train"
    with pytest.raises(UserError, match="channel 'validation' is missing; the job has test, train"):
        job.channel("validation")


def test_the_log_says_sentences_and_declared_metrics(job: Job[Any], lines: list[str]) -> None:
    job.log.say("shrinking 30 centers into 3")
    job.log.metric("test:msd", 2)
    assert lines == ["shrinking 30 centers into 3", "#quality_metric: host=algo-1, test msd <loss>=2.0"]
    with pytest.raises(KeyError, match="declares no metric 'test:mse'"):
        job.log.metric("test:mse", 2)


def test_a_job_is_not_stopped_at_first_and_publishes_nowhere(job: Job[Any]) -> None:
    assert not job.stop.is_set()
    assert (job.seed, job.device) == (0, "cpu")
