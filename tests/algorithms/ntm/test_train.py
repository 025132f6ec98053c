"""What a job does with its documents: log lines, early stopping, hosts, resume, and topics that are there."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.datasets.documents import documents, words
from clary.toolkit.errors import DataError, UserError
from topics import Trained, drawn, learned, on_hosts

WIDTH, TOPICS = 40, 4
FAST: dict[str, Any] = {"num_topics": TOPICS, "optimizer": "adam", "learning_rate": 0.02, "mini_batch_size": 50}
ROWS = documents(800, WIDTH, TOPICS).dense()
TRAINING, HELD = ROWS[:600], ROWS[600:]


def vocabulary() -> dict[str, bytes]:
    return {"vocab.txt": "\n".join(words(WIDTH)).encode()}


def same(one: Trained, other: Trained) -> bool:
    tensors = [each.artifact.tensors for each in (one, other)]
    return all(np.array_equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


def test_the_log_says_what_others_look_for(tmp_path: Path) -> None:
    found = learned(tmp_path, TRAINING, validation=HELD, test=HELD, auxiliary=vocabulary(), epochs=2, **FAST)
    number = r"-?[0-9.e-]+"
    for epoch in (1, 2):
        begin = found.lines.index(f"# Starting training for epoch {epoch}")
        expected = [
            f"# Finished training epoch {epoch} on 600 examples from 12 batches, each of size 50.",
            "Metrics for Training:",
            *(rf"Loss \(name: value\) {name}: {number}" for name in ("total", "kld", "recons", "logppx")),
            f"#quality_metric: host=localhost, epoch={epoch}, train total_loss <loss>={number}",
            "Finished scoring on 200 examples from 4 batches, each of size 50.",
            "Metrics for Inference:",
            *(rf"Loss \(name: value\) {name}: {number}" for name in ("total", "kld", "recons", "logppx")),
            rf"#validation_score \({epoch}\): {number}",
            r"Timing: train: \d+\.\d\ds, val: \d+\.\d\ds, epoch: \d+\.\d\ds",
        ]
        for line, pattern in zip(found.lines[begin + 1 :], expected, strict=False):
            assert re.fullmatch(pattern, line), line
    assert len(found.said(f"Topics from epoch:final (num_topics:{TOPICS}) [wetc 0.")) == 1
    place = next(place for place, line in enumerate(found.lines) if line.startswith("Topics from"))
    for line in found.lines[place + 1 : place + 1 + TOPICS]:
        scores, own = re.fullmatch(r"\[(0\.\d\d, [01]\.\d\d)\] ([a-z ]+)", line).groups()  # type: ignore[union-attr]
        assert len(set(own.split())) == 20
        assert set(own.split()) <= set(words(WIDTH))
        assert 1 / TOPICS <= float(scores.split(", ")[1]) <= 1
    assert [len(found.values(name)) for name in ("train:total_loss", "validation:total_loss", "test:total_loss")] == [
        2,
        1,
        1,
    ]
    total, kld, recons, logppx = (float(line.rpartition(" ")[2]) for line in found.said("Loss (name: value)")[:4])
    assert total == logppx == pytest.approx(kld + recons)
    assert found.artifact.files["vocab.txt"].decode().split() == list(words(WIDTH))


def test_losses_begin_below_those_of_chance_and_fall(tmp_path: Path) -> None:
    found = learned(tmp_path, TRAINING, epochs=15, **FAST).values("train:total_loss")
    assert found[0] < np.log(WIDTH) + 0.3
    assert found[-1] < found[0] - 0.2


def test_topics_are_found_again(tmp_path: Path) -> None:
    found = learned(tmp_path, TRAINING, epochs=40, num_patience_epochs=41, **FAST)
    # Each topic has a run of ten words to itself.
    leading = np.argsort(-found.model.weights, axis=0)[:6].T // (WIDTH // TOPICS)
    parts = [np.bincount(each, minlength=TOPICS) for each in leading]
    assert sorted(int(each.argmax()) for each in parts) == list(range(TOPICS))
    assert min(int(each.max()) for each in parts) >= 5


def test_the_default_settings_learn(tmp_path: Path) -> None:
    found = learned(tmp_path, TRAINING, validation=HELD, num_topics=TOPICS, mini_batch_size=50, epochs=50)
    losses = found.values("train:total_loss")
    assert losses[-1] < losses[0] - 0.1


def test_the_best_model_is_the_final_one_and_training_ends_early(tmp_path: Path) -> None:
    noise = drawn(300, WIDTH, seed=1)
    given = {**FAST, "epochs": 200, "num_patience_epochs": 2}
    found = learned(tmp_path, noise[:200], validation=noise[200:], **given)
    scores = [float(line.rpartition(" ")[2]) for line in found.said("#validation_score")]
    assert len(scores) < 200
    assert found.lines.count("Bad epochs exceeded patience. Stopping training early!") == 1
    bad = [int(line.rpartition(":")[2]) for line in found.said("Bad epoch: loss has not improved (enough).")]
    assert bad[-3:] == [1, 2, 3]
    best = int(np.argmin(scores)) + 1
    assert found.said("Best model based") == [
        f"Best model based on early stopping at epoch {best}. Best loss: {min(scores)}"
    ]
    assert found.values("validation:total_loss") == [min(scores)]
    assert f"epoch={len(scores)}, validation total_loss" in "\n".join(found.lines)


def test_without_a_validation_channel_the_training_loss_is_watched(tmp_path: Path) -> None:
    found = learned(tmp_path, TRAINING, epochs=3, num_patience_epochs=1, **FAST)
    losses = found.values("train:total_loss")
    compared = found.said("patience losses:")
    assert f"patience losses:[{losses[0]}] min patience loss:{losses[0]} current loss:{losses[1]}" in compared[0]
    assert not found.values("validation:total_loss")


def test_without_early_stopping_the_last_model_is_the_final_one(tmp_path: Path) -> None:
    found = learned(tmp_path, TRAINING, validation=HELD, epochs=4, num_patience_epochs=5, **FAST)
    assert not found.said("patience losses:")
    assert not found.said("Best model")
    last = float(found.said("#validation_score")[-1].rpartition(" ")[2])
    assert found.values("validation:total_loss") == [last]


@pytest.mark.parametrize(("share", "count"), [(0.25, 150), (0.0, 1), (0.001, 1), (1.0, 600)])
def test_a_share_of_the_documents_is_drawn_for_each_epoch(tmp_path: Path, share: float, count: int) -> None:
    found = learned(tmp_path, TRAINING, epochs=2, sub_sample=share, **FAST)
    finished = found.said("# Finished training epoch")
    assert all(f"on {count} examples" in line for line in finished)
    assert len(finished) == 2


def test_documents_without_words_are_no_trouble(tmp_path: Path) -> None:
    rows = TRAINING[:100].copy()
    rows[::2] = 0
    found = learned(tmp_path, rows, validation=np.zeros((3, WIDTH)), epochs=2, batch_norm=True, **FAST)
    assert np.isfinite(found.values("validation:total_loss")).all()


@pytest.mark.parametrize(
    "at", ["# Finished training epoch 3", "#quality_metric: host=localhost, epoch=4", "patience"]
)
def test_one_that_is_stopped_and_goes_on_equals_one_that_was_not(tmp_path: Path, at: str) -> None:
    given = {**FAST, "epochs": 7, "num_patience_epochs": 3, "batch_norm": True, "tolerance": 0.05}
    whole = learned(tmp_path, TRAINING, validation=HELD, **given)

    def watch(line: str, stop: threading.Event) -> None:
        if line.startswith(at):
            stop.set()

    stopped = learned(tmp_path, TRAINING, validation=HELD, kept=tmp_path / "kept", watch=watch, **given)
    assert any(line.startswith("stopping early") for line in stopped.lines)
    assert not stopped.said("Topics from")
    later = learned(tmp_path, TRAINING, validation=HELD, kept=tmp_path / "kept", **given)
    assert same(later, whole)
    assert later.values("validation:total_loss") == whole.values("validation:total_loss")
    assert later.said("Bad epoch")[-1:] == whole.said("Bad epoch")[-1:]


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [True, False], ids=["sharded", "replicated"])
def test_two_hosts_agree_with_one(tmp_path: Path, sharded: bool) -> None:
    given = {**FAST, "epochs": 10, "validation": HELD, "batch_norm": True}
    parts = (TRAINING[:250], TRAINING[250:]) if sharded else (TRAINING, TRAINING)
    one = learned(tmp_path, TRAINING, **given)
    two = on_hosts(tmp_path, *parts, sharded=sharded, **{**given, "mini_batch_size": 25})
    (alone,), (together,) = (each.values("validation:total_loss") for each in (one, two))
    assert together == pytest.approx(alone, rel=0.02)
    assert all("on 600 examples" in line for line in two.said("# Finished training epoch"))


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_channel_without_documents_is_refused(tmp_path: Path, name: str) -> None:
    parts = {"train": TRAINING, "validation": HELD, "test": HELD}
    parts[name] = TRAINING[:0]
    with pytest.raises(DataError, match=f"channel {name}.*(no data|no rows|no document|empty)"):
        learned(
            tmp_path, parts["train"], validation=parts["validation"], test=parts["test"], feature_dim=WIDTH, **FAST
        )


def test_a_vocabulary_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"the vocabulary has 3 words, feature_dim is {WIDTH}"):
        learned(tmp_path, TRAINING, auxiliary={"vocab.txt": b"a\nb\nc\n"}, **FAST)


def test_a_network_that_no_machine_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"num_topics 4 and encoder_layers \[9000000\] make .* GiB of weights"):
        learned(tmp_path, TRAINING, encoder_layers="9000000", **FAST)


def test_words_without_a_vector_are_counted(tmp_path: Path) -> None:
    vectors = "".join(f"{word} {number} 1\n" for number, word in enumerate(words(WIDTH)[3:]))
    files = {**vocabulary(), "vectors.txt": vectors.encode()}
    found = learned(tmp_path, TRAINING, auxiliary=files, epochs=1, **FAST)
    told = f"3 out of {WIDTH} in vocabulary do not have embeddings! Default vector used for unknown embedding!"
    assert told in found.lines
