"""On a GPU the same rows come to the same model as on the processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clary.algorithms import registry
from clary.toolkit import device
from exam import material
from exam.room import Outcome, furnished

SPEC = registry.spec("factorization_machines")
pytestmark = pytest.mark.gpu


def trained(folder: Path, where: str) -> Outcome:
    room = furnished(SPEC, folder / where)
    for channel in material.channels(SPEC):
        room.channel(channel, material.files(SPEC, channel))
    return room.train(CLARY_DEVICE=where).succeeded()


def test_a_gpu_comes_to_the_model_of_the_processor(tmp_path: Path) -> None:
    assert device.gpus(), "this test needs a GPU"
    one, other = (trained(tmp_path, where).artifact() for where in ("cpu", "cuda"))
    for name in ("w0", "w", "v"):
        np.testing.assert_allclose(one.tensors[name], other.tensors[name], rtol=1e-2, atol=1e-2)


def test_the_same_seed_gives_the_same_score_on_a_gpu(tmp_path: Path) -> None:
    metric = registry.example(SPEC.name).metric
    scores = {trained(tmp_path / name, "cuda").metrics[metric][-1] for name in ("a", "b")}
    assert len(scores) == 1
