"""Training reaches its score, repeats itself, reads every form of input alike, and can be interrupted anywhere."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from clary.algorithms import registry
from clary.toolkit.artifact import MANIFEST
from clary.toolkit.spec import AlgorithmSpec
from exam import legal, material
from exam.pipes import Feeder, feeding
from exam.room import Outcome, Room, ask_to_stop, furnished, once

FEW = 300
MEBIBYTE = 2**20
FOLDERS = ("a", "b/c", "b/d.csv", "e/f/g")
AGREEMENT = 0.05  # relative difference between the example's metric on one host and on two
ANY_METRIC = r"#progress_metric|#quality_metric|#throughput_metric"
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="this system ends processes without a signal")


def laid_out(room: Room, *, most: int | None = None, parts: int = 1, **settings: str) -> Room:
    """The room with every channel of the example, in the channel's own type."""
    for channel in material.channels(room.spec):
        room.channel(channel, material.files(room.spec, channel, parts=parts, most=most), **settings)
    return room


def loadable(outcome: Outcome) -> Outcome:
    """The outcome, if its model can be served."""
    registry.predictor(outcome.spec.name).load(outcome.artifact(), "cpu")
    return outcome


def prolonged(room: Room) -> Room:
    """The room with a job that goes on for much longer than a test."""
    example = registry.example(room.spec.name)
    if not example.longer:
        pytest.skip(f"the example of {room.spec.title} cannot be made longer")
    return laid_out(room.configure({**example.hyperparameters, **example.longer}))


def of_rows(algorithm: AlgorithmSpec) -> None:
    """Skip the check where files are more than their rows: where they have names to keep, or cannot be packed."""
    if registry.example(algorithm.name).files:
        pytest.skip(f"the files of {algorithm.title} are not just rows")


def score(outcome: Outcome) -> float:
    return outcome.metrics[registry.example(outcome.spec.name).metric][-1]


def reaches(outcome: Outcome) -> bool:
    example = registry.example(outcome.spec.name)
    goal = outcome.spec.metric(example.metric).goal
    return score(outcome) <= example.reach if goal == "Minimize" else score(outcome) >= example.reach


# Results


