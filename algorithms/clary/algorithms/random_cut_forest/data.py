"""The sample that trees are built from: rows of a stream, each with the same chance, in bounded memory.

K sampled rows, N rows of a batch, D features. Every row draws a number, and the rows with the lowest numbers are the
sample, without replacement. So samples of several hosts join into one, and the order of the numbers shuffles it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Sample:
    """At most ``most`` rows of those offered, with the numbers that they drew."""

    def __init__(self, most: int, width: int) -> None:
        self._most = most
        self._numbers_K, self._points_KD = np.empty(0), np.empty((0, width), np.float32)
        self._waiting: list[tuple[Array, Array]] = []
        self._limit = 1.0
        self._count = 0

    def promising(self, numbers_N: Array) -> npt.NDArray[np.intp]:
        """Which of the rows that drew these numbers may belong to the sample, as far as is known yet."""
        return np.flatnonzero(numbers_N < self._limit)

    def add(self, numbers_N: Array, points_ND: Array) -> None:
        """Offer rows with the numbers that they drew."""
        self._waiting.append((numbers_N, points_ND))
        self._count += len(numbers_N)
        # Sorting out is put off until it is worth its cost; until then there are at most twice as many rows.
        if self._count > 2 * self._most:
            self._settle()

    def numbers(self) -> Array:
        """The numbers of the sampled rows, ascending."""
        self._settle()
        return self._numbers_K

    def points(self) -> Array:
        """The sampled rows (K, D), in the order of their numbers."""
        self._settle()
        return self._points_KD

    @property
    def nbytes(self) -> int:
        """Size of the rows held, in bytes."""
        return self._count * self._points_KD.shape[1] * self._points_KD.itemsize

    def _settle(self) -> None:
        numbers = np.concatenate([self._numbers_K, *(each for each, _ in self._waiting)])
        points = np.concatenate([self._points_KD, *(each for _, each in self._waiting)])
        order = np.argsort(numbers, kind="stable")[: self._most]
        self._numbers_K, self._points_KD, self._waiting = numbers[order], points[order], []
        self._count = len(order)
        if len(order) == self._most:
            self._limit = float(self._numbers_K[-1])
