"""What a piece of text asks of word vectors, drawn by torch wherever it is learned.

N kept words of the piece, C of them that are learned at a time, O places around a word, B bags, G groups of T
targets. All three modes ask the same: the mean of a bag of input rows tells a true word from drawn ones. With
skip-gram a bag is a word, and with each word around it come drawn ones; with cbow it is the words around; in batches
each word around is a bag, and several share their targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from clary.algorithms.blazingtext.devices import Piece
from clary.algorithms.blazingtext.spec import BATCH_SKIPGRAM, CBOW, SKIPGRAM

Array = npt.NDArray[Any]
NONE = -1  # in place of a target
# Steps of full length that a row may take on what was read before the first of them: with more, rows of frequent
# words swing ever farther.
_MOVES = 2.0


@dataclass(frozen=True)
class Draws:
    """What is drawn, and how: the shares of words that are kept, and an alias table of those that are drawn.

    ``stale`` is the number of words that may be learned from what was read before the first of them.
    """

    mode: str
    window: int
    negatives: int
    batch: int
    keep_V: Array
    shares_V: Array
    others_V: Array
    ends_V: Array
    rows: Array
    stale: int


def stale_words(
    mode: str,
    window: int,
    negatives: int,
    rate: float,
    learned_V: Array,
    drawn_V: Array,
    subwords: tuple[Array, Array],
) -> int:
    """How many words may be learned at once, where words are learned and drawn in proportion to these weights (V)."""
    learned_V, drawn_V = learned_V / learned_V.sum(), drawn_V / drawn_V.sum()
    ends_V, rows = subwords
    as_input = np.bincount(rows, np.repeat(learned_V, np.diff(ends_V))).max()
    as_output = (learned_V + negatives * drawn_V).max()
    # On average a word has one word more around it than its window is wide on one side.
    moves = max(
        as_input * (1 if mode == SKIPGRAM else window + 1),
        as_output * (1 if mode == CBOW else window + 1),
    )
    return max(1, int(min(_MOVES / (rate * moves), 1 << 15)))


@dataclass(frozen=True)
class Bags:
    """Bag b holds ``rows[ends_B[b]:ends_B[b + 1]]``, and is told apart from the targets of its group.

    Of each ``negatives + 1`` targets the first is true; one that is ``NONE`` is no target.
    """

    rows: torch.Tensor
    ends_B: torch.Tensor
    groups_B: torch.Tensor
    targets_GT: torch.Tensor


class Windows:
    """The bags of a piece, on one device."""

    def __init__(self, draws: Draws, place: str) -> None:
        self._mode, self._window, self._negatives = draws.mode, draws.window, draws.negatives
        self._batch, self._place = min(draws.batch, 2 * draws.window), place
        self._keep_V, self._shares_V, self._others_V, self._ends_V, self._rows = (
            torch.tensor(np.asarray(each), device=place)
            for each in (
                draws.keep_V,
                draws.shares_V,
                draws.others_V.astype(np.int64),
                draws.ends_V.astype(np.int64),
                draws.rows.astype(np.int64),
            )
        )
        self._generator = torch.Generator(place)

    def bags(self, tokens: Array, piece: Piece, at_once: int) -> Iterator[tuple[Bags, float]]:
        """The bags of so many words at a time, and the learning rate where these stand."""
        self._generator.manual_seed(int(piece.seed) >> 1)
        found = torch.tensor(np.array(tokens[piece.start : piece.stop]), device=self._place).long()
        kept = (found >= 0) & (self._uniform(len(found)) < self._keep_V[found.clamp(min=0)])
        places_N = kept.nonzero()[:, 0]
        words_N, sentences_N = found[places_N], (found < 0).cumsum(0)[places_N]
        for start in range(0, len(words_N), at_once):
            centers_C = torch.arange(start, min(start + at_once, len(words_N)), device=self._place)
            around_CO, there_CO = self._around(words_N, sentences_N, centers_C)
            share = start / len(words_N)
            rate = piece.rate - piece.fall * share * (piece.stop - piece.start)
            yield self._asked(words_N[centers_C], around_CO, there_CO), rate

    def _around(
        self, words_N: torch.Tensor, sentences_N: torch.Tensor, centers_C: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The word at each place around, and whether it is one of the same sentence and within a drawn reach."""
        before = torch.arange(-self._window, 0, device=self._place)
        offsets_O = torch.cat([before, -before.flip(0)])
        reach_C = 1 + (self._uniform(len(centers_C)) * self._window).long()
        places_CO = centers_C[:, None] + offsets_O
        there_CO = (places_CO >= 0) & (places_CO < len(words_N)) & (offsets_O.abs() <= reach_C[:, None])
        places_CO = places_CO.clamp(0, len(words_N) - 1)
        there_CO &= sentences_N[places_CO] == sentences_N[centers_C][:, None]
        return words_N[places_CO], there_CO

    def _asked(self, words_C: torch.Tensor, around_CO: torch.Tensor, there_CO: torch.Tensor) -> Bags:
        if self._mode == BATCH_SKIPGRAM:
            return self._of_batches(words_C, around_CO, there_CO)
        groups_C = torch.arange(len(words_C), device=self._place)
        if self._mode == CBOW:
            rows, sizes = self._rows_of(around_CO[there_CO])
            belongs = groups_C[:, None].expand(around_CO.shape)[there_CO]
            sizes_C = torch.zeros_like(words_C).index_add_(0, belongs, sizes)
            return Bags(rows, _ends(sizes_C), groups_C, self._told_apart(words_C, there_CO.any(1)))
        rows, sizes_C = self._rows_of(words_C)
        targets_GT = self._told_apart(around_CO, there_CO).reshape(len(words_C), -1)
        return Bags(rows, _ends(sizes_C), groups_C, targets_GT)

    def _of_batches(self, words_C: torch.Tensor, around_CO: torch.Tensor, there_CO: torch.Tensor) -> Bags:
        """A bag for each word around a word, of which so many share their targets."""
        most = -(-2 * self._window // self._batch)
        places_C1 = torch.arange(len(words_C), device=self._place)[:, None]
        groups_CO = most * places_C1 + (there_CO.cumsum(1) - 1).clamp(min=0) // self._batch
        rows = around_CO[there_CO]
        ends_B = torch.arange(len(rows) + 1, device=self._place)
        words_G = words_C[:, None].expand(-1, most).reshape(-1)
        return Bags(rows, ends_B, groups_CO[there_CO], self._told_apart(words_G, torch.ones_like(words_G).bool()))

    def _told_apart(self, true: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """The true words with as many drawn ones as are asked for behind each; none where there is no true one."""
        others = self._drawn((*true.shape, self._negatives))
        if len(self._shares_V) > 1:
            others = torch.where(others == true[..., None], NONE, others)
        found = torch.cat([true[..., None], others], dim=-1)
        return torch.where(there[..., None], found, NONE)

    def _drawn(self, shape: tuple[int, ...]) -> torch.Tensor:
        places = (self._uniform(*shape, exact=True) * len(self._shares_V)).long()
        return torch.where(self._uniform(*shape) < self._shares_V[places], places, self._others_V[places])

    def _uniform(self, *shape: int, exact: bool = False) -> torch.Tensor:
        # A float32 has too few digits to number the words of a large vocabulary.
        kind = torch.float64 if exact else torch.float32
        return torch.rand(shape, generator=self._generator, device=self._place, dtype=kind)

    def _rows_of(self, words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows of one word after the other, and how many each has."""
        sizes = self._ends_V[words + 1] - self._ends_V[words]
        ends = _ends(sizes)
        shifts = torch.repeat_interleave(self._ends_V[words] - ends[:-1], sizes)
        return self._rows[shifts + torch.arange(len(shifts), device=self._place)], sizes


def _ends(sizes: torch.Tensor) -> torch.Tensor:
    """Where each one begins, and where the last one ends."""
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
