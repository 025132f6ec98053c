"""On a GPU the same rows have the same neighbors as on the processor, to the last bit."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from clary.algorithms import registry
from clary.algorithms.knn.search import Index
from clary.toolkit import device
from exam import material
from exam.room import Outcome, furnished

SPEC = registry.spec("knn")
pytestmark = pytest.mark.gpu


def trained(folder: Path, where: str) -> Outcome:
    room = furnished(SPEC, folder / where)
    for channel in material.channels(SPEC):
        room.channel(channel, material.files(SPEC, channel))
    return room.train(CLARY_DEVICE=where).succeeded()


@pytest.mark.parametrize("kind", [faiss.IndexFlatL2, faiss.IndexFlatIP])
@pytest.mark.parametrize("queries", [1, 500])
def test_a_gpu_finds_the_neighbors_of_the_processor(kind: type[faiss.IndexFlat], queries: int) -> None:
    assert device.gpus(), "this test needs a GPU"
    rng = np.random.default_rng(0)
    rows, asked = (rng.normal(size=(each, 100)).astype(np.float32) + 3 for each in (200_000, queries))
    index = kind(100)
    index.add(rows)
    (near, number), (other_near, other_number) = (Index(index, where).search(asked, 10) for where in ("cpu", "cuda"))
    assert (number == other_number).all()
    assert (near == other_near).all()


def test_a_job_on_a_gpu_comes_to_the_same_model_and_score(tmp_path: Path) -> None:
    metric = registry.example(SPEC.name).metric
    one, other = (trained(tmp_path, where) for where in ("cpu", "cuda"))
    assert one.artifact().files == other.artifact().files
    assert one.metrics[metric] == other.metrics[metric]
