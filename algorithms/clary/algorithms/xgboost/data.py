"""From a channel's rows to the library's matrix: labels checked, weights and queries told apart, memory bounded.

Rows are decoded once and kept. Where training needs only the bins that values fall into, the library takes them
block by block; its bins are the same, bit for bit, as those of a whole matrix. What does not fit into the job's
memory is kept in files of the library's own.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.model import Settings
from clary.algorithms.xgboost.spec import OF_LABELS, Hyperparameters
from clary.toolkit import media
from clary.toolkit.channels import ChannelInput
from clary.toolkit.cluster import Cluster
from clary.toolkit.codecs import gzip_stream
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Floats, Records
from clary.toolkit.spool import Spool
from clary.toolkit.tabular import ALIASES, Reading

Array = npt.NDArray[Any]

READING = Reading(missing=True, delimiter=None, extras=True)
MODEL_FILE = "xgboost-model"
_HEAD_BYTES = 1 << 12
_LIBSVM = re.compile(rb"[-+.\deE]+(:\S+)?([ \t]+qid:\d+)?([ \t]+\d+:|[ \t]*[#\r\n]|[ \t]*$)")
MOST_RELEVANT = 31

# Bytes that the library was seen to take at most, while it builds a matrix and trains.
_PER_VALUE_OF_BINS = 3
_PER_VALUE = 14  # with histograms
_PER_SORTED_VALUE = 20  # with other methods
_PER_SCORED_VALUE = 12
_PER_ROW = 50
# Blocks are made as large as this: the library takes twice the time for a matrix in blocks of a megabyte.
_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Rule:
    """What a label must be: a test of all labels at once, and the end of a sentence."""

    holds: Callable[[Floats], npt.NDArray[np.bool_]]
    wording: str


_BINARY = Rule(lambda y: (y == 0) | (y == 1), "0 or 1")
_SHARE = Rule(lambda y: (y >= 0) & (y <= 1), "a number from 0 to 1")
_NOT_NEGATIVE = Rule(lambda y: y >= 0, "a number of at least 0")
_POSITIVE = Rule(lambda y: y > 0, "a number above 0")
_ABOVE_MINUS_ONE = Rule(lambda y: y > -1, "a number above -1")
_RELEVANCE = Rule(
    lambda y: (y >= 0) & (y <= MOST_RELEVANT) & (y == np.floor(y)), f"a whole number from 0 to {MOST_RELEVANT}"
)
_BY_OBJECTIVE = {
    "reg:squaredlogerror": _ABOVE_MINUS_ONE,
    "reg:logistic": _SHARE,
    "reg:gamma": _POSITIVE,
    "reg:tweedie": _NOT_NEGATIVE,
    "binary:logistic": _SHARE,
    "binary:logitraw": _SHARE,
    "binary:hinge": _BINARY,
    "count:poisson": _NOT_NEGATIVE,
    "rank:pairwise": _RELEVANCE,
    "rank:ndcg": _RELEVANCE,
    "rank:map": _BINARY,
}


def rules(hp: Hyperparameters) -> Iterator[tuple[Rule, str]]:
    """What the labels must be, and which hyperparameter says so."""
    if hp.num_class:
        classes = hp.num_class
        wording = f"a whole number from 0 to {classes - 1}"
        yield Rule(lambda y: (y >= 0) & (y < classes) & (y == np.floor(y)), wording), f"num_class {classes}"
    elif hp.objective in _BY_OBJECTIVE:
        yield _BY_OBJECTIVE[hp.objective], f"objective {hp.objective}"
    plain = {name.partition("@")[0] for name in hp.metrics}
    if "ndcg" in plain:
        yield _RELEVANCE, "metric ndcg"
    if "map" in plain:
        yield _BINARY, "metric map"
    if plain & OF_LABELS and not hp.num_class:
        yield _BINARY, "a metric of classes in eval_metric"


class Table:
    """The rows of one channel that this host trains or scores with.

    ``labels`` and ``weights`` are in the order of the rows; ``values`` is the number of stored features.
    """

    def __init__(self, name: str, in_memory: int) -> None:
        self.name, self.width, self.rows, self.values = name, 0, 0, 0
        self.sparse = self.dense = self.grouped = False
        self._spool = Spool(in_memory)
        self._held: list[Records] = []
        self._held_bytes, self._most_held = 0, min(_BLOCK_BYTES, in_memory // 4)
        self._labels: list[Floats] = []
        self._weights: list[Floats] = []

    @property
    def labels(self) -> Floats:
        """The label of each row."""
        return np.concatenate(self._labels) if self._labels else np.empty(0, np.float32)

    @property
    def weights(self) -> Floats | None:
        """The weight of each row, or None where all count the same."""
        return np.concatenate(self._weights) if self._weights else None

    def add(self, block: Records) -> None:
        """Keep the rows, which have one label each; DataError where their width does not fit to the rows before."""
        if not block.sparse and self.dense and block.width != self.width:
            block.expect_width(self.width, name="the number of features in the rows before")
        self.sparse, self.dense = self.sparse or block.sparse, self.dense or not block.sparse
        self.width, self.rows = max(self.width, block.width), self.rows + len(block)
        self.values += int(block.features.size if isinstance(block.features, np.ndarray) else block.features.nnz)
        assert block.labels is not None
        self._labels.append(block.labels[:, 0])
        if block.weights is not None:
            self._weights.append(block.weights)
        self.grouped = block.groups is not None
        self._hold(block)

    def _hold(self, block: Records) -> None:
        if self._held and self._held[-1].sparse != block.sparse:
            self._store()
        self._held.append(block)
        features: Any = block.features
        self._held_bytes += features.data.nbytes * (2 if block.sparse else 1)
        if self._held_bytes >= self._most_held:
            self._store()

    def _store(self) -> None:
        if self._held:
            self._spool.add(Records.join([_widened(each, self.width, each.sparse) for each in self._held]))
        self._held, self._held_bytes = [], 0

    def blocks(self, width: int) -> Iterator[Records]:
        """The rows again, each as wide as that, rows of one query in one block; all sparse if some are."""
        self._store()
        blocks: Iterator[Records] = (_widened(block, width, self.sparse) for block in self._spool)
        return _whole_queries(blocks) if self.grouped else blocks

    def joined(self, width: int) -> Records:
        """All rows in one block."""
        blocks = list(self.blocks(width))
        return Records.join(blocks) if blocks else _nothing(width)

    def close(self) -> None:
        """Give back the memory and the disk space of the rows; labels and weights stay."""
        self._held = []
        self._spool.close()


def read(channel: ChannelInput, hp: Hyperparameters, cluster: Cluster, in_memory: int) -> Table:
    """This host's rows of the channel, checked; of a replicated channel, each host takes its share.

    DataError names the row whose label, weight or query cannot be.
    """
    reader = _Reader(channel.name, hp)
    table = Table(channel.name, in_memory)
    channel.content_type = _layout(channel, hp)
    for block in channel.records(reading=READING):
        checked = reader.checked(block)
        if cluster.size > 1 and not channel.sharded:
            checked = reader.share(checked, cluster.rank, cluster.size)
        if len(checked):
            table.add(checked)
    return table


def looks_like_libsvm(channel: ChannelInput) -> bool:
    """Whether the first line of the channel is a label and pairs; never in Pipe mode, which cannot be read twice."""
    if channel.mode == "Pipe":
        return False
    for name, stream in channel.parts():
        head = gzip_stream.plain(stream, source=name).read(_HEAD_BYTES).lstrip()
        if head:
            return _LIBSVM.match(head) is not None
    return False


def _layout(channel: ChannelInput, hp: Hyperparameters) -> MediaType:
    """The channel's content type, with the number of columns before the features; UserError if it cannot be."""
    kind = channel.content_type
    plain = ALIASES.get(kind.name, kind.name)
    if (size := kind.parameters.get("label_size", "1")) != "1":
        raise UserError(
            f"channel {channel.name}: label_size must be 1, because the label is the first column; "
            f"got {size!r} in {kind}"
        )
    if not hp.csv_weights:
        return kind
    if plain != media.CSV:
        raise UserError(
            f"csv_weights reads weights from CSV, and channel {channel.name} is {kind.name}; leave it out"
        )
    return MediaType(kind.name, {**kind.parameters, "label_size": "2"})


