"""On GPUs the same text comes to vectors and classifiers as good as on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clary.algorithms.blazingtext import train
from clary.datasets.sentences import of_topics
from clary.toolkit import device
from wording import learned

pytestmark = pytest.mark.gpu
CARDS = ["cuda:0"], [f"cuda:{card}" for card in range(device.gpus())]


@pytest.mark.parametrize("cards", CARDS, ids=["one", "all"])
@pytest.mark.parametrize("mode", ["batch_skipgram", "skipgram", "cbow"])
def test_words_of_a_topic_become_neighbors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, cards: list[str]
) -> None:
    assert device.gpus(), "this test needs a GPU"
    given: dict[str, Any] = {"vector_dim": 12, "epochs": 12, "learning_rate": 0.1, "sampling_threshold": 0.01}
    text = "\n".join(of_topics(3000)) + "\n"
    monkeypatch.setattr(train, "places", lambda _job: cards)
    assert learned(tmp_path, text, mode=mode, **given).values("train:mean_rho")[0] > 0.35


def test_a_classifier_learns_topics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "places", lambda _job: CARDS[0])
    text = "\n".join(of_topics(600, labeled=True)) + "\n"
    found = learned(tmp_path, text, text, mode="supervised", epochs=6, learning_rate=0.5, buckets=500)
    assert found.values("validation:accuracy")[0] > 0.95
