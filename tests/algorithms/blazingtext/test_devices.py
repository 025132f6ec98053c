"""What GPUs do, done by torch on the processor: the steps of the compiled loops, and cards that come together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clary.algorithms.blazingtext import devices, loops, rounds, train
from clary.algorithms.blazingtext.devices import Cards, Piece, matrix
from clary.algorithms.blazingtext.loops import END, FIRST_LABEL
from clary.datasets.sentences import of_topics
from wording import learned

torch = pytest.importorskip("torch")

from clary.algorithms.blazingtext import layers  # noqa: E402
from clary.algorithms.blazingtext.windows import NONE, Bags, Draws, Windows  # noqa: E402

Array = npt.NDArray[Any]
WORDS, DIM, RATE = 6, 5, 0.1
SUBWORDS = np.array([0, 1, 4, 5, 7, 8, 9]), np.array([0, 1, 6, 7, 2, 3, 8, 4, 5], np.int32)
PLAIN = np.arange(WORDS + 1), np.arange(WORDS, dtype=np.int32)
TOKENS = np.array([1, 3, END, 2, 0, END], np.int32)


def test_gpus_are_used_where_torch_can(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpus: Any = SimpleNamespace(device="cuda", gpus=2)
    on_processor: Any = SimpleNamespace(device="cpu", gpus=0)
    for usable, expected in ((False, []), (True, ["cuda:0", "cuda:1"])):
        monkeypatch.setattr(torch.cuda, "is_available", lambda usable=usable: usable)
        assert devices.places(on_gpus) == expected
        assert not devices.places(on_processor)


def parameters(rows: int, outputs: int) -> dict[str, Array]:
    rng, found = np.random.default_rng(0), {}
    for name, count in (("inputs", rows), ("outputs", outputs)):
        found[name] = matrix(count, DIM)
        found[name][:, :DIM] = rng.normal(scale=0.5, size=(count, DIM))
    return found


def draws(mode: str, subwords: tuple[Array, Array] = PLAIN, **given: Any) -> Draws:
    """Every word kept, and one alone drawn."""
    alias = np.zeros(WORDS, np.float32), np.full(WORDS, 5, np.int32)
    usual: dict[str, Any] = {"window": 1, "negatives": 1, "batch": 11, "keep_V": np.full(WORDS, 2, np.float32)}
    names = ("shares_V", "others_V", "ends_V", "rows", "stale")
    return Draws(mode, **{**usual, **given, **dict(zip(names, (*alias, *subwords, 1), strict=True))})


@pytest.mark.parametrize(
    ("mode", "subwords"),
    [("skipgram", PLAIN), ("skipgram", SUBWORDS), ("cbow", PLAIN), ("cbow", SUBWORDS), ("batch_skipgram", PLAIN)],
)
def test_words_are_moved_as_the_compiled_loops_do(mode: str, subwords: tuple[Array, Array]) -> None:
    given = draws(mode, subwords)
    expected, found = parameters(int(subwords[1].max()) + 1, WORDS), parameters(int(subwords[1].max()) + 1, WORDS)
    rest = (expected["inputs"].reshape(-1), expected["outputs"].reshape(-1), expected["inputs"].shape[1])
    rows = (11,) if mode == "batch_skipgram" else subwords
    alias = given.shares_V, given.others_V
    # No two words of this text that one sentence holds have more than one another to learn from.
    numbers = (TOKENS, 0, len(TOKENS), np.uint64(1), RATE, 0.0, 1, 1, given.keep_V)
    getattr(loops, mode)(*numbers, *alias, *rows, *rest, loops.sigmoids())
    device = Cards(found, [("cpu", layers.words_on(given, TOKENS, "cpu"))])
    device.learn(Piece(0, len(TOKENS), np.uint64(1), RATE, 0.0))
    assert device.settle()
    device.fetch()
    for name in expected:
        assert found[name] == pytest.approx(expected[name], abs=2e-3)


def test_bags_hold_the_words_within_reach_of_the_same_sentence() -> None:
    tokens = np.array([0, 1, 2, 3, END, 4, END, 4, 3, END], np.int32)
    windows = Windows(draws("skipgram", window=3, negatives=2), "cpu")
    pairs = set()
    for seed in range(30):
        ((bags, rate),) = windows.bags(tokens, Piece(0, 10, np.uint64(seed), RATE, 0.01), 100)
        assert rate == RATE
        assert bags.rows.tolist() == [0, 1, 2, 3, 4, 4, 3]
        asked = bags.targets_GT.reshape(7, 6, 3)
        assert set(asked[:, :, 1:].unique().tolist()) == {NONE, 5}
        true = asked[:, :, 0]
        assert ((true == NONE) == (asked[:, :, 1] == NONE)).all()
        pairs |= {
            (word, other)
            for word, others in zip(bags.rows.tolist(), true.tolist(), strict=True)
            for other in others
            if other != NONE
        }
    assert pairs == {(a, b) for a in range(4) for b in range(4) if a != b} | {(4, 3), (3, 4)}


def test_words_of_a_batch_share_their_targets() -> None:
    tokens = np.array([0, 1, 2, 3, 4], np.int32)
    windows = Windows(draws("batch_skipgram", window=4, batch=3), "cpu")
    ((bags, _),) = windows.bags(tokens, Piece(0, 5, np.uint64(3), RATE, 0.0), 100)
    assert bags.ends_B.tolist() == list(range(len(bags.rows) + 1))
    sizes = bags.groups_B.unique(return_counts=True)[1]
    assert sizes.max() == 3
    assert (bags.targets_GT[bags.groups_B, 0] != bags.rows).all()


def test_words_are_kept_and_drawn_by_their_shares_and_the_rate_falls() -> None:
    keep_V = np.array([0.3, 1, 0, 0, 0, 0], np.float32)
    tokens = np.array([0, 1] * 5000, np.int32)
    shares = np.array([1.0, 0.5, 0.25], np.float32)
    given = Draws("cbow", 1, 40, 1, keep_V, shares, np.array([0, 0, 1], np.int32), *PLAIN, 1)
    found = list(Windows(given, "cpu").bags(tokens, Piece(0, 10_000, np.uint64(1), RATE, 1e-5), 1000))
    rates = [rate for _, rate in found]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=0.02)
    true = torch.cat([bags.targets_GT[:, 0] for bags, _ in found])
    assert float((true == 0).float().mean()) == pytest.approx(0.3 / 1.3, abs=0.02)
    drawn = torch.cat([bags.targets_GT[bags.targets_GT[:, 0] == 1, 1:].reshape(-1) for bags, _ in found])
    counts = torch.bincount(drawn[drawn != NONE], minlength=3) / len(drawn)
    assert counts.tolist() == pytest.approx([0.5, 0, 1 / 12], abs=0.01)


def some_bags(rng: np.random.Generator, inputs: int, outputs: int) -> Bags:
    ends = np.concatenate([[0], np.cumsum(rng.integers(0, 4, 40))])
    targets = rng.integers(-1, outputs, (15, 12))
    given = (rng.integers(0, inputs, ends[-1]), ends, rng.integers(0, 15, 40), targets)
    return Bags(*(torch.tensor(each) for each in given))


def test_a_step_in_torch_is_the_sum_of_its_gradients() -> None:
    before = {name: torch.tensor(each) for name, each in parameters(9, 7).items()}
    bags = some_bags(np.random.default_rng(1), 9, 7)
    found = {name: each.clone() for name, each in before.items()}
    layers.tell_apart(found["inputs"], found["outputs"], bags, RATE, 2)
    inputs, outputs = (each.double().numpy().copy() for each in before.values())
    moved_in, moved_out = inputs.copy(), outputs.copy()
    for bag, group in enumerate(bags.groups_B.tolist()):
        rows = bags.rows[bags.ends_B[bag] : bags.ends_B[bag + 1]].tolist()
        hidden = inputs[rows].mean(axis=0) if rows else np.zeros(inputs.shape[1])
        for place, target in enumerate(bags.targets_GT[group].tolist()):
            if target != NONE:
                slope = RATE * ((place % 3 == 0) - 1 / (1 + np.exp(-outputs[target] @ hidden)))
                moved_out[target] += slope * hidden
                for row in rows:
                    moved_in[row] += slope * outputs[target]
    assert found["inputs"].numpy() == pytest.approx(moved_in, abs=1e-5)
    assert found["outputs"].numpy() == pytest.approx(moved_out, abs=1e-5)


def compare_kernel(place: str) -> None:
    """Assert that the kernel takes the steps of torch on that device."""
    from clary.algorithms.blazingtext import kernels

    rng = np.random.default_rng(2)
    for _ in range(3):
        bags = some_bags(rng, 50, 60)
        before = {name: torch.tensor(each) for name, each in parameters(50, 60).items()}
        expected = {name: each.clone() for name, each in before.items()}
        found = {name: each.to(place).clone() for name, each in before.items()}
        # So small a step that it hardly matters which bag is first.
        layers.tell_apart(expected["inputs"], expected["outputs"], bags, 1e-4, 2)
        there = Bags(*(each.to(place) for each in vars(bags).values()))
        kernels.step(found["inputs"], found["outputs"], there, 1e-4, 2)
        for name, each in found.items():
            assert each.cpu().numpy() == pytest.approx(expected[name].numpy(), abs=1e-5)
            assert (each.cpu() != before[name]).any()


def test_the_kernel_takes_the_step_of_torch_where_triton_can_be_interpreted() -> None:
    pytest.importorskip("triton")
    # Triton reads the variable when it is imported, which torch may have done here long ago.
    code = "import test_devices; test_devices.kernels_here()"
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": folders},
        check=True,
        timeout=120,
    )


def kernels_here() -> None:
    """What the process of the test above does."""
    from clary.algorithms.blazingtext import kernels

    kernels._PROGRAMS = 3
    compare_kernel("cpu")


@pytest.mark.gpu
def test_the_kernel_takes_the_step_of_torch_on_a_gpu() -> None:
    pytest.importorskip("triton")
    compare_kernel("cuda")


def test_lines_are_learned_as_the_compiled_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_LINES", 1)
    tokens = np.array([FIRST_LABEL - 1, 0, 4, 4, END, FIRST_LABEL, 2, END, FIRST_LABEL, 3, 1, END], np.int32)
    expected, found = parameters(WORDS, 3), parameters(WORDS, 3)
    rest = (3, expected["inputs"].reshape(-1), expected["outputs"].reshape(-1), expected["inputs"].shape[1])
    device = Cards(found, [("cpu", layers.lines_on(tokens, "cpu"))])
    for start, stop in ((0, 6), (6, 7), (7, 12)):
        loops.supervised(tokens, start, stop, np.uint64(1), RATE, 0.0, *rest)
        device.learn(Piece(start, stop, np.uint64(1), RATE, 0.0))
    device.fetch()
    for name in expected:
        assert found[name] == pytest.approx(expected[name], abs=1e-5)


def test_each_of_several_labels_is_drawn() -> None:
    found = np.array([FIRST_LABEL, FIRST_LABEL - 2, 0, 1, END, FIRST_LABEL - 1, 2, END], np.int32)
    drawn = [layers._drawn_labels(found, np.random.default_rng(seed)) for seed in range(20)]
    assert {labels[0] for labels, _ in drawn} == {0, 2}
    assert {labels[1] for labels, _ in drawn} == {1}
    assert all(sizes.tolist() == [2, 1] for _, sizes in drawn)


def test_several_cards_agree_on_the_mean_of_what_those_changed_that_changed_it() -> None:
    found = {"inputs": np.zeros((3, 16), np.float32)}

    def learn(tables: Any, piece: Piece) -> None:
        tables["inputs"][piece.start : piece.stop] += piece.rate

    device = Cards(found, [("cpu", learn), ("cpu", learn)])
    cards = [device._free.get(), device._free.get()]
    for card, piece in zip(cards, (Piece(0, 2, np.uint64(0), 2, 0), Piece(1, 3, np.uint64(0), 6, 0)), strict=True):
        device._free.put(card)
        device.learn(piece)
        device._free.get()
    assert device.settle()
    device.fetch()
    assert found["inputs"][:, 0].tolist() == [2, 4, 6]
    device._own[1]["inputs"][0] = np.inf
    assert not device.settle()


@pytest.mark.parametrize(
    ("mode", "cards", "given"),
    [
        ("skipgram", 1, {"epochs": 3, "learning_rate": 0.2}),
        ("cbow", 2, {"epochs": 10, "learning_rate": 0.2}),
        ("supervised", 2, {"epochs": 8, "learning_rate": 0.5}),
    ],
)
def test_a_job_on_cards_learns_topics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, cards: int, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(train, "places", lambda _job: ["cpu"] * cards)
    monkeypatch.setattr(rounds, "PIECE", 2000)
    torch.set_num_threads(1)
    text = "\n".join(of_topics(600, labeled=mode == "supervised")) + "\n"
    usual: dict[str, Any] = {"vector_dim": 12, "sampling_threshold": 0.01, "window_size": 2, "buckets": 500}
    found = learned(tmp_path, text, text if mode == "supervised" else "", mode=mode, **usual, **given)
    if mode == "supervised":
        assert found.values("validation:accuracy")[0] > 0.95
    else:
        assert found.values("train:mean_rho")[0] > 0.3
    assert any("GPU BlazingText training" in line for line in found.lines)
