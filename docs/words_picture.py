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
    """A panel for each word: the words with the largest cosines to it."""
    places = {word: place for place, word in enumerate(words)}
    figure, panels = plt.subplots(2, 3, figsize=(9, 5), layout="constrained", sharex=True)
    for word, color, axes in zip(ASKED, COLORS, panels.flat, strict=True):
        cosine_V = unit_VD @ unit_VD[places[word]]
        closest = np.argsort(-cosine_V)[1 : CLOSE + 1]
        axes.barh([words[place] for place in closest], cosine_V[closest], color=color, height=0.6)
        axes.invert_yaxis()
        axes.set_title(word, fontsize=11, fontweight="bold", color=color, loc="left")
        axes.set_xlim(0, 1)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.supxlabel("cosine", fontsize=10)
    figure.savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
