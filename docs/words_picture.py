"""Draws the picture of the page about BlazingText: words and their closest neighbors.

    PYTHONPATH=. python docs/words_picture.py --data FOLDER

FOLDER holds wiki-featured-a, anywhere below.
"""

from __future__ import annotations

import argparse
import lzma
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from clary.sdk import BlazingText
from clary.toolkit.artifact import opened

Array = npt.NDArray[Any]
IMAGE = Path(__file__).parent / "images" / "blazingtext-words.png"
ASKED = ("guitar", "planet", "goalkeeper", "emperor", "hurricane", "novel")
CLOSE = 7
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#222222")


def main() -> None:
    """Learn vectors of an encyclopedia and draw the neighbors of some words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the file")
    packed = next(parser.parse_args().data.rglob("wiki-featured-a.txt.xz"))
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "wiki.txt")
        text.write_bytes(lzma.decompress(packed.read_bytes()))
        job = BlazingText(mode="batch_skipgram", epochs=3).fit(train=text, logs=False)
        with opened(job.model_path) as model:
            rows = [line.split() for line in (model / "vectors.txt").read_text().splitlines()[1:]]
    words = [row[0] for row in rows]
    vectors = np.array([row[1:] for row in rows], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    draw(words, vectors)


def draw(words: list[str], unit_VD: Array) -> None:
    """The words and their neighbors, in the two directions in which they differ most."""
    places = {word: place for place, word in enumerate(words)}
    groups = [np.argsort(-(unit_VD @ unit_VD[places[word]]))[: CLOSE + 1] for word in ASKED]
    chosen = np.concatenate(groups)
    centered = unit_VD[chosen] - unit_VD[chosen].mean(axis=0)
    plane = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for number, group in enumerate(groups):
        for rank, place in enumerate(group.tolist()):
            x, y = plane[number * (CLOSE + 1) + rank]
            axes.plot(x, y, "o", color=COLORS[number], markersize=6 if rank == 0 else 3)
            axes.annotate(
                words[place],
                (x, y),
                xytext=(4, 3),
                textcoords="offset points",
                color=COLORS[number],
                fontsize=11 if rank == 0 else 8,
                fontweight="bold" if rank == 0 else "normal",
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title("Words and their closest neighbors among 49,000", fontsize=11)
    figure.savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
