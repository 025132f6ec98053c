"""Parquet: columns of numbers, the labels first, read a few thousand rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np

from clary.toolkit.codecs import floats, optional
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.codecs.gzip_stream import Readable
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

_CELLS_AT_ONCE = 1 << 20
_PURPOSE = "reading and writing parquet files"


def read(stream: Readable, *, label_size: int = 1, source: str = "", missing: bool = False) -> Iterator[Records]:
    """The rows in order, about a million cells at a time.

    ``missing`` reads nulls and NaN among the features as NaN. A stream that cannot seek is put into a
    temporary file first, because a parquet file is read from its end. DataError names the row, the column
    and the reason.
    """
    import tempfile

    with tempfile.TemporaryFile() as spool:
        yield from _read(_seekable(stream, spool), label_size, source, missing)


def _seekable(stream: Readable, spool: Any) -> BinaryIO:
    seekable = getattr(stream, "seekable", None)
    if seekable is not None and seekable():
        return cast(BinaryIO, stream)
    import shutil

    shutil.copyfileobj(cast(BinaryIO, stream), spool)
    spool.seek(0)
    return cast(BinaryIO, spool)


def _read(stream: BinaryIO, label_size: int, source: str, missing: bool) -> Iterator[Records]:
    arrow = optional.load("pyarrow", purpose=_PURPOSE)
    parquet = optional.load("pyarrow.parquet", purpose=_PURPOSE)
    row = 1
    try:
        file = parquet.ParquetFile(stream)
        columns = len(file.schema_arrow)
        if not columns or not file.metadata.num_rows:
            return
        layout = Layout(columns, label_size, missing, source)
        _check_types(arrow, file.schema_arrow, source)
        for batch in file.iter_batches(batch_size=max(1, _CELLS_AT_ONCE // columns), use_threads=False):
            if len(batch):
                yield _records(batch, layout, row)
                row += len(batch)
    except (arrow.ArrowException, OSError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise DataError(f"not a parquet file that can be read: {first_line}", source=source, row=row) from None


def _check_types(arrow: Any, schema: Any, source: str) -> None:
    kinds = arrow.types
    numeric = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal)
    for column, field in enumerate(schema, 1):
        if not any(kind(field.type) for kind in numeric):
            reason = f"column {field.name!r} holds {field.type}; every column must hold numbers"
            raise DataError(reason, source=source, column=column)


def _records(batch: Any, layout: Layout, first_row: int) -> Records:
    cells = np.empty((len(batch), layout.columns), np.float32)
    for column, values in enumerate(batch.columns):
        cells[:, column] = floats.narrow(_numbers(values))
        absent = None
        if values.null_count:
            absent = np.asarray(values.is_null().to_numpy(zero_copy_only=False))
        _check(cells[:, column], absent, column, layout, first_row)
    features = np.ascontiguousarray(cells[:, layout.labels :])
    labels = cells[:, : layout.labels].copy() if layout.labels else None
    return Records(features, labels, layout.source, first_row)


def _numbers(values: Any) -> Any:
    return values.cast("float64").to_numpy(zero_copy_only=False)


def _check(cells: Floats, absent: Any, column: int, layout: Layout, first_row: int) -> None:
    allowed = layout.missing and column >= layout.labels
    wrong = np.isinf(cells) if allowed else ~np.isfinite(cells)
    if wrong.any():
        row = int(wrong.argmax())
        found = "null" if absent is not None and absent[row] else str(cells[row])
        reason = f"found {found}; every cell must hold a finite 32-bit float"
        raise DataError(reason, source=layout.source, row=first_row + row, column=column + 1)


def decode(body: bytes, *, label_size: int = 0, source: str = "", missing: bool = False) -> Records:
    """The rows of a request; DataError if there are none, or names the row, the column and the reason."""
    found = list(read(io.BytesIO(body), label_size=label_size, source=source, missing=missing))
    if not found:
        raise DataError("the request holds no row", source=source)
    return Records.join(found)


def write(stream: BinaryIO, records: Records) -> None:
    """Write a whole file: columns ``label_0``, ... first, then ``feature_0``, ..., all float32."""
    arrow = optional.load("pyarrow", purpose=_PURPOSE)
    parquet = optional.load("pyarrow.parquet", purpose=_PURPOSE)
    if not records.width:
        raise UserError("parquet needs at least one feature column; the records have none")
    columns: dict[str, Floats] = {}
    if records.labels is not None:
        columns |= {f"label_{at}": column for at, column in enumerate(records.labels.T)}
    columns |= {f"feature_{at}": column for at, column in enumerate(records.dense().T)}
    arrays = {name: arrow.array(np.ascontiguousarray(column)) for name, column in columns.items()}
    parquet.write_table(arrow.table(arrays), stream)
