"""Draws the picture of the page about the random cut forest: anomalies in half a year of taxi rides.

    PYTHONPATH=. python docs/taxi_picture.py --data FOLDER

FOLDER holds files of the Numenta Anomaly Benchmark, anywhere below: ``nab-data.zip``, ``windows.json`` and
``aws-rcf-anomaly-scores.zip``. The series is its ``nyc_taxi``, values of the New York City Taxi and Limousine
Commission.
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
from benchmarks import nab

from clary.algorithms.random_cut_forest.evaluate import threshold
from clary.datasets.shingles import shingled
from clary.sdk import RandomCutForest

Array = npt.NDArray[Any]
IMAGE = Path(__file__).parent / "images" / "random-cut-forest-taxi.png"
BLUE, RED, SHADE = "#0072b2", "#d55e00", "#e6e6e6"
DAY = 48  # half-hours
# What the labels of the benchmark stand for, in order of time, and on which side of the middle the name has room.
EVENTS = {
    "marathon": "center",
    "Thanksgiving": "center",
    "Christmas": "right",
    "New Year": "left",
    "snow storm": "center",
}


def main() -> None:
    """Train on the days of the series, whenever they begin, and draw it above the score of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files of the benchmark")
    folder = next(parser.parse_args().data.rglob("nab-data.zip")).parent
    (taxi,) = (each for each in nab.load(folder) if each.name.endswith("nyc_taxi.csv"))
    times = np.datetime64("2014-07-01T00:00") + np.arange(len(taxi.values)) * np.timedelta64(30, "m")
    days = shingled(taxi.values, DAY)
    with RandomCutForest().fit(train=days, logs=False).deploy(workers=1) as predictor:
        scores = np.array([answer["score"] for answer in predictor.predict(days)])
    plt.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    figure, (above, below) = plt.subplots(2, 1, figsize=(12, 6), sharex=True)
    draw(above, below, times, taxi.values / 1000, scores)
    for axes in (above, below):
        for first, last in taxi.windows:
            axes.axvspan(times[first], times[last], color=SHADE, linewidth=0, zorder=0)
    for (first, last), (event, side) in zip(taxi.windows, EVENTS.items(), strict=True):
        place = {"center": (first + last) // 2, "right": last, "left": first}[side]
        above.annotate(event, (times[place], 41), ha=side, fontsize=11, annotation_clip=False)
    figure.tight_layout()
    figure.savefig(IMAGE, dpi=80)


def draw(above: Any, below: Any, times: Array, thousands: Array, scores: Array) -> None:
    """The series, and below it the score of each day at its end; what is called an anomaly is marked in both."""
    ends, limit = times[DAY - 1 :], threshold(scores)
    marked = scores > limit
    above.plot(times, thousands, color=BLUE, linewidth=0.6)
    above.plot(ends[marked], thousands[DAY - 1 :][marked], ".", color=RED, markersize=5)
    above.set(ylabel="passengers, thousands", ylim=(0, 40))
    below.plot(ends, scores, color="#555555", linewidth=0.9)
    below.plot(ends[marked], scores[marked], ".", color=RED, markersize=5)
    below.axhline(limit, color=RED, linewidth=1, linestyle="--")
    below.annotate("mean + 3 standard deviations", (times[60], limit + 0.02), color=RED, fontsize=11)
    below.set(ylabel="anomaly score", xlim=(times[0], times[-1]))
    below.xaxis.set_major_formatter(mdates.DateFormatter("%b %Y"))


if __name__ == "__main__":
    main()