def all_rows(tables: Sequence[Table], width: int) -> Records:
    """The rows of all tables in one block, and queries counted on from table to table."""
    blocks: list[Records] = []
    for table in tables:
        table.sparse = any(each.sparse for each in tables)
        last = 0 if not blocks or blocks[-1].groups is None else int(blocks[-1].groups[-1])
        blocks += [
            block if block.groups is None else replace(block, groups=block.groups + last)
            for block in table.blocks(width)
        ]
        table.close()
    return Records.join(blocks)


def earlier_model(channel: ChannelInput) -> bytes:
    """The model file in the channel: alone, or in a model.tar.gz; UserError where there is none or more than one."""
    found: dict[str, bytes] = {}
    for part, stream in channel.parts():
        name, content = part.rpartition(", file ")[2], stream.read()
        if not name.endswith((".tar.gz", ".tgz", ".tar")):
            found[name] = content
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                members = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
                found |= {f"{name}: {inside}": file.read() for inside, file in members if file}
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise UserError(f"channel {channel.name}: {name} cannot be unpacked: {error}") from error
    named = {
        name: content
        for name, content in found.items()
        if PurePosixPath(name.rpartition(": ")[2]).name.startswith(MODEL_FILE)
    }
    named = named or found
    if len(named) != 1:
        raise UserError(
            f"channel {channel.name} must hold one model, {MODEL_FILE} or a model.tar.gz with it; "
            f"got {', '.join(sorted(named)) or 'nothing'}"
        )
    return next(iter(named.values()))


