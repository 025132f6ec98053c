"""The neural topic model on 20 Newsgroups: completion, coherence, seconds of an epoch, and jobs that were killed.

    python -m benchmarks.ntm --data FOLDER [--only quality|speed|kills] [--seeds 3] [--quick] [--json FILE]

FOLDER holds 20ng-etm-bow.npz and vocab.txt, anywhere below. A model is trained on its training documents; the shares
of topics in one half of each test document then predict the words of the other half. The coherence (NPMI) of a topic
is that of its ten first words in the training documents. The peer of the speed is the same network in plain PyTorch
on dense batches, with one thread and with two, of which the faster counts; both programs take turns.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from benchmarks.programs import Channel, TrainingJob, start, timed
from benchmarks.report import Row, keep, met, show
from clary.algorithms.ntm import evaluate
from clary.algorithms.ntm.model import TopicModel
from clary.algorithms.registry import spec
from clary.toolkit import media, tabular
from clary.toolkit.artifact import Artifact
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
WORDS, TOPICS = 3072, 20
# Chosen on a tenth of the training documents, held out.
SETTINGS = {
    "feature_dim": str(WORDS),
    "num_topics": str(TOPICS),
    "encoder_layers": "200",
    "encoder_layers_activation": "tanh",
    "optimizer": "adam",
    "learning_rate": "0.01",
    "epochs": "50",
    "num_patience_epochs": "51",
}
MOST_PERPLEXITY, LEAST_NPMI, TIMES_FASTER, NOISE = 1685.0, 0.19, 2.0, 0.001
ENCODERS = ("auto", "200")  # whose speed is measured


@dataclass(frozen=True)
class News:
    """The set: training documents, both halves of the test documents, and where its files lie."""

    train: csr_matrix
    first: csr_matrix
    second: csr_matrix
    archive: Path
    vocabulary: Path

    @classmethod
    def find(cls, folder: Path) -> News:
        """The set, anywhere below that folder; SystemExit where it is not there."""
        archives = sorted(folder.rglob("20ng-etm-bow.npz"))
        if not archives:
            raise SystemExit(f"there is no 20ng-etm-bow.npz below {folder}")
        train, first, second = (rows(archives[0], part) for part in ("tr", "ts_h1", "ts_h2"))
        return cls(train, first, second, archives[0], archives[0].parent / "vocab.txt")


def rows(archive: Path, part: str) -> csr_matrix:
    """The documents of one part of the archive."""
    found = np.load(archive)
    counts, words, ends = (found[f"{part}_{name}"] for name in ("counts", "indices", "indptr"))
    return csr_matrix((counts.astype(np.float32), words.astype(np.int32), ends), shape=(len(ends) - 1, WORDS))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public files")
    parser.add_argument("--only", choices=("quality", "speed", "kills"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program in the speed")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="few epochs, one seed, few kills")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    news, results = News.find(options.data), dict[str, list[Row]]()
    settings = {**SETTINGS, "epochs": "3"} if options.quick else SETTINGS
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        place = Path(scratch)
        if options.only in (None, "quality"):
            seeds = range(1 if options.quick else options.seeds)
            results["quality"] = [quality(news, settings, seed, place) for seed in seeds]
            show("20 Newsgroups, 20 topics", results["quality"])
        if options.only in (None, "speed"):
            rounds = 1 if options.quick else options.rounds
            results["speed"] = [speed(news, encoder, rounds, place) for encoder in ENCODERS]
            show("Seconds of an epoch, 256 documents in a batch", results["speed"])
        if options.only in (None, "kills"):
            results["kills"] = [interrupted(news, settings, 1 if options.quick else options.kills, place)]
            show("Killed and started again, beside left alone", results["kills"])
    keep(options.json, results)


def laid_out(news: News, settings: dict[str, str], scratch: Path, *, checkpoints: bool = False) -> TrainingJob:
    """A job on the training documents, with the first halves of the test documents to be scored."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    channels = {}
    for name, documents in (("train", news.train), ("test", news.first)):
        path = folder / name
        with path.open("wb") as stream:
            tabular.write(stream, Records(documents), MediaType(media.RECORDIO_PROTOBUF))
        channels[name] = Channel((path,), media.RECORDIO_PROTOBUF)
    copied = folder / "vocab.txt"
    copied.write_bytes(news.vocabulary.read_bytes())
    channels["auxiliary"] = Channel((copied,), media.TEXT)
    return TrainingJob(folder / "job", "ntm", settings, channels, checkpoints=checkpoints)


def ran(job: TrainingJob, seed: int = 0, **environment: str) -> str:
    """The log of the job."""
    log = job.layout.root.parent / "log"
    timed(["sh", "-c", f"{' '.join(job.command)} > {log}"], CLARY_SEED=str(seed), **environment)
    return log.read_text(encoding="utf-8")


def values(log: str, metric: str) -> list[float]:
    """What the log reports of a metric."""
    return [float(each) for each in re.findall(spec("ntm").metric(metric).regex, log)]


