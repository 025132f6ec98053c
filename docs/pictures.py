"""Draws the pictures of the documentation from the packaged digits sample, through the SDK and without a network.

    python docs/pictures.py

The result is the same on each run with the same versions, so a changed picture is a changed result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from clary.datasets import samples
from clary.sdk import KMeans

IMAGES = Path(__file__).parent / "images"
EPOCHS = (1, 2, 3, 5, 10)
SEEDS = range(5)
FACTORS = (1, 4, 10)
COLORS = ("#0072b2", "#d55e00", "#009e73")  # told apart by people who see colors differently, too


def main() -> None:
    """Train the models and write the pictures."""
    plt.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    pixels = samples.digits().dense()
    centers = centers_of(KMeans(k=10, epochs=10, init_method="kmeans++").fit(train=pixels, logs=False))
    draw_centers(centers)
    draw_training(pixels, centers)


def centers_of(job: Any) -> np.ndarray[Any, Any]:
    """The centers in a job's artifact, k rows of 64 pixels."""
    from clary.toolkit.artifact import Artifact, opened

    with opened(Path(job.model_path)) as folder:
        return Artifact.read(folder).tensors["centers"]


def draw_centers(centers: np.ndarray[Any, Any]) -> None:
    """The centers as images in two rows."""
    figure, places = plt.subplots(2, 5, figsize=(8, 3.6))
    for number, place in enumerate(places.flat):
        place.imshow(centers[number].reshape(8, 8), cmap="gray_r", interpolation="nearest")
        place.set_title(f"cluster {number}", fontsize=10, color="#555555")
        place.set_axis_off()
    save(figure, "kmeans-digits-centers.png")


def draw_training(pixels: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> None:
    """Left the loss by the number of epochs, right the rows in the plane that shows most of their spread."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    for factor, color in zip(FACTORS, COLORS, strict=True):
        loss = [np.mean([final_loss(pixels, epochs, factor, seed) for seed in SEEDS]) for epochs in EPOCHS]
        left.plot(EPOCHS, loss, marker="o", color=color, label=f"{factor}")
    left.set_xlabel("epochs")
    left.set_ylabel("test:msd")
    left.set_xticks(EPOCHS)
    left.grid(axis="y", color="#dddddd")
    left.legend(title="extra_center_factor", frameon=False)

    middle = pixels.mean(axis=0)
    plane = np.linalg.svd(pixels - middle, full_matrices=False)[2][:2].T
    nearest = np.square(pixels[:, None] - centers[None]).sum(axis=2).argmin(axis=1)
    flat, flat_centers = (pixels - middle) @ plane, (centers - middle) @ plane
    right.scatter(*flat.T, c=nearest, cmap="tab10", s=8, alpha=0.7, linewidths=0)
    for number, place in enumerate(flat_centers):
        right.annotate(str(number), place, ha="center", va="center", fontweight="bold", bbox=WHITE)
    right.set_xlabel("first principal axis")
    right.set_ylabel("second principal axis")
    save(figure, "kmeans-digits-training.png")


WHITE = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "#444444", "linewidth": 0.8}


def final_loss(pixels: np.ndarray[Any, Any], epochs: int, factor: int, seed: int) -> float:
    """The loss over all rows after that many epochs."""
    model = KMeans(k=10, epochs=epochs, extra_center_factor=factor, mini_batch_size=100, seed=seed)
    return float(model.fit(train=pixels, test=pixels, logs=False).metrics["test:msd"].value)


def save(figure: Any, name: str) -> None:
    """Write a picture without the date in it, so that equal pictures are equal files."""
    IMAGES.mkdir(exist_ok=True)
    figure.tight_layout()
    figure.savefig(IMAGES / name, dpi=120, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
