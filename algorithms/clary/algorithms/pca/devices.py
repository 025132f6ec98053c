"""Moments where the job computes: NumPy and BLAS on the processor, torch on a GPU.

B rows of a block, D features, L columns of a sketch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clary.algorithms.pca.data import SAMPLE, Array, Moments, Summary

_ROWS_AT_ONCE = 1 << 14
_FETCHED_AT_ONCE = 64  # of the ways between means


def moments_on(
    device: str, width: int, *, centered: bool, axes_DD: Array | None = None, test_DL: Array | None = None
) -> Moments:
    """Empty moments on that device: the processor for ``cpu``, otherwise what torch calls so, such as ``cuda``."""
    if device == "cpu":
        return Moments(width, centered=centered, axes_DD=axes_DD, test_DL=test_DL)
    return DeviceMoments(device, width, centered=centered, axes_DD=axes_DD, test_DL=test_DL)


class DeviceMoments(Moments):
    """The same moments, formed and kept in float64 on a device of torch; sparse rows go there as dense blocks.

    Nothing is copied back before somebody asks, so the processor can read on while the device computes.
    """

    def __init__(
        self, device: str, width: int, *, centered: bool, axes_DD: Array | None = None, test_DL: Array | None = None
    ) -> None:
        import torch

        super().__init__(width, centered=centered, axes_DD=axes_DD, test_DL=test_DL)
        self._torch, self._device = torch, torch.device(device)
        self._rows_at_once, self._most_held = _ROWS_AT_ONCE, 0
        self._between: list[Any] = []
        factor = test_DL if axes_DD is None else axes_DD
        self._factor = None if factor is None else self._placed(factor)
        self._place()

    def state(self) -> dict[str, Array]:
        """Everything that ``restore`` needs, whatever the device."""
        self._fetch()
        return super().state()

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go back to where ``state`` was taken, whatever the device was."""
        super().restore(state)
        held, self._held = self._held, []
        self._place()
        for part in held:
            self._add_block(part)

    def settle(self) -> Summary:
        """What all rows added so far come to."""
        self._fetch()
        return super().settle()

    def _add_block(self, part_BD: Array) -> None:
        torch = self._torch
        count, before = len(part_BD), self._counts[0]
        block = self._placed(part_BD).to(torch.float64)
        if self.centered:
            mean = block.mean(dim=0)
            shift = mean - self._mean
            block -= mean
            between = shift * float(np.sqrt(before * count / (before + count)))
            far = self._far(between.square().sum(), block[:SAMPLE].square().sum() / min(count, SAMPLE))
            block = torch.cat([block, torch.where(far, 0, between)[None]])
            self._mean += shift * float(count / (before + count))
            self._between.append(torch.where(far, between, 0))
        self._counts[0] += count
        self._accumulate(block)
        if len(self._between) >= _FETCHED_AT_ONCE:
            self._fetch_far()

    def _accumulate(self, block: Any) -> None:
        turned = block if self._factor is None else block @ self._factor
        left = block if self.axes_DD is None else turned
        self._product.addmm_(left.T, turned)
        if self.test_DL is not None:
            self._squares += block.square().sum()

    def _count_in(self, centered_BD: Array) -> None:
        self._accumulate(self._placed(centered_BD))

    def _fetch_far(self) -> None:
        """Take the ways that are far from the device; the others are zero there."""
        between_FD = self._torch.stack(self._between).cpu().numpy()
        self._between.clear()
        far_FD = between_FD[between_FD.any(axis=1)]
        if len(far_FD):
            self._keep(np.concatenate([self.far_FD, far_FD]))

    def _stays_sparse(self, rows: Any) -> bool:
        return False

    def _place(self) -> None:
        """Put what was found so far onto the device."""
        self._between.clear()
        self._mean, self._product = self._placed(self.mean_D), self._placed(self.product_DL)
        self._squares = self._placed(self._counts[2:])

    def _fetch(self) -> None:
        """Take what was found so far from the device."""
        if self._between:
            self._fetch_far()
        self.mean_D, self.product_DL = self._mean.cpu().numpy(), self._product.cpu().numpy()
        self._counts[2] = float(self._squares)

    def _placed(self, array: Array) -> Any:
        return self._torch.tensor(np.ascontiguousarray(array), device=self._device)
