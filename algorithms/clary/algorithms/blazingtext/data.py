"""Text as a stream, read once: words become numbers on disk, so that a corpus may be larger than memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from clary.algorithms.blazingtext import vocabulary
from clary.algorithms.blazingtext.loops import END, FIRST_LABEL
from clary.algorithms.blazingtext.model import BLANKS, END_OF_SENTENCE, fnv
from clary.algorithms.blazingtext.spec import LABEL_PREFIX, SUPERVISED, Hyperparameters
from clary.algorithms.blazingtext.vocabulary import Vocabulary, WordTable, by_count
from clary.toolkit import media
from clary.toolkit.channels import ChannelInput, StoppedError
from clary.toolkit.cluster import Cluster
from clary.toolkit.codecs import gzip_stream, lines
from clary.toolkit.errors import DataError, PlatformError
from clary.toolkit.spool import SPARE_DISK

Array = npt.NDArray[Any]

_BLOCK = 1 << 20  # bytes of text that are read at a time
_LONGEST_WORD = 1 << 20
_NUMBERS_AT_ONCE = 1 << 20
_MARK = lines.BYTE_ORDER_MARK


class Tokens:
    """Whole numbers in an unnamed file, which the system removes with the process at the latest."""

    def __init__(self) -> None:
        self._file: FileIO = tempfile.TemporaryFile(prefix="clary-tokens-", buffering=0)  # noqa: SIM115
        # What is just forgotten closes its file too; a view of the numbers outlives it.
        weakref.finalize(self, self._file.close)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, numbers: Array) -> None:
        """Append the numbers; PlatformError where the disk has no room."""
        content = memoryview(np.ascontiguousarray(numbers, np.int32).view(np.uint8).data)
        if shutil.disk_usage(tempfile.gettempdir()).free < len(content) + SPARE_DISK:
            raise PlatformError(
                f"the disk under {tempfile.gettempdir()} is too full for the words of the text, four bytes each; "
                "free some space, or let TMPDIR name a folder on a larger disk"
            )
        self._count += len(content) // 4
        while content:
            content = content[self._file.write(content) :]

    def array(self) -> Array:
        """All numbers, read from the disk where they are looked at."""
        if not self._count:
            return np.empty(0, np.int32)
        return np.memmap(self._file, np.int32, "r", shape=(self._count,))

    def lines(self) -> int:
        """How many lines they are."""
        return sum(int(np.count_nonzero(block == END)) for block in self.blocks())

    def blocks(self, *, of_lines: bool = False) -> Iterator[Array]:
        """The numbers in order, in parts; with ``of_lines`` each part ends where a line does."""
        whole, at = self.array(), 0
        while at < len(whole):
            stop = min(at + _NUMBERS_AT_ONCE, len(whole))
            while of_lines and stop < len(whole) and whole[stop - 1] != END:
                ends = np.flatnonzero(whole[at:stop] == END)
                # A line that is longer than a part is read whole.
                stop = at + int(ends[-1]) + 1 if len(ends) else min(2 * stop - at, len(whole))
            yield np.asarray(whole[at:stop])
            at = stop


@dataclass
class Text:
    """What one pass over a channel has found: its distinct words, and the number of each word in order.

    ``whole`` is False where the job was asked to stop while it read.
    """

    table: WordTable = field(default_factory=WordTable)
    tokens: Tokens = field(default_factory=Tokens)
    source: str = ""
    whole: bool = True


def read(channel: ChannelInput, mode: str) -> Text:
    """Number the words of a channel; DataError names the file, and the line where the format has some."""
    found = Text(source=f"channel {channel.name}")
    try:
        for number, (source, block) in enumerate(_blocks(channel, mode == SUPERVISED)):
            # The only file there is can be named where the text as a whole is at fault.
            found.source = source if number == 0 or source == found.source else f"channel {channel.name}"
            found.tokens.add(found.table.numbers(block))
    except StoppedError:
        found.tokens.add(np.array([END]))
        found.whole = False
    return found


def _blocks(channel: ChannelInput, labeled: bool) -> Iterator[tuple[str, bytes]]:
    """Blocks of whole words, a newline behind each line, and where they are from."""
    kind = channel.content_type.name
    if kind == media.JSON_LINES and channel.wrapped:
        yield from _attributes(channel, labeled)
        return
    for source, stream in channel.parts():
        plain = gzip_stream.plain(stream, source=source)
        if kind == media.JSON_LINES:
            for block in lines.blocks(plain, source=source):
                yield source, _of_objects(block, source, labeled)
        else:
            yield from ((source, block) for block in _words(plain, source))


def _words(stream: gzip_stream.Readable, source: str) -> Iterator[bytes]:
    """The stream in blocks that end behind a blank; there may be no newline at all in a whole corpus."""
    last, pending = b"\n", stream.read(len(_MARK)).removeprefix(_MARK)
    while chunk := stream.read(_BLOCK):
        pending += chunk
        cut = max(pending.rfind(blank) for blank in (b" ", b"\n", b"\t")) + 1
        if cut:
            last, pending = pending[:cut], pending[cut:]
            yield last
        if len(pending) > _LONGEST_WORD:
            raise DataError(f"a word is longer than {_LONGEST_WORD} bytes, so this is no plain text", source=source)
    if pending or not last.endswith(b"\n"):
        yield pending + b"\n"


def _of_objects(block: lines.Block, source: str, labeled: bool) -> bytes:
    found = []
    for row, line in enumerate(block.data.splitlines(), block.first_row):
        if line.strip():
            found.append(_of_object(line, labeled, source, row))
    return b"".join(found)


def _of_object(text: bytes, labeled: bool, source: str, row: int | None) -> bytes:
    """One JSON object as a line of tokens."""
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(f"this is not JSON: {error.msg}", source=source, row=row, kind="line") from None
    if not isinstance(record, dict) or not isinstance(record.get("source"), str):
        reason = 'a line must be an object with the text "source", such as {"source": "some words", "label": 1}'
        raise DataError(reason, source=source, row=row, kind="line")
    if labeled and "label" not in record:
        raise DataError('"label" is missing; give a label, or a list of them', source=source, row=row, kind="line")
    return _line(record["source"], record["label"] if labeled else [], source, row)


def _line(text: str, label: Any, source: str, row: int | None) -> bytes:
    tokens = []
    for each in label if isinstance(label, list) else [label]:
        spelled = str(each) if type(each) in (int, str) else ""
        if not spelled or any(byte in BLANKS for byte in spelled.encode()):
            reason = f'"label" must be a whole number or a text without blanks, or a list of them; got {each!r}'
            raise DataError(reason, source=source, row=row, kind="line")
        tokens.append(spelled if spelled.startswith(LABEL_PREFIX) else LABEL_PREFIX + spelled)
    return " ".join([*tokens, text.replace("\n", " ")]).encode("utf-8", "surrogatepass") + b"\n"


def _attributes(channel: ChannelInput, labeled: bool) -> Iterator[tuple[str, bytes]]:
    """Objects of a wrapped stream: whole lines, or a text and its label in turn, as a manifest is delivered."""
    objects = channel.parts()
    for source, stream in objects:
        body = stream.read()
        if body.lstrip().startswith(b"{"):
            yield source, _of_object(body, labeled, source, None)
            continue
        following = next(objects, None)
        if following is None:
            raise DataError("the text has no label behind it; AttributeNames are source and label", source=source)
        try:
            label = orjson.loads(following[1].read())
        except orjson.JSONDecodeError as error:
            raise DataError(f"the label is not JSON: {error.msg}", source=following[0]) from None
        yield source, _line(body.decode("utf-8", "surrogateescape"), label if labeled else [], source, None)


@dataclass(frozen=True)
class Corpus:
    """What is trained on: token ids on disk, with ``END`` behind each line, and the words that they stand for.

    ``words`` counts the words read. Of labeled lines, ``lines`` are kept; ids beyond the words are rows of n-grams,
    ``used`` holds the bucket of each, and ``rows_B`` the row of each bucket.
    """

    tokens: Array
    vocabulary: Vocabulary
    words: int
    whole: bool
    lines: int = 0
    used: Array = field(default_factory=lambda: np.empty(0, np.int64))
    rows_B: Array = field(default_factory=lambda: np.empty(0, np.int32))


def sentences(text: Text, hp: Hyperparameters, cluster: Cluster, sharded: bool) -> Corpus:
    """The corpus of word vectors, with the same vocabulary on every host.

    DataError where no word is left to learn.
    """
    if not sharded:
        _check_words(text, hp, by_count(text.table.counts, hp.min_count))
    words, counts, tokens_of = _agreed(text, hp, cluster, sharded)
    kept = Tokens()
    for block in text.tokens.blocks():
        ids = np.where(block == END, END, tokens_of[block])
        kept.add(ids[(ids >= 0) | (block == END)])
    total = len(text.tokens) - text.tokens.lines()
    return Corpus(kept.array(), Vocabulary(words, counts), total, text.whole)


def _check_words(text: Text, hp: Hyperparameters, chosen: Array) -> None:
    if not len(chosen):
        found = f"it has {len(text.table)} different words" if len(text.table) else "it is empty"
        reason = f"no word occurs min_count={hp.min_count} times, so there is nothing to learn; {found}"
        raise DataError(reason, source=text.source)


def _agreed(text: Text, hp: Hyperparameters, cluster: Cluster, sharded: bool) -> tuple[list[bytes], Array, Array]:
    """The words of all hosts' texts, their counts, and the token of each word of the table."""
    own, counts = text.table.words(), text.table.counts
    if cluster.size > 1:
        own_counts = {word: int(count) for word, count in zip(own, counts, strict=True)}
        parts = cluster.gather(np.frombuffer(orjson.dumps([[w.hex(), n] for w, n in own_counts.items()]), np.uint8))
        together: dict[bytes, int] = {}
        for part in (parts or []) if sharded else (parts or [])[:1]:
            for word, count in orjson.loads(part.tobytes()):
                together[bytes.fromhex(word)] = together.get(bytes.fromhex(word), 0) + count
        note = orjson.dumps([[w.hex(), n] for w, n in together.items()])
        shared = orjson.loads(cluster.broadcast(np.frombuffer(note, np.uint8)).tobytes())
        words, all_counts = [bytes.fromhex(word) for word, _ in shared], np.array([n for _, n in shared], np.int64)
    else:
        words, all_counts = own, counts
    chosen = by_count(all_counts, hp.min_count)
    _check_words(text, hp, chosen)
    learned = [words[number] for number in chosen.tolist()]
    if cluster.size > 1:
        rows = {word: row for row, word in enumerate(learned)}
        tokens_of = np.array([rows.get(word, END) for word in own], np.int32)
    else:
        tokens_of = np.full(len(own), END, np.int32)
        tokens_of[chosen] = np.arange(len(chosen), dtype=np.int32)
    return learned, all_counts[chosen], tokens_of


