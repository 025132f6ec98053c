"""Draws the picture of the page about DeepAR: two days of electricity load as forecast, with bands of quantiles.

    PYTHONPATH=. python docs/load_picture.py --data FOLDER

FOLDER holds the hourly load of ten zones of PJM, anywhere below. The network learns from all but the last week.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from benchmarks import series
from benchmarks.series import DAY, WINDOWS

from clary.sdk import DeepAR

Array = npt.NDArray[Any]
IMAGE = Path(__file__).parent / "images" / "deepar-load.png"
BLUE, BLACK = "#0072b2", "#222222"
HORIZON, BEFORE = 2 * DAY, 3 * DAY
ZONES = {"COMED": 1, "DOM": 4}  # their columns
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def main() -> None:
    """Learn from all zones, and draw two of them with what was to come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the file")
    loads = series.pjm_hourly(parser.parse_args().data)
    whole = [points for _, points in loads.test[::WINDOWS]]
    zones = [{"start": start, "target": points} for start, points in loads.train]
    deepar = DeepAR(
        time_freq="H", prediction_length=HORIZON, context_length=HORIZON, epochs=60, learning_rate=0.003, num_cells=64
    )
    job = deepar.fit(train=zones, logs=False)
    asked = [zones[place] for place in ZONES.values()]
    with job.deploy(workers=1) as predictor:
        answers = predictor.predict(asked, num_samples=500, quantiles=list(LEVELS), output_types=["quantiles"])
    plt.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(len(ZONES), 1, figsize=(12, 7), sharex=True)
    for axes, (zone, place), answer in zip(panels, ZONES.items(), answers, strict=True):
        draw(axes, zone, whole[place] / 1000, len(zones[place]["target"]), answer["quantiles"])
    panels[0].legend(loc="upper left", frameon=False, fontsize=11, ncols=4)
    figure.tight_layout()
    figure.savefig(IMAGE, dpi=80)


def draw(axes: Any, zone: str, load: Array, end: int, quantiles: dict[str, list[float]]) -> None:
    """The last days of what was known, what came, and the forecast with its bands."""
    hours = np.datetime64("2014-01-01T00") + np.arange(len(load)) * np.timedelta64(1, "h")
    ahead = hours[end : end + HORIZON]
    low, lower, middle, upper, high = (np.array(quantiles[str(level)]) / 1000 for level in LEVELS)
    axes.fill_between(ahead, low, high, color=BLUE, alpha=0.18, linewidth=0, label="90 % of the futures")
    axes.fill_between(ahead, lower, upper, color=BLUE, alpha=0.32, linewidth=0, label="half of them")
    axes.plot(ahead, middle, color=BLUE, linewidth=1.8, label="median")
    axes.plot(hours[end - BEFORE : end + HORIZON], load[end - BEFORE : end + HORIZON], color=BLACK, label="load")
    axes.axvline(hours[end], color="#888888", linewidth=1, linestyle="--")
    axes.set(ylabel=f"{zone}, gigawatts", xlim=(hours[end - BEFORE], ahead[-1]))
    axes.xaxis.set_major_locator(mdates.DayLocator())
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%a %b %d"))


if __name__ == "__main__":
    main()
