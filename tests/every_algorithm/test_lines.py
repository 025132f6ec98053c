"""Records that are lines of JSON: each file is read whatever it is called, and a bad line is named."""

from __future__ import annotations

import gzip

import pytest

from clary.toolkit import media
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.room import Room


def channel_of_lines(algorithm: AlgorithmSpec) -> str:
    """The required channel, if it holds JSON Lines unless its type says otherwise."""
    channel = next(each for each in algorithm.channels if each.required is True)
    if channel.default_type != media.JSON_LINES:
        pytest.skip(f"{algorithm.title} does not train on JSON Lines")
    return channel.name


def lines(algorithm: AlgorithmSpec) -> list[bytes]:
    """The lines of the example's first file."""
    return next(iter(material.files(algorithm, channel_of_lines(algorithm)).values())).splitlines(keepends=True)


def refusal(room: Room, algorithm: AlgorithmSpec, content: bytes) -> str:
    """The refusal of a file with this content, which must name the channel and the file."""
    channel = channel_of_lines(algorithm)
    failure = room.channel(channel, {"some.jsonl": content}).train().refused()
    assert f"channel {channel}, file some.jsonl" in failure
    return failure


@pytest.mark.parametrize("broken", [b"many\n", b"{\n", b"[1, 2]\n", b"7\n", b"null\n", b"\xff\xfe\n", b'{"a": 1}}\n'])
def test_a_line_that_is_no_record_is_named(room: Room, algorithm: AlgorithmSpec, broken: bytes) -> None:
    good = lines(algorithm)
    assert ", line 4" in refusal(room, algorithm, b"".join([*good[:2], b"\n", broken, *good[2:]]))


def test_a_file_that_ends_within_a_line_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    good = lines(algorithm)
    assert f", line {len(good)}" in refusal(room, algorithm, b"".join(good)[:-10])


def test_a_damaged_gzip_file_of_lines_is_refused(room: Room, algorithm: AlgorithmSpec) -> None:
    whole = gzip.compress(b"".join(lines(algorithm)))
    for content in (whole[: len(whole) // 2], whole[:10], whole[:-8] + bytes(8), b"\x1f\x8b" + bytes(50)):
        refusal(room, algorithm, content)


def test_the_second_of_several_files_of_lines_is_named(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = channel_of_lines(algorithm)
    room.channel(channel, {"a.jsonl": b"".join(lines(algorithm)), "sub/b.jsonl": b"x\n"})
    assert f"channel {channel}, file sub/b.jsonl, line 1" in room.train().refused()


def test_the_extension_of_a_file_tells_its_format_before_the_type_does(room: Room, algorithm: AlgorithmSpec) -> None:
    channel = channel_of_lines(algorithm)
    expected = room.channel(channel, material.files(algorithm, channel)).train().succeeded().model
    (room.layout.data / channel / "part-0").unlink()
    declared = algorithm.channel(channel)
    assert declared is not None
    for extension, kind in ((".json", "json"), (".json.gz", "json.gz"), (".parquet", "parquet")):
        if kind in declared.content_types:
            content = material.files(algorithm, channel, kind)["part-0"]
            room.channel(channel, {f"part-0{extension}": content}, "json")
            assert room.train().succeeded().model == expected, extension
            (room.layout.data / channel / f"part-0{extension}").unlink()