def labeled_lines(text: Text, hp: Hyperparameters, known: Corpus | None = None) -> Corpus:
    """The corpus of a classifier; with ``known`` its words, labels and n-grams, none but which have a row.

    DataError where no line has a label.
    """
    ends = text.tokens.lines()
    own = _labeled_vocabulary(text, hp, ends) if known is None else known.vocabulary
    names = text.table.words()
    tokens = {word: row for row, word in enumerate(own.words)}
    tokens |= {label: FIRST_LABEL - number for number, label in enumerate(own.labels)}
    tokens_of = np.array([tokens.get(word, END) for word in names], np.int64)
    if known is not None:  # a label that training has not seen is one that no answer can match
        strange = [number for number, word in enumerate(names) if tokens_of[number] == END and _is_label(word)]
        tokens_of[strange] = FIRST_LABEL - len(own.labels)
    rows_B = np.full(hp.buckets if hp.word_ngrams > 1 else 1, -1, np.int32) if known is None else known.rows_B
    rows, spare = len(own.words), -1 if known is None else len(own.words) + len(known.used)
    kept, counts = Tokens(), np.zeros(3, np.int64)
    for block in text.tokens.blocks(of_lines=True):
        lengths = np.diff(np.flatnonzero(block == END), prepend=-1)
        longest = min(hp.word_ngrams, int(lengths.max(initial=1)))
        found = np.empty((longest + 2) * len(block) + 2, np.int64)
        written, *more = vocabulary.ngram_lines(
            block,
            tokens_of,
            text.table.codes,
            fnv(END_OF_SENTENCE),
            tokens.get(END_OF_SENTENCE, END),
            longest,
            hp.buckets,
            len(own.words),
            found,
        )
        counts += more
        rows = vocabulary.place(found[:written], len(own.words), rows_B, rows, spare)
        kept.add(found[:written])
    if not counts[1]:
        reason = f"no line has a label and a word; a label is a token that begins with {LABEL_PREFIX}"
        raise DataError(reason, source=text.source)
    used = np.empty(rows - len(own.words), np.int64)
    if known is None:
        buckets = np.flatnonzero(rows_B >= 0)
        used[rows_B[buckets] - len(own.words)] = buckets
    return Corpus(kept.array(), own, int(counts[0]), text.whole, int(counts[1]), used, rows_B)


def _is_label(word: bytes) -> bool:
    return word.startswith(LABEL_PREFIX.encode())


def _labeled_vocabulary(text: Text, hp: Hyperparameters, ends: int) -> Vocabulary:
    names, counts = text.table.words(), text.table.counts.copy()
    if END_OF_SENTENCE in names:
        counts[names.index(END_OF_SENTENCE)] += ends
    else:
        names, counts = [*names, END_OF_SENTENCE], np.append(counts, ends)
    is_label = np.array([_is_label(name) for name in names], bool)
    words = by_count(np.where(is_label, 0, counts), hp.min_count)
    labels = by_count(np.where(is_label, counts, 0), 1)
    return Vocabulary(
        [names[number] for number in words.tolist()],
        counts[words],
        [names[number] for number in labels.tolist()],
        counts[labels],
    )
