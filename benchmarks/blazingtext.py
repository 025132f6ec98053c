"""BlazingText beside gensim and fastText: words per second and quality of vectors, accuracy of classifiers.

    python -m benchmarks.blazingtext --data FOLDER [--only vectors|classifiers|memory|gpu] [--modes MODE ...]
        [--sets SET ...] [--epochs 5] [--seeds 3] [--threads 2] [--runs FOLDER] [--json FILE]

FOLDER holds wiki-featured-a, ag-news-10k, reuters-r8, trec-6 and 20newsgroups. All programs read the same text with
the same settings. Seconds are those of a whole job in this process, from reading to the written model, once the loops
are compiled, and of the peers' calls that count words and train. Programs take turns. With ``--runs`` what a run of
vectors came to is kept in that folder, and found there again by a benchmark that was interrupted. Needs gensim 4 and
fasttext; two parts that have to be asked for do not: ``memory`` trains on a text that is larger than the memory that
the process may take, and ``gpu`` prints the words per second of training on the GPUs that there are.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import io
import lzma
import os
import random
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.programs import Channel, TrainingJob
from benchmarks.report import Row, keep, met, show
from clary.algorithms.blazingtext.evaluate import analogies, word_similarity
from clary.container import train_program
from clary.toolkit.device import gpus

Array = npt.NDArray[Any]
Line = tuple[str, str]  # label, text

VECTORS = {"vector_dim": 100, "window_size": 5, "min_count": 5, "negative_samples": 5}
RATE, THRESHOLD = 0.05, 1e-4
TIMES_FASTER = {"batch_skipgram": 1.5, "skipgram": 1.0, "cbow": 1.0}
ASKED = 30_000  # most frequent words that analogies are asked of
CLASSIFIER = {"vector_dim": 50, "min_count": 1, "word_ngrams": 2, "buckets": 200_000, "learning_rate": 0.5}
CLASSIFIER_EPOCHS = 25
POINTS = 0.003  # of accuracy that ours may be behind
COPIES, LIMIT = 16, 640 << 20  # of the text, and bytes that a process may have beside files that it looks at
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Vectors:
    """What a program came to: words, most frequent first, their vectors, and the seconds that it took."""

    words: Sequence[bytes]
    vectors_VD: Array
    seconds: float


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public files")
    parser.add_argument("--only", choices=("vectors", "classifiers", "memory", "gpu"))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS), help="of texts to classify")
    parser.add_argument("--runs", type=Path, help="folder that keeps finished runs of vectors")
    parser.add_argument("--modes", nargs="+", choices=tuple(TIMES_FASTER), default=list(TIMES_FASTER))
    parser.add_argument("--epochs", type=int, default=5, help="of vectors")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    # Ours takes as many threads as there are cores that it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        folder = Path(scratch)
        _compile(folder)
        if options.only in (None, "vectors"):
            text = _corpus(options.data / "wiki-featured-a", folder)
            asked = _questions(options.data / "wiki-featured-a")
            results["vectors"] = list(vectors(text, asked, options, folder))
            show(f"Word vectors of wiki-featured-a, {options.epochs} epochs, means over seeds", results["vectors"])
        if options.only in (None, "classifiers"):
            results["classifiers"] = [classifiers(name, SETS[name], options, folder) for name in options.sets]
            show(f"Classifiers, {CLASSIFIER_EPOCHS} epochs, mean accuracy over seeds", results["classifiers"])
        if options.only == "memory":
            results["memory"] = [within(_corpus(options.data / "wiki-featured-a", folder), folder)]
            show("A text that is larger than the memory of its process", results["memory"])
        if options.only == "gpu":
            text = _corpus(options.data / "wiki-featured-a", folder)
            results["gpu"] = [on_gpus(mode, text, options, folder) for mode in options.modes]
            show("Words per second on GPUs; the paper's figure is 43 million on eight V100", results["gpu"])
    keep(options.json, results)


# Word vectors


def vectors(text: Path, asked: Sequence[Sequence[bytes]], options: Any, scratch: Path) -> Iterator[Row]:
    """A row for each mode and program: words per second, WordSim-353 and analogies, each the mean over the seeds.

    What a peer has learned by skip-gram stands beside both of our modes of it.
    """
    runs: dict[tuple[str, str], list[Vectors]] = {}
    for seed in range(options.seeds):
        for family in (["batch_skipgram", "skipgram"], ["cbow"]):
            ours = [mode for mode in family if mode in options.modes]
            for name, mode in [*(("Clary", mode) for mode in ours), *((peer, family[-1]) for peer in PEERS if ours)]:
                run = _run(name, mode, text, seed, options, scratch)
                runs.setdefault((name, mode), []).append(run)
                print(f"{name} {mode}, seed {seed}: {run.seconds:.1f} s", file=sys.stderr, flush=True)
    words = options.epochs * len(text.read_bytes().split())
    found = {
        key: (
            statistics.mean(words / run.seconds for run in each),
            statistics.mean(_similarity(run) for run in each),
            statistics.mean(_analogies(run, asked) for run in each),
        )
        for key, each in runs.items()
    }
    for mode in options.modes:
        theirs = {name: found[name, "cbow" if mode == "cbow" else "skipgram"] for name in PEERS}
        fastest = max(speed for speed, *_ in theirs.values())
        own = found["Clary", mode]
        for name, (speed, similar, right) in {"Clary": own, **theirs}.items():
            slower = speed == fastest and own[0] < TIMES_FASTER[mode] * speed
            yield {
                "mode": mode,
                "program": name,
                "words/s": speed,
                "Clary is faster by": own[0] / speed,
                "WordSim-353": similar,
                "analogies": right,
                "bar": "" if name == "Clary" else met(not slower and own[1] >= similar and own[2] >= right),
            }


def _run(name: str, mode: str, text: Path, seed: int, options: Any, scratch: Path) -> Vectors:
    """What a program comes to, or has come to in an earlier benchmark."""
    program = clary if name == "Clary" else PEERS[name]
    if options.runs is None:
        return program(mode, text, options.epochs, options.threads, seed, scratch)
    path = options.runs / f"{name}-{mode}-{options.epochs}-{options.threads}-{seed}.npz"
    if not path.exists():
        run = program(mode, text, options.epochs, options.threads, seed, scratch)
        options.runs.mkdir(parents=True, exist_ok=True)
        np.savez(path, words=b"\n".join(run.words), vectors=run.vectors_VD, seconds=run.seconds)
    with np.load(path) as kept:
        return Vectors(kept["words"].item().split(b"\n"), kept["vectors"], float(kept["seconds"]))


def within(text: Path, scratch: Path) -> Row:
    """Seconds of one epoch over many copies of a text, in a process that may not have as many bytes of its own."""
    large = scratch / "large.txt"
    with large.open("wb") as stream:
        for _ in range(COPIES):
            stream.write(text.read_bytes())
    settings = {**VECTORS, "mode": "cbow", "epochs": 1, "sampling_threshold": 1e-6, "evaluation": "false"}
    job = _job(settings, {"train": large}, scratch)
    given = ["--root", str(job.layout.root), "--algorithm", "blazingtext"]
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT}, {LIMIT}));"
        f"from clary.container import train_program; sys.exit(train_program.main({given!r}))"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    return {"text, MiB": large.stat().st_size >> 20, "memory, MiB": LIMIT >> 20, "s": seconds}


def on_gpus(mode: str, text: Path, options: Any, scratch: Path) -> Row:
    """Words per second of training, and how well the vectors agree with people, on the GPUs that there are."""
    os.environ["CLARY_DEVICE"] = "cuda"
    run = clary(mode, text, options.epochs, options.threads, 0, scratch)
    words = options.epochs * len(text.read_bytes().split())
    return {"mode": mode, "GPUs": gpus(), "words/s": words / run.seconds, "WordSim-353": _similarity(run)}


def clary(mode: str, text: Path, epochs: int, threads: int, seed: int, scratch: Path) -> Vectors:
    """Our program, from its start to its end."""
    given = {**VECTORS, "mode": mode, "epochs": epochs, "learning_rate": RATE, "sampling_threshold": THRESHOLD}
    job = _job(given, {"train": text}, scratch)
    seconds = _timed(job, seed)
    with (job.layout.model / "vectors.txt").open("rb") as stream:
        next(stream)
        rows = [line.split() for line in stream]
    return Vectors([row[0] for row in rows], np.array([row[1:] for row in rows], np.float32), seconds)


def gensim(mode: str, text: Path, epochs: int, threads: int, seed: int, scratch: Path) -> Vectors:
    """Gensim on a file, which it reads in compiled code."""
    began = time.perf_counter()
    model = import_module("gensim.models").Word2Vec(
        corpus_file=str(text),
        sg=int(mode != "cbow"),
        vector_size=VECTORS["vector_dim"],
        window=VECTORS["window_size"],
        min_count=VECTORS["min_count"],
        negative=VECTORS["negative_samples"],
        sample=THRESHOLD,
        alpha=RATE,
        min_alpha=0.0,
        workers=threads,
        epochs=epochs,
        seed=seed + 1,
    )
    seconds = time.perf_counter() - began
    return Vectors([word.encode() for word in model.wv.index_to_key], model.wv.vectors, seconds)


def fasttext(mode: str, text: Path, epochs: int, threads: int, seed: int, scratch: Path) -> Vectors:
    """The C++ program of fastText, without subwords."""
    began = time.perf_counter()
    model = import_module("fasttext").train_unsupervised(
        str(text),
        model="cbow" if mode == "cbow" else "skipgram",
        dim=VECTORS["vector_dim"],
        ws=VECTORS["window_size"],
        minCount=VECTORS["min_count"],
        neg=VECTORS["negative_samples"],
        t=THRESHOLD,
        lr=RATE,
        minn=0,
        maxn=0,
        thread=threads,
        epoch=epochs,
        verbose=0,
    )
    seconds = time.perf_counter() - began
    words = [word for word in model.get_words() if word != "</s>"]
    found = np.stack([model.get_word_vector(word) for word in words])
    return Vectors([word.encode() for word in words], found, seconds)


PEERS: dict[str, Callable[..., Vectors]] = {"gensim": gensim, "fastText": fasttext}


def _similarity(run: Vectors) -> float:
    return float(word_similarity(run.words, run.vectors_VD)["EN-WS-353-ALL.txt"]["spearmans_rho"])


def _analogies(run: Vectors, asked: Sequence[Sequence[bytes]]) -> float:
    return analogies(run.words[:ASKED], run.vectors_VD[:ASKED], asked)[0]


def _corpus(folder: Path, scratch: Path) -> Path:
    text = scratch / "wiki.txt"
    text.write_bytes(lzma.decompress((folder / "wiki-featured-a.txt.xz").read_bytes()))
    return text


def _questions(folder: Path) -> Sequence[Sequence[bytes]]:
    lines = gzip.decompress((folder / "questions-words.txt.gz").read_bytes()).lower().splitlines()
    return [line.split() for line in lines if not line.startswith(b":")]


# Classifiers


def classifiers(name: str, read: Callable[[Path], tuple[list[Line], list[Line]]], options: Any, scratch: Path) -> Row:
    """Accuracy on the test texts and seconds of training, ours and fastText's, means over the seeds."""
    to_learn, to_judge = read(options.data)
    train, test = _written(to_learn, scratch / f"{name}.txt"), _written(to_judge, scratch / f"{name}-test.txt")
    ours, theirs = [], []
    for seed in range(options.seeds):
        ours.append(_our_classifier(train, test, seed, scratch))
        theirs.append(_their_classifier(train, test, options.threads))
        print(f"{name}, seed {seed}: {ours[-1]} {theirs[-1]}", file=sys.stderr, flush=True)
    accuracy, other = (statistics.mean(run[0] for run in runs) for runs in (ours, theirs))
    seconds, other_seconds = (statistics.mean(run[1] for run in runs) for runs in (ours, theirs))
    return {
        "set": name,
        "Clary": accuracy,
        "fastText": other,
        "difference": accuracy - other,
        "Clary s": seconds,
        "fastText s": other_seconds,
        "faster by": other_seconds / seconds,
        "bar": met(accuracy >= other - POINTS and seconds <= other_seconds),
    }


