"""The step of word vectors on a GPU, written in Triton: many bags at once, which share all rows without locks.

W numbers of a row. Programs add to rows that others read at that time, each number in one piece (Niu et al. 2011). A
program takes one bag after the other, so that their number bounds how old what is read can be.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from clary.algorithms.blazingtext.windows import NONE, Bags

_PROGRAMS = 2048  # at most at work at once
_TARGETS = 8  # that a program handles at once


@triton.jit  # type: ignore[untyped-decorator]
def _tell_apart(
    rows: Any,
    ends: Any,
    groups: Any,
    targets: Any,
    inputs: Any,
    outputs: Any,
    rate: Any,
    bags: Any,
    most: Any,
    every: Any,
    width: Any,
    none: tl.constexpr,
    lanes: tl.constexpr,
    block: tl.constexpr,
) -> None:
    lane = tl.arange(0, lanes)
    inside = lane < width
    for bag in range(tl.program_id(0), bags, tl.num_programs(0)):
        begin, end = tl.load(ends + bag), tl.load(ends + bag + 1)
        hidden = tl.zeros((lanes,), tl.float32)
        for at in range(begin, end):
            hidden += tl.load(inputs + tl.load(rows + at) * width + lane, mask=inside, other=0.0)
        hidden /= tl.maximum(end - begin, 1).to(tl.float32)
        gradient = tl.zeros((lanes,), tl.float32)
        first = tl.load(groups + bag) * most
        for start in range(0, most, block):
            place = start + tl.arange(0, block)
            target = tl.load(targets + first + place, mask=place < most, other=none)
            there = (target != none)[:, None] & inside[None, :]
            cells = target[:, None] * width + lane[None, :]
            vectors = tl.load(outputs + cells, mask=there, other=0.0)
            scores = tl.sum(vectors * hidden[None, :], axis=1)
            truth = tl.where(place % every == 0, 1.0, 0.0)
            slopes = rate * (truth - tl.sigmoid(scores))
            gradient += tl.sum(slopes[:, None] * vectors, axis=0)
            tl.atomic_add(outputs + cells, slopes[:, None] * hidden[None, :], mask=there, sem="relaxed")
        for at in range(begin, end):
            tl.atomic_add(inputs + tl.load(rows + at) * width + lane, gradient, mask=inside, sem="relaxed")


def step(
    inputs: torch.Tensor, outputs: torch.Tensor, bags: Bags, rate: float, negatives: int, programs: int = _PROGRAMS
) -> None:
    """Move the rows of all bags and of their targets; so many programs do not wait for each other."""
    count = len(bags.groups_B)
    if not count:
        return
    _tell_apart[(min(count, programs, _PROGRAMS),)](
        bags.rows,
        bags.ends_B,
        bags.groups_B,
        bags.targets_GT,
        inputs,
        outputs,
        rate,
        count,
        bags.targets_GT.shape[1],
        negatives + 1,
        inputs.shape[1],
        none=NONE,
        lanes=triton.next_power_of_2(inputs.shape[1]),
        block=_TARGETS,
    )
