"""Public tables as numbers: which columns are features, how categories are coded, which rows are for the test.

Each table has the split that its published results use. A fifth of the training rows is set apart for validation.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix, vstack

from clary.datasets import public
from clary.toolkit.errors import UserError

LARGEST = "fashion-mnist"

Task = Literal["regressor", "binary_classifier", "multiclass_classifier"]
Labels = npt.NDArray[np.float32]
Features = Any  # a float32 array (N, D), or a CSR matrix


@dataclass(frozen=True)
class Part:
    """Rows of one part of a table."""

    features: Features
    labels: Labels

    def take(self, order: npt.NDArray[np.intp]) -> Part:
        """The rows of these numbers."""
        return Part(self.features[order], self.labels[order])


@dataclass(frozen=True)
class Table:
    """A public table, ready to be learned from."""

    name: str
    task: Task
    train: Part
    validation: Part
    test: Part

    @property
    def classes(self) -> int:
        """Number of classes of a classification."""
        return int(self.train.labels.max()) + 1

    @property
    def learned(self) -> Part:
        """Training and validation rows together."""
        features = [self.train.features, self.validation.features]
        joined = np.concatenate(features) if isinstance(features[0], np.ndarray) else csr_matrix(vstack(features))
        return Part(joined, np.concatenate([self.train.labels, self.validation.labels]))


def load(name: str, folder: Path) -> Table:
    """The table of that name from the files in or below the folder."""
    task, learned, test = TABLES[name](folder)
    order = np.random.default_rng(1).permutation(len(learned.labels))
    cut = len(order) // 5
    return Table(name, task, learned.take(order[cut:]), learned.take(order[:cut]), test)


def at_hand(names: Iterable[str], folder: Path | None) -> Iterator[Table]:
    """The tables whose files are there, one after the other; what is not is said and left out."""
    if folder is None:
        print("no --data folder: the public tables are left out")
        return
    for name in names:
        try:
            table = load(name, folder)
        except (FileNotFoundError, UserError) as error:
            print(error)
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        yield table


def _abalone(folder: Path) -> tuple[Task, Part, Part]:
    frame = pd.read_csv(_found(folder, "abalone.csv.gz"), header=None)
    whole = _part(pd.get_dummies(frame.iloc[:, :-1], columns=[0]), frame.iloc[:, -1])
    return "regressor", *_cut(whole, 3133)


def _adult(folder: Path) -> tuple[Task, Part, Part]:
    names = ("adult-train.csv.gz", "adult-test.csv.gz")
    parts = [pd.read_csv(_found(folder, name), header=None, skipinitialspace=True) for name in names]
    frame = pd.concat(parts, ignore_index=True)
    texts = [column for column in frame.columns[:-1] if not pd.api.types.is_numeric_dtype(frame[column])]
    labels = frame.iloc[:, -1].str.startswith(">50K")
    return "binary_classifier", *_cut(_part(pd.get_dummies(frame.iloc[:, :-1], columns=texts), labels), len(parts[0]))


def _a9a(folder: Path) -> tuple[Task, Part, Part]:
    return "binary_classifier", _libsvm(_found(folder, "a9a.gz"), 123), _libsvm(_found(folder, "a9a.t.gz"), 123)


def _agaricus(folder: Path) -> tuple[Task, Part, Part]:
    train, test = (_found(folder, f"agaricus.txt.{part}.gz") for part in ("train", "test"))
    return "binary_classifier", _libsvm(train, 126), _libsvm(test, 126)


def _california(folder: Path) -> tuple[Task, Part, Part]:
    frame = pd.read_csv(_found(folder, "housing.csv.gz"))
    labels = frame.pop("median_house_value") / 100_000
    frame["total_bedrooms"] = frame["total_bedrooms"].fillna(frame["total_bedrooms"].median())
    return "regressor", *_shuffled(_part(pd.get_dummies(frame, columns=["ocean_proximity"]), labels), 16_512)


def _churn(folder: Path) -> tuple[Task, Part, Part]:
    frame = pd.read_csv(_found(folder, "churn.csv.gz"))
    labels = frame.pop("Churn?").eq("True.")
    frame = frame.drop(columns=["Phone"])
    texts = [column for column in frame.columns if not pd.api.types.is_numeric_dtype(frame[column])]
    return "binary_classifier", *_shuffled(_part(pd.get_dummies(frame, columns=[*texts, "Area Code"]), labels), 3500)


def _diamonds(folder: Path) -> tuple[Task, Part, Part]:
    frame = pd.read_csv(_found(folder, "diamonds.csv.gz"))
    order = {
        "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
        "color": list("JIHGFED"),
        "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
    }
    for column, values in order.items():
        frame[column] = frame[column].map(values.index)
    labels = frame.pop("price")
    return "regressor", *_shuffled(_part(frame, labels), len(frame) * 4 // 5)


def _letter(folder: Path) -> tuple[Task, Part, Part]:
    records = public.letter(folder)
    assert records.labels is not None
    return "multiclass_classifier", *_cut(Part(records.dense(), records.labels[:, 0]), 16_000)


def _breast_cancer(folder: Path) -> tuple[Task, Part, Part]:
    frame = pd.read_csv(_found(folder, "breast_cancer.csv.gz"), skiprows=1, header=None)
    return "binary_classifier", *_shuffled(_part(frame.iloc[:, :-1], frame.iloc[:, -1]), 455)


def _digits(folder: Path) -> tuple[Task, Part, Part]:
    frame = pd.read_csv(_found(folder, "digits.csv.gz"), header=None)
    return "multiclass_classifier", *_shuffled(_part(frame.iloc[:, :-1], frame.iloc[:, -1]), 1437)


def _diabetes(folder: Path) -> tuple[Task, Part, Part]:
    names = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")
    rows, labels = (np.loadtxt(_found(folder, name), dtype=np.float32) for name in names)
    return "regressor", *_shuffled(Part(rows, labels), 353)


def _fashion(folder: Path) -> tuple[Task, Part, Part]:
    parts = []
    for name in ("train", "t10k"):
        records = public.fashion_mnist(folder, part=name)
        assert records.labels is not None
        parts.append(Part(records.dense(), records.labels[:, 0]))
    return "multiclass_classifier", parts[0], parts[1]


TABLES: Mapping[str, Callable[[Path], tuple[Task, Part, Part]]] = {
    "abalone": _abalone,
    "adult": _adult,
    "a9a": _a9a,
    "agaricus": _agaricus,
    "california-housing": _california,
    "churn": _churn,
    "diamonds": _diamonds,
    "letter": _letter,
    "breast-cancer": _breast_cancer,
    "digits": _digits,
    "diabetes": _diabetes,
    "fashion-mnist": _fashion,
}


def _found(folder: Path, name: str) -> Path:
    found = sorted(folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{name} is not in or below {folder}; put it there as its origin publishes it")
    return found[0]


def _part(features: Any, labels: Any) -> Part:
    return Part(np.ascontiguousarray(features.to_numpy(np.float32)), labels.to_numpy(np.float32))


def _cut(whole: Part, rows: int) -> tuple[Part, Part]:
    numbers = np.arange(len(whole.labels))
    return whole.take(numbers[:rows]), whole.take(numbers[rows:])


def _shuffled(whole: Part, rows: int) -> tuple[Part, Part]:
    return _cut(whole.take(np.random.default_rng(0).permutation(len(whole.labels))), rows)


def _libsvm(path: Path, width: int) -> Part:
    """Rows of LIBSVM's own data: positions from 1, labels -1 and 1 or 0 and 1."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    cells = [line.split() for line in lines if line.strip()]
    ends = np.cumsum([0, *(len(row) - 1 for row in cells)])
    pairs = [pair.partition(":") for row in cells for pair in row[1:]]
    positions = np.array([int(position) - 1 for position, _, _ in pairs], np.int32)
    values = np.array([float(value) for _, _, value in pairs], np.float32)
    labels = np.array([float(row[0]) > 0 for row in cells], np.float32)
    return Part(csr_matrix((values, positions, ends), shape=(len(cells), width)), labels)