def test_the_example_reaches_its_score(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    assert reaches(trained), f"{score(trained)} does not reach {registry.example(algorithm.name).reach}"


def test_every_declared_metric_appears_in_the_log(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    assert [name for name, values in trained.metrics.items() if not values] == []
    assert all(value == value for values in trained.metrics.values() for value in values)


def test_the_log_has_the_lines_of_the_contract(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    lines = trained.log.splitlines()
    starts = ("Reading default configuration from", "Merging with provided configuration", "Final configuration: {")
    for line, start in zip(lines, starts, strict=False):
        assert re.match(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] " + start, line), line
    assert lines[-1].startswith("#metrics {")


def test_the_same_seed_gives_the_same_model(room: Room, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    first, second = (laid_out(furnished(algorithm, tmp_path / name), most=FEW) for name in "ab")
    model = first.train(CLARY_SEED="7").succeeded().model
    assert second.train(CLARY_SEED="7").succeeded().model == model


def test_a_model_does_not_depend_on_the_process_that_makes_it(
    trained: Outcome, room: Room, algorithm: AlgorithmSpec
) -> None:
    outcome = laid_out(room).start(PYTHONHASHSEED="99").outcome().succeeded()
    assert outcome.model == trained.model


@pytest.mark.only_if("random")
def test_another_seed_gives_another_model(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, most=FEW)
    models = [room.train(CLARY_SEED=seed).succeeded().model for seed in ("1", "2", "3")]
    assert models[0] != models[1] or models[0] != models[2]


# Forms of input


def test_each_accepted_format_gives_the_same_model(room: Room, algorithm: AlgorithmSpec, channel: str) -> None:
    laid_out(room, most=FEW)
    expected = room.train().succeeded()
    for content_type in material.content_types(algorithm, channel):
        room.channel(channel, material.files(algorithm, channel, content_type, most=FEW), content_type)
        outcome = room.train().succeeded()
        assert outcome.model == expected.model, content_type
        assert outcome.metrics[registry.example(algorithm.name).metric] == [pytest.approx(score(expected), rel=1e-6)]


def test_a_channel_without_content_type_holds_the_default_type(room: Room, algorithm: AlgorithmSpec) -> None:
    expected = laid_out(room, most=FEW).train().succeeded().model
    for channel in algorithm.channels:
        if channel.name in room.settings:
            room.channel(channel.name, {}, channel.default_type)
    assert room.train().succeeded().model == expected


def test_gzip_files_give_the_same_model(room: Room, algorithm: AlgorithmSpec) -> None:
    of_rows(algorithm)
    expected = laid_out(room, most=FEW).train().succeeded().model
    for channel in material.channels(algorithm):
        files = material.files(algorithm, channel, most=FEW)
        room.channel(channel, {name: gzip.compress(content) for name, content in files.items()})
    assert room.train().succeeded().model == expected


def test_several_files_in_nested_folders_give_the_same_model(
    room: Room, algorithm: AlgorithmSpec, tmp_path: Path
) -> None:
    of_rows(algorithm)
    expected = laid_out(room, most=FEW).train().succeeded().model
    other = furnished(algorithm, tmp_path / "other")
    for channel in material.channels(algorithm):
        files = material.files(algorithm, channel, parts=4, most=FEW)
        nested = {f"{folder}/{name}": files[name] for folder, name in zip(FOLDERS, sorted(files), strict=True)}
        other.channel(channel, {**nested, ".manifest": b"hidden", "_SUCCESS": b"", ".git/x": b"hidden"})
    assert other.train().succeeded().model == expected


@pytest.mark.only_if("FastFile")
def test_fast_file_mode_gives_the_same_model(room: Room, algorithm: AlgorithmSpec) -> None:
    expected = laid_out(room, most=FEW).train().succeeded().model
    assert laid_out(room, most=FEW, TrainingInputMode="FastFile").train().succeeded().model == expected


@needs_fifos
@pytest.mark.only_if("Pipe")
def test_pipe_mode_gives_the_same_model(room: Room, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    expected = laid_out(room, most=FEW).train().succeeded()
    piped = laid_out(furnished(algorithm, tmp_path / "piped"), TrainingInputMode="Pipe")
    contents = {
        channel: b"".join(material.files(algorithm, channel, parts=3, most=FEW).values())
        for channel in material.channels(algorithm)
    }
    with feeding(piped.layout.data, contents):
        outcome = piped.train().succeeded()
    assert outcome.model == expected.model
    assert (
        outcome.metrics[registry.example(algorithm.name).metric]
        == expected.metrics[registry.example(algorithm.name).metric]
    )


def test_input_folders_are_never_written(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, most=FEW)
    before = sorted(path for path in room.root.rglob("*"))
    room.train().succeeded()
    made = {path.relative_to(room.root).parts[0] for path in room.root.rglob("*") if path not in before}
    assert made <= {"model", "output"}


# Hosts


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def two_hosts(algorithm: AlgorithmSpec, folder: Path, *, sharded: bool) -> list[Outcome]:
    """What came of the example on two hosts, which are two processes on this machine."""
    names, address = ("algo-1", "algo-2"), f"127.0.0.1:{free_port()}"
    running = []
    for rank, name in enumerate(names):
        room = laid_out(furnished(algorithm, folder / name), parts=4)
        room.hosts(name, *(other for other in names if other != name))
        if sharded:
            own = dict(list(material.files(algorithm, "train", parts=4).items())[rank::2])
            for path in (room.layout.data / "train").iterdir():
                if path.name not in own:
                    path.unlink()
            room.channel("train", own, S3DistributionType="ShardedByS3Key")
        running.append(room.start(CLARY_RENDEZVOUS=address))
    return [each.outcome() for each in running]


@pytest.mark.only_if("hosts")
@pytest.mark.parametrize("sharded", [False, True], ids=["replicated", "sharded"])
def test_two_hosts_agree_with_one(trained: Outcome, algorithm: AlgorithmSpec, tmp_path: Path, sharded: bool) -> None:
    leader, follower = two_hosts(algorithm, tmp_path, sharded=sharded)
    loadable(leader.succeeded())
    assert (follower.code, follower.failure, follower.model) == (0, "", {}), follower.log
    assert score(leader) == pytest.approx(score(trained), rel=AGREEMENT)
    assert not any(follower.metrics.values()), "only the first host reports"


@pytest.mark.only_if("hosts")
def test_a_host_that_fails_ends_the_job_of_the_other(algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    names, address = ("algo-1", "algo-2"), f"127.0.0.1:{free_port()}"
    rooms = [laid_out(furnished(algorithm, tmp_path / name)).hosts(name, *(set(names) - {name})) for name in names]
    rooms[1].channel("train", {"part-0": b"damaged"})
    leader, follower = [each.outcome() for each in [room.start(CLARY_RENDEZVOUS=address) for room in rooms]]
    assert "part-0" in follower.refused()
    assert leader.code == 1
    assert leader.failure.startswith("AlgorithmError: host algo-2 has left the job")
    assert leader.model == {}


@needs_signals
@pytest.mark.only_if("hosts")
@pytest.mark.parametrize("asked", [0, 1], ids=["leader", "follower"])
def test_a_stop_signal_to_one_host_stops_both(algorithm: AlgorithmSpec, tmp_path: Path, asked: int) -> None:
    names, address = ("algo-1", "algo-2"), f"127.0.0.1:{free_port()}"
    rooms = [prolonged(furnished(algorithm, tmp_path / name)).hosts(name, *(set(names) - {name})) for name in names]
    running = [room.start(CLARY_RENDEZVOUS=address) for room in rooms]
    with running[0], running[1]:
        running[0].wait_for(ANY_METRIC)
        running[asked].process.terminate()
        leader, follower = (each.outcome(seconds=30) for each in running)
    loadable(leader.succeeded())
    assert (follower.code, follower.failure) == (0, ""), follower.log


# Interruption


@needs_signals
def test_a_stop_signal_leaves_a_loadable_model(room: Room, algorithm: AlgorithmSpec) -> None:
    with prolonged(room).start() as running:
        running.wait_for(ANY_METRIC)
        running.process.terminate()
        loadable(running.outcome(seconds=30).succeeded())


@needs_fifos
@pytest.mark.only_if("Pipe")
def test_a_stop_signal_is_heard_while_a_pipe_is_silent(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, TrainingInputMode="Pipe")
    channel = next(each.name for each in algorithm.channels if each.required is True)
    content = b"".join(material.files(algorithm, channel).values())
    # More than any reader holds back, and an end in the middle of a record.
    repeated = content * (8 * MEBIBYTE // len(content)) + content[: len(content) // 2 + 1]
    with Feeder(room.layout.data / channel, [repeated], pause=60) as feeder, room.start() as running:
        assert feeder.delivered.wait(30), running.text()
        running.process.terminate()
        outcome = running.outcome(seconds=30)
    loadable(outcome.succeeded())
    assert "stopping early" in outcome.log


def test_a_stop_before_any_data_is_no_crash(room: Room, algorithm: AlgorithmSpec) -> None:
    outcome = laid_out(room).train(watch=once("Final configuration", ask_to_stop))
    if outcome.code == 0:
        loadable(outcome.succeeded())
    else:
        assert "stopped" in outcome.refused()


@pytest.mark.only_if("resumes")
def test_interrupted_and_resumed_equals_uninterrupted(trained: Outcome, room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room).layout.checkpoints.mkdir()
    stopped = room.train(watch=once(ANY_METRIC, ask_to_stop)).succeeded()
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
    assert "seed" in outcome.failure
    assert "checkpoint" in outcome.failure


@needs_signals
def test_a_killed_job_leaves_no_half_written_model(room: Room, algorithm: AlgorithmSpec) -> None:
    with prolonged(room).start() as running:
        running.wait_for(ANY_METRIC)
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
        running.wait_for(ANY_METRIC)
        running.process.kill()
        running.outcome()
    assert room.train().succeeded().model == trained.model


# Any legal job


def trains(algorithm: AlgorithmSpec, hyperparameters: Mapping[str, str]) -> None:
    with TemporaryDirectory() as folder:
        room = Room(Path(folder) / "ml", algorithm).configure(hyperparameters)
        loadable(laid_out(room, most=FEW).train().succeeded())


@pytest.mark.slow
def test_legal_hyperparameters_train(algorithm: AlgorithmSpec) -> None:
    @settings(max_examples=15)
    @given(drawn=legal.modest(algorithm))
    def check(drawn: dict[str, str]) -> None:
        trains(algorithm, drawn)

    check()
