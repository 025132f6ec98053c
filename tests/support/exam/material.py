"""Turns an algorithm's example into files and request bodies of every declared type.

Rows of numbers are written here from ``Example.channels``. An algorithm whose data are something else gives
ready-made bytes: ``Example.files`` for its channels and ``Example.request`` for its request bodies.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np

from clary.algorithms import registry
from clary.toolkit import media, tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec

Files = Mapping[str, bytes]


@cache
def rows(name: str, channel: str) -> Records:
    """The example's rows for a channel, loaded once."""
    return registry.example(name).channels[channel]()


def channels(spec: AlgorithmSpec) -> list[str]:
    """The channels for which the example has data."""
    example = registry.example(spec.name)
    return [each.name for each in spec.channels if each.name in {*example.channels, *example.files}]


def content_types(spec: AlgorithmSpec, channel: str) -> list[str]:
    """Every form in which the exam lays out the channel: each declared type, CSV with each place for labels."""
    declared = spec.channel(channel)
    assert declared is not None
    found = []
    for name in declared.content_types:
        csv = name == media.CSV and channel in registry.example(spec.name).channels
        found += [name, f"{name};label_size=1"] if csv else [name]
        # Without a label column there is nothing to learn from, so only unsupervised algorithms take that form.
        found += [f"{name};label_size=0"] if csv and not spec.capabilities.supervised else []
    return found


def files(
    spec: AlgorithmSpec, channel: str, content_type: str = "", *, parts: int = 1, most: int | None = None
) -> Files:
    """The channel's content as files by name, cut into that many; at most that many rows, where it has rows."""
    declared, example = spec.channel(channel), registry.example(spec.name)
    assert declared is not None
    content_type = content_type or declared.default_type
    if channel in example.files:
        return example.files[channel](content_type)
    taken = rows(spec.name, channel).rows(0, most or len(rows(spec.name, channel)))
    cuts = np.linspace(0, len(taken), parts + 1).astype(int).tolist()
    return {
        f"part-{number}": written(taken.rows(start, stop), content_type)
        for number, (start, stop) in enumerate(pairwise(cuts))
    }


def written(records: Records, content_type: str) -> bytes:
    """The rows in a channel's format; a label column that the rows do not have is filled with zeros."""
    kind = MediaType.parse(content_type)
    if kind.name in (media.CSV, media.PARQUET):
        if kind.parameters.get("label_size", "1") == "0":
            records = replace(records, labels=None)
        elif records.labels is None:
            records = replace(records, labels=np.zeros((len(records), 1), np.float32))
    stream = io.BytesIO()
    tabular.write(stream, records, kind)
    return stream.getvalue()


def body(spec: AlgorithmSpec, content_type: str, numbers: range) -> bytes:
    """A request with the example's records of these numbers, counted from 0, without their labels."""
    example = registry.example(spec.name)
    if example.request:
        return example.request(content_type, numbers)
    taken = rows(spec.name, channels(spec)[0])
    features = taken.dense()[numbers.start : numbers.stop]
    instances = [{"features": row} for row in features.tolist()]
    if content_type == media.JSON:
        return json.dumps({"instances": instances}).encode()
    if content_type == media.JSON_LINES:
        return "".join(json.dumps(each) + "\n" for each in instances).encode()
    form = "text/csv;label_size=0" if content_type == media.CSV else content_type
    return written(Records(features), form)
