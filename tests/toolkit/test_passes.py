"""Passes read every row once per epoch on all hosts together, and go on where they were interrupted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms import registry
from clary.toolkit.channels import ChannelInput
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType
from clary.toolkit.passes import Passes, Step

SPEC = registry.spec("kmeans")
ROWS = 23
BATCH = 5


def job(
    folder: Path,
    *,
    cluster: Cluster | None = None,
    sharded: bool = False,
    kept: Path | None = None,
    seed: int = 0,
    every: float = 3600,
) -> tuple[Job[Any], list[str]]:
    """A job over the rows 0..22 of ``folder``, and the lines of its log."""
    lines: list[str] = []
    hosts = cluster or Cluster()
    channel = ChannelInput(
        "train", folder, MediaType("text/csv", {"label_size": "0"}), sharded=sharded, may_be_empty=sharded
    )
    made: Job[Any] = Job(
        hyperparameters=None,
        channels={"train": channel},
        cluster=hosts,
        log=Log(SPEC, hosts.current, lines.append),
        checkpoints=Checkpoints(kept, {}, rank=hosts.rank, every=every),
        seed=seed,
        stop=threading.Event(),
    )
    return made, lines


def over(made: Job[Any], epochs: int, arrays: Callable[[], Mapping[str, Any]] = dict) -> Passes:
    return Passes(made, epochs, BATCH, 1, arrays)


def rows(step: Step) -> list[int]:
    return [] if step.records is None else step.records.dense()[:, 0].astype(int).tolist()


def flat(parts: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(parts))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "train"
    folder.mkdir()
    for name, numbers in (("a", range(12)), ("b", range(12, ROWS))):
        (folder / name).write_text("".join(f"{number}\n" for number in numbers))
    return folder


def test_every_row_comes_once_in_each_epoch(data: Path) -> None:
    passes = over(job(data)[0], 3)
    steps = [(step.epoch, step.number, rows(step)) for step in passes]
    for epoch in range(3):
        own = [found for number, _, found in steps if number == epoch]
        assert sorted(flat(own)) == list(range(ROWS))
        assert [len(found) for found in own] == [5, 5, 5, 5, 3]
    assert [number for _, number, _ in steps] == [0, 1, 2, 3, 4] * 3
    assert (passes.rows, passes.epoch, passes.stopped) == (3 * ROWS, 3, False)


def test_each_epoch_has_an_order_of_its_own_that_the_seed_gives(data: Path) -> None:
    def orders(seed: int) -> list[list[int]]:
        steps = list(over(job(data, seed=seed)[0], 2))
        return [flat(rows(step) for step in steps if step.epoch == epoch) for epoch in range(2)]

    first, second = orders(0)
    assert first != second
    assert orders(0) == [first, second]
    assert orders(1)[0] != first


def test_rows_that_are_not_shuffled_come_in_their_order(data: Path) -> None:
    passes = Passes(job(data)[0], 2, BATCH, 1, dict, shuffle=False)
    assert flat(rows(step) for step in passes) == [*range(ROWS)] * 2


def test_progress_and_speed_are_reported_after_each_epoch(data: Path) -> None:
    made, lines = job(data)
    list(over(made, 2))
    assert [line for line in lines if "progress" in line] == [
        "#progress_metric: host=localhost, completed 50.0 % of epochs",
        "#progress_metric: host=localhost, completed 100.0 % of epochs",
    ]
    assert sum("#throughput_metric: host=localhost, train throughput=" in line for line in lines) == 2


def test_a_stop_ends_after_the_step_under_way(data: Path) -> None:
    made, lines = job(data)
    passes = over(made, 10)
    seen = []
    for step in passes:
        seen.append(rows(step))
        if len(seen) == 7:
            made.stop.set()
    assert len(seen) == 7
    assert passes.stopped
    assert passes.rows == ROWS + 2 * BATCH
    assert lines[-1] == f"stopping early, after {passes.rows} rows of 10 epochs"


def test_a_job_that_is_stopped_at_once_still_takes_one_batch(data: Path) -> None:
    made, _ = job(data)
    made.stop.set()
    passes = over(made, 10)
    assert [len(rows(step)) for step in passes] == [BATCH]
    assert passes.stopped


@pytest.mark.parametrize("stop_after", range(1, 11))
def test_interrupted_anywhere_and_resumed_is_uninterrupted(data: Path, tmp_path: Path, stop_after: int) -> None:
    expected = [(step.epoch, step.number, rows(step)) for step in over(job(data)[0], 2)]
    seen: list[tuple[int, int, list[int]]] = []

    def run(limit: int) -> None:
        made, _ = job(data, kept=tmp_path / "kept")
        passes = over(made, 2, lambda: {"seen": np.array([len(seen)])})
        if kept := passes.resume():
            assert kept["seen"].tolist() == [len(seen)]
        for step in passes:
            seen.append((step.epoch, step.number, rows(step)))
            if len(seen) == limit:
                made.stop.set()

    run(stop_after)
    assert len(seen) == stop_after
    run(-1)
    assert seen == expected


def test_progress_is_saved_while_it_runs(data: Path, tmp_path: Path) -> None:
    made, _ = job(data, kept=tmp_path, every=0)
    saved = []
    for _ in over(made, 1):
        kept = made.checkpoints.load()
        saved.append(kept.state["step"] if kept else None)
    assert saved == [None, 1, 2, 3, 4]
    done = made.checkpoints.load()
    assert done is not None
    assert (done.state["epoch"], done.state["step"], done.state["rows"]) == (1, 0, ROWS)


def on_two_hosts(work: Callable[[Cluster], Any]) -> list[Any]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

    def run(name: str) -> Any:
        cluster = Cluster(("algo-1", "algo-2"), name, rendezvous=address)
        try:
            return work(cluster)
        finally:
            cluster.close()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, ("algo-1", "algo-2")))


def test_two_hosts_share_replicated_rows(data: Path) -> None:
    def work(cluster: Cluster) -> tuple[list[list[int]], int]:
        passes = over(job(data, cluster=cluster)[0], 1)
        return [rows(step) for step in passes], passes.rows

    (first, total), (second, other) = on_two_hosts(work)
    assert total == other == ROWS
    assert len(first) == len(second) == 3
    assert sorted(flat(first + second)) == list(range(ROWS))
    assert second[-1] == []


def test_two_hosts_resume_from_what_the_leader_saved(data: Path, tmp_path: Path) -> None:
    def run(cluster: Cluster, limit: int) -> list[list[int]]:
        made, _ = job(data, cluster=cluster, kept=tmp_path / cluster.current)
        passes = over(made, 2, lambda: {"step": np.array([passes.step])})
        if kept := passes.resume():
            assert kept["step"].tolist() == [passes.step]
        seen = []
        for step in passes:
            seen.append(rows(step))
            if cluster.leads and len(seen) == limit:
                made.stop.set()
        return seen

    expected = on_two_hosts(lambda cluster: [rows(step) for step in over(job(data, cluster=cluster)[0], 2)])
    before = on_two_hosts(lambda cluster: run(cluster, 4))
    assert not (tmp_path / "algo-2").exists(), "the leader's progress is everyone's"
    after = on_two_hosts(lambda cluster: run(cluster, -1))
    assert [first + second for first, second in zip(before, after, strict=True)] == expected


def test_two_hosts_with_shards_of_different_size_take_the_same_steps(data: Path, tmp_path: Path) -> None:
    shards = [tmp_path / "one", tmp_path / "two"]
    for shard, name in zip(shards, "ab", strict=True):
        shard.mkdir()
        (shard / name).write_bytes((data / name).read_bytes() * (1 if name == "a" else 2))

    def work(cluster: Cluster) -> list[list[int]]:
        return [rows(step) for step in over(job(shards[cluster.rank], cluster=cluster, sharded=True)[0], 2)]

    first, second = on_two_hosts(work)
    assert len(first) == len(second) == 2 * 5
    assert sorted(flat(first)) == sorted([*range(12)] * 2)
    assert sorted(flat(second)) == sorted([*range(12, ROWS)] * 4)


def test_a_host_without_data_takes_part(data: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    def work(cluster: Cluster) -> int:
        folder = data if cluster.leads else empty
        passes = over(job(folder, cluster=cluster, sharded=True)[0], 1)
        return len(list(passes))

    assert on_two_hosts(work) == [5, 5]


def test_a_stop_on_one_host_stops_both_at_the_same_step(data: Path) -> None:
    def work(cluster: Cluster) -> tuple[int, bool]:
        made, _ = job(data, cluster=cluster)
        passes = over(made, 100)
        count = 0
        for _ in passes:
            count += 1
            if not cluster.leads and count == 4:
                made.stop.set()
        return count, passes.stopped

    assert on_two_hosts(work) == [(4, True), (4, True)]


def test_only_the_leader_reports(data: Path) -> None:
    def work(cluster: Cluster) -> list[str]:
        made, lines = job(data, cluster=cluster)
        list(over(made, 1))
        return lines

    leader, other = on_two_hosts(work)
    assert len(leader) == 2
    assert other == []


def test_the_steps_of_each_epoch_come_apart(data: Path) -> None:
    passes = over(job(data)[0], 3)
    epochs = [(passes.epoch, [step.epoch for step in steps], passes.epoch) for steps in passes.by_epoch()]
    assert epochs == [(epoch, [epoch] * 5, epoch + 1) for epoch in range(3)]


def test_an_algorithm_may_end_the_passes_and_a_resumed_one_stays_at_its_end(data: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for expected in (2, 0):
        passes = over(job(data, kept=kept)[0], 1000, lambda: {"x": np.zeros(1)})
        passes.resume()
        count = 0
        for steps in passes.by_epoch():
            assert len(list(steps)) == 5
            count += 1
            if count == 2:
                passes.finish()
        assert count == expected
        assert passes.rows == 2 * ROWS


def test_a_sum_of_a_step_carries_what_the_passes_agree_on(data: Path) -> None:
    def work(cluster: Cluster) -> list[Any]:
        passes = over(job(data, cluster=cluster)[0], 2)
        found = []
        for step in passes:
            rows_, one = step.sum(np.array(0 if step.records is None else len(step.records)), np.ones(2))
            found.append((int(rows_), one.tolist()))
        return [*found, passes.rows]

    alone, *both = [work(Cluster()), *on_two_hosts(work)]
    assert alone[-1] == 2 * ROWS
    assert both[0] == both[1]
    assert both[0][-1] == 2 * ROWS
    assert sum(rows_ for rows_, _ in both[0][:-1]) == 2 * ROWS
    assert all(ones == [2.0, 2.0] for _, ones in both[0][:-1])


def test_files_are_read_once_for_all_passes(data: Path) -> None:
    passes = over(job(data)[0], 3)
    seen = []
    for step in passes:
        seen.append(rows(step))
        if step.epoch == 0 and len(flat(seen)) == ROWS:
            for path in data.iterdir():
                path.unlink()
    assert sorted(flat(seen)) == sorted([*range(ROWS)] * 3)


def test_rows_are_looked_at_where_they_still_know_their_place(data: Path) -> None:
    made, _ = job(data)
    seen: list[tuple[str, int, int]] = []
    passes = over(made, 1)
    passes.check = lambda records: seen.append((records.source, records.first_row, len(records)))
    assert sorted(flat(map(rows, passes))) == list(range(ROWS))
    assert seen == [("channel train, file a", 1, 12), ("channel train, file b", 1, 11)]


@pytest.mark.parametrize(("sparse", "shuffled"), [(False, False), (True, True)])
def test_a_window_of_sparse_rows_counts_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sparse: bool, shuffled: bool
) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    # Rows of 50 cells, of which one is not zero: 8 bytes instead of 200.
    lines = [",".join(str(number + 1) if cell == number else "0" for cell in range(50)) for number in range(50)]
    (folder / "a").write_text("\n".join(lines))
    monkeypatch.setattr("clary.toolkit.passes.SHUFFLE_BYTES", 8 * 50)
    made, _ = job(folder)
    passes = Passes(made, 1, BATCH, 50, dict, sparse=sparse)
    read = [
        step.records.dense().max(axis=1).astype(int).tolist() if step.records is not None else [] for step in passes
    ]
    assert sorted(flat(read)) == list(range(1, 51))
    # Batches that hold neighbors alone come from a window that is no larger than a batch.
    assert any(max(batch) - min(batch) >= BATCH for batch in read) is shuffled
