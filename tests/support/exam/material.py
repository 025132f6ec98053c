"""Turns an algorithm's example and its variants into files and request bodies of every declared type.

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
from typing import Any

import numpy as np

from clary.algorithms import registry
from clary.toolkit import media, tabular
from clary.toolkit.example import Variant
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec

Files = Mapping[str, bytes]
HOLES = 7  # one value of so many is taken out


def job(spec: AlgorithmSpec, variant: str = "") -> Variant:
    """The example, or its variant of that name."""
    example = registry.example(spec.name)
    return example.variants[variant] if variant else example


@cache
def rows(name: str, channel: str, variant: str = "") -> Records:
    """The rows for a channel, loaded once."""
    return job(registry.spec(name), variant).channels[channel]()


def channels(spec: AlgorithmSpec, variant: str = "") -> list[str]:
    """The channels for which there is data."""
    given = job(spec, variant)
    return [each.name for each in spec.channels if each.name in {*given.channels, *given.files}]


def named(content_type: str) -> str:
    """The media type without its parameters, where a short name may stand for it."""
    name = MediaType.parse(content_type).name
    return tabular.ALIASES.get(name, name)


def content_types(spec: AlgorithmSpec, channel: str) -> list[str]:
    """Every form in which the exam lays out the channel: each declared type, CSV with each place for labels."""
    declared = spec.channel(channel)
    assert declared is not None
    found = list(declared.content_types)
    # A channel that takes short names compares whole strings, so its types have no parameters.
    whole = any(name in tabular.ALIASES for name in found)
    if media.CSV in found and not whole and channel in job(spec).channels:
        found.append("text/csv;label_size=1")
        # Without a label column there is nothing to learn from, so only unsupervised algorithms take that form.
        found += [] if spec.capabilities.supervised or declared.labeled else ["text/csv;label_size=0"]
    return found


def files(
    spec: AlgorithmSpec,
    channel: str,
    content_type: str = "",
    *,
    parts: int = 1,
    most: int | None = None,
    variant: str = "",
    holes: bool = False,
) -> Files:
    """The channel's content as files by name, cut into that many; at most that many rows, where it has rows.

    With ``holes``, rows have missing values here and there.
    """
    declared, given = spec.channel(channel), job(spec, variant)
    assert declared is not None
    content_type = content_type or declared.default_type
    if channel in given.files:
        return given.files[channel](content_type)
    whole = rows(spec.name, channel, variant)
    taken = (holed(whole) if holes else whole).rows(0, most or len(whole))
    cuts = np.linspace(0, len(taken), parts + 1).astype(int).tolist()
    return {
        f"part-{number}": written(spec, taken.rows(start, stop), content_type)
        for number, (start, stop) in enumerate(pairwise(cuts))
    }


def holed(records: Records) -> Records:
    """The rows with a value missing here and there, at other places in each."""
    features = records.dense().copy()
    at = np.add.outer(np.arange(len(records)), np.arange(records.width))
    features[at % HOLES == 0] = np.nan
    return replace(records, features=features)


def written(spec: AlgorithmSpec, records: Records, content_type: str) -> bytes:
    """The rows in a channel's format; a label column that the rows do not have is filled with zeros."""
    kind = MediaType(named(content_type), MediaType.parse(content_type).parameters)
    if kind.name in (media.CSV, media.PARQUET, media.LIBSVM):
        if kind.parameters.get("label_size", "1") == "0":
            records = replace(records, labels=None)
        elif records.labels is None:
            records = replace(records, labels=np.zeros((len(records), 1), np.float32))
    if kind.name == media.LIBSVM and spec.capabilities.missing and not records.sparse:
        records = replace(records, features=_present(records))
    stream = io.BytesIO()
    tabular.write(stream, records, kind)
    return stream.getvalue()


def _present(records: Records) -> Any:
    """The values that there are, zeros among them; where values may be missing, what is not written is."""
    from scipy.sparse import csr_matrix

    there = ~np.isnan(records.dense())
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return csr_matrix((records.dense()[there], np.nonzero(there)[1], ends), shape=there.shape, dtype=np.float32)


def body(spec: AlgorithmSpec, content_type: str, numbers: range, *, variant: str = "", holes: bool = False) -> bytes:
    """A request with the records of these numbers, counted from 0, without labels, ``holes`` among their values."""
    given = job(spec, variant)
    if given.request:
        return given.request(content_type, numbers)
    whole = rows(spec.name, channels(spec, variant)[0], variant)
    taken = (holed(whole) if holes else whole).rows(numbers.start, numbers.stop)
    return request(spec, Records(taken.dense()), content_type)


def request(spec: AlgorithmSpec, records: Records, content_type: str) -> bytes:
    """A request with these rows."""
    name = named(content_type)
    instances = [{"features": row} for row in records.dense().tolist()] if name in _OBJECTS else []
    if name == media.JSON:
        return json.dumps({"instances": instances}).encode()
    if name == media.JSON_LINES:
        return "".join(json.dumps(each) + "\n" for each in instances).encode()
    return written(spec, records, "text/csv;label_size=0" if name == media.CSV else content_type)


_OBJECTS = (media.JSON, media.JSON_LINES)
