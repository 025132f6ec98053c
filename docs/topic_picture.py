"""Draws the picture of the page about LDA: bars that it finds in made-up pictures, and topics of the newsgroups.

    python docs/topic_picture.py --data FOLDER

FOLDER holds ``20ng-etm-bow.npz`` and its ``vocab.txt``, the 20 Newsgroups as bags of words, anywhere below.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from clary.datasets.generators import bars
from clary.sdk import LDA
from clary.toolkit.artifact import Artifact, unpack

Array = npt.NDArray[Any]
IMAGE = Path(__file__).parent / "images" / "lda-topics.png"
TOPICS, DRAWN, WORDS = 20, 10, 8
COLOR = "#0072b2"


def main() -> None:
    """Train on both corpora, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the newsgroups")
    folder = parser.parse_args().data
    counts, words = newsgroups(folder)
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure = plt.figure(figsize=(11, 7.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 4.6))
    draw_bars(above, bars(2000).dense())
    draw_words(below, *learned(counts, TOPICS), words)
    figure.savefig(IMAGE, dpi=120, metadata={"Software": None})


def newsgroups(folder: Path) -> tuple[Any, list[str]]:
    """The training documents and the vocabulary."""
    path = next(folder.rglob("20ng-etm-bow.npz"))
    with np.load(path) as stored:
        parts = (stored["tr_counts"].astype(np.float32), stored["tr_indices"].astype(np.int32), stored["tr_indptr"])
        counts = csr_matrix(parts, shape=(len(stored["tr_indptr"]) - 1, 3072))
    return counts, path.with_name("vocab.txt").read_text().split()


def learned(counts: Any, topics: int) -> tuple[Array, Array]:
    """The prior and the topics of these documents, the most frequent topic first."""
    job = LDA(num_topics=topics).fit(train=counts, logs=False)
    with tempfile.TemporaryDirectory() as folder:
        unpack(job.model_path, Path(folder))
        tensors = Artifact.read(Path(folder)).tensors
    order = np.argsort(-tensors["alpha"])
    return tensors["alpha"][order], tensors["beta"][order]


def draw_bars(figure: Any, rows: Array) -> None:
    """Six of the pictures, and the ten topics that are found in all of them."""
    figure.suptitle("2,000 pictures like these ...                            ... are mixed from these ten topics")
    _, beta = learned(rows, 10)
    # Rows first and then columns, each in their order, so that one sees that all are there.
    across = np.abs(np.diff(beta.reshape(-1, 5, 5), axis=2)).sum(axis=(1, 2))
    down = np.abs(np.diff(beta.reshape(-1, 5, 5), axis=1)).sum(axis=(1, 2))
    order = np.lexsort((beta.argmax(axis=1) % 5, beta.argmax(axis=1) // 5 * (across < down), across > down))
    images = [*rows[:6], None, *beta[order]]
    for place, image in zip(figure.subplots(1, len(images)), images, strict=True):
        place.set_axis_off()
        if image is not None:
            place.imshow(image.reshape(5, 5), cmap="Blues", vmin=0)


def draw_words(figure: Any, alpha: Array, beta: Array, words: list[str]) -> None:
    """The most frequent topics, each with the words of which it has the most."""
    figure.suptitle(f"The {DRAWN} largest of {TOPICS} topics of 11,214 posts, with their mean share of a post")
    share = alpha / alpha.sum()
    for number, place in enumerate(figure.subplots(2, DRAWN // 2).flat):
        top = np.argsort(-beta[number])[:WORDS][::-1]
        place.barh([words[word] for word in top], beta[number, top], color=COLOR)
        place.set_title(f"{share[number]:.0%}", fontsize=11)
        place.set_xticks([])
        place.spines["bottom"].set_visible(False)
        place.tick_params(length=0)


if __name__ == "__main__":
    main()
