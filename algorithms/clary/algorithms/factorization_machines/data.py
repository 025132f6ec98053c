"""Rows as training wants them: values other than zero by row, and labels that were looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from clary.algorithms.factorization_machines.spec import BINARY, Hyperparameters
from clary.toolkit.errors import DataError
from clary.toolkit.records import Records

Array = npt.NDArray[Any]
_COLUMN = np.int32


@dataclass(frozen=True)
class Batch:
    """B rows in CSR form, and their labels (B) in float64.

    The values of row b are ``values[ends_B[b]:ends_B[b + 1]]``, those of ``columns`` at the same places.
    """

    ends_B: Array
    columns: Array
    values: Array
    labels_B: Array

    def __len__(self) -> int:
        return len(self.labels_B)

    @classmethod
    def of(cls, records: Records | None) -> Batch:
        """The batch of a host; one without rows where the host has none left."""
        if records is None:
            return cls(np.zeros(1, np.int64), np.empty(0, _COLUMN), np.empty(0, np.float32), np.empty(0))
        rows: Any = records.features if records.sparse else csr_matrix(records.dense())
        # One type whatever was read, because each combination of types is compiled anew.
        columns = np.require(
            rows.indices, _COLUMN if rows.shape[1] <= np.iinfo(_COLUMN).max else np.int64, ["C", "W"]
        )
        values = np.require(rows.data, np.float32, ["C", "W"])
        return cls(rows.indptr.astype(np.int64), columns, values, labels_of(records))


def labels_of(records: Records) -> Array:
    """The labels (N) of rows that were found legal, in float64."""
    assert records.labels is not None
    labels_N: Array = records.labels[:, 0].astype(np.float64)
    return labels_N


def check_labels(records: Records, hp: Hyperparameters) -> None:
    """Look at the labels as they are read; DataError names the first row whose label cannot be learned."""
    labels_N = records.expect_label()
    if hp.predictor_type != BINARY:
        return
    bad = np.flatnonzero((labels_N != 0) & (labels_N != 1))
    if len(bad):
        reason = f"the label of a binary_classifier must be 0 or 1; got {labels_N[bad[0]]:g}"
        raise DataError(reason, source=records.source, row=records.first_row + int(bad[0]))
