"""What may be handed to ``fit``, and what is refused before anything starts."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms import registry
from clary.sdk import TrainingInput
from clary.sdk.inputs import understand, understand_payload
from clary.toolkit.errors import UserError

SPEC = registry.spec("kmeans")
MAGIC = b"\x0a\x23\xd7\xce"


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("rows.csv", b"1,2\n", "text/csv;label_size=0"),
        ("ROWS.CSV", b"1,2\n", "text/csv;label_size=0"),
        ("rows.csv.gz", gzip.compress(b"1,2\n", mtime=0), "text/csv;label_size=0"),
        ("rows.pbr", b"", "application/x-recordio-protobuf"),
        ("rows.recordio", b"", "application/x-recordio-protobuf"),
        ("rows.data", b"", "application/x-recordio-protobuf"),
        ("part-00000", MAGIC + b"\0\0\0\0", "application/x-recordio-protobuf"),
    ],
)
def test_the_content_type_is_told_by_the_name_or_the_first_bytes(
    tmp_path: Path, name: str, content: bytes, wanted: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert understand("train", tmp_path / name, SPEC).content_type == wanted
    assert understand("train", str(tmp_path), SPEC).content_type == wanted
    assert understand("train", f"{tmp_path}/*", SPEC).paths == (tmp_path / name,)


def test_an_explicit_content_type_wins(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("0,1\n")
    assert understand("train", tmp_path, SPEC, content_type="text/csv").content_type == "text/csv"
    given = TrainingInput(tmp_path, content_type="text/csv; label_size=2", input_mode="FastFile")
    found = understand("train", given, SPEC, content_type="text/csv")
    assert (found.content_type, found.mode) == ("text/csv; label_size=2", "FastFile")


def test_a_request_has_no_label_column_unless_told(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("0,1\n")
    assert understand_payload(tmp_path, SPEC).content_type == "text/csv"
    assert (
        understand_payload(tmp_path, SPEC, content_type="text/csv;label_size=1").content_type
        == "text/csv;label_size=1"
    )


def test_addresses_of_s3_stay_what_they_are() -> None:
    assert understand("train", "s3://b/rows.csv", SPEC).content_type == "text/csv;label_size=0"
    assert understand("train", "s3://b/prefix", SPEC).content_type is None


def test_the_classic_name_of_the_data_is_taken() -> None:
    given = TrainingInput(s3_data="s3://b/rows", content_type="text/csv", distribution="ShardedByS3Key")
    assert understand("train", given, SPEC).s3 == "s3://b/rows"
    with pytest.raises(UserError, match="TrainingInput needs data, or s3_data"):
        TrainingInput()
    with pytest.raises(UserError, match="and not both"):
        TrainingInput("rows.csv", s3_data="s3://b/rows")


LINEAR, BOOSTED = registry.spec("linear_learner"), registry.spec("xgboost")


def test_a_csv_file_of_an_algorithm_with_labels_has_them_in_its_first_column(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("0,1\n")
    for spec in (LINEAR, BOOSTED):
        assert understand("train", tmp_path / "rows.csv", spec).content_type == "text/csv"
        assert understand_payload(tmp_path / "rows.csv", spec).content_type == "text/csv"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("rows.libsvm", "text/libsvm"), ("rows.svm", "text/libsvm"), ("rows.parquet", "application/x-parquet")],
)
def test_a_file_says_its_type_where_the_default_is_another(tmp_path: Path, name: str, wanted: str) -> None:
    (tmp_path / name).write_text("1 0:1\n")
    assert understand("train", tmp_path, BOOSTED).content_type == wanted
    with pytest.raises(UserError, match=r"content type must be one of .*x-recordio-protobuf"):
        understand("train", tmp_path, LINEAR)


def test_short_names_of_types_are_the_algorithms_own(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1,2\n")
    assert understand("train", tmp_path / "rows", BOOSTED, content_type="csv").content_type == "csv"
    assert understand_payload(tmp_path / "rows", BOOSTED, content_type="csv").content_type == "text/csv"
    with pytest.raises(UserError, match="channel train: the content type must be one of"):
        understand("train", tmp_path / "rows", LINEAR, content_type="csv")


def test_a_channel_of_one_type_holds_that(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    assert understand("code", tmp_path / "train.py", BOOSTED).content_type == "text/python"
    with pytest.raises(UserError, match=r"channel code takes a file or a folder \(text/python\); got a list"):
        understand("code", [[1, 2]], BOOSTED)


def files(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("1,2\n")
    return folder


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ((), "holds no files"),
        (("a.csv", "b.pbr"), r"mixes kinds of files: .*a\.csv.*b\.pbr|mixes kinds of files: .*b\.pbr.*a\.csv"),
        (("rows.txt",), r"rows\.txt does not tell what it holds; say so with content_type="),
        (
            ("rows.libsvm",),
            "the content type must be one of application/x-recordio-protobuf, text/csv; got text/libsvm",
        ),
    ],
)
def test_a_folder_that_cannot_be_understood_is_refused(tmp_path: Path, names: tuple[str, ...], wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        understand("train", files(tmp_path / "data", *names), SPEC)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("no/such/file.csv", r"channel train: there is no file or folder no/such/file\.csv \(looked in"),
        ([], "empty list"),
        (["s3://b/a", "s3://b/b"], "one s3:// address"),
        (np.zeros(3), "two dimensions"),
        (TrainingInput(np.zeros((1, 1)), content_type="text/csv"), "is for files"),
    ],
)
def test_what_is_no_data_is_refused(given: Any, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        understand("train", given, SPEC)


def test_an_unknown_channel_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="K-means has no channel 'tran'; its channels are train, test"):
        understand("tran", "s3://b/a", SPEC)
