"""Documents in memory: how often each word stands in each, by document and by word, as sparse as they came.

N documents, V words of the vocabulary, Z places where a document has a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from clary.toolkit.errors import DataError
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
Matrix = Any  # a SciPy CSR matrix


@dataclass(frozen=True)
class Corpus:
    """The places of one document after the other, and the order in which they are those of one word after the other.

    Document n has the places from ``ends_N[n]`` to ``ends_N[n + 1]``, word v those of ``order_Z[starts_V[v]]`` up to
    ``order_Z[starts_V[v + 1]]``.
    """

    counts: Matrix
    ends_N: Array
    words_Z: Array
    counts_Z: Array
    starts_V: Array
    order_Z: Array
    documents_Z: Array

    @classmethod
    def of(cls, counts: Matrix) -> Corpus:
        """The same documents, with their words in order."""
        order_Z = np.argsort(counts.indices, kind="stable")
        starts_V = np.concatenate([[0], np.cumsum(np.bincount(counts.indices, minlength=counts.shape[1]))])
        documents_Z = np.repeat(np.arange(counts.shape[0], dtype=np.int32), np.diff(counts.indptr))
        return cls(
            counts,
            counts.indptr.astype(np.int64),
            counts.indices.astype(np.int32, copy=False),
            counts.data,
            starts_V,
            order_Z,
            documents_Z[order_Z],
        )

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @property
    def width(self) -> int:
        """Number of words of the vocabulary."""
        return int(self.counts.shape[1])


def joined(blocks: Iterable[Records], width: int) -> Matrix:
    """All documents as one CSR matrix of float32 with its words in order and no zeros; none give no row."""
    parts = [sparse(records) for records in blocks]
    if not parts:
        return csr_matrix((0, width), dtype=np.float32)
    whole: Matrix = Records.join([Records(part) for part in parts]).features
    return whole


def sparse(records: Records) -> Matrix:
    """The counts as a CSR matrix of float32 with its words in order and no zeros."""
    counts = csr_matrix(records.features, dtype=np.float32, copy=records.sparse)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts


def check_counts(records: Records) -> None:
    """Nothing; DataError where a count is negative, with its place."""
    features: Any = records.features
    values = features.data if records.sparse else features
    if values.size and values.min() < 0:
        rows, columns = (features < 0).nonzero()
        first = int(np.lexsort((columns, rows))[0])
        raise DataError(
            f"a document cannot have a word {features[rows[first], columns[first]]:g} times; "
            "counts are 0 or more, as they come, without scaling or centering",
            source=records.source,
            row=records.first_row + int(rows[first]),
            column=int(columns[first]) + 1,
        )
