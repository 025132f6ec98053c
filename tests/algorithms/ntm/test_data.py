"""Documents are held as they were read, wherever they lie, and what is no document is refused with its place."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from clary.algorithms.ntm.data import Corpus
from clary.toolkit import media, tabular
from clary.toolkit.errors import DataError, PlatformError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from topics import channel, drawn, text


def write(folder: Path, rows: np.ndarray, kind: str) -> None:
    from scipy.sparse import csr_matrix

    features = csr_matrix(rows) if kind == "sparse" else rows
    with (folder / "rows").open("wb") as stream:
        tabular.write(stream, Records(features), MediaType(media.RECORDIO_PROTOBUF))


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("limit", [0, 200, 1 << 20], ids=["file", "both", "memory"])
def test_documents_are_held_as_they_were_read(tmp_path: Path, kind: str, limit: int) -> None:
    rows = drawn(90, 12, mean=0.4)
    write(tmp_path, rows, kind)
    found = Corpus.read(channel(tmp_path, media.RECORDIO_PROTOBUF), 12, in_memory=limit)
    assert len(found) == 90
    assert np.array_equal(np.concatenate([block.toarray() for block in found.blocks()]), rows)
    order = np.random.default_rng(0).permutation(90)[:50]
    assert np.array_equal(found.take(order).toarray(), rows[order])
    assert found.frequencies() == pytest.approx(rows.sum(axis=0))
    assert np.array_equal(pickle.loads(pickle.dumps(found)).take(order).toarray(), rows[order])


def test_a_channel_may_hold_nothing(tmp_path: Path) -> None:
    empty = channel(tmp_path)
    empty.may_be_empty = True
    found = Corpus.read(empty, 5)
    assert len(found) == 0
    assert found.frequencies().tolist() == [0] * 5


def test_a_count_below_zero_is_refused_with_its_place(tmp_path: Path) -> None:
    rows = drawn(5, 4)
    rows[3, 2] = -1
    (tmp_path / "rows.csv").write_bytes(text(rows))
    with pytest.raises(DataError, match=r"file rows.csv, row 4, column 3: .* counts of at least 0; got -1"):
        Corpus.read(channel(tmp_path), 4)


def test_a_full_disk_is_told_from_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    (tmp_path / "rows.csv").write_bytes(text(drawn(5, 4)))
    with pytest.raises(PlatformError, match="No space left on device"):
        Corpus.read(channel(tmp_path), 4, in_memory=0)