def quality(news: News, settings: dict[str, str], seed: int, scratch: Path) -> Row:
    """Completion and coherence of one model."""
    job = laid_out(news, settings, scratch)
    log = ran(job, seed)
    model = TopicModel.load(Artifact.read(job.layout.model), "cpu")
    perplexity = completion(news, model)
    top_KT = evaluate.top_words(model.weights)
    npmi = coherence(news.train, top_KT[:, : evaluate.COHERENT_WORDS])
    return {
        "seed": seed,
        "perplexity": perplexity,
        "npmi": npmi,
        "uniqueness": float(evaluate.uniqueness(top_KT).mean()),
        "loss": values(log, "train:total_loss")[-1],
        "LDA": "1685, 0.192",
        "bar": f"< {MOST_PERPLEXITY:g}, >= {LEAST_NPMI:g}",
        "met": met(perplexity < MOST_PERPLEXITY and npmi >= LEAST_NPMI),
    }


def completion(news: News, model: TopicModel) -> float:
    """The perplexity of the second halves, by the shares of topics in the first."""
    tensors = {name: each.detach().numpy() for name, each in model.network.state_dict().items()}
    odds = model.shares(news.first) @ tensors["topics"].T + tensors["background"]
    odds -= odds.max(axis=1, keepdims=True)
    logarithms = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    return float(np.exp(-news.second.multiply(logarithms).sum() / news.second.sum()))


def coherence(documents: csr_matrix, top_KT: Array) -> float:
    """The mean NPMI over topics and pairs of their words, written out."""
    holds, scores = (documents > 0).toarray(), []
    for words in top_KT.tolist():
        for place, one in enumerate(words):
            for other in words[:place]:
                both = (holds[:, one] & holds[:, other]).mean()
                chance = holds[:, one].mean() * holds[:, other].mean()
                scores.append(-1.0 if not both else np.log(both / chance) / -np.log(both))
    return float(np.mean(scores))


def speed(news: News, encoder: str, rounds: int, scratch: Path) -> Row:
    """The median seconds of an epoch of both programs, which take turns."""
    own, others = list[float](), {threads: list[float]() for threads in (1, 2)}
    settings = {**SETTINGS, "encoder_layers": encoder, "epochs": "4", "num_patience_epochs": "5"}
    for _ in range(rounds):
        log = ran(laid_out(news, settings, scratch))
        own += [news.train.shape[0] / rate for rate in values(log, "train:throughput")[1:]]
        for threads, seconds in others.items():
            seconds += peer(news, settings, threads)[1:]
    theirs = {threads: statistics.median(seconds) for threads, seconds in others.items()}
    mine, best = statistics.median(own), min(theirs.values())
    return {
        "encoder": encoder,
        "Clary": mine,
        **{f"PyTorch, threads: {threads}": seconds for threads, seconds in theirs.items()},
        "times faster": best / mine,
        "bar": f">= {TIMES_FASTER:g}",
        "met": met(best / mine >= TIMES_FASTER),
    }


def peer(news: News, settings: dict[str, str], threads: int) -> list[float]:
    """The seconds of the peer's epochs."""
    given = json.dumps({**settings, "archive": str(news.archive), "threads": threads})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ntm_peer", given], capture_output=True, text=True, check=True
    )
    found: list[float] = json.loads(done.stdout)
    return found


def interrupted(news: News, settings: dict[str, str], kills: int, scratch: Path) -> Row:
    """A job that is killed at random moments, beside one that is left alone."""
    alone = laid_out(news, settings, scratch)
    expected = values(ran(alone), "test:total_loss")[-1]
    rng, killed, found = np.random.default_rng(0), 0, list[float]()
    identical = 0
    while killed < kills:
        job = laid_out(news, settings, scratch, checkpoints=True)
        while not (job.layout.model / "model.json").exists():
            killed += _killed(job, rng)
        log = (job.layout.root.parent / "log").read_bytes()
        found.append(values(log.decode(), "test:total_loss")[-1])
        identical += _tensors(job) == _tensors(alone)
    off = max(abs(each - expected) / expected for each in found)
    return {
        "kills": killed,
        "jobs": len(found),
        "test loss alone": expected,
        "killed": " ".join(f"{each:.6f}" for each in found),
        "identical models": f"{identical} of {len(found)}",
        "bar": f"within {100 * NOISE:g}%",
        "met": met(off <= NOISE),
    }


def _killed(job: TrainingJob, rng: np.random.Generator) -> bool:
    """Start the job and kill it after a random while; whether it still ran then."""
    with (job.layout.root.parent / "log").open("wb") as stream:
        child = start(job.command, stream, CLARY_SEED="0")
        try:
            child.wait(rng.uniform(2, 30))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return True
        if child.returncode:
            raise SystemExit(f"a program failed with status {child.returncode}")
    return False


def _tensors(job: TrainingJob) -> bytes:
    return (job.layout.model / "model.safetensors").read_bytes()


if __name__ == "__main__":
    main()