class _Reader:
    """Checks the blocks of one channel, in order."""

    def __init__(self, name: str, hp: Hyperparameters) -> None:
        self._name, self._hp = name, hp
        self._rules = tuple(rules(hp))
        self._ranks = hp.objective.startswith("rank:")
        self._seen: set[int] = set()
        self._query: int | None = None
        self._weight = 0.0
        self._rows = 0
        self._groups: bool | None = None
        self._weighted: bool | None = None

    def checked(self, block: Records) -> Records:
        """The block with one label in each row, weights apart, and queries numbered from 1 in their order."""
        block = self._labelled(block)
        assert block.labels is not None
        self._check(block, block.labels[:, 0])
        groups = self._numbered(block) if self._ranks and block.groups is not None else None
        return replace(block, groups=groups)

    def share(self, block: Records, rank: int, hosts: int) -> Records:
        """Every ``hosts``-th row, or query where there are some, beginning with that of this rank."""
        if block.groups is not None:
            return block.take(np.flatnonzero(block.groups % hosts == rank))
        start = (rank - self._rows) % hosts
        self._rows += len(block)
        return block.take(np.arange(start, len(block), hosts))

    def _labelled(self, block: Records) -> Records:
        columns = 2 if self._hp.csv_weights else 1
        found = 0 if block.labels is None else block.labels.shape[1]
        if block.labels is None or not found:
            reason = "the row has no label, and XGBoost learns from labels"
            raise DataError(reason, source=block.source, row=block.first_row)
        if found != columns:
            raise DataError(
                f"the row has {found} labels, {columns} expected", source=block.source, row=block.first_row
            )
        if columns == 1:
            return block
        return replace(block, labels=block.labels[:, :1].copy(), weights=block.labels[:, 1].copy())

    def _check(self, block: Records, labels_N: Floats) -> None:
        if not (good_N := np.isfinite(labels_N)).all():
            raise _refused(block, good_N, labels_N, "the label must be a finite number")
        for rule, reason in self._rules:
            if not (good_N := rule.holds(labels_N)).all():
                raise _refused(block, good_N, labels_N, f"the label must be {rule.wording} with {reason}")
        if block.weights is not None and not (good_N := np.isfinite(block.weights) & (block.weights >= 0)).all():
            raise _refused(block, good_N, block.weights, "the weight must be a number of at least 0")
        for name, there, before in (
            ("weight", block.weights is not None, self._weighted),
            ("qid", block.groups is not None, self._groups),
        ):
            if before not in (None, there):
                raise DataError(
                    f"either every row has a {name} or none; this one {'has' if there else 'has not'}",
                    source=block.source,
                    row=block.first_row,
                )
        self._weighted, self._groups = block.weights is not None, block.groups is not None

    def _numbered(self, block: Records) -> npt.NDArray[np.int64]:
        """The number of each row's query; DataError where a query comes again, or its rows differ in weight."""
        groups_N = block.groups
        assert groups_N is not None
        starts = np.flatnonzero(np.concatenate([[True], groups_N[1:] != groups_N[:-1]]))
        if groups_N[0] == self._query:
            starts = starts[1:]
        numbers_N = np.zeros(len(groups_N), np.int64)
        numbers_N[starts] = 1
        numbers_N = np.cumsum(numbers_N) + len(self._seen)
        for start, query in zip(starts.tolist(), groups_N[starts].tolist(), strict=True):
            if query in self._seen:
                reason = f"qid {query} was there before; the rows of one query must follow each other"
                raise DataError(reason, source=block.source, row=block.first_row + start)
            self._seen.add(query)
        self._check_weights(block, numbers_N, starts)
        self._query = int(groups_N[-1])
        return numbers_N

    def _check_weights(self, block: Records, numbers_N: npt.NDArray[np.int64], starts: npt.NDArray[np.intp]) -> None:
        if block.weights is None:
            return
        before_N = np.concatenate([[self._weight], block.weights[:-1]])
        good_N = block.weights == before_N
        good_N[starts] = True
        if not good_N.all():
            raise _refused(block, good_N, block.weights, "all rows of a query must have the weight of its first row")
        self._weight = float(block.weights[-1])


