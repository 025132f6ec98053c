"""K-nearest neighbors beside scikit-learn and plain faiss: equal predictions, recall, and queries per second.

    python -m benchmarks.knn [--data FOLDER] [--rows 1000000] [--queries 2000] [--types IVFFlat ...] [--models FOLDER]

First, predictions with faiss.Flat beside scikit-learn's brute force, on the packaged digits and, with FOLDER, on the
public files of Letter Recognition and Fashion-MNIST (see ``clary.datasets.public``).

Then made-up rows of 128 features. They are clustered as embeddings are: 2,000 middles and the noise around them lie
in 32 dimensions, which a random matrix spreads over 128, and a little noise is added to each feature. Queries are
further rows of the same kind. The train program builds an index of each type; recall@10 is the share of the true ten
neighbors among those found. Speed is measured in batches of 250 and one query at a time, beside faiss on the same
index, called in turn with the same queries: the search alone beside ``index.search``, and the whole answer beside
that and the vote of the labels, as a user writes it with NumPy. Ours decode no request.

Models are trained once for each FOLDER of ``--models``, so that a later run measures at once.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.programs import Channel, TrainingJob, watched
from benchmarks.report import Row, keep, met, show
from clary.algorithms.knn.managed import INDEX, LABELS
from clary.algorithms.knn.serve import Predictor
from clary.datasets import public, samples
from clary.toolkit import tabular
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
from clary.toolkit.media import RECORDIO_PROTOBUF, MediaType
from clary.toolkit.records import Records

faiss: Any = import_module("faiss")
Floats = npt.NDArray[np.float32]
WIDTH, LATENT, MIDDLES, K = 128, 32, 2000, 10
RECALL, FASTER, OWN = 0.95, 5.0, 0.8  # the bars: recall, times as fast as Flat, and as plain faiss
SETTINGS: dict[str, dict[str, str]] = {
    "Flat": {},
    "IVFFlat": {},
    "IVFPQ": {"faiss_index_pq_m": "32"},
    "HNSW": {"faiss_index_hnsw_m": "16", "faiss_index_hnsw_ef_construction": "40"},
}
ROUNDS = 3
_BLOCK = 50_000


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public files")
    parser.add_argument("--rows", type=int, default=1_000_000, help="made-up rows to search")
    parser.add_argument("--queries", type=int, default=2000, help="queries for recall; for speed 250 of them")
    parser.add_argument(
        "--types", nargs="*", choices=list(SETTINGS)[1:], default=list(SETTINGS)[1:], help="indexes beside Flat"
    )
    parser.add_argument("--quick", action="store_true", help="20,000 rows and 200 queries")
    parser.add_argument("--models", type=Path, help="folder for models that a later run finds again")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    rows, queries = (20_000, 200) if options.quick else (options.rows, options.queries)
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="clary-bench-") as scratch:
        results["equal"] = equal(options.data, Path(scratch))
        show("K-NN: predictions of faiss.Flat beside scikit-learn's brute force", results["equal"])
        folder = Path(scratch) if options.models is None else options.models
        results["search"] = search(rows, queries, ["Flat", *options.types], folder)
    keep(options.json, results)


def equal(folder: Path | None, scratch: Path) -> list[Row]:
    """Both predictions of each set's held-out rows: how many are equal, how good they are, how long they take."""
    sets: dict[str, Callable[[], Records]] = {"digits": samples.digits}
    if folder is not None:
        sets |= {"letter": lambda: public.letter(folder), "fashion-mnist": lambda: public.fashion_mnist(folder)}
    found = []
    for name, load in sets.items():
        try:
            found.append(_equal(name, load(), scratch / name))
        except UserError as error:
            print(error)
    return found


