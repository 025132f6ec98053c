"""The loops of training, compiled by Numba: windows of words against true and drawn words, lines against labels.

V words, R rows of the input side (words, then hashed n-grams), W numbers of a row, which is the dimension rounded up
to whole lanes and filled with zeros. Inputs and outputs are flat, one row behind the other. Threads share them
without locks (Niu et al. 2011), and each works on a piece of the token ids of its own; none holds the interpreter's
lock. A piece draws from a generator of its own, so that one thread always gives the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.lanes import WIDE, compiled, fetch, load, spread, store, total

Array = npt.NDArray[Any]

LONGEST = 1000  # kept words of a sentence; a longer one is learned in parts
END = -1  # the token behind a line
FIRST_LABEL = -2  # the token of label 0; that of label n is n lower
SIGMOID_REACH = 8.0  # beyond which a sigmoid is taken for 0 or 1
_STEPS = 1024  # of the table of sigmoids
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_MULTIPLIER, _SCALE = np.uint64(0x9E3779B97F4A7C15), np.float32(1 / 16777216)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_THIRTY, _TWENTY_SEVEN, _THIRTY_ONE = np.uint64(30), np.uint64(27), np.uint64(31)
_FORTY, _THIRTY_TWO = np.uint64(40), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def sigmoids() -> Array:
    """The sigmoid at evenly spaced places from minus to plus ``SIGMOID_REACH``."""
    places = np.linspace(-SIGMOID_REACH, SIGMOID_REACH, _STEPS + 1)
    return (1 / (1 + np.exp(-places))).astype(np.float32)


@compiled
def _next(state: Array) -> Any:
    """64 random bits, by SplitMix64 (Steele et al. 2014)."""
    state[0] += _MULTIPLIER
    bits = state[0]
    bits = (bits ^ (bits >> _THIRTY)) * _MIX_1
    bits = (bits ^ (bits >> _TWENTY_SEVEN)) * _MIX_2
    return bits ^ (bits >> _THIRTY_ONE)


@compiled
def _share(state: Array) -> Any:
    """A random float32 from 0 to 1, without 1."""
    return np.float32(_next(state) >> _FORTY) * _SCALE


@compiled
def _below(state: Array, count: int) -> Any:
    """A random whole number below the count."""
    return np.int64(((_next(state) >> _THIRTY_TWO) * np.uint64(count)) >> _THIRTY_TWO)


@compiled
def _drawn(state: Array, shares_V: Array, others_V: Array) -> Any:
    """A word by its share of the negatives, from an alias table (Walker 1977)."""
    bits = _next(state)
    place = np.int64(((bits >> _THIRTY_TWO) * np.uint64(len(shares_V))) >> _THIRTY_TWO)
    if np.float32((bits & _LOW) >> np.uint64(8)) * _SCALE < shares_V[place]:
        return place
    return np.int64(others_V[place])


@compiled
def _sigmoid(score: Any, sigmoids: Array) -> Any:
    if score >= SIGMOID_REACH:
        return _ONE
    if score > -SIGMOID_REACH:
        return sigmoids[np.int64((score + SIGMOID_REACH) * (_STEPS / (2 * SIGMOID_REACH)))]
    return _ZERO  # also where the score is no number any more


@compiled
def _sentence(tokens: Array, at: int, stop: int, keep_V: Array, state: Array, sentence: Array) -> tuple[int, int]:
    """The place behind the next sentence, and the number of its words that sub-sampling has kept."""
    kept = 0
    while at < stop and kept < len(sentence):
        word = tokens[at]
        at += 1
        if word < 0:
            break
        if keep_V[word] >= _ONE or _share(state) < keep_V[word]:
            sentence[kept] = word
            kept += 1
    return at, kept


@compiled
def _gather(rows: Array, begin: int, end: int, inputs: Array, width: int, hidden: Array) -> None:
    """Fill ``hidden`` with the mean of those rows of the inputs."""
    share = spread(_ONE / np.float32(end - begin))
    for lane in range(0, width, WIDE):
        mean = spread(_ZERO)
        for at in range(begin, end):
            mean += load(inputs, np.int64(rows[at]) * width + lane, WIDE)
        store(hidden, lane, WIDE, mean * share)


@compiled
def _scatter(rows: Array, begin: int, end: int, inputs: Array, width: int, gradient: Array) -> None:
    """Add the gradient to each of those rows of the inputs."""
    for lane in range(0, width, WIDE):
        part = load(gradient, lane, WIDE)
        for at in range(begin, end):
            place = np.int64(rows[at]) * width + lane
            store(inputs, place, WIDE, load(inputs, place, WIDE) + part)


@compiled
def _ahead(outputs: Array, width: int, targets: Array, begin: int, end: int) -> None:
    """Let the rows of those targets be on their way to the processor."""
    for at in range(begin, end):
        for lane in range(0, width, WIDE):
            fetch(outputs, targets[at] * width + lane)


@compiled
def _tell_apart(
    hidden: Array,
    outputs: Array,
    width: int,
    targets: Array,
    begin: int,
    count: int,
    rate: Any,
    sigmoids: Array,
    slopes: Array,
    gradient: Array,
) -> None:
    """A step for one vector against its true target and the drawn ones behind it; adds to ``gradient``.

    The scores of all targets are formed first, and then all rows are moved.
    """
    for k in range(count):
        row = targets[begin + k] * width
        products = spread(_ZERO)
        for lane in range(0, width, WIDE):
            products += load(hidden, lane, WIDE) * load(outputs, row + lane, WIDE)
        truth = _ONE if k == 0 else _ZERO
        slopes[k] = rate * (truth - _sigmoid(np.float32(total(products)), sigmoids))
    for lane in range(0, width, WIDE):
        own, moved = load(hidden, lane, WIDE), load(gradient, lane, WIDE)
        for k in range(count):
            place = targets[begin + k] * width + lane
            slope = spread(slopes[k])
            there = load(outputs, place, WIDE)
            moved += slope * there
            store(outputs, place, WIDE, there + slope * own)
        store(gradient, lane, WIDE, moved)


@compiled
def _targets(
    word: int, negatives: int, shares_V: Array, others_V: Array, state: Array, targets: Array, begin: int
) -> None:
    """Write a word and so many others, drawn by their shares, behind ``begin``."""
    targets[begin] = word
    for k in range(1, negatives + 1):
        other = _drawn(state, shares_V, others_V)
        while other == word and len(shares_V) > 1:
            other = _drawn(state, shares_V, others_V)
        targets[begin + k] = other


@compiled
def skipgram(
    tokens: Array,
    start: int,
    stop: int,
    seed: Any,
    rate: float,
    fall: float,
    window: int,
    negatives: int,
    keep_V: Array,
    shares_V: Array,
    others_V: Array,
    ends_V: Array,
    rows: Array,
    inputs: Array,
    outputs: Array,
    width: int,
    sigmoids: Array,
) -> None:
    """Learn from a piece of the tokens: each kept word foretells the words around it (Mikolov et al. 2013).

    The learning rate begins at ``rate`` and falls by ``fall`` with each token. The rows of word v are
    ``rows[ends_V[v]:ends_V[v + 1]]``, and the mean of them is its vector.
    """
    state = np.full(1, seed, np.uint64)
    sentence, count = np.empty(LONGEST, np.int64), negatives + 1
    targets = np.empty(2 * window * count, np.int64)
    hidden, gradient = np.zeros(width, np.float32), np.zeros(width, np.float32)
    moved, slopes = np.zeros(width, np.float32), np.empty(count, np.float32)
    at = start
    while at < stop:
        now = np.float32(rate - fall * (at - start))
        at, kept = _sentence(tokens, at, stop, keep_V, state, sentence)
        for center in range(kept):
            reach = 1 + _below(state, window)
            pairs = 0
            for place in range(max(0, center - reach), min(kept, center + reach + 1)):
                if place != center:
                    _targets(sentence[place], negatives, shares_V, others_V, state, targets, pairs * count)
                    _ahead(outputs, width, targets, pairs * count, (pairs + 1) * count)
                    pairs += 1
            begin, end = ends_V[sentence[center]], ends_V[sentence[center] + 1]
            _gather(rows, begin, end, inputs, width, hidden)
            moved[:] = _ZERO
            for pair in range(pairs):
                gradient[:] = _ZERO
                _tell_apart(hidden, outputs, width, targets, pair * count, count, now, sigmoids, slopes, gradient)
                for lane in range(0, width, WIDE):
                    step = load(gradient, lane, WIDE)
                    store(hidden, lane, WIDE, load(hidden, lane, WIDE) + step)
                    store(moved, lane, WIDE, load(moved, lane, WIDE) + step)
            _scatter(rows, begin, end, inputs, width, moved)


@compiled
def cbow(
    tokens: Array,
    start: int,
    stop: int,
    seed: Any,
    rate: float,
    fall: float,
    window: int,
    negatives: int,
    keep_V: Array,
    shares_V: Array,
    others_V: Array,
    ends_V: Array,
    rows: Array,
    inputs: Array,
    outputs: Array,
    width: int,
    sigmoids: Array,
) -> None:
    """Learn from a piece of the tokens: the mean of the words around it foretells each kept word.

    The mean is over all rows of all words around, and each row takes the whole gradient.
    """
    state = np.full(1, seed, np.uint64)
    sentence, count = np.empty(LONGEST, np.int64), negatives + 1
    targets = np.empty(LONGEST * count, np.int64)
    hidden, gradient = np.zeros(width, np.float32), np.zeros(width, np.float32)
    slopes = np.empty(count, np.float32)
    longest = 0
    for word in range(len(keep_V)):
        longest = max(longest, ends_V[word + 1] - ends_V[word])
    around = np.empty(2 * window * longest, np.int64)
    at = start
    while at < stop:
        now = np.float32(rate - fall * (at - start))
        at, kept = _sentence(tokens, at, stop, keep_V, state, sentence)
        for center in range(kept):
            _targets(sentence[center], negatives, shares_V, others_V, state, targets, center * count)
        for center in range(min(2, kept)):
            _ahead(outputs, width, targets, center * count, (center + 1) * count)
        for center in range(kept):
            reach = 1 + _below(state, window)
            if center + 2 < kept:
                _ahead(outputs, width, targets, (center + 2) * count, (center + 3) * count)
            found = 0
            for place in range(max(0, center - reach), min(kept, center + reach + 1)):
                if place != center:
                    for row in range(ends_V[sentence[place]], ends_V[sentence[place] + 1]):
                        around[found] = rows[row]
                        found += 1
            if found:
                _gather(around, 0, found, inputs, width, hidden)
                gradient[:] = _ZERO
                _tell_apart(hidden, outputs, width, targets, center * count, count, now, sigmoids, slopes, gradient)
                _scatter(around, 0, found, inputs, width, gradient)


@compiled
def batch_skipgram(
    tokens: Array,
    start: int,
    stop: int,
    seed: Any,
    rate: float,
    fall: float,
    window: int,
    negatives: int,
    keep_V: Array,
    shares_V: Array,
    others_V: Array,
    batch: int,
    inputs: Array,
    outputs: Array,
    width: int,
    sigmoids: Array,
) -> None:
    """Learn from a piece of the tokens, the words around a word in batches that share their negatives.

    All scores of a batch are one small matrix product, and so are the gradients of both sides (Ji et al. 2016).
    """
    state = np.full(1, seed, np.uint64)
    sentence, count = np.empty(LONGEST, np.int64), negatives + 1
    targets = np.empty(LONGEST * count, np.int64)
    most = min(batch, 2 * window)
    slopes, moved = np.empty(most * count, np.float32), np.empty(most * width, np.float32)
    around = np.empty(2 * window, np.int64)
    at = start
    while at < stop:
        now = np.float32(rate - fall * (at - start))
        at, kept = _sentence(tokens, at, stop, keep_V, state, sentence)
        for center in range(kept):
            _targets(sentence[center], negatives, shares_V, others_V, state, targets, center * count)
            for lane in range(0, width, WIDE):
                fetch(inputs, sentence[center] * width + lane)
        for center in range(min(2, kept)):
            _ahead(outputs, width, targets, center * count, (center + 1) * count)
        for center in range(kept):
            if center + 2 < kept:
                _ahead(outputs, width, targets, (center + 2) * count, (center + 3) * count)
            reach = 1 + _below(state, window)
            found = 0
            for place in range(max(0, center - reach), min(kept, center + reach + 1)):
                if place != center:
                    around[found] = sentence[place]
                    found += 1
            for first in range(0, found, batch):
                if first:
                    _targets(sentence[center], negatives, shares_V, others_V, state, targets, center * count)
                _batch(
                    around,
                    first,
                    min(batch, found - first),
                    targets,
                    center * count,
                    count,
                    inputs,
                    outputs,
                    width,
                    now,
                    sigmoids,
                    slopes,
                    moved,
                )


@compiled
def _scores(hidden: Array, outputs: Array, labels: int, width: int, found: Array) -> None:
    """Fill the scores of all labels."""
    for label in range(labels):
        products = spread(_ZERO)
        for lane in range(0, width, WIDE):
            products += load(hidden, lane, WIDE) * load(outputs, label * width + lane, WIDE)
        found[label] = np.float32(total(products))


@compiled
def _line(tokens: Array, at: int) -> tuple[int, int]:
    """Where the features of a line begin behind its labels, and where they end."""
    while tokens[at] < END:
        at += 1
    begin = at
    while tokens[at] >= 0:
        at += 1
    return begin, at


@compiled
def _first_line(tokens: Array, start: int) -> int:
    """The begin of the first line that does not begin before that place."""
    while start > 0 and start < len(tokens) and tokens[start - 1] != END:
        start += 1
    return start


@compiled
def supervised(
    tokens: Array,
    start: int,
    stop: int,
    seed: Any,
    rate: float,
    fall: float,
    labels: int,
    inputs: Array,
    outputs: Array,
    width: int,
) -> None:
    """Learn from the lines that begin in a piece: the mean of a line's features foretells its label by a softmax.

    Of several labels one is drawn at each visit (Joulin et al. 2017).
    """
    state = np.full(1, seed, np.uint64)
    hidden, gradient = np.zeros(width, np.float32), np.zeros(width, np.float32)
    chances = np.empty(labels, np.float32)
    at = _first_line(tokens, start)
    while at < stop:
        now = np.float32(rate - fall * (at - start))
        begin, end = _line(tokens, at)
        following = end + 1
        ahead = min(following + end - begin, len(tokens))
        for place in range(following, ahead):
            if tokens[place] >= 0:
                for lane in range(0, width, WIDE):
                    fetch(inputs, np.int64(tokens[place]) * width + lane)
        truth = FIRST_LABEL - tokens[at + _below(state, begin - at)]
        _gather(tokens, begin, end, inputs, width, hidden)
        _scores(hidden, outputs, labels, width, chances)
        highest, whole = chances.max(), _ZERO
        for label in range(labels):
            chances[label] = np.exp(chances[label] - highest)
            whole += chances[label]
        gradient[:] = _ZERO
        for label in range(labels):
            slope = now * ((_ONE if label == truth else _ZERO) - chances[label] / whole)
            for lane in range(0, width, WIDE):
                place = label * width + lane
                there = load(outputs, place, WIDE)
                store(gradient, lane, WIDE, load(gradient, lane, WIDE) + spread(slope) * there)
                store(outputs, place, WIDE, there + spread(slope) * load(hidden, lane, WIDE))
        gradient *= _ONE / np.float32(end - begin)
        _scatter(tokens, begin, end, inputs, width, gradient)
        at = following


@compiled
def judged(
    tokens: Array, start: int, stop: int, labels: int, inputs: Array, outputs: Array, width: int
) -> tuple[int, int]:
    """The number of lines that begin in a piece, and of those whose best label is one of their own."""
    hidden, found = np.zeros(width, np.float32), np.empty(labels, np.float32)
    lines, right = 0, 0
    at = _first_line(tokens, start)
    while at < stop:
        begin, end = _line(tokens, at)
        _gather(tokens, begin, end, inputs, width, hidden)
        _scores(hidden, outputs, labels, width, found)
        best = found.argmax()
        for place in range(at, begin):
            if FIRST_LABEL - tokens[place] == best:
                right += 1
                break
        lines, at = lines + 1, end + 1
    return lines, right


@compiled
def _batch(
    around: Array,
    first: int,
    size: int,
    targets: Array,
    begin: int,
    count: int,
    inputs: Array,
    outputs: Array,
    width: int,
    rate: Any,
    sigmoids: Array,
    slopes: Array,
    moved: Array,
) -> None:
    for m in range(size):
        own = around[first + m] * width
        for k in range(count):
            row = targets[begin + k] * width
            products = spread(_ZERO)
            for lane in range(0, width, WIDE):
                products += load(inputs, own + lane, WIDE) * load(outputs, row + lane, WIDE)
            truth = _ONE if k == 0 else _ZERO
            slopes[m * count + k] = rate * (truth - _sigmoid(np.float32(total(products)), sigmoids))
    for lane in range(0, width, WIDE):
        for m in range(size):
            gradient = load(inputs, around[first + m] * width + lane, WIDE)
            for k in range(count):
                slope = spread(slopes[m * count + k])
                gradient += slope * load(outputs, targets[begin + k] * width + lane, WIDE)
            store(moved, m * width + lane, WIDE, gradient)
        for k in range(count):
            place = targets[begin + k] * width + lane
            there = load(outputs, place, WIDE)
            for m in range(size):
                there += spread(slopes[m * count + k]) * load(inputs, around[first + m] * width + lane, WIDE)
            store(outputs, place, WIDE, there)
        for m in range(size):
            store(inputs, around[first + m] * width + lane, WIDE, load(moved, m * width + lane, WIDE))
