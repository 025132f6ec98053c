"""Explanations as pictures: which features matter over many rows, and the way to the score of one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from clary.sdk import figure as look
from clary.sdk.explanation import Explanation, Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_LONGEST_NAME = 32
_MOST_DOTS = 2000
_BINS = 100
_FEW = 200


def overview(explanation: Explanation, top: int) -> Figure:
    """The mean size of the contributions of the ``top`` features as bars, and each row's contribution as a dot."""
    order, others = _ranked(explanation.importance, top)
    labels = [_short(explanation.names[at]) for at in order] + _rest(len(others))
    means = [float(explanation.importance[at]) for at in order]
    if len(others):
        means.append(float(np.abs(explanation.contributions[:, others].sum(axis=1)).mean()))
    with look.styled():
        size = (10.0, 1.7 + 0.34 * len(labels))
        figure, (bars, dots) = look.new(1, 2, figsize=size, sharey=True, width_ratios=(1, 1.9))
        _bars(bars, means, labels, len(order))
        _dots(figure, dots, explanation, order, others)
        rows, features = len(explanation), len(explanation.names)
        figure.suptitle(
            f"{explanation.title}: what moves the score, over {rows:,} row{'s' * (rows != 1)} and "
            f"{features:,} feature{'s' * (features != 1)}",
            x=0.01,
            ha="left",
        )
        figure.draw_without_rendering()
    return figure


def waterfall(explanation: Explanation, row: int, top: int) -> Figure:
    """The way from the base to the score of one row, the largest contributions first."""
    contributions = explanation.contributions[row]
    order, others = _ranked(np.abs(contributions), top)
    values = _values(explanation, row)
    labels = [f"{_short(explanation.names[at])} = {_value(values[at])}" for at in order] + _rest(len(others))
    steps = [float(contributions[at]) for at in order] + ([float(contributions[others].sum())] if len(others) else [])
    base = float(explanation.base[row])
    with look.styled():
        figure, (axes,) = look.new(1, 1, figsize=(9.0, 1.9 + 0.34 * (len(steps) + 2)))
        _steps(axes, base, steps)
        axes.set_yticks(range(len(steps) + 2), ["base", *labels, "together"])
        axes.set_xlabel("score before the link function")
        score = look.number(np.ravel(explanation.scores[row])[0])
        figure.suptitle(f"{explanation.title}: why row {row} scores {score}", x=0.01, ha="left")
        figure.draw_without_rendering()
    return figure


