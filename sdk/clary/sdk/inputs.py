"""What a user may hand to ``fit``: paths, addresses and data in memory, each understood before anything starts.

NumPy is loaded only for data in memory and for a look at a file's first record.
"""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from clary.runner.placement import find
from clary.runner.request import Distribution, Mode
from clary.runner.splitting import Split, inflated, whole_records
from clary.toolkit import media
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.spec import AlgorithmSpec, Channel

if TYPE_CHECKING:
    from clary.sdk.s3 import S3
    from clary.toolkit.records import Records

# How a file of each type is cut into records; of any other type a whole file is one.
SPLITS: Mapping[str, Split] = {
    media.CSV: "Line",
    media.LIBSVM: "Line",
    media.JSON_LINES: "Line",
    media.RECORDIO_PROTOBUF: "RecordIO",
}
# What the files are called that the managed algorithms mean by the short names of their content types.
_EXTENSIONS = {"json": (".json", ".jsonl"), "json.gz": (".json.gz", ".jsonl.gz"), "parquet": (".parquet",)}
_RECORDIO_MAGIC = b"\x0a\x23\xd7\xce"


@dataclass(frozen=True)
class TrainingInput:
    """A channel's data with settings of its own; ``s3_data`` is the classic SDK's name of ``data``."""

    data: Any = None
    distribution: Distribution | None = None
    content_type: str | None = None
    input_mode: Mode | None = None
    s3_data: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.s3_data is None):
            raise UserError("TrainingInput needs data, or s3_data, which is another name of it, and not both")
        object.__setattr__(self, "data", self.s3_data if self.data is None else self.data)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One channel, understood: exactly one of ``paths``, ``s3``, ``records`` and ``lines`` holds the data."""

    channel: str
    paths: tuple[Path, ...] = ()
    s3: str | None = None
    records: Records | None = None
    lines: tuple[bytes, ...] | None = None
    content_type: str | None = None
    mode: Mode = "File"
    distribution: Distribution | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the data has no file or address yet."""
        return self.records is not None or self.lines is not None


def understand(
    channel: str,
    given: Any,
    spec: AlgorithmSpec,
    *,
    content_type: str | None = None,
    mode: Mode = "File",
    label: Hashable | None = None,
) -> Input:
    """The channel's data and its content type; UserError says what is wrong with either, before anything runs.

    ``label`` names the column of a data frame that holds the labels.
    """
    found = _understand(_declared(channel, spec), given, spec, content_type, mode, label)
    if found.records is not None:
        _check_labels(channel, found.records, spec)
    return found


def understand_payload(given: Any, spec: AlgorithmSpec, *, content_type: str | None = None) -> Input:
    """Files or rows to be scored, and the content type of their requests; UserError as for a channel."""
    requests = spec.payloads.requests
    if content_type is not None and (kind := MediaType.parse(content_type)).name in spec.payloads.aliases:
        content_type = str(replace(kind, name=spec.payloads.aliases[kind.name]))
    payload = Channel(name="data", content_types=requests, default_type=requests[0], doc="Records to score.")
    found = _understand(payload, given, spec, content_type, "File", None)
    if content_type is None and found.content_type is not None:
        # A request has no label column unless its sender says so.
        found = replace(found, content_type=MediaType.parse(found.content_type).name)
    return found


