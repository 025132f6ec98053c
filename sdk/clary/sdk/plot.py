"""A job's metrics as curves: training and validation of one quantity together, and final values as a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from clary.runner.metrics import History, Metrics
from clary.sdk import figure as look
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_LISTED = 13
_MARKED = 30
# Between the largest and the smallest value from which on a curve is easier to read on a logarithmic scale.
_WIDE = 100
_LARGE = 10_000
_PROGRESS, _SPEED = "train:progress", "throughput"
_FINAL = ":final"
# One family of color, so that what belongs together looks alike.
_SHADES: Mapping[str, str] = {"train": "#6DB3E3", "validation": look.BLUE, "test": "#003B5C"}
_DIRECTION = {"Minimize": "lower is better", "Maximize": "higher is better"}


def curves(metrics: Metrics, title: str, *, step: str = "epoch") -> Figure:
    """A matplotlib figure; UserError if matplotlib is not installed or nothing was reported.

    ``step`` is what the job's passes are called.
    """
    with look.styled():
        if not metrics:
            raise UserError(f"{title} has reported no metrics, so there is nothing to plot")
        panels = _panels(metrics)
        finals = list(_finals(metrics, panels))
        lists = [finals[start : start + _LISTED] for start in range(0, len(finals), _LISTED)]
        count = len(panels) + len(lists)
        columns = min(_COLUMNS, count)
        rows = -(-count // columns)
        figure, cells = look.new(rows, columns, figsize=(4.4 * columns, 3.1 * rows + 0.3))
        for cell, (quantity, histories) in zip(cells, panels.items(), strict=False):
            _draw(cell, quantity, histories, step)
        for cell, part in zip(cells[len(panels) :], lists, strict=False):
            _list(cell, part)
        for cell in cells[count:]:
            cell.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left")
        figure.draw_without_rendering()
    return figure


def _panels(metrics: Metrics) -> dict[str, list[History]]:
    """The metrics that were reported more than once, by the quantity that they measure; speed comes last."""
    found: dict[str, list[History]] = {}
    for name, history in metrics.items():
        if len(history) > 1 and name != _PROGRESS:
            found.setdefault(_quantity(name), []).append(history)
    for histories in found.values():
        histories.sort(key=lambda history: list(_SHADES).index(_channel(history.name)))
    return dict(sorted(found.items(), key=lambda panel: panel[0] == _SPEED))


def _finals(metrics: Metrics, panels: Mapping[str, Sequence[History]]) -> Iterator[History]:
    """The metrics that no panel draws."""
    drawn = {history.name for histories in panels.values() for history in histories}
    yield from (history for name, history in metrics.items() if name not in drawn)


def _channel(name: str) -> str:
    channel = name.partition(":")[0]
    return channel if channel in _SHADES else "train"


def _quantity(name: str) -> str:
    channel, _, quantity = name.removesuffix(_FINAL).partition(":")
    return quantity if channel in _SHADES and quantity else name


def _draw(axes: Axes, quantity: str, histories: Sequence[History], step: str) -> None:
    by_step = all(point.epoch is not None for history in histories for point in history)
    begun = min(history.points[0].time for history in histories)
    for history in histories:
        _curve(axes, history, None if by_step else begun)
    _scale(axes, [value for history in histories for value in history.values])
    if quantity == _SPEED:
        axes.set_ylim(bottom=0)
    if by_step:
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel(step if by_step else "seconds")
    axes.set_title(quantity, y=1)
    axes.set_title(_DIRECTION[histories[0].goal], y=1, loc="right", fontsize=8.5, color=look.QUIET, weight="normal")
    axes.grid()
    axes.legend(frameon=False, fontsize=8.5, labelcolor=look.INK, handlelength=1.4)


def _curve(axes: Axes, history: History, begun: float | None) -> None:
    """One history, over the time since ``begun`` or else over the steps; the best point of a validation is marked."""
    across = [point.epoch or 0 if begun is None else point.time - begun for point in history]
    color, label = _SHADES[_channel(history.name)], f"{_channel(history.name)} {look.number(history.value)}"
    best = history.best
    if history.name.startswith("validation:") and best.value != history.value:
        at = across[history.points.index(best)]
        axes.plot(at, best.value, "o", markersize=9, markerfacecolor="none", color=color, zorder=3)
        label += f", best {look.number(best.value)}" + (f" at {at}" if begun is None else "")
    marker = "o" if len(history) <= _MARKED else ""
    axes.plot(across, history.values, color=color, label=label, linewidth=1.8, marker=marker, markersize=3.5)


def _scale(axes: Axes, values: Sequence[float]) -> None:
    axes.margins(y=0.12)
    if min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_yscale("log")
    elif max(values) >= _LARGE:
        axes.yaxis.set_major_formatter("{x:,.0f}")


def _list(axes: Axes, histories: Sequence[History]) -> None:
    """Names and values in lines, with an arrow for the better direction."""
    axes.set_axis_off()
    axes.set_title("Final values", y=1)
    for line, history in enumerate(histories):
        place = 1 - (line + 0.7) / _LISTED
        arrow = "↓" if history.goal == "Minimize" else "↑"
        axes.text(0, place, history.name, fontsize=8.5, color=look.INK, transform=axes.transAxes)
        axes.text(
            1,
            place,
            f"{look.number(history.value)} {arrow}",
            fontsize=8.5,
            ha="right",
            color=look.INK,
            transform=axes.transAxes,
        )
