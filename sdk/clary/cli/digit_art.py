"""Small pictures of 8 by 8 pixels side by side, for a terminal: a character is two pixels, one above the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clary.toolkit.records import Floats

if TYPE_CHECKING:
    from rich.text import Text

SIDE = 8
BRIGHTEST = 16
MARGIN, GAP = "   ", "   "
# What stands for (upper, lower) where shades cannot be drawn: neither, upper, lower, both.
_BLOCKS, _LETTERS = " ▀▄█", " '.#"


def captions(texts: Sequence[str]) -> str:
    """The texts in a line, each below its picture."""
    return (MARGIN + "".join(f"{text:<{SIDE + len(GAP)}}" for text in texts)).rstrip()


def shaded(pictures: Sequence[Floats]) -> Text:
    """The pictures in shades of gray, for a terminal with colors."""
    from rich.text import Text

    drawn = Text(no_wrap=True)
    for line in range(0, SIDE, 2):
        drawn.append(MARGIN)
        for picture in pictures:
            upper, lower = _pixels(picture)[line : line + 2]
            for above, below in zip(upper, lower, strict=True):
                drawn.append("▀", style=f"{_gray(above)} on {_gray(below)}")
            drawn.append(GAP)
        drawn.append("\n")
    drawn.right_crop(1)
    return drawn


def outlined(pictures: Sequence[Floats], *, ascii_only: bool) -> str:
    """The pictures as text: a pixel is drawn where it is brighter than a little less than half."""
    marks = _LETTERS if ascii_only else _BLOCKS
    lines = []
    for line in range(0, SIDE, 2):
        drawn = []
        for picture in pictures:
            upper, lower = _pixels(picture)[line : line + 2] > BRIGHTEST * 0.4
            drawn.append("".join(marks[a + 2 * b] for a, b in zip(upper, lower, strict=True)))
        lines.append((MARGIN + GAP.join(drawn)).rstrip())
    return "\n".join(lines)


def _pixels(picture: Floats) -> Floats:
    return np.clip(picture.reshape(SIDE, SIDE), 0, BRIGHTEST)


def _gray(value: float) -> str:
    level = round(float(value) / BRIGHTEST * 255)
    return f"#{level:02x}{level:02x}{level:02x}"
