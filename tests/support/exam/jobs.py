"""Jobs of the exam: the example laid out in a room, cut short or made longer, and what is asked of the outcome."""

from __future__ import annotations

import os
import sys

import pytest

from clary.algorithms import registry
from clary.toolkit import media
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.room import Outcome, Room

FEW = 300  # rows of a job of which only the model counts, not how good it is
_RECORD_BY_RECORD = (media.CSV, media.JSON_LINES, media.LIBSVM, media.RECORDIO_PROTOBUF)
REPORT = (
    r"(?m)#(progress|quality|throughput)_metric|^\[\d+\](\t|#011)"  # a line by which a job tells how well it does
)
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
    """Skip the check where files are more than their records: where they have names to keep, or cannot be packed."""
    given = {*material.channels(algorithm)}
    if any(each.default_type not in _RECORD_BY_RECORD for each in algorithm.channels if each.name in given):
        pytest.skip(f"the files of {algorithm.title} are not just records")


def score(outcome: Outcome) -> float:
    return outcome.metrics[registry.example(outcome.spec.name).metric][-1]


def reaches(outcome: Outcome) -> bool:
    example = registry.example(outcome.spec.name)
    goal = outcome.spec.metric(example.metric).goal
    return score(outcome) <= example.reach if goal == "Minimize" else score(outcome) >= example.reach
