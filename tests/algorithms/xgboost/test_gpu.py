"""On a GPU the trees are those of the plain library on that GPU, and as good as those of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.algorithms import registry
from clary.toolkit import device
from exam import material
from exam.room import Outcome, Room

SPEC = registry.spec("xgboost")
pytestmark = pytest.mark.gpu


def trained(folder: Path, method: str, memory: str = "") -> Outcome:
    given = {**registry.example(SPEC.name).hyperparameters, "tree_method": method}
    room = Room(folder / method, SPEC).configure(given)
    for channel in material.channels(SPEC):
        room.channel(channel, material.files(SPEC, channel))
    return (room.train(CLARY_MEMORY_MB=memory) if memory else room.train()).succeeded()


def test_a_gpu_comes_to_trees_as_good_as_those_of_the_processor(tmp_path: Path) -> None:
    assert device.gpus(), "this test needs a GPU"
    metric = registry.example(SPEC.name).metric
    one, other = (trained(tmp_path, method).metrics[metric][-1] for method in ("hist", "gpu_hist"))
    assert one == pytest.approx(other, rel=0.02)


def test_rows_that_do_not_fit_into_memory_go_to_the_gpu_by_blocks(tmp_path: Path) -> None:
    metric = registry.example(SPEC.name).metric
    whole = trained(tmp_path, "gpu_hist").metrics[metric][-1]
    blocks = trained(tmp_path / "blocks", "gpu_hist", memory="1").metrics[metric][-1]
    assert whole == pytest.approx(blocks, rel=0.02)
