"""On a GPU the same rows come to the same components as on the processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clary.algorithms import registry
from clary.toolkit import device
from exam import material
from exam.room import Outcome, furnished

SPEC = registry.spec("pca")
pytestmark = pytest.mark.gpu


def trained(folder: Path, where: str, **settings: str) -> Outcome:
    room = furnished(SPEC, folder / where)
    room.configure({**registry.example("pca").hyperparameters, **settings})
    for channel in material.channels(SPEC):
        room.channel(channel, material.files(SPEC, channel))
    return room.train(CLARY_DEVICE=where).succeeded()


@pytest.mark.parametrize("mode", ["regular", "randomized"])
@pytest.mark.parametrize("centered", ["true", "false"])
def test_a_gpu_comes_to_the_components_of_the_processor(tmp_path: Path, mode: str, centered: str) -> None:
    assert device.gpus(), "this test needs a GPU"
    settings = {"algorithm_mode": mode, "subtract_mean": centered}
    one, other = (trained(tmp_path, where, **settings).artifact() for where in ("cpu", "cuda"))
    for name, tensor in one.tensors.items():
        np.testing.assert_allclose(other.tensors[name], tensor, rtol=1e-7, atol=1e-7)
