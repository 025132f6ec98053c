"""Blocks of rows cut anew: into batches of one size, shuffled within a window, shared out among hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from clary.toolkit.records import Records


def checked(blocks: Iterable[Records], check: Callable[[Records], object] | None) -> Iterator[Records]:
    """The blocks, each looked at first: ``check`` raises DataError for rows that cannot be used.

    To be asked before rows are cut anew or shuffled, and forget where they stood in their file.
    """
    for records in blocks:
        if check is not None:
            check(records)
        yield records


def batches(blocks: Iterable[Records], size: int) -> Iterator[Records]:
    """Batches of ``size`` rows in the order of the blocks; a last short batch is handed out, never dropped."""
    held: list[Records] = []
    count = 0
    for block in blocks:
        start = 0
        while count + len(block) - start >= size:
            stop = start + size - count
            held.append(block.rows(start, stop))
            yield Records.join(held)
            held, count, start = [], 0, stop
        if start < len(block):
            held.append(block.rows(start, len(block)))
            count += len(block) - start
    if held:
        yield Records.join(held)


def shuffled(blocks: Iterable[Records], rng: np.random.Generator, *, rows: int) -> Iterator[Records]:
    """The rows in random order within windows of that many, so that memory stays bounded.

    Windows are counted in rows, so the order does not depend on how the data was cut into files or blocks.
    Where the whole pass fits into one window this is a full shuffle.
    """
    for window in batches(blocks, rows):
        yield window.take(rng.permutation(len(window)))


def shared_out(parts: Iterable[Records], rank: int, hosts: int) -> Iterator[Records]:
    """Every ``hosts``-th batch, beginning with that of this rank, so that replicated data is read once in all."""
    for number, part in enumerate(parts):
        if number % hosts == rank:
            yield part
