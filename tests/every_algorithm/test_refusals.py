"""What cannot be trained is refused as the caller's mistake, by name, with what to do, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from clary.algorithms import registry
from clary.toolkit import media, tabular
from clary.toolkit.parameters import Parameter
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.room import Room

TABULAR = {media.CSV, media.RECORDIO_PROTOBUF}


def example(algorithm: AlgorithmSpec) -> dict[str, str]:
    return dict(registry.example(algorithm.name).hyperparameters)


def required_channel(algorithm: AlgorithmSpec) -> str:
    return next(channel.name for channel in algorithm.channels if channel.required is True)


def csv_type(algorithm: AlgorithmSpec) -> str:
    """CSV rows that begin with their label where the algorithm learns from one."""
    return media.CSV if algorithm.capabilities.supervised else "text/csv;label_size=0"


def csv_room(room: Room, algorithm: AlgorithmSpec, text: str | bytes) -> Room:
    """A room whose required channel is one CSV file with this content."""
    channel = required_channel(algorithm)
    if media.CSV not in algorithm.channel(channel).content_types:  # type: ignore[union-attr]
        pytest.skip(f"{algorithm.title} reads no CSV")
    content = text if isinstance(text, bytes) else text.encode()
    return room.channel(channel, {"rows.csv": content}, csv_type(algorithm))


def csv_rows(algorithm: AlgorithmSpec, count: int = 4) -> list[str]:
    """The example's first rows as lines of CSV."""
    channel = required_channel(algorithm)
    if channel not in registry.example(algorithm.name).channels:
        pytest.skip(f"{algorithm.title} does not train on rows of numbers")
    rows = material.rows(algorithm.name, channel).rows(0, count)
    return material.written(algorithm, rows, csv_type(algorithm)).decode().splitlines()


# Hyperparameters: no data is laid out, so a refusal that names one was made before any was looked for.


def test_a_bad_hyperparameter_is_refused_by_name(
    room: Room, algorithm: AlgorithmSpec, parameter: Parameter, mistake: str
) -> None:
    failure = room.configure({**example(algorithm), parameter.name: mistake}).train().refused()
    assert failure.startswith(f"ClientError: {parameter.name} must be {parameter.wording}; got ")
    assert repr(mistake) in failure


def test_an_empty_string_leaves_an_optional_hyperparameter_unset(room: Room, algorithm: AlgorithmSpec) -> None:
    declared = algorithm.hyperparameters.parameters()
    optional = {name: "" for name, each in declared.items() if each.required is not True}
    failure = room.configure({**example(algorithm), **optional}).train().refused()
    assert required_channel(algorithm) in failure
    assert "must be" not in failure


def test_a_value_that_is_no_string_is_refused_by_name(room: Room, algorithm: AlgorithmSpec) -> None:
    name = next(iter(algorithm.hyperparameters.parameters()))
    for value in (10, None, ["10"], True):
        failure = room.configure({**example(algorithm), name: value}).train().refused()
        assert f"{name} must be a JSON string" in failure


def test_an_unknown_hyperparameter_is_refused_by_name(room: Room, algorithm: AlgorithmSpec) -> None:
    name = next(iter(algorithm.hyperparameters.parameters()))
    failure = room.configure({**example(algorithm), f"{name}s": "1"}).train().refused()
    assert failure.startswith(f"ClientError: {name}s is not a hyperparameter")
    assert f"did you mean {name!r}?" in failure


def test_missing_hyperparameters_are_all_named(room: Room, algorithm: AlgorithmSpec) -> None:
    required = [name for name, each in algorithm.hyperparameters.parameters().items() if each.required is True]
    if not required:
        pytest.skip(f"{algorithm.title} requires no hyperparameter")
    failure = room.configure({}).train().refused()
    assert all(repr(name) in failure for name in required)


def test_all_problems_are_reported_in_one_message(room: Room, algorithm: AlgorithmSpec) -> None:
    declared = algorithm.hyperparameters.parameters()
    bad = {
        name: next(text for text in each.bad_texts() if text)
        for name, each in declared.items()
        if [*each.bad_texts()]
    }
    failure = room.configure({**bad, "no_such_name": "1"}).train().refused()
    assert failure.count(" must be ") >= min(len(bad), 8)
    assert len(failure) == 1024 or "no_such_name" in failure


def test_keys_of_the_platform_are_set_aside(room: Room, algorithm: AlgorithmSpec) -> None:
    platform = {"_tuning_objective_metric": "x", "_kvstore": "dist", "sagemaker_program": "x", "_log_level": "info"}
    declared = algorithm.hyperparameters.parameters()
    strange = {name: value for name, value in platform.items() if name not in declared}
    given = {**example(algorithm), **strange, **dict.fromkeys(algorithm.inert, "True")}
    failure = room.configure(given).train().refused()
    assert "channel" in failure
    assert not any(name in failure for name in given)


