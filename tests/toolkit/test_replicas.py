"""Several processes train what one trains with their batches together, and fail with the reason of the first."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clary.toolkit.errors import PlatformError, UserError
from clary.toolkit.followers import Followers
from clary.toolkit.replicas import Replicas, _interface
from regression import Fitted, Plan, fit, fit_all, host, job

# For each process, the rows of its batches.
EVEN, UNEVEN, ONE_SIDED = ((4, 4, 4), (4, 4, 4)), ((4, 2, 5, 3), (2, 6)), ((3, 4), ())
TOGETHER: dict[object, tuple[tuple[int, ...], ...]] = {
    EVEN: ((8, 8, 8),),
    UNEVEN: ((6, 8, 5, 3),),
    ONE_SIDED: ((3, 4),),
}


def alone(plan: Plan) -> Fitted:
    made, _ = job()
    return Replicas.of(made).run(fit, made, plan)


def close(one: Fitted, other: Fitted) -> None:
    for name, each in one.weights.items():
        np.testing.assert_allclose(other.weights[name], each, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other.losses, one.losses, rtol=1e-4)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def on_hosts(names: tuple[str, ...], plan: Plan) -> Fitted:
    """What the first of several hosts comes to."""
    place = ("127.0.0.1", free_port())
    others = Followers(host, [(names, name, place, plan) for name in names[1:]])
    try:
        return host(names, names[0], place, plan)
    finally:
        others.end()


def test_one_process_needs_nobody() -> None:
    made, _ = job()
    replicas = Replicas.of(made)
    assert (replicas.rank, replicas.size, replicas.leads, replicas.device) == (0, 1, True, torch.device("cpu"))
    assert replicas.sum([1.5, 2]) == [1.5, 2]
    assert replicas.first("told") == "told"
    assert replicas.run(lambda job, replicas, *given: (job is made, replicas.size, given), made, 3) == (True, 1, (3,))


def test_a_host_has_a_process_for_each_gpu() -> None:
    made, _ = job()
    made.device, made.gpus = "cuda", 4
    replicas = Replicas.of(made)
    assert (replicas.size, replicas.local, replicas.device) == (4, 4, torch.device("cuda", 0))


def test_the_start_follows_from_the_seed() -> None:
    def drawn(seed: int) -> float:
        made, _ = job(seed=seed)
        return Replicas.of(made).run(lambda *_: float(torch.rand(())), made)

    assert drawn(1) == drawn(1) != drawn(2)


def test_an_interface_is_known_by_its_address() -> None:
    assert _interface("203.0.113.1") is None
    assert _interface("127.0.0.1") in ("lo", None)


@pytest.mark.slow
def test_processes_together_train_what_one_does(tmp_path: Path) -> None:
    plans = [
        Plan(rows, clip=clip, fall=0.95, optimizer=kind, epochs=4)
        for rows, clip, kind in [(EVEN, None, "adam"), (UNEVEN, 0.5, "adam"), (ONE_SIDED, 1.0, "momentum")]
    ]
    # Buffers are the first process's, so these only have to come through.
    normed = [Plan(rows, norm=True) for rows in (EVEN, UNEVEN, ONE_SIDED)]
    made, lines = job()
    found = Replicas.of(made, 2).run(fit_all, made, [*plans, *normed])
    for plan, each in zip(plans, found, strict=False):
        close(alone(replace(plan, rows=TOGETHER[plan.rows])), each)
        assert each.loop.records == 4 * sum(map(sum, plan.rows))
    assert all(np.isfinite(each.losses).all() for each in found)
    assert sum("progress" in line for line in lines) == sum(plan.epochs for plan in [*plans, *normed])


@pytest.mark.slow
def test_a_resumed_job_of_two_processes_equals_one_that_was_not_interrupted(tmp_path: Path) -> None:
    plan = Plan(UNEVEN, dropout=0.5)
    made, _ = job()
    whole = Replicas.of(made, 2).run(fit, made, plan)
    made, _ = job(tmp_path)
    with pytest.raises(UserError, match="row 7: no number"):
        Replicas.of(made, 2).run(fit, made, replace(plan, trouble="refused", at=5, who=1))
    made, lines = job(tmp_path)
    found = Replicas.of(made, 2).run(fit, made, plan)
    assert lines[0] == "resuming from a checkpoint, after 28 records"
    assert all(np.array_equal(found.weights[name], each) for name, each in whole.weights.items())
    assert found.loop.best_score == whole.loop.best_score


@pytest.mark.slow
def test_a_stop_reaches_every_process() -> None:
    made, lines = job()
    found = Replicas.of(made, 2).run(fit, made, Plan(EVEN, trouble="stop", at=4))
    assert (found.loop.stopped, found.loop.steps) == (True, 5)
    assert lines[-1].startswith("stopping early, after 40 records")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "who", "kind", "reason"),
    [
        ("killed", 1, PlatformError, "process 1 was killed by signal 9, perhaps for want of memory"),
        ("bug", 1, RuntimeError, "ValueError: a mistake of ours"),
        ("bug", 0, ValueError, "^a mistake of ours"),
        ("not a number", 1, UserError, "in step 1 of epoch 0 the loss is not a number"),
    ],
)
def test_the_process_that_fails_gives_the_reason(trouble: str, who: int, kind: type[Exception], reason: str) -> None:
    made, _ = job()
    with pytest.raises(kind, match=reason):
        Replicas.of(made, 2).run(fit, made, Plan(EVEN, trouble=trouble, at=1, who=who))
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_two_hosts_train_what_one_does() -> None:
    plan = Plan(UNEVEN)
    close(alone(replace(plan, rows=TOGETHER[UNEVEN])), on_hosts(("first", "second"), plan))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "trouble", "reason"),
    [
        (("first", "second"), "refused", "host second has left the job: channel train, file a, row 7"),
        (("first", "second", "third"), "killed", "host second has left the job"),
    ],
)
def test_a_host_that_fails_is_named(names: tuple[str, ...], trouble: str, reason: str) -> None:
    with pytest.raises(PlatformError, match=reason):
        on_hosts(names, Plan(EVEN, trouble=trouble, at=1, who=1))