def _our_classifier(train: Path, test: Path, seed: int, scratch: Path) -> tuple[float, float]:
    given = {**CLASSIFIER, "mode": "supervised", "epochs": CLASSIFIER_EPOCHS}
    job = _job(given, {"train": train}, scratch)
    seconds = _timed(job, seed)
    # Both models are opened and scored by fastText.
    model = import_module("fasttext").load_model(str(job.layout.model / "model.bin"))
    return float(model.test(str(test))[1]), seconds


def _their_classifier(train: Path, test: Path, threads: int) -> tuple[float, float]:
    began = time.perf_counter()
    model = import_module("fasttext").train_supervised(
        str(train),
        dim=CLASSIFIER["vector_dim"],
        minCount=CLASSIFIER["min_count"],
        wordNgrams=CLASSIFIER["word_ngrams"],
        bucket=CLASSIFIER["buckets"],
        lr=CLASSIFIER["learning_rate"],
        epoch=CLASSIFIER_EPOCHS,
        thread=threads,
        verbose=0,
    )
    seconds = time.perf_counter() - began
    return float(model.test(str(test))[1]), seconds


def _written(lines: Sequence[Line], path: Path) -> Path:
    """The lines in one order for both programs, tokens in lower case and punctuation apart."""
    shuffled = random.Random(0).sample(lines, len(lines))
    path.write_text(
        "".join(f"__label__{label} {' '.join(_TOKEN.findall(text.lower()))}\n" for label, text in shuffled), "utf-8"
    )
    return path


