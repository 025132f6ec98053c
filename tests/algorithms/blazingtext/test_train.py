"""Whole jobs: what is learned, by several hosts too, what is printed, and what a killed job goes on with."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms.blazingtext import devices, rounds
from clary.datasets.sentences import TOPICS, of_topics
from clary.toolkit.errors import UserError
from wording import Trained, learned, on_hosts

TEXT = "\n".join(of_topics(3000)) + "\n"
LABELED = "\n".join(of_topics(600, labeled=True)) + "\n"
OTHER = "\n".join(of_topics(200, seed=5, labeled=True)) + "\n"
USUAL: dict[str, Any] = {
    "vector_dim": 12,
    "epochs": 12,
    "learning_rate": 0.1,
    "sampling_threshold": 0.01,
    "min_count": 5,
}
CLASSIFIER: dict[str, Any] = {"mode": "supervised", "epochs": 6, "learning_rate": 0.5, "buckets": 500}


def closeness(trained: Trained) -> float:
    """By how much words that stand next to each other in a topic are closer than words of other topics."""
    near: list[float] = []
    far: list[float] = []
    topics = [words.split() for words in TOPICS.values()]
    for number, words in enumerate(topics):
        for one, other in pairwise(words):
            for partner, found in ((other, near), (topics[number - 1][0], far)):
                a, b = trained.model.vector(one.encode()), trained.model.vector(partner.encode())
                if a.any() and b.any():
                    found.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return float(np.mean(near) - np.mean(far))


@pytest.mark.parametrize("mode", ["batch_skipgram", "skipgram", "cbow"])
def test_words_of_a_topic_become_neighbors(tmp_path: Path, mode: str) -> None:
    found = learned(tmp_path, TEXT, mode=mode, **USUAL)
    assert closeness(found) > 0.4
    assert found.values("train:mean_rho")[0] > 0.35
    assert json.loads(found.artifact.files["eval.json"])["mean_rho"] == found.values("train:mean_rho")[0]
    first, *rows = found.artifact.files["vectors.txt"].decode().splitlines()
    assert first == f"{len(found.content.words)} 12"
    assert rows[0].split()[0].encode() == found.content.words[0]
    assert np.array(rows[0].split()[1:], np.float32) == pytest.approx(found.model.vector(found.content.words[0]))


@pytest.mark.parametrize("mode", ["skipgram", "cbow"])
def test_unseen_words_have_vectors_with_subwords_and_zeros_without(tmp_path: Path, mode: str) -> None:
    given: dict[str, Any] = {**USUAL, "mode": mode, "epochs": 4, "buckets": 2000}
    with_subwords = learned(tmp_path, TEXT, subwords=True, **given).model
    assert not learned(tmp_path, TEXT, **given).model.vector(b"computers").any()
    unseen, known = with_subwords.vector(b"computers"), with_subwords.vector(b"computer")
    assert unseen @ known / np.linalg.norm(unseen) / np.linalg.norm(known) > 0.8


def test_evaluation_can_be_left_out(tmp_path: Path) -> None:
    found = learned(tmp_path, TEXT, evaluation=False, epochs=1)
    assert set(found.artifact.files) == {"vectors.txt", "vectors.bin"}
    assert not found.values("train:mean_rho")


def test_the_log_has_the_lines_of_the_managed_one(tmp_path: Path) -> None:
    words = "\n".join(learned(tmp_path, TEXT, epochs=2).lines)
    for line in (
        "Running single machine CPU BlazingText training using batch_skipgram mode.",
        "Number of words:  ",
        "##### Alpha: 0.0250  Progress: 50.00%  Million Words/sec: ",
        "##### Alpha: 0.0000  Progress: 100.00%  Million Words/sec: ",
        "Training finished!\nAverage throughput in Million words/sec: ",
        "Evaluating word embeddings....\nVectors read from: vectors.txt\n{",
    ):
        assert line in words
    labels = "\n".join(learned(tmp_path, LABELED, OTHER, **CLASSIFIER).lines)
    assert "Training finished.\nAverage throughput" in labels
    assert "\nNumber of train examples: 600\n" in labels
    assert labels.endswith("\nNumber of validation examples: 200")


def test_several_hosts_learn_what_one_does(tmp_path: Path) -> None:
    alone = closeness(learned(tmp_path, TEXT, **USUAL))
    lines = TEXT.splitlines(keepends=True)
    halves = "".join(lines[::2]), {"b.txt": "".join(lines[1::2]).encode()}
    shares: list[tuple[Any, bool]] = [((TEXT, TEXT), False), (halves, True), ((TEXT, {}), True)]
    for number, (parts, sharded) in enumerate(shares):
        found = on_hosts(tmp_path / str(number), *parts, sharded=sharded, **USUAL)
        assert closeness(found) > 0.8 * alone
        assert sum(found.content.word_counts) == len(TEXT.split())


@pytest.mark.parametrize("mode", ["skipgram", "cbow", "supervised"])
def test_other_modes_refuse_several_hosts(tmp_path: Path, mode: str) -> None:
    with pytest.raises(UserError, match=f"mode {mode} trains on one host, and the job has 2"):
        on_hosts(tmp_path, LABELED, LABELED, mode=mode)


def test_a_classifier_learns_topics(tmp_path: Path) -> None:
    found = learned(tmp_path, LABELED, OTHER, **CLASSIFIER)
    assert found.values("validation:accuracy")[0] > 0.95
    right = [
        found.model.labels[int(found.model.probabilities(line.encode()).argmax())].decode() == line.split()[0]
        for line in OTHER.splitlines()
    ]
    # Serving sees neither the label in the line nor anything that training did not.
    assert np.mean(right) == pytest.approx(found.values("validation:accuracy")[0], abs=1e-4)


def test_of_several_labels_each_is_learned(tmp_path: Path) -> None:
    text = "__label__a __label__b x\n__label__c y\n" * 200
    model = learned(tmp_path, text, mode="supervised", epochs=20, learning_rate=0.5, word_ngrams=1).model
    chances = dict(zip(model.labels, model.probabilities(b"x"), strict=True))
    assert chances[b"__label__a"] == pytest.approx(0.5, abs=0.1)
    assert chances[b"__label__b"] == pytest.approx(0.5, abs=0.1)


def test_early_stopping_keeps_the_best_weights(tmp_path: Path) -> None:
    stopped = learned(
        tmp_path,
        LABELED,
        OTHER,
        **{**CLASSIFIER, "epochs": 50, "early_stopping": True, "min_epochs": 2, "patience": 3},
    )
    looks = [line for line in stopped.lines if line.startswith("Validation accuracy: ")]
    accuracies = [float(line.split()[-1]) for line in looks]
    epochs = sum("End of epoch" in line for line in stopped.lines)
    assert epochs == len(looks) + 1 < 50
    assert accuracies.index(max(accuracies)) == len(accuracies) - 4
    assert stopped.lines.count("Validation accuracy has not improved for last 3 epochs.") == 1
    assert stopped.values("validation:accuracy")[0] == pytest.approx(max(accuracies), abs=1e-4)


def test_early_stopping_without_validation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="early_stopping needs the channel validation"):
        learned(tmp_path, LABELED, **{**CLASSIFIER, "early_stopping": True})


@pytest.mark.parametrize("mode", ["batch_skipgram", "supervised"])
def test_a_job_goes_on_from_the_middle_of_an_epoch(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "PIECE", 1000)
    monkeypatch.setattr(rounds, "_WORTH_THREADS", 1 << 40)
    given: dict[str, Any] = {"mode": mode, "epochs": 3}
    whole = learned(tmp_path, LABELED, **given)
    kept, rounds_done = tmp_path / "kept", threading.Semaphore(0)
    usual = rounds.Rounds._one_round

    class KilledError(Exception):
        """What stands for the end of the process."""

    def killed(self: rounds.Rounds, pool: object) -> None:
        if rounds_done._value == 1:
            raise KilledError
        usual(self, pool)  # type: ignore[arg-type]
        rounds_done.release()

    whole = learned(tmp_path, LABELED, **given)
    monkeypatch.setattr(rounds.Rounds, "_one_round", killed)
    with pytest.raises(KilledError):
        learned(tmp_path, LABELED, kept=kept, **given)
    monkeypatch.setattr(rounds.Rounds, "_one_round", usual)
    resumed = learned(tmp_path, LABELED, kept=kept, **given)
    assert any("resuming from a checkpoint, in epoch 1" in line for line in resumed.lines)
    assert resumed.artifact.files == whole.artifact.files


def test_a_checkpoint_of_another_text_is_refused(tmp_path: Path) -> None:
    learned(tmp_path, TEXT, kept=tmp_path / "kept", epochs=1)
    with pytest.raises(UserError, match="progress on a text with other words"):
        learned(tmp_path, LABELED, kept=tmp_path / "kept", epochs=1)


def test_several_threads_learn_as_well_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = closeness(learned(tmp_path, TEXT, **USUAL))
    monkeypatch.setattr(rounds, "PIECE", 2000)
    monkeypatch.setattr(devices, "cores", lambda: 4)
    assert closeness(learned(tmp_path, TEXT, **USUAL)) > 0.8 * alone


def test_a_learning_rate_that_is_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="diverges with learning_rate=1e"):
        learned(tmp_path, TEXT, learning_rate=1e30, mode="cbow", epochs=1)


def test_a_vocabulary_of_one_word_trains(tmp_path: Path) -> None:
    for mode in ("batch_skipgram", "skipgram", "cbow"):
        assert learned(tmp_path, "a a a a\n", mode=mode).model.vector(b"a").any()
