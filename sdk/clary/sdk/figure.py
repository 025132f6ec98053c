"""How every plot looks: fonts, colors that color-blind people can tell apart, and a figure that opens no window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, and inks.
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
INK, QUIET, LINE, FAINT, GRID = "#222222", "#6B6B6B", "#9A9A9A", "#A6A6A6", "#E4E4E4"
_STYLE = {
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "figure.dpi": 110,
}


def number(value: float, sign: str = "-", digits: int = 4) -> str:
    """The number with so many digits that count, all of them where it is large, and a real minus."""
    text = f"{value:{sign},.0f}" if 10 ** (digits - 1) <= abs(value) < 1e12 else f"{value:{sign},.{digits}g}"
    return text.replace("-", "−")


@contextmanager
def styled() -> Iterator[None]:
    """What is drawn inside has our looks; the user's settings stay. UserError if matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'clary[plot]'") from error
    with matplotlib.rc_context(_STYLE):
        yield


def new(rows: int = 1, columns: int = 1, **settings: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row; closed for pyplot, so that a notebook shows it once and no window opens."""
    from matplotlib import pyplot

    figure: Figure
    figure, axes = pyplot.subplots(rows, columns, squeeze=False, layout="constrained", **settings)
    pyplot.close(figure)
    return figure, list(axes.flat)
