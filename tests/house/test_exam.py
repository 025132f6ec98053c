"""What the exam brings along is what it says: bodies that nobody reads, and hyperparameters that are legal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from clary.algorithms import registry
from clary.toolkit import media, tabular
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.tabular import PLAIN, Reading
from exam import damage, legal, material

WHOLE = {
    media.CSV: b"0.5,1,2\n0.25,,4\n8,16,32\n",
    media.LIBSVM: b"0 0:0.5 1:1\n1 0:0.25 2:4\n0 1:16\n",
    media.JSON: b'{"instances": [{"features": [0.5, 1]}, {"features": [0.25, 2]}]}',
    media.JSON_LINES: b'{"features": [0.5, 1]}\n{"features": [0.25, 2]}\n{"features": [8, 16]}\n',
}


@pytest.mark.parametrize("reading", [PLAIN, Reading(missing=True, delimiter=None, extras=True)], ids=["plain", "all"])
@pytest.mark.parametrize("kind", [*WHOLE, media.RECORDIO_PROTOBUF])
def test_damaged_bodies_are_refused_however_they_are_read(kind: str, reading: Reading) -> None:
    whole = WHOLE.get(kind) or _frames()
    assert len(tabular.decode(whole, MediaType(kind), Reading(missing=True))) > 1
    for body in damage.bodies(kind, whole):
        with pytest.raises(UserError):
            tabular.decode(body, MediaType(kind), reading)


def _frames() -> bytes:
    stream = io.BytesIO()
    rows = tabular.decode(WHOLE[media.JSON], MediaType(media.JSON))
    tabular.write(stream, rows, MediaType(media.RECORDIO_PROTOBUF))
    return stream.getvalue()


def test_rows_with_missing_values_keep_some_of_each_row_and_column() -> None:
    missing = np.isnan(material.holed(Records(np.ones((50, 20), np.float32))).dense())
    assert missing.any(axis=0).all()
    assert missing.any(axis=1).all()
    assert missing.mean() == pytest.approx(1 / material.HOLES, rel=0.01)


@pytest.mark.parametrize("name", registry.NAMES)
def test_drawn_hyperparameters_are_legal(name: str) -> None:
    spec, example = registry.spec(name), registry.example(name)

    @settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
    @given(modest=legal.modest(spec), extreme=legal.extreme(spec))
    def check(modest: dict[str, str], extreme: dict[str, str]) -> None:
        for drawn in (modest, extreme):
            spec.parse(drawn)
            kept = {*spec.measured, *example.fixed}
            assert all(drawn.get(each) == example.hyperparameters.get(each) for each in kept)

    check()
