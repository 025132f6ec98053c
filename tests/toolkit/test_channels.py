"""A channel hands over named parts in one order, from files or from a FIFO for each pass."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest

from clary.toolkit import channels
from clary.toolkit.channels import ChannelInput
from clary.toolkit.codecs import recordio
from clary.toolkit.errors import DataError, PlatformError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.spool import Spool
from exam.pipes import Feeder

CSV = MediaType("text/csv", {"label_size": "0"})
needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights of their own on this system")
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


def laid_out(folder: Path, files: dict[str, bytes]) -> ChannelInput:
    """A channel named train in File mode with these files."""
    for name, content in files.items():
        (folder / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "train" / name).write_bytes(content)
    return ChannelInput("train", folder / "train", CSV)


def piped(folder: Path, **settings: object) -> ChannelInput:
    return ChannelInput("train", folder / "train", CSV, mode="Pipe", **settings)  # type: ignore[arg-type]


def values(channel: ChannelInput) -> list[list[float]]:
    return [row for block in channel.records() for row in block.dense().tolist()]


def names(channel: ChannelInput) -> list[str]:
    return [name.removeprefix("channel train, file ") for name, _ in channel.parts()]


# Files


def test_files_come_in_the_order_of_their_paths_on_every_system(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, dict.fromkeys(["b.csv", "a/z.csv", "a.csv", "a/b/c.csv", "B.csv", "a-1"], b"1\n"))
    assert names(channel) == ["B.csv", "a/b/c.csv", "a/z.csv", "a-1", "a.csv", "b.csv"]


def test_hidden_files_and_markers_are_no_data(tmp_path: Path) -> None:
    content = dict.fromkeys([".amazon.manifest", ".git/x", "_SUCCESS", "sub/.x", "sub/_SUCCESS", "_part"], b"1\n")
    assert names(laid_out(tmp_path, content)) == ["_part"]


def test_a_channel_may_be_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"1,2\n")
    channel = ChannelInput("train", tmp_path / "train", CSV)
    assert names(channel) == ["train"]
    assert values(channel) == [[1, 2]]


@needs_links
def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_bytes(b"1\n")
    (tmp_path / "train").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert names(ChannelInput("train", tmp_path / "train", CSV)) == ["a.csv"]


def test_every_pass_reads_everything_again(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, {"a": b"1\n2\n", "b": b"3"})
    assert values(channel) == values(channel) == [[1], [2], [3]]
    assert channel.passes == 2


def test_an_empty_channel_is_refused_unless_other_hosts_have_the_data(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="channel train has no data: there is no file in"):
        values(ChannelInput("train", tmp_path / "train", CSV))
    assert values(ChannelInput("train", tmp_path / "train", CSV, may_be_empty=True)) == []


def test_a_bad_row_is_told_with_channel_file_and_row(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, {"good.csv": b"1,2\n", "sub/bad.csv": b"1,2\n3,x\n"})
    with pytest.raises(DataError, match=r"^channel train, file sub/bad\.csv, row 2, column 2: "):
        values(channel)


def test_a_row_of_another_width_is_refused(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, {"a.csv": b"1,2\n"})
    with pytest.raises(DataError, match=r"file a\.csv, row 1: the row has 2 features, feature_dim is 3"):
        list(channel.records(width=3))


def test_wrapped_objects_are_taken_out_of_their_records(tmp_path: Path) -> None:
    wrapped = b"".join(recordio.frame(content) for content in (b"1,2\n3,4", b"5,6\n"))
    channel = laid_out(tmp_path, {"a": wrapped})
    channel.wrapped = True
    assert [name for name, _ in channel.parts()] == [
        "channel train, file a, object 1",
        "channel train, file a, object 2",
    ]
    assert values(channel) == [[1, 2], [3, 4], [5, 6]]


@needs_links
def test_a_file_that_cannot_be_opened_is_the_machines_fault(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, {"a": b"1\n"})
    (tmp_path / "train" / "b").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PlatformError, match="channel train: b cannot be opened"):
        values(channel)


# Pipes


@needs_fifos
def test_each_pass_reads_the_next_fifo(tmp_path: Path) -> None:
    channel = piped(tmp_path)
    with Feeder(tmp_path / "train", [b"1,2\n", b"3,", b"4"]) as feeder:
        assert values(channel) == values(channel) == values(channel) == [[1, 2], [3, 4]]
    assert feeder.fed == 3
    assert sorted(path.name for path in tmp_path.iterdir())[:3] == ["train_0", "train_1", "train_2"]


@needs_fifos
def test_a_fifo_that_comes_late_or_talks_slowly_is_waited_for(tmp_path: Path) -> None:
    with Feeder(tmp_path / "train", [b"1,2", b"\n3,4\n"], late=0.3, pause=0.3):
        assert values(piped(tmp_path)) == [[1, 2], [3, 4]]


@needs_fifos
def test_a_fifo_may_be_empty(tmp_path: Path) -> None:
    with Feeder(tmp_path / "train", []):
        assert values(piped(tmp_path)) == []


@needs_fifos
def test_a_fifo_may_hold_far_more_than_its_buffer(tmp_path: Path) -> None:
    content = b"".join(b"%d,1\n" % number for number in range(300_000))
    with Feeder(tmp_path / "train", [content]):
        assert [row[0] for row in values(piped(tmp_path))] == list(range(300_000))


@needs_fifos
def test_a_pass_may_be_left_early(tmp_path: Path) -> None:
    channel = piped(tmp_path)
    with Feeder(tmp_path / "train", [b"1\n" * 2_000_000]):
        first = channel.records()
        assert len(next(first)) > 0
        del first
        assert len(next(channel.records())) > 0


@needs_fifos
def test_bad_rows_of_a_pipe_are_told_with_their_pass(tmp_path: Path) -> None:
    channel = piped(tmp_path)
    with Feeder(tmp_path / "train", [b"1\nx\n"]), pytest.raises(DataError, match=r"^channel train, pass 0, row 2"):
        values(channel)


@needs_fifos
def test_a_stop_is_heard_while_waiting_for_a_fifo(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert values(piped(tmp_path, stop=stop)) == []
    assert time.monotonic() - began < 5


@needs_fifos
def test_a_stop_is_heard_while_a_fifo_is_silent(tmp_path: Path) -> None:
    stop = threading.Event()
    with Feeder(tmp_path / "train", [b"1\n"], pause=60) as feeder:

        def asked() -> None:
            feeder.delivered.wait(10)
            stop.set()

        threading.Thread(target=asked, daemon=True).start()
        began = time.monotonic()
        values(piped(tmp_path, stop=stop))
        assert time.monotonic() - began < 10


@needs_fifos
def test_a_fifo_without_a_writer_is_waited_for_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train_0")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert values(piped(tmp_path, stop=stop)) == []


@needs_fifos
def test_a_fifo_that_never_comes_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "FIFO_WAIT", 0.3)
    with pytest.raises(PlatformError, match="channel train: pass 0 was not delivered within"):
        values(piped(tmp_path))


def test_a_plain_file_stands_for_a_fifo(tmp_path: Path) -> None:
    (tmp_path / "train_0").write_bytes(b"1\n2\n")
    assert values(piped(tmp_path)) == [[1], [2]]


@needs_fifos
def test_wrapped_objects_come_through_a_pipe(tmp_path: Path) -> None:
    wrapped = b"".join(recordio.frame(content) for content in (b"1\n", b"2", b"3\n"))
    with Feeder(tmp_path / "train", [wrapped[:7], wrapped[7:]]):
        assert values(piped(tmp_path, wrapped=True)) == [[1], [2], [3]]


def test_parts_are_open_until_the_next_is_asked_for(tmp_path: Path) -> None:
    streams = []
    for _, stream in laid_out(tmp_path, {"a": b"1\n", "b": b"2\n"}).parts():
        assert isinstance(stream, io.RawIOBase)
        assert not stream.closed
        streams.append(stream)
    assert all(stream.closed for stream in streams)


# Kept rows


def test_kept_rows_are_not_read_again(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, {"a": b"1\n2\n", "b": b"3\n"})
    channel.keep()
    assert values(channel) == [[1], [2], [3]]
    (tmp_path / "train" / "a").write_bytes(b"7\n")
    assert values(channel) == [[1], [2], [3]]
    with pytest.raises(DataError, match="1 feature"):
        list(channel.records(width=2))


def test_a_pass_that_was_left_early_keeps_nothing(tmp_path: Path) -> None:
    channel = laid_out(tmp_path, {"a": b"1\n", "b": b"2\n"})
    channel.keep()
    next(iter(channel.records()))
    assert channel.kept is None
    assert values(channel) == [[1], [2]]
    assert channel.kept is not None


def test_without_room_every_pass_reads_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise PlatformError("the disk is full")

    monkeypatch.setattr(Spool, "add", full)
    channel = laid_out(tmp_path, {"a": b"1\n", "b": b"2\n"})
    channel.keep()
    assert values(channel) == values(channel) == [[1], [2]]
    assert channel.kept is None