# Channels


def test_a_missing_channel_is_refused_by_name(room: Room, algorithm: AlgorithmSpec) -> None:
    assert f"channel {required_channel(algorithm)} is missing" in room.train().refused()


def test_an_unknown_channel_is_refused_by_name(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    failure = room.channel(channel, material.files(algorithm, channel, most=5)).channel("trian", {"x": b""}).train()
    assert "channel trian is not one of" in failure.refused()
    assert channel in failure.failure


def test_an_unread_content_type_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    declared = algorithm.channel(channel)
    assert declared is not None
    short = [name for name in tabular.ALIASES if name not in declared.content_types]
    for content_type in ("application/pdf", "text/csvv", "no type", "text/html; label_size=0", *short):
        failure = room.channel(channel, {"part": b"1,2\n"}, content_type).train().refused()
        assert f"channel {channel}: ContentType must be one of" in failure
        assert failure.endswith(f"got {content_type}")


def test_a_mode_or_distribution_that_does_not_exist_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    for key in ("TrainingInputMode", "S3DistributionType", "RecordWrapperType"):
        failure = room.channel(channel, {"part": b""}, **{key: "Fast"}).train().refused()
        assert f"channel {channel}: {key} must be one of" in failure
        room.settings.clear()


def test_an_empty_folder_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    assert f"channel {channel} has no data" in room.channel(channel, {}).train().refused()


def test_a_channel_without_a_folder_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    room.channel(channel, {})
    (room.layout.data / channel).rmdir()
    assert f"channel {channel} has no data" in room.train().refused()


def test_an_empty_file_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    for content_type in material.content_types(algorithm, channel):
        assert channel in room.channel(channel, {"part": b""}, content_type).train().refused()


@pytest.mark.only_if("hosts")
def test_a_host_that_is_not_in_the_job_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    room.hosts("algo-1", "algo-2")
    text = room.layout.resources.read_text().replace('"current_host": "algo-1"', '"current_host": "algo-9"')
    room.layout.resources.write_text(text)
    channel = required_channel(algorithm)
    assert "algo-9" in room.channel(channel, material.files(algorithm, channel, most=5)).train().refused()


# Data: the place is named as a person would look for it.


def refusal_of_row(room: Room, algorithm: AlgorithmSpec, lines: list[str], row: int) -> str:
    """The refusal of a CSV file, which must name the channel, the file and the row."""
    failure = csv_room(room, algorithm, "".join(f"{line}\n" for line in lines)).train().refused()
    assert f"channel {required_channel(algorithm)}, file rows.csv, row {row}" in failure
    return failure


def test_a_header_row_is_refused_with_its_place(room: Room, algorithm: AlgorithmSpec) -> None:
    rows = csv_rows(algorithm)
    header = ",".join(f"column_{number}" for number in range(rows[0].count(",") + 1))
    failure = refusal_of_row(room, algorithm, [header, *rows], 1)
    assert "header" in failure


def test_a_text_cell_is_refused_with_row_and_column(room: Room, algorithm: AlgorithmSpec) -> None:
    rows = csv_rows(algorithm)
    cells = rows[2].split(",")
    rows[2] = ",".join([*cells[:3], "many", *cells[4:]])
    failure = refusal_of_row(room, algorithm, rows, 3)
    assert "column 4" in failure
    assert "many" in failure


@pytest.mark.unless("missing")
@pytest.mark.parametrize("text", ["", "nan", "NaN"])
def test_a_missing_value_is_refused_with_row_and_column(room: Room, algorithm: AlgorithmSpec, text: str) -> None:
    rows = csv_rows(algorithm)
    cells = rows[1].split(",")
    rows[1] = ",".join([cells[0], text, *cells[2:]])
    assert "column 2" in refusal_of_row(room, algorithm, rows, 2)


@pytest.mark.only_if("supervised")
@pytest.mark.parametrize("text", ["", "nan", "inf"])
def test_a_missing_label_is_refused_with_row_and_column(room: Room, algorithm: AlgorithmSpec, text: str) -> None:
    rows = csv_rows(algorithm)
    rows[1] = f"{text},{rows[1].partition(',')[2]}"
    assert "column 1" in refusal_of_row(room, algorithm, rows, 2)


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999"])
def test_an_infinite_number_is_refused_with_row_and_column(room: Room, algorithm: AlgorithmSpec, text: str) -> None:
    rows = csv_rows(algorithm)
    rows[3] = rows[3].rpartition(",")[0] + f",{text}"
    assert f"column {rows[0].count(',') + 1}" in refusal_of_row(room, algorithm, rows, 4)


@pytest.mark.only_if("supervised")
def test_rows_without_labels_are_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    bare = Records(material.rows(algorithm.name, channel).rows(0, 5).dense())
    unlabeled = {
        "text/csv;label_size=0": material.written(algorithm, bare, "text/csv;label_size=0"),
        media.RECORDIO_PROTOBUF: material.written(algorithm, bare, media.RECORDIO_PROTOBUF),
    }
    declared = [material.named(name) for name in algorithm.channel(channel).content_types]  # type: ignore[union-attr]
    for form, content in unlabeled.items():
        if material.named(form) in declared:
            failure = room.channel(channel, {"part-0": content}, form).train().refused()
            assert channel in failure
            assert "label" in failure, failure


def test_ragged_rows_are_refused_with_their_row(room: Room, algorithm: AlgorithmSpec) -> None:
    rows = csv_rows(algorithm)
    for damaged in (rows[1] + ",1", rows[1].rpartition(",")[0]):
        refusal_of_row(room, algorithm, [rows[0], damaged, *rows[2:]], 2)


def test_a_blank_only_file_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    assert required_channel(algorithm) in csv_room(room, algorithm, "\n\n").train().refused()


def test_bytes_that_are_no_text_are_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    for content in (b"\xff\xfe1\x00,\x00", b"\x00" * 64, b"PK\x03\x04" + bytes(range(256)), b"1,2\n\x80\x81,3\n"):
        assert "file rows.csv" in csv_room(room, algorithm, content).train().refused()


def test_a_damaged_gzip_file_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    import gzip

    whole = gzip.compress("".join(f"{line}\n" for line in csv_rows(algorithm, 50)).encode())
    for content in (whole[: len(whole) // 2], whole[:10], whole[:-8] + bytes(8), b"\x1f\x8b" + bytes(50)):
        assert "file rows.csv" in csv_room(room, algorithm, content).train().refused()


def test_another_width_than_declared_is_refused_with_both_sizes(room: Room, algorithm: AlgorithmSpec) -> None:
    widths = {"feature_dim", *(name for name, what in algorithm.measured.items() if what == "feature_dim")}
    measured = [name for name in algorithm.hyperparameters.parameters() if name in widths]
    if not measured:
        pytest.skip(f"{algorithm.title} declares no width")
    channel = required_channel(algorithm)
    width = material.rows(algorithm.name, channel).width
    # A row of LIBSVM does not say how wide it is, so it fits into any greater width.
    for form in [each for each in material.content_types(algorithm, channel) if each != media.LIBSVM]:
        room.configure({**example(algorithm), measured[0]: str(width + 1)})
        failure = room.channel(channel, material.files(algorithm, channel, form, most=5), form).train().refused()
        assert f"{width} features" in failure or f"{width + 1} features" in failure, form
        assert measured[0] in failure


def test_truncated_recordio_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    if media.RECORDIO_PROTOBUF not in algorithm.channel(channel).content_types:  # type: ignore[union-attr]
        pytest.skip(f"{algorithm.title} reads no RecordIO")
    ((name, whole),) = material.files(algorithm, channel, media.RECORDIO_PROTOBUF, most=5).items()
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:3], b"\x00" * 40, whole + b"junk", whole[4:]):
        failure = room.channel(channel, {name: content}, media.RECORDIO_PROTOBUF).train().refused()
        assert f"channel {channel}, file {name}" in failure


def test_a_file_of_another_type_than_declared_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    declared = algorithm.channel(channel)
    assert declared is not None
    if not set(declared.content_types) >= TABULAR:
        pytest.skip(f"{algorithm.title} does not read both CSV and RecordIO")
    for told, given in ((media.CSV, media.RECORDIO_PROTOBUF), (media.RECORDIO_PROTOBUF, media.CSV)):
        files = material.files(algorithm, channel, given, most=20)
        assert f"channel {channel}, file part-0" in room.channel(channel, files, told).train().refused()


def test_the_second_of_several_files_is_named(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = required_channel(algorithm)
    good = "".join(f"{line}\n" for line in csv_rows(algorithm)).encode()
    csv_room(room, algorithm, good).channel(channel, {"sub/b.csv": b"x,y\n"}, csv_type(algorithm))
    assert "file sub/b.csv, row 1" in room.train().refused()


# The program as the platform starts it.


def test_a_refused_process_exits_with_1_and_a_failure_file(room: Room, algorithm: AlgorithmSpec) -> None:
    room.configure({**example(algorithm), "no_such_name": "1"})
    outcome = room.start().outcome()
    assert "no_such_name" in outcome.refused()
    assert "Customer Error: " in outcome.log


def test_a_refusal_replaces_an_earlier_failure(room: Room, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    room.layout.output.mkdir(parents=True)
    room.layout.failure.write_text("AlgorithmError: from another time")
    assert "is missing" in room.train().refused()


def test_an_algorithm_that_does_not_exist_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    from clary.container import train_program

    assert train_program.main(["--root", str(room.root), "--algorithm", f"{algorithm.name}-x"]) == 1
    failure = room.layout.failure.read_text()
    assert failure.startswith("ClientError: ")
    assert all(name in failure for name in registry.NAMES)
