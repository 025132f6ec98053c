"""Pictures in the terminal: two pixels in a character, the same picture in shades, blocks and letters."""

from __future__ import annotations

import numpy as np

from clary.cli import digit_art

CORNERS = np.zeros((8, 8), np.float32)
CORNERS[0, 0], CORNERS[1, 7], CORNERS[6:, 0] = 16, 16, 16


def test_blocks_stand_for_the_upper_and_the_lower_pixel() -> None:
    assert digit_art.outlined([CORNERS.ravel()], ascii_only=False) == "   ▀      ▄\n\n\n   █"


def test_letters_do_where_the_output_has_no_blocks() -> None:
    drawn = digit_art.outlined([CORNERS, CORNERS], ascii_only=True)
    assert drawn.isascii()
    assert drawn.splitlines()[0] == "   '      .   '      ."


def test_shades_give_each_pixel_its_gray() -> None:
    drawn = digit_art.shaded([CORNERS])
    assert len(drawn.plain.splitlines()) == 4
    styles = {str(span.style) for span in drawn.spans}
    assert styles == {
        "#000000 on #000000",
        "#ffffff on #000000",
        "#000000 on #ffffff",
        "#ffffff on #ffffff",
    }