def _ranked(sizes: Numbers, top: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The numbers of the ``top`` features, largest first, and of all others, which are never one alone."""
    order = np.argsort(-sizes, kind="stable")
    cut = top if len(order) > top + 1 else len(order)
    return order[:cut], order[cut:]


def _rest(count: int) -> list[str]:
    return [f"{count:,} other features"] if count else []


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _value(value: Any) -> str:
    return "no value" if np.isnan(value) else look.number(value)


def _values(explanation: Explanation, row: int) -> Numbers:
    """The features of the row, NaN for those that the model has and the row has not."""
    found = np.full(len(explanation.names), np.nan)
    found[: explanation.rows.width] = explanation.rows.rows(row, row + 1).dense()[0]
    return found


def _bars(axes: Axes, means: list[float], labels: list[str], ranked: int) -> None:
    places = range(len(means))
    colors = [look.BLUE if place < ranked else look.FAINT for place in places]
    axes.barh(places, means, height=0.62, color=colors)
    axes.set_yticks(places, labels)
    axes.tick_params(axis="y", length=0, labelcolor=look.INK)
    axes.set_ylim(len(means) - 0.4, -0.6)
    axes.set_xlim(0, (max(means) or 1.0) * 1.24)
    for place, mean in zip(places, means, strict=True):
        axes.annotate(
            look.number(mean, digits=3),
            (mean, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=look.QUIET,
        )
    axes.set_title("Mean size", y=1)
    axes.set_xlabel("mean |contribution|")
    axes.grid(axis="x")


def _dots(
    figure: Figure,
    axes: Axes,
    explanation: Explanation,
    order: npt.NDArray[np.intp],
    others: npt.NDArray[np.intp],
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades_of = LinearSegmentedColormap.from_list("low to high", [look.BLUE, "#C9C3D6", look.VERMILION])
    colors = shades_of.with_extremes(bad=look.FAINT)
    shown = np.unique(np.linspace(0, len(explanation) - 1, _MOST_DOTS).round().astype(int))
    features = explanation.rows.take(shown).dense()
    contributions = explanation.contributions[shown]
    span = float(np.ptp(np.append(contributions[:, order], 0.0))) or 1.0
    none = np.full(len(shown), np.nan)
    shades = [_shades(features[:, at]) if at < features.shape[1] else none for at in order]
    for place, (feature, shade) in enumerate(zip(order, shades, strict=True)):
        _swarm(axes, place, contributions[:, feature], span, shade, colors)
    if len(others):
        _swarm(axes, len(order), contributions[:, others].sum(axis=1), span, none, colors)
    axes.axvline(0, color=look.LINE, linewidth=0.9, zorder=0)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_title(f"Each row ({len(shown):,} of them)" if len(shown) < len(explanation) else "Each row", y=1)
    axes.set_xlabel("contribution to the score before the link function")
    _scale(figure, axes, colors, holes=bool(np.isnan(shades).any()))


def _shades(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Where each value lies between the low and the high ones of its feature, 0 to 1; NaN stays."""
    known = column[~np.isnan(column)]
    if not len(known) or known.min() == known.max():
        return np.where(np.isnan(column), np.nan, 0.5)
    low, high = np.percentile(known, [5, 95])
    if low == high:
        low, high = known.min(), known.max()
    return cast("npt.NDArray[Any]", np.clip((column - low) / (high - low), 0, 1))


def _swarm(
    axes: Axes, place: int, values: npt.NDArray[Any], span: float, shades: npt.NDArray[Any], colors: Colormap
) -> None:
    """One feature's rows along a line, moved apart where many are alike; those without a value are gray."""
    bins = np.round(values / span * _BINS).astype(int)
    order = np.argsort(bins, kind="stable")
    _, starts, counts = np.unique(bins[order], return_index=True, return_counts=True)
    ranks = np.arange(len(values)) - np.repeat(starts, counts)
    apart = np.empty(len(values))
    # In turn above and below the line, farther and farther away from it.
    apart[order] = (ranks + 1) // 2 * np.where(ranks % 2, 1, -1)
    apart *= min(0.09, 0.8 / (2 * np.abs(apart).max() + 1))
    size = 11 if len(values) > _FEW else 26
    axes.scatter(values, place - apart, size, colors(shades), linewidths=0, alpha=0.85, rasterized=True)


def _scale(figure: Figure, axes: Axes, colors: Colormap, *, holes: bool) -> None:
    """What the colors mean, in the line of the title."""
    from matplotlib.cm import ScalarMappable

    inches = axes.get_position().height * figure.get_size_inches()[1]
    place = axes.inset_axes((0.66, 1 + 0.1 / inches, 0.18, 0.09 / inches))
    bar = figure.colorbar(ScalarMappable(cmap=colors), cax=place, orientation="horizontal", ticks=[])
    bar.outline.set_visible(False)
    text: dict[str, Any] = {"transform": place.transAxes, "va": "center", "fontsize": 9, "color": look.QUIET}
    place.text(-0.06, 0.5, "value: low", ha="right", **text)
    place.text(1.06, 0.5, "high" + (", gray: none" if holes else ""), ha="left", **text)


def _steps(axes: Axes, base: float, steps: list[float]) -> None:
    """An arrow for each step, with its size, from the base in the first line to the sum in the last."""
    points = np.concatenate([[base], base + np.cumsum(steps)])
    span = float(np.ptp(points)) or 1.0
    for place, (start, step) in enumerate(zip(points[:-1], steps, strict=True), 1):
        _arrow(axes, place, start, step, 0.012 * span)
        axes.plot([start, start], [place - 1 + 0.31 * (place > 1), place - 0.31], color=look.LINE, linewidth=0.8)
        outward = 4 if step >= 0 else -4
        axes.annotate(
            look.number(step, "+", 3),
            (start + step, place),
            (outward, 0),
            textcoords="offset points",
            ha="left" if step >= 0 else "right",
            va="center",
            fontsize=8.5,
            color=look.VERMILION if step >= 0 else look.BLUE,
        )
    last = len(steps) + 1
    axes.plot([points[-1]] * 2, [last - 1 + 0.31, last], color=look.LINE, linewidth=0.8)
    for place, value in ((0, points[0]), (last, points[-1])):
        axes.plot(value, place, marker="D", markersize=6, color=look.INK)
        axes.annotate(look.number(value, digits=3), (value, place), (9, 0), textcoords="offset points", va="center")
    axes.set_xlim(points.min() - 0.14 * span, points.max() + 0.14 * span)
    axes.set_ylim(last + 0.6, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=look.INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _arrow(axes: Axes, place: int, start: float, step: float, tip: float) -> None:
    tip = min(abs(step), tip) * (1 if step >= 0 else -1)
    end, height = start + step, 0.31
    corners = [
        (start, place - height),
        (end - tip, place - height),
        (end, place),
        (end - tip, place + height),
        (start, place + height),
    ]
    axes.fill(*zip(*corners, strict=True), color=look.VERMILION if step >= 0 else look.BLUE, linewidth=0)
