"""A job can be stopped, killed and started again anywhere, and ends with a whole model or with none."""

from __future__ import annotations

import signal

import pytest

from clary.toolkit.artifact import MANIFEST
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.jobs import FEW, REPORT, laid_out, loadable, needs_fifos, needs_signals, prolonged
from exam.pipes import Feeder, feeding
from exam.room import Outcome, Room, ask_to_stop, once

MEBIBYTE = 2**20


@needs_signals
def test_a_stop_signal_leaves_a_loadable_model(room: Room, algorithm: AlgorithmSpec) -> None:
    with prolonged(room).start() as running:
        running.wait_for(REPORT)
        running.process.terminate()
        loadable(running.outcome(seconds=30).succeeded())


@needs_fifos
@pytest.mark.only_if("Pipe")
def test_a_stop_signal_is_heard_while_a_pipe_is_silent(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, TrainingInputMode="Pipe")
    channel = next(each.name for each in algorithm.channels if each.required is True)
    content = _whole(algorithm, channel)
    # More than any reader holds back, and an end in the middle of a record.
    repeated = content * (8 * MEBIBYTE // len(content)) + content[: len(content) // 2 + 1]
    silent = Feeder(room.layout.data / channel, [repeated], pause=60)
    others = {name: _whole(algorithm, name) for name in material.channels(algorithm) if name != channel}
    with feeding(room.layout.data, others), silent, room.start() as running:
        assert silent.delivered.wait(30), running.text()
        running.process.terminate()
        outcome = running.outcome(seconds=30)
    loadable(outcome.succeeded())
    assert "stopping early" in outcome.log


def _whole(algorithm: AlgorithmSpec, channel: str) -> bytes:
    return b"".join(material.files(algorithm, channel).values())


def test_a_stop_before_any_data_is_no_crash(room: Room, algorithm: AlgorithmSpec) -> None:
    outcome = laid_out(room).train(watch=once("Final configuration", ask_to_stop))
    if outcome.code == 0:
        loadable(outcome.succeeded())
    else:
        assert "stopped" in outcome.refused()


@pytest.mark.only_if("resumes")
def test_interrupted_and_resumed_equals_uninterrupted(trained: Outcome, room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room).layout.checkpoints.mkdir()
    stopped = room.train(watch=once(REPORT, ask_to_stop)).succeeded()
    assert stopped.model != trained.model, "the job was over before it was stopped"
    assert any(room.layout.checkpoints.iterdir())
    assert room.train().succeeded().model == trained.model


@pytest.mark.only_if("resumes")
def test_a_finished_job_that_is_started_again_gives_its_model_again(
    trained: Outcome, room: Room, algorithm: AlgorithmSpec
) -> None:
    laid_out(room).layout.checkpoints.mkdir()
    assert room.train().succeeded().model == trained.model
    assert room.train().succeeded().model == trained.model


@pytest.mark.only_if("resumes")
def test_progress_of_another_job_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, most=FEW).layout.checkpoints.mkdir()
    room.train(CLARY_SEED="1").succeeded()
    outcome = room.train(CLARY_SEED="2")
    assert outcome.code == 1
    assert outcome.failure.startswith("ClientError: ")
    assert "CLARY_SEED" in outcome.failure
    assert "checkpoint" in outcome.failure


@needs_signals
def test_a_killed_job_leaves_no_half_written_model(room: Room, algorithm: AlgorithmSpec) -> None:
    with prolonged(room).start() as running:
        running.wait_for(REPORT)
        running.process.kill()
        outcome = running.outcome()
    assert outcome.code == -signal.SIGKILL
    if MANIFEST in outcome.model:
        loadable(outcome)


@needs_signals
@pytest.mark.only_if("resumes")
def test_a_killed_job_resumes_to_the_same_model(trained: Outcome, room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room).layout.checkpoints.mkdir()
    with room.start() as running:
        running.wait_for(REPORT)
        running.process.kill()
        running.outcome()
    assert room.train().succeeded().model == trained.model