def _news(folder: Path) -> tuple[list[Line], list[Line]]:
    return tuple(  # type: ignore[return-value]
        [
            (row["label"], row["text"])
            for row in csv.DictReader(
                io.StringIO(
                    gzip.decompress((folder / "ag-news-10k" / f"ag-news-{part}.csv.gz").read_bytes()).decode()
                )
            )
        ]
        for part in ("train", "test")
    )


def _lines(folder: Path, name: str, blank: str) -> tuple[list[Line], list[Line]]:
    found = []
    for part in ("train", "test"):
        text = gzip.decompress((folder / name.format(part)).read_bytes()).decode("latin-1")
        found.append([(label, rest) for label, _, rest in (line.partition(blank) for line in text.splitlines())])
    return found[0], found[1]


def _posts(folder: Path) -> tuple[list[Line], list[Line]]:
    found: dict[str, list[Line]] = {"train": [], "test": []}
    with tarfile.open(folder / "20newsgroups" / "20news-bydate.tar.xz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                part, label, _ = Path(member.name).parts[-3:]
                found[part.rpartition("-")[2]].append((label, content.read().decode("latin-1")))
    return found["train"], found["test"]


SETS: dict[str, Callable[[Path], tuple[list[Line], list[Line]]]] = {
    "ag-news-10k": _news,
    "reuters-r8": lambda folder: _lines(folder, "reuters-r8/r8-{}.tsv.gz", "\t"),
    "trec-6": lambda folder: _lines(folder, "trec-6/trec-{}.txt.gz", " "),
    "20newsgroups": _posts,
}


def _timed(job: TrainingJob, seed: int) -> float:
    """Seconds of the job in this process; SystemExit with its log where it fails."""
    os.environ["CLARY_SEED"] = str(seed)
    log, began = io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(log):
        code = train_program.main(["--root", str(job.layout.root), "--algorithm", "blazingtext"])
    if code:
        raise SystemExit(log.getvalue())
    return time.perf_counter() - began


def _compile(scratch: Path) -> None:
    """Let every loop be compiled before anything is timed."""
    small = scratch / "small.txt"
    small.write_text("__label__a one two three\n__label__b three four five\n" * 20)
    for mode in (*TIMES_FASTER, "supervised"):
        _timed(_job({"mode": mode, "epochs": 1, "buckets": 10}, {"train": small}, scratch), 0)


def _job(given: dict[str, Any], channels: dict[str, Path], scratch: Path) -> TrainingJob:
    root = Path(tempfile.mkdtemp(dir=scratch))
    settings = {name: str(value) for name, value in given.items()}
    return TrainingJob(
        root / "ml",
        "blazingtext",
        settings,
        {name: Channel([path], "text/plain") for name, path in channels.items()},
    )


if __name__ == "__main__":
    main()
