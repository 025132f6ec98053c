"""Hosts add, hand out and collect arrays with the same bits everywhere, and say which host is missing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from clary.toolkit import cluster as cluster_module
from clary.toolkit import cluster as clusters
from clary.toolkit.cluster import Array, Cluster
from clary.toolkit.errors import PlatformError

HOSTS = ("algo-1", "algo-2", "algo-3")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def member(name: str, address: tuple[str, int], hosts: tuple[str, ...] = HOSTS) -> Iterator[Cluster]:
    cluster = Cluster(hosts, name, rendezvous=address)
    try:
        yield cluster
    finally:
        cluster.close()


def on_all(work: Callable[[Cluster], Any], hosts: tuple[str, ...] = HOSTS) -> list[Any]:
    """What each host's work returns, in the order of ranks; every host is a thread with its own sockets."""
    address = ("127.0.0.1", free_port())

    def run(name: str) -> Any:
        with member(name, address, hosts) as cluster:
            return work(cluster)

    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(run, hosts))


def test_a_single_host_needs_no_network() -> None:
    alone = Cluster()
    array = np.arange(3)
    assert (alone.size, alone.rank, alone.leads, alone.current) == (1, 0, True, "localhost")
    assert alone.sum(array) is array
    assert alone.broadcast(array) is array
    assert alone.gather(array) == [array]
    alone.close()


@pytest.mark.parametrize("hosts", [HOSTS[:2], HOSTS], ids=["two", "three"])
def test_a_sum_is_the_same_on_every_host(hosts: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    own = {name: rng.normal(size=(300, 70)) for name in hosts}
    found = on_all(lambda cluster: cluster.sum(own[cluster.current]), hosts)
    assert len({array.tobytes() for array in found}) == 1
    np.testing.assert_allclose(found[0], sum(own.values()), rtol=1e-12)


def handed_out(array: Array, cluster: Cluster) -> Array:
    return cluster.broadcast(array if cluster.leads else None)


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.uint8, np.bool_])
def test_kinds_and_shapes_are_kept(kind: type) -> None:
    for shape in [(), (0,), (3, 0), (2, 3, 4)]:
        array: Array = np.ones(shape, kind)
        for found in on_all(partial(handed_out, array)):
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            assert (found == array).all()


def test_a_host_knows_the_address_that_others_see() -> None:
    assert Cluster().own_address == "127.0.0.1"
    assert set(on_all(lambda cluster: cluster.own_address)) == {"127.0.0.1"}


def test_a_host_asks_why_another_has_left() -> None:
    def work(cluster: Cluster) -> str:
        if cluster.rank == 1:
            cluster.fail("host b has left the job: a bad row")
            return ""
        found = cluster.departed(10)
        if cluster.leads:
            cluster.fail(str(found))
        return str(found)

    assert Cluster().departed(10) is None
    assert set(on_all(work)) == {"", "host b has left the job: a bad row"}


def test_a_gather_keeps_the_order_of_ranks_and_different_shapes() -> None:
    first, *others = on_all(lambda cluster: cluster.gather(np.full(cluster.rank + 1, cluster.rank)))
    assert [array.tolist() for array in first] == [[0], [1, 1], [2, 2, 2]]
    assert others == [None, None]


def test_many_operations_follow_each_other() -> None:
    def work(cluster: Cluster) -> list[float]:
        found = [float(cluster.sum(np.array([cluster.rank + step]))[0]) for step in range(50)]
        cluster.gather(np.zeros(5))
        return [*found, float(cluster.broadcast(np.array([7.0]) if cluster.leads else None)[0])]

    expected = [3.0 + 3 * step for step in range(50)] + [7.0]
    assert on_all(work) == [expected] * 3


def test_a_sum_does_not_change_what_was_given() -> None:
    def work(cluster: Cluster) -> float:
        own = np.ones(4)
        cluster.sum(own)
        return float(own.sum())

    assert on_all(work) == [4.0] * 3


def test_hosts_at_different_steps_are_told_so() -> None:
    def work(cluster: Cluster) -> str:
        with pytest.raises(PlatformError) as caught:
            cluster.sum(np.zeros(3 if cluster.leads else 4))
        return str(caught.value)

    assert "is at another step" in on_all(work, HOSTS[:2])[0]


def test_a_host_that_leaves_is_named() -> None:
    def work(cluster: Cluster) -> str:
        if cluster.rank == 1:
            return ""
        with pytest.raises(PlatformError) as caught:
            cluster.sum(np.zeros(2))
        return str(caught.value)

    leader, _, other = on_all(work)
    assert "host algo-2 has left the job" in leader
    assert "host algo-1 has left the job" in other


def test_a_stranger_is_sent_away_and_the_job_goes_on() -> None:
    address = ("127.0.0.1", free_port())

    def disturb(content: bytes) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=1) as stranger:
                stranger.sendall(content)
                stranger.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):
                    stranger.recv(1)
                return

    def lead() -> float:
        with member("algo-1", address, HOSTS[:2]) as cluster:
            return float(cluster.sum(np.ones(1))[0])

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(lead)
        greetings = (
            b"GET / HTTP/1.1\r\n\r\n",
            b"",
            b"\x02\x00\x00\x00{}",
            b'\x0b\x00\x00\x00["|O", [10]]',
            b"\xff" * 9,
        )
        for content in (*greetings, b'\x13\x00\x00\x00["|u1", [99999999999]]'):
            disturb(content)
        with member("algo-2", address, HOSTS[:2]) as cluster:
            assert float(cluster.sum(np.ones(1))[0]) == 2.0
        assert leader.result(10) == 2.0


