"""A job's metrics as curves, one small picture for each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.runner.metrics import History, Metrics
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3


def curves(metrics: Metrics, title: str) -> Figure:
    """A matplotlib figure; UserError if matplotlib is not installed or nothing was reported."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'clary[plot]'") from error
    if not metrics:
        raise UserError(f"{title} has reported no metrics, so there is nothing to plot")
    columns = min(_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    size = (4.2 * columns, 2.9 * rows)
    figure: Figure
    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    # Closed for pyplot, so that a notebook shows the returned figure once and no window opens.
    pyplot.close(figure)
    cells = list(axes.flat)
    for cell, history in zip(cells, metrics.values(), strict=False):
        _draw(cell, history)
    for cell in cells[len(metrics) :]:
        cell.set_axis_off()
    figure.suptitle(title)
    return figure


def _draw(axes: Axes, history: History) -> None:
    begun = history.points[0].time
    epochs = [float(point.epoch) for point in history if point.epoch is not None]
    by_epoch = len(epochs) == len(history)
    across = epochs if by_epoch else [point.time - begun for point in history]
    axes.plot(across, history.values, marker="o", markersize=4)
    axes.set_title(f"{history.name} = {history.value:.4g}", fontsize=10)
    if len(history) == 1:
        axes.set_xticks([])
    else:
        axes.set_xlabel("epoch" if by_epoch else "seconds")
    axes.grid(alpha=0.3)
