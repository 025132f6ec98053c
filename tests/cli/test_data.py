"""``clary data``: samples and conversions that lose nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clary.cli.main import run
from clary.datasets import samples
from clary.toolkit import tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records


def rows(path: Path, content_type: str) -> Records:
    """Every row of the file."""
    with path.open("rb") as stream:
        return Records.join(list(tabular.read(stream, MediaType.parse(content_type), source=path.name)))


@pytest.mark.parametrize(("name", "load"), [("breast-cancer", samples.breast_cancer), ("diabetes", samples.diabetes)])
def test_the_other_samples_keep_their_labels(name: str, load: Callable[[], Records], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert run(["data", "sample", name, str(path), "--labels"]) == 0
    np.testing.assert_array_equal(rows(path, "text/csv;label_size=1").labels, load().labels)


def test_the_sample_is_the_packaged_data_without_its_labels(digits: Path) -> None:
    found = rows(digits, "text/csv;label_size=0")
    np.testing.assert_array_equal(found.dense(), samples.digits().dense())


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("rows.csv", "text/csv;label_size=1"),
        ("rows.libsvm", "text/libsvm"),
        ("rows.recordio", "application/x-recordio-protobuf"),
        ("rows.parquet", "application/x-parquet;label_size=1"),
    ],
)
def test_rows_and_labels_survive_a_conversion_and_the_way_back(name: str, content_type: str, tmp_path: Path) -> None:
    first, second, last = tmp_path / "first.csv", tmp_path / name, tmp_path / "last.csv"
    assert run(["data", "sample", "digits", str(first), "--labels"]) == 0
    csv = "text/csv;label_size=1"
    second = second if name != "rows.csv" else tmp_path / "second.csv"
    assert run(["data", "convert", str(first), str(second), "--from", csv, "--to", content_type]) == 0
    np.testing.assert_array_equal(rows(second, content_type).labels, samples.digits().labels)
    assert run(["data", "convert", str(second), str(last), "--from", content_type]) == 0
    assert last.read_bytes() == first.read_bytes()


def test_a_conversion_that_fails_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("1,2\n3\n")
    assert run(["data", "convert", str(bad), str(tmp_path / "bad.recordio")]) == 1
    assert "row 2" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_a_file_without_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    for target in ("empty.recordio", "empty.parquet"):
        assert run(["data", "convert", str(empty), str(tmp_path / target)]) == 1
        assert "holds no rows" in capsys.readouterr().err
