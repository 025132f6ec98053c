"""The loop takes the steps that a training written by hand takes, and goes on where it was interrupted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clary.toolkit.checkpoint import Checkpoints
from clary.toolkit.errors import UserError
from clary.toolkit.job import Job
from clary.toolkit.loop import Loop
from clary.toolkit.replicas import Replicas
from regression import CutError, Fitted, Plan, batches, fit, job, network, optimizer

UNEVEN = ((5, 3, 4, 2, 6, 2, 7),)
LAST = 3 * len(UNEVEN[0])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Torch's threads wait for each other by spinning, which takes long where several tests share the cores.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(made: Job[Any], plan: Plan) -> Fitted:
    return Replicas.of(made).run(fit, made, plan)


def same(one: Fitted, other: Fitted) -> bool:
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def grown(
    epochs: int = 1,
    steps: int = 1,
    *,
    made: Job[Any] | None = None,
    pull: float = 1.0,
    rate: float = 1.0,
    times: int = 1,
    within: Callable[[], object] = lambda: None,
    behind: Callable[[Loop], object] = lambda _loop: None,
) -> tuple[Loop, float]:
    """A loop in which one weight grows by ``pull`` in each step, and the weight."""
    made = made or job()[0]
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    loop = Loop(made, Replicas.of(made), model, torch.optim.SGD(model.parameters(), lr=rate), epochs=epochs)
    for epoch in loop:
        for _ in epoch.steps(range(steps)):
            within()
            for _ in range(times):
                epoch.learn(-pull * loop.module(torch.ones(1, 1)).sum(), 1)
        behind(loop)
    return loop, model.weight.item()


def by_hand(plan: Plan) -> tuple[torch.nn.Module, list[float]]:
    """The same training, written out for one process without dropout."""
    torch.manual_seed(0)
    model = network(plan)
    rule, losses = optimizer(plan, model), []
    for epoch in range(plan.epochs):
        total, count = 0.0, 0
        for rows in batches(plan.rows, 0, epoch):
            inputs = torch.from_numpy(rows)
            loss = (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
            rule.zero_grad()
            loss.backward()
            if plan.clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            rule.step()
            total, count = total + len(rows) * loss.item(), count + len(rows)
        losses.append(total / count)
    return model, losses


@pytest.mark.parametrize("kind", ["adam", "sgd", "momentum", "rmsprop"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_the_steps_are_those_of_a_loop_written_out(kind: str, clip: float | None) -> None:
    plan = Plan(UNEVEN, optimizer=kind, clip=clip)
    model, losses = by_hand(plan)
    found = run(job()[0], plan)
    assert all(np.array_equal(found.weights[name], each.numpy()) for name, each in model.state_dict().items())
    assert found.losses == losses
    assert (found.loop.steps, found.loop.records, found.loop.epoch) == (LAST, 3 * sum(UNEVEN[0]), 3)


def test_the_seed_decides() -> None:
    plan = Plan(dropout=0.5)
    first, again, other = (run(job(seed=seed)[0], plan) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


def test_each_step_draws_anew_and_what_was_drawn_before_does_not_matter() -> None:
    def drawn(more: int) -> list[float]:
        found: list[float] = []
        grown(2, 2, within=lambda: found.append(float(torch.rand(()))), behind=lambda _: torch.rand(more))
        return found

    assert drawn(1) == drawn(9)
    assert len(set(drawn(1))) == 4


@given(
    at=st.integers(0, LAST - 1),
    again=st.integers(0, LAST - 1),
    kind=st.sampled_from(["adam", "sgd", "momentum", "rmsprop"]),
    every=st.sampled_from([0.0, 3600.0]),
)
@example(at=0, again=0, kind="adam", every=0.0)
@example(at=7, again=14, kind="adam", every=0.0)
@settings(max_examples=20)
def test_one_interrupted_anywhere_equals_one_that_was_not(at: int, again: int, kind: str, every: float) -> None:
    plan = Plan(UNEVEN, optimizer=kind, dropout=0.5, norm=True, clip=1.0, fall=0.95, followed=True)
    whole = run(job()[0], plan)
    with TemporaryDirectory() as folder:
        for cut in sorted({at, again}):
            with pytest.raises(CutError):
                run(job(Path(folder), every=every)[0], replace(plan, trouble="cut", at=cut))
        made, lines = job(Path(folder), every=every)
        found = run(made, plan)
    assert same(whole, found)
    assert found.loop.notes == whole.loop.notes == {"steps": LAST}
    assert found.losses == whole.losses[-len(found.losses) :]
    assert found.parts == whole.parts[-len(found.parts) :]
    assert found.rates == whole.rates[-len(found.rates) :]
    for name in ("best_score", "best_epoch", "since_best", "records", "steps", "epoch"):
        assert getattr(found.loop, name) == getattr(whole.loop, name)
    if not every:
        assert any("resuming from a checkpoint" in line for line in lines) is (max(at, again) > 0)


def test_one_that_is_done_takes_no_further_step_and_knows_its_best(tmp_path: Path) -> None:
    plan = Plan(rate=0.5, epochs=6)
    first, second = (run(job(tmp_path)[0], plan) for _ in range(2))
    assert second.losses == []
    assert same(first, second)
    assert second.loop.best_epoch == first.loop.best_epoch
    best = [each.loop._best for each in (first, second)]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])


def test_one_that_finishes_early_stays_at_its_end(tmp_path: Path) -> None:
    numbers: list[int] = []

    def behind(loop: Loop) -> None:
        numbers.append(loop.epoch)
        if loop.epoch == 2:
            loop.finish()

    for _ in range(2):
        loop, weight = grown(100, 3, made=job(tmp_path)[0], behind=behind)
        assert (loop.epoch, loop.steps, loop.stopped, weight) == (3, 9, False, 9.0)
    assert numbers == [0, 1, 2]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(job(tmp_path)[0], Plan())
    with pytest.raises(UserError, match="another model than this job trains; was the data changed"):
        run(job(tmp_path)[0], Plan(norm=True))


def test_the_schedule_is_asked_for_each_step() -> None:
    found = run(job()[0], Plan(rate=0.5, fall=0.9))
    assert found.rates == [0.5 * 0.9**number for number in range(15)]


def test_gradients_are_clipped_by_their_common_norm() -> None:
    plan = Plan(epochs=1, optimizer="sgd", rate=1.0, clip=0.01, rows=((4,),))
    torch.manual_seed(0)
    before = network(plan).state_dict()
    after = run(job()[0], plan).weights
    moved = math.sqrt(sum(float(np.square(after[name] - each.numpy()).sum()) for name, each in before.items()))
    assert moved == pytest.approx(0.01, rel=1e-4)


def test_the_best_model_is_kept() -> None:
    scores = [3.0, 1.0, 1.0, 2.0]

    def behind(loop: Loop) -> None:
        loop.keep_best(scores[loop.epoch])
        if loop.epoch == 3:
            loop.restore_best()

    loop, weight = grown(4, behind=behind)
    assert (loop.best_score, loop.best_epoch, loop.since_best, weight) == (1.0, 1, 2, 2.0)


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    scores = [math.nan, 5.0, math.nan]
    loop, _ = grown(3, behind=lambda loop: loop.keep_best(scores[loop.epoch]))
    assert (loop.best_score, loop.best_epoch, loop.since_best) == (5.0, 1, 1)


def test_where_no_model_was_the_best_the_last_one_stays() -> None:
    def behind(loop: Loop) -> None:
        loop.keep_best(math.nan)
        loop.restore_best()

    loop, weight = grown(2, behind=behind)
    assert (loop.best_epoch, weight) == (None, 2.0)


@pytest.mark.parametrize("at", [0, 4, 5, 13, 14])
def test_a_stop_ends_after_the_step_under_way_and_the_job_may_go_on_later(tmp_path: Path, at: int) -> None:
    whole = run(job()[0], Plan(dropout=0.5))
    made, lines = job(tmp_path, every=3600)
    found = run(made, Plan(dropout=0.5, trouble="stop", at=at))
    assert (found.loop.stopped, found.loop.steps) == (True, at + 1)
    assert found.loop.best_epoch == (0 if at >= 5 else None)
    assert lines[-1] == f"stopping early, after {4 * (at + 1)} records of 3 epochs"
    assert len([line for line in lines if "progress" in line]) == at // 5
    later = run(job(tmp_path, every=3600)[0], Plan(dropout=0.5))
    assert same(later, whole)
    assert later.loop.best_score == whole.loop.best_score


def test_a_job_that_is_stopped_before_its_first_step_takes_one() -> None:
    made, _ = job()
    made.stop.set()
    found = run(made, Plan())
    assert (found.loop.steps, found.loop.stopped, len(found.losses)) == (1, True, 1)


def test_a_stop_between_two_epochs_begins_none_and_is_saved(tmp_path: Path) -> None:
    made, _ = job(tmp_path, every=3600)
    loop, _ = grown(9, 2, made=made, behind=lambda _: made.stop.set())
    assert (loop.epoch, loop.steps, loop.stopped) == (1, 2, True)
    loop, weight = grown(9, 2, made=job(tmp_path, every=3600)[0])
    assert (loop.epoch, loop.steps, weight) == (9, 18, 18.0)


def test_a_stop_behind_the_last_epoch_is_none() -> None:
    made, _ = job()
    loop, _ = grown(2, made=made, behind=lambda loop: made.stop.set() if loop.epoch == 1 else None)
    assert (loop.epoch, loop.stopped) == (2, False)


def test_parts_are_means_over_the_records_and_not_learned_from() -> None:
    followed, plain = (run(job()[0], Plan(UNEVEN, followed=each)) for each in (True, False))
    assert same(followed, plain)
    assert [each[0] for each in followed.parts] == followed.losses == plain.losses
    assert [len(each) for each in (*followed.parts, *plain.parts)] == [3] * 3 + [1] * 3
    for epoch, (_, _, mean) in enumerate(followed.parts):
        assert mean == pytest.approx(np.concatenate([*batches(UNEVEN, 0, epoch)]).mean(), abs=1e-6)


def test_each_step_has_all_parts() -> None:
    made, _ = job()
    model = torch.nn.Linear(1, 1)
    rule = torch.optim.SGD(model.parameters())
    epoch = next(iter(Loop(made, Replicas.of(made), model, rule, epochs=1, parts=1)))
    next(epoch.steps(range(1)))
    with pytest.raises(AssertionError, match="each step has all parts"):
        epoch.learn(model(torch.ones(1, 1)).sum(), 1)


def test_progress_and_speed_are_reported_after_each_epoch() -> None:
    made, lines = job()
    run(made, Plan(epochs=2))
    assert [line for line in lines if "progress" in line] == [
        "#progress_metric: host=localhost, completed 50.0 % of epochs",
        "#progress_metric: host=localhost, completed 100.0 % of epochs",
    ]
    assert sum("#throughput_metric: host=localhost, train throughput=" in line for line in lines) == 2


def test_losses_are_looked_at_where_the_algorithm_wants() -> None:
    found = run(job()[0], Plan(epochs=1, look=2, rows=((1, 2, 3, 4, 5),)))
    (first, one), (_, two), (_, three), _, (last, five) = found.seen
    assert (first, last) == (0, 4)
    assert one == two != three
    assert five == found.losses[0]


def test_a_loss_that_is_no_number_ends_the_job_with_its_step_and_saves_nothing(tmp_path: Path) -> None:
    plan = Plan(rate=0.25, trouble="not a number", at=8)
    with pytest.raises(UserError, match=re.escape("in step 3 of epoch 1 the loss is not a number")) as caught:
        run(job(tmp_path)[0], plan)
    assert "smaller learning_rate than 0.25" in str(caught.value)
    kept = Checkpoints(tmp_path, {"rate": "0.01"}).load()
    assert kept is not None
    assert (kept.state["epoch"], kept.state["step"]) == (1, 3)
    assert all(np.isfinite(each).all() for each in kept.arrays.values())


def test_weights_that_are_no_numbers_end_the_job() -> None:
    with pytest.raises(UserError, match="after epoch 0 the model holds numbers too large"):
        grown(pull=10.0, rate=1e38)


def test_without_batches_nothing_is_learned() -> None:
    found = run(job()[0], Plan(rows=((),)))
    assert (found.loop.records, found.loop.steps) == (0, 0)
    assert all(math.isnan(loss) for loss in found.losses)


@pytest.mark.parametrize("times", [0, 2])
def test_each_batch_is_learned_from_once(times: int) -> None:
    with pytest.raises(AssertionError, match="learned from"):
        grown(times=times)


def test_a_processor_computes_in_full_precision_whatever_is_asked() -> None:
    made, _ = job()
    model = torch.nn.Linear(1, 1)
    rule = torch.optim.SGD(model.parameters())
    for epoch in Loop(made, Replicas.of(made), model, rule, epochs=1, autocast=True):
        for _ in epoch.steps(range(1)):
            answer = model(torch.ones(1, 1))
            epoch.learn(answer.sum(), 1)
    assert answer.dtype == torch.float32


@pytest.mark.gpu
def test_a_gpu_computes_in_reduced_precision_where_that_is_asked() -> None:
    made, _ = job()
    model = torch.nn.Linear(1, 1).to("cuda")
    rule = torch.optim.SGD(model.parameters())
    replicas = replace(Replicas.of(made), device=torch.device("cuda", 0))
    for epoch in Loop(made, replicas, model, rule, epochs=1, autocast=True):
        for _ in epoch.steps(range(40)):
            answer = model(torch.ones(1, 1, device="cuda"))
            epoch.learn(answer.square().sum(), 1)
        assert math.isfinite(epoch.loss)
    assert answer.dtype == torch.bfloat16
    assert model.weight.dtype == torch.float32
