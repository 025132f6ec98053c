"""A step of each loop against the same step in plain NumPy and float64, and what a piece leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clary.algorithms.blazingtext import loops
from clary.algorithms.blazingtext.devices import matrix
from clary.algorithms.blazingtext.loops import END, FIRST_LABEL

Array = npt.NDArray[Any]

WORDS, DIM = 6, 5
RATE = 0.1
# With one other word to draw, the draws are known, and with a window of one so is each window.
PAIR = np.array([1, 3, END], np.int32)


def parameters(rows: int, outputs: int, seed: int = 0) -> tuple[Array, Array]:
    rng, found = np.random.default_rng(seed), []
    for count in (rows, outputs):
        made = matrix(count, DIM)
        made[:, :DIM] = rng.normal(scale=0.5, size=(count, DIM))
        found.append(made)
    return found[0], found[1]


def sigmoid(scores: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-scores))
    return found


def always(word: int) -> tuple[Array, Array]:
    """An alias table that draws one word alone."""
    return np.zeros(WORDS, np.float32), np.full(WORDS, word, np.int32)


def told_apart(hidden: Array, outputs: Array, targets: list[int]) -> Array:
    """Move the outputs by a step in float64, and return the gradient of the hidden vector."""
    truth = np.array([1.0] + [0.0] * (len(targets) - 1))
    slopes = RATE * (truth - sigmoid(outputs[targets] @ hidden))
    gradient: Array = slopes @ outputs[targets]
    for target, slope in zip(targets, slopes, strict=True):
        outputs[target] += slope * hidden
    return gradient


def run(loop: Any, tokens: Array, inputs: Array, outputs: Array, *more: Any, drawn: int = 5, window: int = 1) -> None:
    keep_V = np.full(WORDS, 2, np.float32)
    rest = (inputs.reshape(-1), outputs.reshape(-1), inputs.shape[1], loops.sigmoids())
    loop(tokens, 0, len(tokens), np.uint64(1), RATE, 0.0, window, 1, keep_V, *always(drawn), *more, *rest)


def exact(array: Array) -> Array:
    return array[:, :DIM].astype(np.float64)


def plain_rows() -> tuple[Array, Array]:
    return np.arange(WORDS + 1), np.arange(WORDS, dtype=np.int32)


def test_skipgram_moves_a_word_and_its_targets_as_written_out() -> None:
    inputs, outputs = parameters(WORDS, WORDS)
    expected_in, expected_out = exact(inputs), exact(outputs)
    for word, other in ((1, 3), (3, 1)):
        expected_in[word] += told_apart(expected_in[word], expected_out, [other, 5])
    run(loops.skipgram, PAIR, inputs, outputs, *plain_rows())
    assert exact(inputs) == pytest.approx(expected_in, abs=2e-3)
    assert exact(outputs) == pytest.approx(expected_out, abs=2e-3)


def test_skipgram_with_subwords_moves_each_row_of_a_word_by_the_whole_gradient() -> None:
    inputs, outputs = parameters(WORDS + 3, WORDS)
    ends, rows = [0, 1, 4, 5, 7, 8, 9], [0, 1, 6, 7, 2, 3, 8, 4, 5]
    expected_in, expected_out = exact(inputs), exact(outputs)
    for own, other in (([1, 6, 7], 3), ([3, 8], 1)):
        expected_in[own] += told_apart(expected_in[own].mean(axis=0), expected_out, [other, 5])
    run(loops.skipgram, PAIR, inputs, outputs, np.array(ends), np.array(rows, np.int32))
    assert exact(inputs) == pytest.approx(expected_in, abs=2e-3)
    assert exact(outputs) == pytest.approx(expected_out, abs=2e-3)


def test_cbow_moves_the_words_around_by_the_whole_gradient() -> None:
    inputs, outputs = parameters(WORDS, WORDS)
    expected_in, expected_out = exact(inputs), exact(outputs)
    tokens = np.array([1, 3, 2, END], np.int32)
    for center, around in ((1, [3]), (3, [1, 2]), (2, [3])):
        expected_in[around] += told_apart(expected_in[around].mean(axis=0), expected_out, [center, 5])
    run(loops.cbow, tokens, inputs, outputs, *plain_rows())
    assert exact(inputs) == pytest.approx(expected_in, abs=4e-3)
    assert exact(outputs) == pytest.approx(expected_out, abs=4e-3)


def test_batch_skipgram_is_one_matrix_product_for_all_words_around() -> None:
    inputs, outputs = parameters(WORDS, WORDS)
    expected_in, expected_out = exact(inputs), exact(outputs)
    tokens = np.array([1, 3, 2, END], np.int32)
    truth = np.array([1.0, 0.0])
    for center, around in ((1, [3]), (3, [1, 2]), (2, [3])):
        near, far = expected_in[around].copy(), expected_out[[center, 5]].copy()
        slopes = RATE * (truth - sigmoid(near @ far.T))
        expected_in[around] += slopes @ far
        expected_out[[center, 5]] += slopes.T @ near
    run(loops.batch_skipgram, tokens, inputs, outputs, 11)
    assert exact(inputs) == pytest.approx(expected_in, abs=4e-3)
    assert exact(outputs) == pytest.approx(expected_out, abs=4e-3)


def test_a_batch_of_one_word_draws_negatives_for_each() -> None:
    inputs, outputs = parameters(WORDS, WORDS)
    expected_in, expected_out = exact(inputs), exact(outputs)
    for word, other in ((3, 1), (1, 3)):
        expected_in[word] += told_apart(expected_in[word], expected_out, [other, 5])
    run(loops.batch_skipgram, PAIR, inputs, outputs, 1)
    assert exact(inputs) == pytest.approx(expected_in, abs=2e-3)
    assert exact(outputs) == pytest.approx(expected_out, abs=2e-3)


@pytest.mark.parametrize("labels", [2, 20])
def test_supervised_takes_a_step_of_softmax_for_each_line(labels: int) -> None:
    inputs, outputs = parameters(WORDS, labels)
    expected_in, expected_out = exact(inputs), exact(outputs)
    tokens = np.array([FIRST_LABEL - 1, 0, 4, 4, END, FIRST_LABEL, 2, END], np.int32)
    for label, rows in ((1, [0, 4, 4]), (0, [2])):
        hidden = expected_in[rows].mean(axis=0)
        scores = np.exp(expected_out @ hidden)
        slopes = RATE * ((np.arange(labels) == label) - scores / scores.sum())
        gradient = slopes @ expected_out
        expected_out += np.outer(slopes, hidden)
        for row in rows:
            expected_in[row] += gradient / len(rows)
    rest = (labels, inputs.reshape(-1), outputs.reshape(-1), inputs.shape[1])
    loops.supervised(tokens, 0, len(tokens), np.uint64(1), RATE, 0.0, *rest)
    assert exact(inputs) == pytest.approx(expected_in, abs=1e-5)
    assert exact(outputs) == pytest.approx(expected_out, abs=1e-5)
    assert not inputs[:, DIM:].any()


def test_each_line_belongs_to_the_piece_in_which_it_begins() -> None:
    tokens = np.array([FIRST_LABEL, 0, 1, END, FIRST_LABEL - 1, 2, END, FIRST_LABEL, 3, 4, 5, END], np.int32)
    inputs, outputs = parameters(WORDS, 2)
    rest: Any = (2, inputs.reshape(-1), outputs.reshape(-1), inputs.shape[1])
    whole = loops.judged(tokens, 0, len(tokens), *rest)
    for cut in range(len(tokens) + 1):
        parts = [loops.judged(tokens, *ends, *rest) for ends in ((0, cut), (cut, len(tokens)))]
        assert tuple(np.sum(parts, axis=0)) == whole


def test_judging_counts_a_line_whose_best_label_is_one_of_several() -> None:
    inputs, outputs = matrix(2, DIM), matrix(3, DIM)
    inputs[0, 0] = inputs[1, 1] = 1
    outputs[2, 0] = outputs[1, 1] = 1
    tokens = np.array([FIRST_LABEL, FIRST_LABEL - 2, 0, END, FIRST_LABEL, 1, END], np.int32)
    assert loops.judged(tokens, 0, 7, 3, inputs.reshape(-1), outputs.reshape(-1), inputs.shape[1]) == (2, 1)


def test_negatives_are_drawn_by_their_shares_and_words_kept_by_theirs() -> None:
    state = np.full(1, 7, np.uint64)
    shares, others = np.array([1.0, 0.5, 0.25], np.float32), np.array([0, 0, 1], np.int32)
    drawn = np.bincount([loops._drawn(state, shares, others) for _ in range(30_000)], minlength=3) / 30_000
    assert drawn == pytest.approx([0.5, 5 / 12, 1 / 12], abs=0.01)
    tokens, sentence = np.zeros(1000, np.int32), np.empty(1000, np.int64)
    kept = sum(loops._sentence(tokens, 0, 1000, np.array([0.3], np.float32), state, sentence)[1] for _ in range(30))
    assert kept / 30_000 == pytest.approx(0.3, abs=0.01)


def test_the_same_seed_gives_the_same_numbers_and_another_others() -> None:
    tokens = np.random.default_rng(0).integers(0, WORDS, 500).astype(np.int32)
    found = []
    for seed in (1, 1, 2):
        inputs, outputs = parameters(WORDS, WORDS)
        keep_V, shares = np.full(WORDS, 0.5, np.float32), np.ones(WORDS, np.float32)
        rest = (inputs.reshape(-1), outputs.reshape(-1), inputs.shape[1], loops.sigmoids())
        others = np.arange(WORDS, dtype=np.int32)
        loops.batch_skipgram(tokens, 0, 500, np.uint64(seed), RATE, 0.0, 3, 2, keep_V, shares, others, 4, *rest)
        found.append(inputs.copy())
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()
