"""A job's metrics as a picture: what belongs together lies together, and says which way is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clary.runner.metrics import History, Metrics, Point
from clary.sdk.plot import curves
from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def history(name: str, goal: str, values: Sequence[float], *, epochs: bool = True) -> History:
    return History(name, goal, [Point(value, 0.5 * at, at if epochs else None) for at, value in enumerate(values)])


def panels(figure: Figure) -> dict[str, Axes]:
    """The parts of the picture by their titles."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def lines(axes: Axes) -> dict[str, list[float]]:
    """The values of each line by the text that the legend has for it."""
    return {str(line.get_label()): np.asarray(line.get_ydata(), float).tolist() for line in axes.get_lines()}


MANY = Metrics(
    [
        history("validation:logloss", "Minimize", [0.5, 0.25, 0.375]),
        history("validation:auc", "Maximize", [0.5, 0.75, 0.875]),
        history("train:logloss", "Minimize", [0.5, 0.125, 0.0625]),
        history("train:throughput", "Maximize", [20_000.0, 30_000.0], epochs=False),
        history("train:progress", "Maximize", [50.0, 100.0]),
        history("test:recall", "Maximize", [0.875]),
        history("validation:logloss:final", "Minimize", [0.25]),
    ]
)


def test_training_and_validation_of_one_quantity_share_a_panel() -> None:
    found = panels(curves(MANY, "a job", step="round"))
    assert list(found) == ["logloss", "auc", "throughput", "Final values"]
    shown = lines(found["logloss"])
    assert shown["train 0.0625"] == [0.5, 0.125, 0.0625]
    assert shown["validation 0.375, best 0.25 at 1"] == [0.5, 0.25, 0.375]
    assert list(lines(found["auc"])) == ["validation 0.875"], "the last is the best"
    assert found["logloss"].get_title(loc="right") == "lower is better"
    assert found["auc"].get_title(loc="right") == "higher is better"
    assert [found[name].get_xlabel() for name in ("auc", "throughput")] == ["round", "seconds"]


def test_what_is_reported_once_is_listed_with_its_direction() -> None:
    texts = [text.get_text() for text in panels(curves(MANY, "a job"))["Final values"].texts]
    assert texts == ["train:progress", "100 ↑", "test:recall", "0.875 ↑", "validation:logloss:final", "0.25 ↓"]


def test_many_final_values_go_on_in_another_list() -> None:
    found = curves(Metrics([history(f"test:score{n}", "Maximize", [n]) for n in range(40)]), "a job")
    assert sum(len(axes.texts) for axes in found.axes) == 80
    assert [axes.get_title(loc="left") for axes in found.axes].count("Final values") == 4


def test_what_spans_several_powers_of_ten_has_a_logarithmic_scale() -> None:
    far = [history("train:mse", "Minimize", [0.5, 0.25]), history("validation:mse", "Minimize", [5000.0, 2500.0])]
    assert panels(curves(Metrics(far), "a job"))["mse"].get_yscale() == "log"
    assert panels(curves(Metrics(far[:1]), "a job"))["mse"].get_yscale() == "linear"


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_values_that_are_not_finite_do_not_stop_the_picture(odd: float, tmp_path: Path) -> None:
    curves(Metrics([history("validation:mse", "Minimize", [1.0, odd, 0.5])]), "a job").savefig(tmp_path / "odd.png")


def test_nothing_reported_is_told() -> None:
    with pytest.raises(UserError, match="a job has reported no metrics, so there is nothing to plot"):
        curves(Metrics(), "a job")


def test_the_users_own_settings_stay_as_they_were() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    curves(MANY, "a job")
    assert dict(matplotlib.rcParams) == before
