"""Several hosts as one in the library's collective, whose hosts stand in a ring; and what to do when one is lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from clary.algorithms.xgboost.library import RabitTracker, XGBoostError, collective
from clary.toolkit.cluster import Cluster

_OPEN_FILES = "/dev/fd"  # a folder with the numbers of this process's open files, where there is one
JOIN_WAIT = 300  # seconds for the hosts to find each other
NOTICE_WAIT = 2  # seconds for the library to notice that a host has left
LAST_WORDS_WAIT = 10  # seconds for a host that broke the ring to say why
ROUND_WAIT = 3600  # seconds that one host may be behind the others


@contextlib.contextmanager
def together(cluster: Cluster, abandon: Callable[[Exception], None]) -> Iterator[None]:
    """The library on all hosts as one, while the block runs; the same calls must be made on each.

    Where the hosts lose each other, the error of ``cluster`` is raised, which names the one that left. Where the
    library does not come back from a call then, ``abandon`` is given that error, in another thread.
    """
    if cluster.size == 1:
        yield
        return
    tracker = _tracker(cluster) if cluster.leads else None
    mine = tracker.worker_args() if tracker else {}
    told = json.loads(cluster.broadcast(np.frombuffer(json.dumps(mine).encode(), np.uint8)).tobytes())
    cluster.sum(np.zeros(1))  # a host that failed before this line is missed here, and not waited for in the ring
    try:
        # All hosts are there, so one attempt to reach each is enough; a host that leaves later would be tried again
        # for seconds before the others are told.
        before = _sockets()
        collective.init(**told, dmlc_task_id=f"{cluster.rank:08d}", dmlc_timeout=ROUND_WAIT, dmlc_retry=1)
        ring = _sockets() - before
        ended = threading.Event()
        with cluster.watched(lambda: _left(cluster, ring, ended, abandon)):
            try:
                yield
                # Nobody leaves while another one still works, who would take it for lost.
                cluster.sum(np.zeros(1))
            finally:
                ended.set()
    except BaseException as error:
        # First leave the ring, so that no other host waits in it for this one; then learn why it broke.
        with contextlib.suppress(XGBoostError):
            collective.finalize()
        with contextlib.suppress(XGBoostError):
            if tracker:
                tracker.free()
        # No message is waited for: a host from which one is due may itself wait in the library, forever.
        if isinstance(error, XGBoostError) and _of_network(error) and (reason := cluster.departed(LAST_WORDS_WAIT)):
            raise reason from error
        raise
    collective.finalize()
    if tracker:
        tracker.wait_for(JOIN_WAIT)


def _sockets() -> frozenset[tuple[int, int]]:
    """The open sockets of this process, by number and by what keeps a number from being taken for an earlier one."""
    found = []
    for name in os.listdir(_OPEN_FILES) if os.path.isdir(_OPEN_FILES) else ():
        with contextlib.suppress(OSError):
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found.append((int(name), status.st_ino))
    return frozenset(found)


def _left(
    cluster: Cluster,
    ring: Iterable[tuple[int, int]],
    ended: threading.Event,
    abandon: Callable[[Exception], None],
) -> None:
    """See to it that this host leaves too, although the library (3.2) may wait forever for one that was killed.

    Mostly it notices by itself, or once its own connections are cut; but one of its threads can miss that another
    one has given up.
    """
    if ended.wait(NOTICE_WAIT):
        return
    for number, identity in ring:
        with contextlib.suppress(OSError):
            if os.fstat(number).st_ino == identity:
                with socket.socket(fileno=os.dup(number)) as connection:
                    connection.shutdown(socket.SHUT_RDWR)
    if not ended.wait(NOTICE_WAIT) and (reason := cluster.departed()):
        abandon(reason)


def _tracker(cluster: Cluster) -> RabitTracker:
    address = socket.gethostbyname(cluster.address[0])
    tracker = RabitTracker(n_workers=cluster.size, host_ip=address, sortby="task", timeout=JOIN_WAIT)
    tracker.start()
    return tracker


def _of_network(error: Exception) -> bool:
    return re.search(r"allreduce|allgather|broadcast|socket|collective/|coll_c_api|comm\.cc", str(error)) is not None
