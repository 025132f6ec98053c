"""The steps of training in torch, on any device: bags of rows against true and drawn words, lines against labels.

B bags or lines, R rows of the inputs, L labels, T targets, W numbers of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding_bag

from clary.algorithms.blazingtext.devices import Learn, Piece
from clary.algorithms.blazingtext.loops import END, FIRST_LABEL
from clary.algorithms.blazingtext.spec import BATCH_SKIPGRAM
from clary.algorithms.blazingtext.windows import NONE, Bags, Draws, Windows

Array = npt.NDArray[Any]
Tables = Mapping[str, torch.Tensor]
Step = Callable[[torch.Tensor, torch.Tensor, Bags, float, int], None]

_AT_ONCE, _MOST = 1 << 15, 1 << 23  # words whose draws are in memory at once, and their targets
_LINES = 32  # that are learned at once: labels are few, and each line moves all of them


def tell_apart(inputs: torch.Tensor, outputs: torch.Tensor, bags: Bags, rate: float, negatives: int) -> None:
    """Move the rows of all bags and of their targets by the sums of their gradients."""
    targets_BT = bags.targets_GT[bags.groups_B]
    hidden_BW = _means(inputs, bags.rows, bags.ends_B)
    there_BTW = outputs[targets_BT.clamp(min=0)]
    truth_T = (torch.arange(targets_BT.shape[1], device=inputs.device) % (negatives + 1) == 0).float()
    slopes_BT = rate * (truth_T - (there_BTW @ hidden_BW[:, :, None])[:, :, 0].sigmoid())
    slopes_BT = slopes_BT.masked_fill(targets_BT == NONE, 0.0)
    gradient_BW = (slopes_BT[:, None] @ there_BTW)[:, 0]
    moves = (slopes_BT[:, :, None] * hidden_BW[:, None]).reshape(-1, outputs.shape[1])
    outputs.index_add_(0, targets_BT.clamp(min=0).reshape(-1), moves)
    inputs.index_add_(0, bags.rows, _spread(gradient_BW, bags.ends_B, len(bags.rows)))


def words_on(draws: Draws, tokens: Array, place: str) -> Learn:
    """How word vectors are learned there: by a kernel where Triton can build one, else by torch's own products."""
    step: Step
    windows, step, at_once = Windows(draws, place), tell_apart, draws.stale
    if place.startswith("cuda") and find_spec("triton"):
        from clary.algorithms.blazingtext import kernels

        bags_each = draws.window + 1 if draws.mode == BATCH_SKIPGRAM else 1
        step, at_once = partial(kernels.step, programs=draws.stale * bags_each), _AT_ONCE
    at_once = max(1, min(at_once, _MOST // (2 * draws.window * (draws.negatives + 1))))

    def learn(tables: Tables, piece: Piece) -> None:
        for bags, rate in windows.bags(tokens, piece, at_once):
            step(tables["inputs"], tables["outputs"], bags, rate, draws.negatives)

    return learn


def lines_on(tokens: Array, place: str) -> Learn:
    """How a classifier is learned there: a step for a few lines at a time."""

    def learn(tables: Tables, piece: Piece) -> None:
        start, stop = _whole_lines(tokens, piece)
        found = np.asarray(tokens[start:stop])
        labels_B, sizes_B = _drawn_labels(found, np.random.default_rng(int(piece.seed)))
        ends_B = np.concatenate([[0], np.cumsum(sizes_B)])
        rows = torch.tensor(found[found >= 0].astype(np.int64), device=place)
        labels = torch.tensor(labels_B, device=place)
        places_B = torch.tensor(ends_B, device=place)
        at_B = np.flatnonzero(found == END) + start - piece.start
        for first in range(0, len(labels_B), _LINES):
            last = min(first + _LINES, len(labels_B))
            own = rows[int(ends_B[first]) : int(ends_B[last])]
            ends = places_B[first : last + 1] - int(ends_B[first])
            rate = max(0.0, piece.rate - piece.fall * float(at_B[last - 1]))
            classify(tables["inputs"], tables["outputs"], own, ends, labels[first:last], rate)

    return learn


def classify(
    inputs: torch.Tensor,
    outputs: torch.Tensor,
    rows: torch.Tensor,
    ends_B: torch.Tensor,
    labels_B: torch.Tensor,
    rate: float,
) -> None:
    """Move the rows of some lines and of all labels by the sums of the gradients of a softmax."""
    hidden_BW = _means(inputs, rows, ends_B)
    slopes_BL = -rate * (hidden_BW @ outputs.T).softmax(dim=1)
    slopes_BL[torch.arange(len(labels_B), device=rows.device), labels_B] += rate
    gradient_BW = slopes_BL @ outputs / ends_B.diff()[:, None]
    outputs += slopes_BL.T @ hidden_BW
    inputs.index_add_(0, rows, _spread(gradient_BW, ends_B, len(rows)))


def _means(inputs: torch.Tensor, rows: torch.Tensor, ends_B: torch.Tensor) -> torch.Tensor:
    return embedding_bag(rows, inputs, ends_B, mode="mean", include_last_offset=True)


def _spread(gradient_BW: torch.Tensor, ends_B: torch.Tensor, rows: int) -> torch.Tensor:
    return torch.repeat_interleave(gradient_BW, ends_B.diff(), dim=0, output_size=rows)


def _whole_lines(tokens: Array, piece: Piece) -> tuple[int, int]:
    """Where the first line that begins in the piece begins, and where the last one that does ends."""
    return _next_line(tokens, piece.start), _next_line(tokens, piece.stop)


def _next_line(tokens: Array, at: int) -> int:
    """The first begin of a line from that place on."""
    while 0 < at < len(tokens) and tokens[at - 1] != END:
        at += 1
    return at


def _drawn_labels(found: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """One of the labels of each line (B), and the number of features that follow them (B)."""
    ends_B = np.flatnonzero(found == END)
    starts_B = np.concatenate([[0], ends_B[:-1] + 1]) if len(ends_B) else ends_B
    labeled = np.concatenate([[0], np.cumsum(found < END)])
    labels_B = labeled[ends_B] - labeled[starts_B]
    chosen_B = starts_B + (rng.random(len(ends_B)) * labels_B).astype(np.int64)
    return (FIRST_LABEL - found[chosen_B]).astype(np.int64), ends_B - starts_B - labels_B