def _understand(
    declared: Channel, given: Any, spec: AlgorithmSpec, content_type: str | None, mode: Mode, label: Hashable | None
) -> Input:
    channel = declared.name
    settings = given if isinstance(given, TrainingInput) else TrainingInput(given)
    content_type = settings.content_type or content_type
    mode, data = settings.input_mode or mode, settings.data
    if isinstance(data, str) and data.startswith("s3://"):
        _refuse_label(channel, label)
        guessed = content_type or _by_suffix(data, declared, spec)
        _check_type(channel, guessed, declared)
        return Input(channel=channel, s3=data, content_type=guessed, mode=mode, distribution=settings.distribution)
    if (paths := _paths(channel, data)) is not None:
        _refuse_label(channel, label)
        guessed = content_type or guess(declared, paths, spec)
        _check_type(channel, guessed, declared)
        return Input(
            channel=channel, paths=paths, content_type=guessed, mode=mode, distribution=settings.distribution
        )
    if content_type is not None:
        raise UserError(f"channel {channel}: content_type={content_type!r} is for files, and this data is in memory")
    if media.RECORDIO_PROTOBUF not in declared.content_types and media.JSON_LINES in declared.content_types:
        from clary.sdk.objects import as_lines

        if label is not None:
            raise UserError(f"channel {channel}: {spec.title} learns without labels; leave out label={label!r}")
        return Input(
            channel=channel,
            lines=as_lines(data, name=f"channel {channel}"),
            content_type=media.JSON_LINES,
            mode=mode,
            distribution=settings.distribution,
        )
    if media.RECORDIO_PROTOBUF not in declared.content_types:
        kinds = ", ".join(declared.content_types)
        raise UserError(f"channel {channel} takes a file or a folder ({kinds}); got a {type(data).__name__}")
    from clary.sdk.arrays import as_records

    records = as_records(data, name=channel, label=label, missing=spec.capabilities.missing)
    return Input(
        channel=channel,
        records=records,
        content_type=media.RECORDIO_PROTOBUF,
        mode=mode,
        distribution=settings.distribution or getattr(data, "distribution", None),
    )


def _refuse_label(channel: str, label: Hashable | None) -> None:
    if label is not None:
        raise UserError(
            f"channel {channel}: label={label!r} names a column of a data frame, and this data is in files; "
            "there the label is the first column, without a header"
        )


def _check_labels(channel: str, records: Records, spec: AlgorithmSpec) -> None:
    """Raise UserError if rows that need one label each, to learn from or to be judged by, have none."""
    if not _labeled(_declared(channel, spec), spec):
        return
    if records.labels is None:
        needs = "learns from labels" if spec.capabilities.supervised else "compares its answers with labels"
        raise UserError(
            f"{spec.title} {needs}, and channel {channel} has none; give features and labels as a pair, "
            f"fit({channel}=(rows, labels)), or the name of the label's column in a data frame, "
            f"fit({channel}=frame, label='NAME')"
        )
    if (found := records.labels.shape[1]) != 1:
        raise UserError(f"channel {channel}: each row has one label for {spec.title}; got {found} in each row")


def check_channels(inputs: Mapping[str, object], spec: AlgorithmSpec) -> None:
    """Raise UserError if a channel that the algorithm needs is missing."""
    missing = [channel.name for channel in spec.channels if channel.required is True and channel.name not in inputs]
    if missing:
        raise UserError(f"{spec.title} needs data for {', '.join(missing)}: fit({missing[0]}=...)")


def guess(declared: Channel, paths: Sequence[Path], spec: AlgorithmSpec) -> str:
    """The content type that the files' names or first bytes tell; UserError if they tell none, or several.

    A channel of a single content type holds that one. One that reads each file as its extension says may mix kinds.
    Where text is the usual type, what has no telling name is text.
    """
    channel = declared.name
    files = [file for path in paths for file in ([path] if path.is_file() else _sample(path))]
    if not files:
        raise UserError(f"channel {channel}: the folder {paths[0]} holds no files")
    if len(declared.content_types) == 1:
        return declared.default_type
    told = {_by_suffix(file.name, declared, spec) or _by_magic(file): file for file in reversed(files)}
    if len(told) > 1 and None not in told and _by_extension(declared):
        return declared.default_type
    if len(told) > 1:
        kinds = ", ".join(f"{file.name} ({kind or 'unknown'})" for kind, file in sorted(told.items(), key=str))
        raise UserError(f"channel {channel} mixes kinds of files: {kinds}; give files of one kind")
    kind = next(iter(told))
    if kind is None and declared.default_type == media.TEXT:
        return declared.default_type
    if kind is None:
        raise UserError(
            f"channel {channel}: the name of {files[0]} does not tell what it holds; "
            f"say so with content_type=, for example content_type={_usual(declared)!r}"
        )
    return kind


