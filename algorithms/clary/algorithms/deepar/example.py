"""The smallest honest DeepAR job: the next hours of series with a rhythm of days; and jobs with all it can read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from clary.datasets.series import Record, seasonal
from clary.toolkit import media
from clary.toolkit.codecs import optional
from clary.toolkit.example import Example, Files, Variant

_SERIES, _STEPS, _HORIZON, _PARTS = 40, 118, 12, 4
_SETTINGS = {
    "time_freq": "H",
    "context_length": "24",
    "prediction_length": str(_HORIZON),
    "epochs": "15",
    "learning_rate": "0.01",
    "num_cells": "30",
    "num_layers": "1",
    "dropout_rate": "0",
    "mini_batch_size": "32",
}
_DEEPER = {"epochs": "2", "num_layers": "2", "dropout_rate": "0.1"}
_EVERYTHING = {
    "num_samples": 20,
    "output_types": ["mean", "quantiles", "samples"],
    "quantiles": ["0.1", "0.5", "0.9"],
}


@cache
def _whole(**kinds: Any) -> Sequence[Record]:
    return seasonal(_SERIES, _STEPS, **kinds)


def _cut(record: Record, stop: int) -> Record:
    """The record up to that step; what is known of the hours of the forecast stays."""
    cut = {**record, "target": record["target"][:stop]}
    if "dynamic_feat" in record:
        cut["dynamic_feat"] = [row[: stop + _HORIZON] for row in record["dynamic_feat"]]
    return cut


def _known(record: Record) -> Record:
    """The record without its last hours, to learn from."""
    return _cut(record, _STEPS - _HORIZON)


def _files(change: Callable[[Record], Record], kinds: Mapping[str, Any], content_type: str) -> Files:
    """The series shared out among several files without extensions, so that the type alone tells what they are."""
    records = [change(record) for record in _whole(**kinds)]
    return {f"part-{part}": _written(records[part::_PARTS], content_type) for part in range(_PARTS)}


def _written(records: Sequence[Record], content_type: str) -> bytes:
    if content_type == "parquet":
        sink, arrow = io.BytesIO(), optional.load("pyarrow", purpose="writing parquet files")
        table = arrow.Table.from_pylist(list(records))
        optional.load("pyarrow.parquet", purpose="writing parquet files").write_table(table, sink)
        return sink.getvalue()
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    if content_type == "json.gz":
        import gzip

        return gzip.compress(lines, mtime=0)
    return lines


def _request(kinds: Mapping[str, Any], configuration: Any, content_type: str, numbers: range) -> bytes:
    """The series of these numbers, counted on from the first again behind the last, and then an hour shorter."""
    whole = _whole(**kinds)
    records = [
        _cut(whole[number % _SERIES], _STEPS - _HORIZON - number // _SERIES) | {"id": number} for number in numbers
    ]
    if content_type == media.JSON_LINES:
        return _written(records, content_type)
    document = {"instances": records} | ({"configuration": configuration} if configuration else {})
    return json.dumps(document).encode()


def _data(configuration: Any = None, *, test: bool = True, **kinds: Any) -> dict[str, Any]:
    """The channels and requests of a job on series of these kinds."""
    changes: dict[str, Callable[[Record], Record]] = {"train": _known, "test": partial(_cut, stop=_STEPS)}
    return {
        "files": {name: partial(_files, changes[name], kinds) for name in (["train", "test"] if test else ["train"])},
        "request": partial(_request, kinds, configuration),
    }


EXAMPLE = Example(
    title="Forecast the next 12 hours of 40 series with a rhythm of days",
    hyperparameters=_SETTINGS,
    **_data(),
    metric="test:mean_wQuantileLoss",
    reach=0.16,
    longer={"epochs": "100000"},
    fixed=("likelihood", "num_dynamic_feat", "time_freq"),
    variants={
        "features": Variant(
            hyperparameters={**_SETTINGS, **_DEEPER, "likelihood": "gaussian", "embedding_dimension": "3"},
            **_data(_EVERYTHING, features=True, missing=0.05),
        ),
        "counts": Variant(
            hyperparameters={**_SETTINGS, **_DEEPER, "likelihood": "negative-binomial"},
            **_data({**_EVERYTHING, "quantiles": [0.5]}, counts=True),
        ),
        "early stopping": Variant(
            hyperparameters={**_SETTINGS, "epochs": "20", "learning_rate": "0.3", "early_stopping_patience": "1"},
            **_data(test=False),
        ),
    },
)