def test_hosts_that_never_come_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_WAIT", 0.3)
    with pytest.raises(PlatformError, match=r"hosts algo-2, algo-3 did not join within"):
        Cluster(HOSTS, "algo-1", rendezvous=("127.0.0.1", free_port()))


def test_a_leader_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_WAIT", 0.3)
    with pytest.raises(PlatformError, match=r"the leading host 127\.0\.0\.1:\d+ was not reached"):
        Cluster(HOSTS, "algo-2", rendezvous=("127.0.0.1", free_port()))


def test_a_leader_that_comes_late_is_waited_for() -> None:
    address = ("127.0.0.1", free_port())
    with ThreadPoolExecutor(1) as pool:
        follower = pool.submit(lambda: Cluster(HOSTS[:2], "algo-2", rendezvous=address))
        time.sleep(0.3)
        with member("algo-1", address, HOSTS[:2]) as leader:
            assert leader.leads
            follower.result(10).close()


def test_a_port_in_use_is_named() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PlatformError, match=f"cannot listen on port {taken.getsockname()[1]}"),
    ):
        Cluster(HOSTS, "algo-1", rendezvous=taken.getsockname())


def test_a_host_is_found_by_its_place_in_the_list() -> None:
    ranks = on_all(lambda cluster: (cluster.current, cluster.rank, cluster.leads, threading.get_ident() > 0))
    assert ranks == [("algo-1", 0, True, True), ("algo-2", 1, False, True), ("algo-3", 2, False, True)]


def test_several_arrays_are_summed_in_one_message() -> None:
    def work(cluster: Cluster) -> Any:
        return cluster.sum_all([np.full(3, cluster.rank, np.float32), np.array(1), np.ones((2, 0))])

    for floats, count, empty in on_all(work):
        assert floats.tolist() == [3.0, 3.0, 3.0]
        assert (int(count), floats.dtype, empty.shape) == (3, np.dtype(np.float32), (2, 0))


@pytest.mark.parametrize("failing", HOSTS)
def test_the_reason_of_a_failing_host_reaches_every_other(failing: str) -> None:
    reason = f"host {failing} has left the job: ClientError: file x, row 7"

    def work(cluster: Cluster) -> str:
        if cluster.current == failing:
            cluster.fail(reason)
            return reason
        with pytest.raises(PlatformError) as error:
            any(cluster.sum(np.ones(1000)) is None for _ in range(50))
        cluster.fail(str(error.value))
        return str(error.value)

    assert on_all(work) == [reason] * 3


@pytest.mark.parametrize("leaving", HOSTS[:2])
def test_who_waits_in_another_way_hears_that_a_host_has_left(leaving: str) -> None:
    def work(cluster: Cluster) -> bool:
        if cluster.current == leaving:
            return True
        heard = threading.Event()
        with cluster.watched(heard.set):
            return heard.wait(10)

    assert on_all(work, HOSTS[:2]) == [True, True]


def test_who_waits_in_another_way_hears_that_a_host_is_about_to_leave_and_why() -> None:
    told, reason = threading.Event(), "host algo-2 has left the job: ClientError: file x, row 7"

    def work(cluster: Cluster) -> str:
        if cluster.current == "algo-2":
            cluster.fail(reason)
            told.wait(10)  # still connected
            return reason
        heard = threading.Event()
        with cluster.watched(heard.set):
            assert heard.wait(10)
        why = str(cluster.departed())
        cluster.fail(why)
        if not cluster.leads:
            told.set()
        return why

    assert on_all(work) == [reason] * 3


def test_nobody_has_departed_while_messages_wait_to_be_read() -> None:
    def work(cluster: Cluster) -> tuple[bool, float]:
        if cluster.leads:
            time.sleep(0.1)  # the other host's array is there by now
        none = cluster.departed() is None
        return none, float(cluster.sum(np.ones(1))[0] + cluster.sum(np.ones(1))[0])

    assert on_all(work, HOSTS[:2]) == [(True, 4.0)] * 2


def test_a_watch_takes_no_message_and_ends_with_its_block() -> None:
    def work(cluster: Cluster) -> tuple[bool, float]:
        heard = threading.Event()
        with cluster.watched(heard.set):
            first = cluster.sum(np.ones(1))[0]
            time.sleep(0.1 * cluster.rank)
            found = first + cluster.sum(np.ones(1))[0]
        cluster.sum(np.ones(1))  # nobody leaves before all have looked
        return heard.is_set(), float(found)

    assert on_all(work, HOSTS[:2]) == [(False, 4.0)] * 2


def test_a_message_under_way_is_not_taken_for_a_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "LOOK_UP", 1e-4)
    content = np.full(1 << 22, ord("{"), np.uint8)

    def work(cluster: Cluster) -> tuple[bool, bool]:
        heard = threading.Event()
        with cluster.watched(heard.set):
            same = all(np.array_equal(cluster.broadcast(content), content) for _ in range(20))
            cluster.sum(np.ones(1))
        cluster.sum(np.ones(1))  # nobody leaves before all have looked
        return heard.is_set(), same

    assert on_all(work) == [(False, True)] * 3