def width_of(stream: BinaryIO, content_type: str, source: str) -> int:
    """Number of features in the first record of the stream; DataError if it cannot be read.

    Of a file that can be cut, no more than that record is read, so a large file costs no more than a small one.
    """
    from clary.toolkit import tabular

    kind = MediaType.parse(content_type)
    split = SPLITS.get(kind.name)
    if split is not None:
        first = next(whole_records(inflated(stream), split, source=source), b"")
        stream = io.BytesIO(first)
    for records in tabular.read(stream, kind, source=source):
        return records.width
    raise DataError("there are no records in it", source=source)


def _declared(channel: str, spec: AlgorithmSpec) -> Channel:
    declared = spec.channel(channel)
    if declared is None:
        names = ", ".join(each.name for each in spec.channels)
        raise UserError(f"{spec.title} has no channel {channel!r}; its channels are {names}")
    return declared


def _paths(channel: str, data: Any) -> tuple[Path, ...] | None:
    """The files and folders that the data names, or None if it is data itself."""
    if isinstance(data, (str, os.PathLike)):
        return _existing(channel, data)
    if isinstance(data, (list, tuple)) and data and all(isinstance(each, (str, os.PathLike)) for each in data):
        return tuple(path for each in data for path in _existing(channel, each))
    if isinstance(data, (list, tuple)) and not data:
        raise UserError(f"channel {channel} was given an empty {type(data).__name__}")
    return None


def _existing(channel: str, named: str | os.PathLike[str]) -> tuple[Path, ...]:
    text = os.path.expanduser(os.fspath(named).removeprefix("file://"))
    if os.path.exists(text):
        return (Path(text),)
    if text.startswith("s3://"):
        raise UserError(f"channel {channel}: give one s3:// address, not a list; a prefix names several objects")
    found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise UserError(f"channel {channel}: there is no file or folder {text} (looked in {os.getcwd()})")
    return tuple(map(Path, found))


def _sample(folder: Path) -> list[Path]:
    """The folder's files, none of them hidden; the first thousand tell what all hold."""
    found: list[Path] = []
    for where, names, files in os.walk(folder, followlinks=True):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += [Path(where, name) for name in sorted(files) if not name.startswith(".")]
        if len(found) > 1000:
            break
    return found


def _labeled(declared: Channel, spec: AlgorithmSpec) -> bool:
    """Whether each row of the channel has a label."""
    return spec.capabilities.supervised or declared.labeled


def _by_extension(declared: Channel) -> bool:
    """Whether the channel's short names of types stand for extensions, which tell the format file by file."""
    return _EXTENSIONS.keys() <= {*declared.content_types}


def _usual(declared: Channel) -> str:
    return media.CSV if media.CSV in declared.content_types else declared.default_type


def _by_suffix(name: str, declared: Channel, spec: AlgorithmSpec) -> str | None:
    if _by_extension(declared):
        return next((kind for kind, ends in _EXTENSIONS.items() if name.lower().endswith(ends)), None)
    found = media.of_file(name)
    if found == media.CSV and not _labeled(declared, spec):
        return f"{media.CSV};label_size=0"
    return found


def _by_magic(path: Path) -> str | None:
    with path.open("rb") as stream:
        return media.RECORDIO_PROTOBUF if stream.read(4) == _RECORDIO_MAGIC else None


def _check_type(channel: str, content_type: str | None, declared: Channel) -> None:
    if content_type is not None and MediaType.parse(content_type).name not in declared.content_types:
        allowed = ", ".join(declared.content_types)
        raise UserError(f"channel {channel}: the content type must be one of {allowed}; got {content_type}")


@contextmanager
def open_first(given: Input, s3: Callable[[], S3]) -> Iterator[tuple[BinaryIO, str]]:
    """The first file of an input that is not in memory, open at its start, and its name."""
    if given.s3 is not None:
        with s3().open_first(given.s3) as opened:
            yield opened
        return
    path = next(iter(find(given.paths, channel=given.channel).values()))
    with path.open("rb") as stream:
        yield stream, path.name
