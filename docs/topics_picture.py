"""Draws the picture of the page about the neural topic model: topics of 20 Newsgroups with their words.

    PYTHONPATH=. python docs/topics_picture.py --data FOLDER

FOLDER holds 20ng-etm-bow.npz and vocab.txt, anywhere below.
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
from benchmarks.ntm import SETTINGS, News, laid_out, ran

from clary.algorithms.ntm import evaluate
from clary.algorithms.ntm.model import TopicModel
from clary.toolkit.artifact import Artifact

Array = npt.NDArray[Any]
IMAGE = Path(__file__).parent / "images" / "ntm-topics.png"
BLUE, GREY = "#0072b2", "#666666"
ACROSS, DOWN, WORDS = 4, 3, 8


def main() -> None:
    """Learn 20 topics, and draw the most coherent of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files")
    news = News.find(parser.parse_args().data)
    with tempfile.TemporaryDirectory() as scratch:
        job = laid_out(news, SETTINGS, Path(scratch))
        ran(job)
        model = TopicModel.load(Artifact.read(job.layout.model), "cpu")
    words = news.vocabulary.read_text(encoding="utf-8").split()
    top_KT = evaluate.top_words(model.weights)
    npmi_K = coherences(news, top_KT)
    sizes_K = model.shares(news.train).mean(axis=0)
    chosen = sorted(np.argsort(-npmi_K)[: ACROSS * DOWN].tolist(), key=lambda topic: -sizes_K[topic])
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(DOWN, ACROSS, figsize=(13, 8), sharex=True)
    for axes, topic in zip(panels.flat, chosen, strict=True):
        own = top_KT[topic, :WORDS]
        axes.barh([words[word] for word in own][::-1], model.weights[own, topic][::-1], color=BLUE, height=0.7)
        axes.set_title(f"{100 * sizes_K[topic]:.0f}% of a post, NPMI {npmi_K[topic]:.2f}", fontsize=10, color=GREY)
        axes.tick_params(axis="y", length=0)
    for axes in panels[-1]:
        axes.set_xlabel("weight in the topic")
    figure.tight_layout()
    figure.savefig(IMAGE, dpi=80)


def coherences(news: News, top_KT: Array) -> Array:
    """NPMI of each topic over the training documents."""
    found = np.empty(len(top_KT))
    for topic, words in enumerate(top_KT):
        holds = (news.train[:, words] > 0).astype(np.int64)
        together = (holds.T @ holds).toarray()
        found[topic] = evaluate.mutual_information(together[None], news.train.shape[0])[0]
    return found


if __name__ == "__main__":
    main()