def _refused(block: Records, good_N: npt.NDArray[np.bool_], values_N: Floats, reason: str) -> DataError:
    first = int((~good_N).argmax())
    return DataError(f"{reason}; got {values_N[first]:g}", source=block.source, row=block.first_row + first)


@dataclass(frozen=True)
class Room:
    """Where matrices are built: the bytes of memory that are left for one, and a folder for what has no room."""

    memory: int
    folder: Path


class Place(IntEnum):
    """Where the matrix to learn from lies; all hosts must have theirs in the same place."""

    MEMORY = 0
    BINS = 1  # in memory too, but only the bins that the values fall into: smaller, and slower to build
    FILES = 2


def place(table: Table, chosen: Settings, room: Room) -> Place:
    """The first place that has room for the table on this host; UserError where it must be one that has none."""
    need = table.values * (_PER_VALUE if chosen.histograms else _PER_SORTED_VALUE)
    if need <= room.memory:
        return Place.MEMORY
    if chosen.quantile and table.values * _PER_VALUE_OF_BINS + table.rows * _PER_ROW <= room.memory:
        return Place.BINS
    if chosen.whole:
        raise UserError(
            f"{chosen.whole} needs all rows in memory, about {need >> 20} MiB, of which {room.memory >> 20} MiB are "
            "free; take tree_method hist or approx, or a machine with more memory"
        )
    return Place.FILES


def for_training(
    table: Table, width: int, hp: Hyperparameters, chosen: Settings, where: Place, folder: Path
) -> xgboost.DMatrix:
    """The matrix to learn from, in that place; the folder is for its files."""
    bins = int(chosen.parameters["max_bin"]) if "max_bin" in chosen.parameters else None
    if where is Place.MEMORY:
        return _whole(table, width, hp)
    if where is Place.BINS and table.grouped and table.weights is not None:
        # Version 3.2 weighs the first row of each query of a block by the query before it.
        records = table.joined(width)
        return xgboost.QuantileDMatrix(records.features, nthread=hp.nthread, max_bin=bins, **_meta(records, hp))
    if where is Place.BINS:
        return xgboost.QuantileDMatrix(_Blocks(table, width, hp), nthread=hp.nthread, max_bin=bins)
    blocks = _Blocks(table, width, hp, folder / table.name)
    if chosen.quantile:
        return xgboost.ExtMemQuantileDMatrix(blocks, nthread=hp.nthread, max_bin=bins)
    return xgboost.DMatrix(blocks, nthread=hp.nthread)


