"""Several hosts do one job: however the data are shared out they agree with one host, and they end together."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from clary.algorithms import registry
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.jobs import REPORT, loadable, needs_signals, prolonged, score
from exam.room import Outcome, Room, Running, furnished

Shares = Callable[[bool, int], tuple[int, ...]]
# For the required channels (True) and the others (False): which hosts a file of that number is given to.
SHARES: dict[str, Shares] = {
    "all replicated": lambda required, part: (0, 1),
    "required sharded": lambda required, part: (part % 2,) if required else (0, 1),
    "all sharded": lambda required, part: (part % 2,),
    "leader learns, follower scores": lambda required, part: (0,) if required else (1,),
    "follower learns, leader scores": lambda required, part: (1,) if required else (0,),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def started(rooms: Sequence[Room], names: Sequence[str]) -> list[Running]:
    """A job on several hosts, which are processes on this machine, one in each room."""
    address = f"127.0.0.1:{free_port()}"
    for room, name in zip(rooms, names, strict=True):
        room.hosts(name, *(other for other in names if other != name))
    return [room.start(CLARY_RENDEZVOUS=address) for room in rooms]


def shared_out(room: Room, rank: int, shares: Shares) -> Room:
    """The room with its host's share of the example's files."""
    for channel in material.channels(room.spec):
        required = room.spec.channel(channel).required is True  # type: ignore[union-attr]
        files = material.files(room.spec, channel, parts=4)
        own = {name: files[name] for part, name in enumerate(files) if rank in shares(required, part)}
        kind = "ShardedByS3Key" if shares(required, 0) != (0, 1) else "FullyReplicated"
        room.channel(channel, own, S3DistributionType=kind)
    return room


@pytest.mark.only_if("hosts")
@pytest.mark.parametrize("case", SHARES)
def test_two_hosts_agree_with_one(trained: Outcome, algorithm: AlgorithmSpec, tmp_path: Path, case: str) -> None:
    names = ("algo-1-x7k2p", "algo-2-m3c9z")
    rooms = [shared_out(furnished(algorithm, tmp_path / name), rank, SHARES[case]) for rank, name in enumerate(names)]
    leader, follower = [each.outcome() for each in started(rooms, names)]
    loadable(leader.succeeded())
    assert (follower.code, follower.failure, follower.model) == (0, "", {}), follower.log
    assert score(leader) == pytest.approx(score(trained), rel=registry.example(algorithm.name).agreement)
    assert not any(follower.metrics.values()), "only the first host reports"
    assert not re.search(REPORT, follower.log), "only the first host reports"


@pytest.mark.only_if("hosts")
@pytest.mark.parametrize("damaged", [0, 1], ids=["leader", "follower"])
def test_a_host_that_fails_ends_the_job_of_the_other(algorithm: AlgorithmSpec, tmp_path: Path, damaged: int) -> None:
    names = ("algo-1", "algo-2")
    rooms = [shared_out(furnished(algorithm, tmp_path / name), 0, SHARES["all replicated"]) for name in names]
    channel = next(each.name for each in algorithm.channels if each.required is True)
    rooms[damaged].channel(channel, {"part-0": b"damaged"})
    outcomes = [each.outcome() for each in started(rooms, names)]
    assert "part-0" in outcomes[damaged].refused()
    told = outcomes[1 - damaged]
    assert (told.code, told.model) == (1, {})
    assert told.failure.startswith(f"AlgorithmError: host {names[damaged]} has left the job")


@needs_signals
@pytest.mark.only_if("hosts")
@pytest.mark.parametrize("killed", [0, 1], ids=["leader", "follower"])
def test_a_killed_host_is_named_by_every_other(algorithm: AlgorithmSpec, tmp_path: Path, killed: int) -> None:
    names = ("algo-1", "algo-2", "algo-3")
    running = started([prolonged(furnished(algorithm, tmp_path / name)) for name in names], names)
    with running[0], running[1], running[2]:
        running[0].wait_for(REPORT)
        running[killed].process.kill()
        outcomes = [each.outcome(seconds=30) for each in running]
    assert outcomes.pop(killed).code == -signal.SIGKILL
    for other in outcomes:
        assert other.code == 1, other.log
        assert other.failure.startswith(f"AlgorithmError: host {names[killed]} has left the job"), other.failure


@needs_signals
@pytest.mark.only_if("hosts")
@pytest.mark.parametrize("asked", [0, 1], ids=["leader", "follower"])
def test_a_stop_signal_to_one_host_stops_both(algorithm: AlgorithmSpec, tmp_path: Path, asked: int) -> None:
    names = ("algo-1", "algo-2")
    running = started([prolonged(furnished(algorithm, tmp_path / name)) for name in names], names)
    with running[0], running[1]:
        running[0].wait_for(REPORT)
        running[asked].process.terminate()
        leader, follower = (each.outcome(seconds=30) for each in running)
    loadable(leader.succeeded())
    assert (follower.code, follower.failure) == (0, ""), follower.log