def _equal(name: str, whole: Records, scratch: Path) -> Row:
    from sklearn.neighbors import KNeighborsClassifier

    order = np.random.default_rng(0).permutation(len(whole))
    held = min(2000, len(whole) // 4)
    test, train = whole.take(order[:held]), whole.take(order[held:])
    assert test.labels is not None
    assert train.labels is not None
    peer = KNeighborsClassifier(5, algorithm="brute").fit(train.dense(), train.labels[:, 0])
    ours = predictor(train, scratch)
    theirs, own = timed(lambda _: peer.predict(test.dense())), timed(lambda _: ours.predict(Records(test.dense())))
    expected, predicted = peer.predict(test.dense()), ours.predict(Records(test.dense()))["predicted_label"]
    # Where the sixth row is as near as the fifth, either may be taken, and the peer takes any of them.
    near = ours.neighbors(Records(test.dense()), 6)[0]
    differing, tied = expected != predicted, near[:, 4] == near[:, 5]
    return {
        "data": name,
        "rows": len(train),
        "queries": held,
        "differing": int(differing.sum()),
        "of these tied": int((differing & tied).sum()),
        "accuracy": float(np.mean(predicted == test.labels[:, 0])),
        "scikit-learn": float(np.mean(expected == test.labels[:, 0])),
        "times as fast": theirs / own,
        "bar": met(not (differing & ~tied).any()),
    }


def predictor(rows: Records, root: Path, **settings: str) -> Predictor:
    """The model that the train program makes of these rows."""
    (root / "rows").mkdir(parents=True)
    with (root / "rows" / "part").open("wb") as stream:
        tabular.write(stream, rows, MediaType(RECORDIO_PROTOBUF))
    job, _ = trained(root / "rows" / "part", len(rows), rows.width, root / "ml", {"k": "5", **settings})
    return Predictor.load(Artifact.read(job.layout.model), "cpu")


def trained(path: Path, rows: int, width: int, root: Path, settings: dict[str, str]) -> tuple[TrainingJob, Row]:
    """The finished job over that file, and what it took."""
    usual = {"feature_dim": str(width), "predictor_type": "classifier", "sample_size": str(rows)}
    job = TrainingJob(root, "knn", {**usual, **settings}, {"train": Channel((path,), RECORDIO_PROTOBUF)})
    usage = watched(job.command)
    return job, {"train s": usage.seconds, "train peak MiB": usage.resident / 2**20}


def clustered(rows: int, seed: int) -> Iterator[Records]:
    """Made-up rows in blocks; every seed draws others of the same clusters, whose number is the label."""
    fixed = np.random.default_rng(0)
    middles = fixed.normal(size=(MIDDLES, LATENT)).astype(np.float32)
    spread = fixed.normal(size=(LATENT, WIDTH)).astype(np.float32) / np.float32(LATENT**0.5)
    rng = np.random.default_rng([1, seed])
    for start in range(0, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        number = rng.integers(MIDDLES, size=count)
        latent = middles[number] + np.float32(0.5) * rng.standard_normal((count, LATENT), dtype=np.float32)
        noise = np.float32(0.05) * rng.standard_normal((count, WIDTH), dtype=np.float32)
        yield Records(latent @ spread + noise, number.astype(np.float32)[:, None])


def search(rows: int, queries: int, types: list[str], folder: Path) -> list[Row]:
    """Recall and speed of each index type, beside Flat and beside plain faiss."""
    asked = Records.join(list(clustered(queries, 1))).dense()
    found: list[Row] = []
    truth: npt.NDArray[Any] | None = None
    for name in types:
        model, took = kept(name, rows, folder)
        ours = Predictor.load(Artifact.read(model), "cpu")
        plain = Plain(faiss.read_index(os.fspath(model / INDEX)), np.fromfile(model / LABELS, "<f4"))
        number = ours.neighbors(Records(asked), K)[1]
        truth = number if truth is None else truth
        hits = [len(set(own) & set(true)) for own, true in zip(number.tolist(), truth.tolist(), strict=True)]
        row: Row = {"type": name, "recall@10": sum(hits) / (K * queries), **took}
        for batch, count in ((250, 250), (1, 25 if name == "Flat" else 250)):
            row |= _speed(ours, plain, asked[:count], batch)
        row["times Flat"] = row["queries/s"] / found[0]["queries/s"] if found else 1.0
        ratios = [row[name] for name in row if name.startswith(("search to", "answer to"))]
        row["bar"] = met(min(ratios) >= OWN)
        exact = name == "Flat"
        row["bar, recall and speed"] = (
            "" if exact else met(row["recall@10"] >= RECALL and row["times Flat"] >= FASTER)
        )
        found.append(row)
        show(f"K-NN: search among {rows:,} rows of {WIDTH} features, k = {K}", found)
    return found


def kept(name: str, rows: int, folder: Path) -> tuple[Path, Row]:
    """The model of that type in the folder, trained where it is not there, and what the training took."""
    home, path = folder / f"{name}-{rows}", folder / f"rows-{rows}"
    note = home / "took.json"
    if not note.exists():
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with path.open("wb") as stream:
                for block in clustered(rows, 0):
                    tabular.write(stream, block, MediaType(RECORDIO_PROTOBUF))
        settings = {"k": str(K), "index_type": f"faiss.{name}", **SETTINGS[name]}
        _, took = trained(path, rows, WIDTH, home / "ml", settings)
        note.write_text(json.dumps(took))
    return home / "ml" / "model", json.loads(note.read_text())


class Plain:
    """Faiss and the vote as a user of the library writes them."""

    def __init__(self, index: Any, labels_S: Floats) -> None:
        self._index, self._labels_S = index, labels_S.astype(np.int64)

    def search(self, queries_BE: Floats) -> Any:
        """Squared distances and numbers of the neighbors."""
        return self._index.search(queries_BE, K)

    def answer(self, queries_BE: Floats) -> npt.NDArray[np.int64]:
        """The most frequent label of each query's neighbors."""
        votes_BK = self._labels_S[self.search(queries_BE)[1]]
        return np.array([np.bincount(votes_K).argmax() for votes_K in votes_BK])


def _speed(ours: Predictor, plain: Plain, asked: Floats, batch: int) -> Row:
    """Queries per second in batches of that size, and as a ratio to plain faiss; medians over rounds in turn."""
    parts = [np.ascontiguousarray(asked[start : start + batch]) for start in range(0, len(asked), batch)]
    requests = [Records(part) for part in parts]
    works: list[Callable[[int], object]] = [
        lambda number: ours.neighbors(requests[number], K),
        lambda number: plain.search(parts[number]),
        lambda number: ours.predict(requests[number]),
        lambda number: plain.answer(parts[number]),
    ]
    seconds = np.array(
        [[[timed(work, number) for work in works] for number in range(len(parts))] for _ in range(ROUNDS)]
    )
    search, plain_search, answer, plain_answer = np.median(seconds.sum(axis=1), axis=0).tolist()
    how = " one by one" if batch == 1 else ""
    return {
        f"queries/s{how}": len(asked) / answer,
        f"search to faiss{how}": plain_search / search,
        f"answer to faiss{how}": plain_answer / answer,
    }


def timed(work: Callable[[int], object], number: int = 0) -> float:
    """Seconds that the work takes with what has that number."""
    began = time.perf_counter()
    work(number)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
