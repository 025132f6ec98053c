"""Several hosts: who takes which rows, what needs one host, and resuming together."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from boosting import Bench
from clary.algorithms.xgboost.data import Table, read
from clary.algorithms.xgboost.spec import SPEC, Hyperparameters
from clary.algorithms.xgboost.train import train
from clary.toolkit import tabular
from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.cluster import Cluster
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job, Log
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from exam.room import Outcome, Room, Running

Result = TypeVar("Result")
Array = npt.NDArray[Any]
NAMES = ("algo-1", "algo-2")
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="a kill is a POSIX signal")


def on_two_hosts(work: Callable[[Cluster], Result]) -> list[Result]:
    address = ("127.0.0.1", free_port())

    def run(name: str) -> Result:
        cluster = Cluster(NAMES, name, rendezvous=address)
        try:
            return work(cluster)
        finally:
            cluster.close()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, NAMES))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def parsed(**given: str) -> Hyperparameters:
    hp = SPEC.parse({"num_round": "2", **given})
    assert isinstance(hp, Hyperparameters)
    return hp


@pytest.mark.parametrize("sharded", [False, True])
def test_a_row_of_a_replicated_channel_is_one_host_s(tmp_path: Path, sharded: bool) -> None:
    bench = Bench(tmp_path)
    for start in (0, 7):
        bench.text("train", "".join(f"{row},{row + 0.5}\n" for row in range(start, start + 7)), file=str(start))

    def shares(cluster: Cluster) -> Table:
        channel = Bench(tmp_path).text("train", None).channels["train"]
        channel.sharded = sharded
        return read(channel, parsed(), cluster, 1 << 20)

    tables = on_two_hosts(shares)
    if sharded:
        assert [table.labels.tolist() for table in tables] == [list(range(14))] * 2
    else:
        assert [table.rows for table in tables] == [7, 7]
        assert sorted(np.concatenate([table.labels for table in tables]).tolist()) == list(range(14))
        assert all((table.joined(1).dense()[:, 0] == table.labels + 0.5).all() for table in tables)


def test_a_query_of_a_replicated_channel_is_one_host_s(tmp_path: Path) -> None:
    queries = [5, 5, 5, 2, 9, 9, 1]
    text = "".join(f"1 qid:{query} 0:{row}\n" for row, query in enumerate(queries))
    Bench(tmp_path).text("train", text, "libsvm")

    def shares(cluster: Cluster) -> list[float]:
        channel = Bench(tmp_path).text("train", None, "libsvm").channels["train"]
        table = read(channel, parsed(objective="rank:ndcg"), cluster, 1 << 20)
        return [float(value) for value in table.joined(1).dense()[:, 0]]

    assert on_two_hosts(shares) == [[3, 6], [0, 1, 2, 4, 5]]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tree_method": "exact"}, "tree_method exact"),
        ({"updater": "grow_colmaker,prune"}, "updater grow_colmaker"),
        ({"booster": "gblinear"}, "booster gblinear"),
        ({"objective": "survival:cox"}, "survival:cox"),
        ({"_kfold": "2"}, "_kfold"),
    ],
)
def test_what_needs_all_rows_is_refused_on_several_hosts(tmp_path: Path, given: dict[str, str], named: str) -> None:
    bench = Bench(tmp_path).text("train", "1,2\n")

    def tried(cluster: Cluster) -> str:
        log = Log(SPEC, cluster.current, lambda _line: None)
        job = Job(parsed(**given), bench.channels, cluster, log, Checkpoints(None, {}))
        with pytest.raises(UserError) as caught:
            train(job)
        return str(caught.value)

    assert on_two_hosts(tried) == [f"{named} needs all rows on one host, and the job has 2; take one host"] * 2


RNG = np.random.default_rng(2)
FEATURES = RNG.normal(size=(600, 6)).astype(np.float32)
BINARY = (FEATURES[:, 0] + FEATURES[:, 1] * FEATURES[:, 2] > 0).astype(np.float32)
QUERIES = np.repeat(np.arange(30), 20).astype(np.int64)


def started(folder: Path, given: Mapping[str, str], *, checkpoints: bool = False) -> list[Running]:
    """A job on two hosts, which are processes, over replicated LIBSVM rows."""
    address = f"127.0.0.1:{free_port()}"
    groups = QUERIES if given["objective"].startswith("rank:") else None
    content = io.BytesIO()
    records = Records(FEATURES, BINARY[:, None], groups=groups)
    tabular.write(content, records, MediaType("text/libsvm"))
    found = []
    for name in NAMES:
        room = Room(folder / name, SPEC).configure({"nthread": "1", **given})
        for channel in ("train", "validation"):
            room.channel(channel, {"rows": content.getvalue()})
        room.hosts(name, *(other for other in NAMES if other != name))
        if checkpoints:
            room.layout.checkpoints.mkdir(parents=True, exist_ok=True)
        found.append(room.start(CLARY_RENDEZVOUS=address))
    return found


def outcomes(running: list[Running]) -> list[Outcome]:
    return [each.outcome(seconds=120) for each in running]


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["rank:ndcg", "binary:logistic"])
def test_two_hosts_learn_and_stop_alike(tmp_path: Path, objective: str) -> None:
    metric = "ndcg" if objective == "rank:ndcg" else "accuracy"
    given = {"objective": objective, "num_round": "40", "eval_metric": metric, "early_stopping_rounds": "3"}
    leader, follower = outcomes(started(tmp_path, given))
    leader.succeeded()
    assert (follower.code, follower.failure) == (0, ""), follower.log
    assert "Train matrix has 600 rows and 6 columns" in leader.log
    assert leader.metrics[f"validation:{metric}"][-1] > 0.97
    stopped = f"validation-{metric} has not improved for 3 rounds"
    assert (stopped in leader.log) == (stopped in follower.log)


@pytest.mark.slow
@needs_signals
def test_two_killed_hosts_go_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    given = {"objective": "binary:logistic", "num_round": "400", "subsample": "0.5", "colsample_bytree": "0.5"}
    whole, _ = outcomes(started(tmp_path / "whole", given, checkpoints=True))
    running = started(tmp_path / "killed", given, checkpoints=True)
    with running[0], running[1]:
        running[0].wait_for(r"\[20\]")
        for each in running:
            each.process.terminate()
        interrupted = outcomes(running)[0]
    assert "stopping early" in interrupted.log
    resumed, _ = outcomes(started(tmp_path / "killed", given, checkpoints=True))
    assert "resuming from a checkpoint" in resumed.log
    assert resumed.model["xgboost-model"] == whole.model["xgboost-model"]