def for_scoring(table: Table, width: int, hp: Hyperparameters, room: Room) -> xgboost.DMatrix:
    """The matrix to score with; in files where it does not fit into memory."""
    if table.values * _PER_SCORED_VALUE > room.memory:
        return xgboost.DMatrix(_Blocks(table, width, hp, room.folder / table.name), nthread=hp.nthread)
    return _whole(table, width, hp)


def of_records(records: Records, hp: Hyperparameters) -> xgboost.DMatrix:
    """A matrix of rows in memory."""
    return xgboost.DMatrix(records.features, nthread=hp.nthread, **_meta(records, hp))


def _whole(table: Table, width: int, hp: Hyperparameters) -> xgboost.DMatrix:
    records = table.joined(width)
    table.close()
    return of_records(records, hp)


class _Blocks(xgboost.DataIter):
    """A table's blocks as the library asks for them, again and again."""

    def __init__(self, table: Table, width: int, hp: Hyperparameters, cache: Path | None = None) -> None:
        self._table, self._width, self._hp = table, width, hp
        self._blocks = self._begin()
        super().__init__(cache_prefix=str(cache) if cache else None)

    def reset(self) -> None:
        """Begin again."""
        self._blocks = self._begin()

    def next(self, input_data: Callable[..., None]) -> bool:
        """Hand over the next block; False where there is none left."""
        block = next(self._blocks, None)
        if block is None:
            return False
        input_data(data=block.features, **_meta(block, self._hp))
        return True

    def _begin(self) -> Iterator[Records]:
        # A host without rows takes part with an empty matrix of the same width.
        return self._table.blocks(self._width) if self._table.rows else iter([_nothing(self._width)])


def _meta(block: Records, hp: Hyperparameters) -> dict[str, Any]:
    """What the library is told of the rows beside their features."""
    assert block.labels is not None
    labels_N, weights_N = block.labels[:, 0], block.weights
    if hp.objective == "survival:aft":
        # As with survival:cox, a negative label is a time at which nothing had happened yet.
        lower_N = np.abs(labels_N)
        found = {"label_lower_bound": lower_N, "label_upper_bound": np.where(labels_N < 0, np.inf, lower_N)}
    else:
        found = {"label": labels_N}
    if block.groups is not None:
        found["qid"] = block.groups
        if weights_N is not None and len(block):
            weights_N = weights_N[np.concatenate([[True], block.groups[1:] != block.groups[:-1]])]
    return found if weights_N is None else {**found, "weight": weights_N}


def _widened(block: Records, width: int, sparse: bool) -> Records:
    if not sparse:
        return block.expect_width(width, name="the width of the other rows")
    from scipy.sparse import csr_matrix

    if isinstance(block.features, np.ndarray):
        there_ND = ~np.isnan(block.features)
        ends = np.concatenate([[0], np.cumsum(there_ND.sum(axis=1))])
        parts = block.features[there_ND], np.nonzero(there_ND)[1], ends
    else:
        parts = block.features.data, block.features.indices, block.features.indptr
    return replace(block, features=csr_matrix(parts, shape=(len(block), width)))


def _whole_queries(blocks: Iterator[Records]) -> Iterator[Records]:
    """The rows cut anew, so that no query lies in two blocks."""
    held: Records | None = None
    for block in blocks:
        whole = block if held is None else Records.join([held, block])
        assert whole.groups is not None
        last = int(np.searchsorted(whole.groups, whole.groups[-1]))
        if last:
            yield whole.rows(0, last)
        held = whole.rows(last, len(whole))
    if held is not None:
        yield held


def _nothing(width: int) -> Records:
    return Records(np.empty((0, width), np.float32), np.empty((0, 1), np.float32))
