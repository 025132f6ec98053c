"""The two products with the vocabulary, of documents as rows of few counts.

B documents, W words, H numbers wide, K topics. Nothing here is as large as documents times words, but a few rows of
the decoder at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

# Numbers of the decoder that are computed at once: what stays in a core's cache, and what keeps a GPU busy.
TILE_OF_A_CORE, TILE_OF_A_GPU = 3 << 16, 1 << 26


@dataclass(frozen=True)
class _Rows:
    """Sparse rows: the values of row r are ``values[ends[r]:ends[r + 1]]``, at the ``places`` there."""

    ends: Tensor
    places: Tensor
    values: Tensor

    def times(self, table: Tensor) -> Tensor:
        """The product of these rows with a table, a sum of few of the table's rows for each."""
        # On either device each sum is formed by one thread, in order, so the same rows have the same sums.
        # A table that wants a gradient would be taken for one that this kernel has to give it.
        return embedding_bag(
            self.places,
            table.detach(),
            self.ends,
            mode="sum",
            per_sample_weights=self.values,
            include_last_offset=True,
        )


@dataclass(frozen=True)
class Counts:
    """B documents over W words, by document and by word; ``totals_B`` are their lengths in words."""

    by_document: _Rows
    by_word: _Rows
    totals_B: Tensor

    def __len__(self) -> int:
        return len(self.totals_B)

    @classmethod
    def of(cls, rows: Any, device: torch.device) -> Counts:
        """The rows of a CSR matrix, on that device."""
        columns, totals_B = rows.tocsc(), np.asarray(rows.sum(axis=1), np.float32).ravel()
        by_document, by_word = (
            _Rows(*(torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in _arrays(form)))
            for form in (rows, columns)
        )
        return cls(by_document, by_word, torch.from_numpy(totals_B).to(device))

    def per_word(self) -> Tensor:
        """What makes a document's sum over words a mean (B); 1 for a document without words."""
        return 1 / self.totals_B.clamp(min=1)

    def logarithms(self) -> Counts:
        """The same with log(1 + count) in place of each count; ``totals_B`` stay."""
        one, other = (replace(form, values=form.values.log1p()) for form in (self.by_document, self.by_word))
        return replace(self, by_document=one, by_word=other)

    def times(self, table_WH: Tensor) -> Tensor:
        """The product (B, H) with a table that has a row for each word; gradients reach the table."""
        found_BH: Tensor = _Product.apply(table_WH, self)
        return found_BH


def _arrays(form: Any) -> tuple[Any, Any, Any]:
    # One type for both: the kernels take no mixture.
    return form.indptr.astype(np.int64), form.indices.astype(np.int64), form.data


class _Product(torch.autograd.Function):
    """The product of sparse counts with a table, and its gradient as another such product."""

    @staticmethod
    def forward(ctx: Any, table_WH: Tensor, counts: Counts) -> Tensor:
        """The product (B, H)."""
        ctx.counts = counts
        return counts.by_document.times(table_WH)

    @staticmethod
    def backward(ctx: Any, gradient_BH: Tensor) -> tuple[Tensor, None]:
        """The gradient of the table."""
        return ctx.counts.by_word.times(gradient_BH.contiguous()), None


def reconstruction(
    shares_BK: Tensor, topics_WK: Tensor, background_W: Tensor, counts: Counts
) -> tuple[Tensor, Tensor]:
    """Minus the log likelihood per word of each document: the sum over documents, and each (B) without a gradient.

    A word's probability is the softmax over words of ``shares @ topics.T + background``.
    """
    found: tuple[Tensor, Tensor] = _Reconstruction.apply(shares_BK, topics_WK, background_W, counts)
    return found


class _Reconstruction(torch.autograd.Function):
    """The loss of the decoder. Its gradient is worked out beside it, while the probabilities are at hand.

    Only the normalizing sum and its gradient touch every word. The counts themselves enter by two sparse products.
    """

    @staticmethod
    def forward(
        ctx: Any, shares_BK: Tensor, topics_WK: Tensor, background_W: Tensor, counts: Counts
    ) -> tuple[Tensor, Tensor]:
        """The sum of the losses, and each (B)."""
        shares, table = torch.nn.functional.pad(shares_BK, (0, 1), value=1.0), _table(topics_WK, background_W)
        wanted, per_word_B = any(ctx.needs_input_grad), counts.per_word()
        lengths_B = counts.totals_B * per_word_B  # 1, or 0 for a document without words
        of_shares, of_table = torch.empty_like(shares), torch.zeros_like(table)

        def weigh(part: slice, odds_bW: Tensor, sums_b: Tensor) -> None:
            factors_b1 = (lengths_B[part] / sums_b)[:, None]
            of_shares[part] = (odds_bW @ table).mul_(factors_b1)
            of_table.addmm_(odds_bW.T, shares[part] * factors_b1)

        norms_B = _norms(shares, table, weigh if wanted else None)
        counted = counts.by_document.times(table) * per_word_B[:, None]
        losses_B = lengths_B * norms_B - (shares * counted).sum(dim=1)
        if wanted:
            of_table.sub_(counts.by_word.times(shares * per_word_B[:, None]))
            ctx.save_for_backward(of_shares.sub_(counted), of_table)
        ctx.mark_non_differentiable(losses_B)
        return losses_B.sum(), losses_B

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """The gradients of shares, topics and background."""
        of_shares, of_table = (each * gradient for each in ctx.saved_tensors)
        return of_shares[:, :-1], of_table[:, :-1], of_table[:, -1], None


def _table(topics_WK: Tensor, background_W: Tensor) -> Tensor:
    """Topics and background side by side: the background is one more topic, of which each document has all."""
    return torch.cat([topics_WK, background_W[:, None]], dim=1)


def _norms(shares: Tensor, table: Tensor, visit: Callable[[slice, Tensor, Tensor], None] | None) -> Tensor:
    """The logarithm of each document's sum over all words of exp(shares @ table.T).

    ``visit`` is shown each tile: which documents, their words' odds, which it may not keep, and the sums of these.
    """
    tile = TILE_OF_A_CORE if table.device.type == "cpu" else TILE_OF_A_GPU
    height = min(max(tile // len(table), 1), len(shares))
    buffer, norms_B = table.new_empty(height, len(table)), table.new_empty(len(shares))
    for start in range(0, len(shares), height):
        part = slice(start, min(start + height, len(shares)))
        odds_bW = torch.mm(shares[part], table.T, out=buffer[: part.stop - start])
        largest_b1 = odds_bW.amax(dim=1, keepdim=True)
        sums_b = odds_bW.sub_(largest_b1).exp_().sum(dim=1)
        norms_B[part] = largest_b1[:, 0] + sums_b.log()
        if visit:
            visit(part, odds_bW, sums_b)
    return norms_B


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: threads that wait for each other at every small product are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
