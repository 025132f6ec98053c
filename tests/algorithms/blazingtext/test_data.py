"""What a text is read as: tokens, labels and n-grams; and how what cannot be read is refused."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from clary.algorithms.blazingtext import data
from clary.algorithms.blazingtext.loops import END, FIRST_LABEL
from clary.algorithms.blazingtext.model import fnv
from clary.toolkit.cluster import Cluster
from clary.toolkit.codecs import recordio
from clary.toolkit.errors import DataError
from wording import channel, settings


def sentences(folder: Path, content: bytes, kind: str = "text/plain") -> list[list[str]]:
    """The sentences of a text as its corpus has them."""
    text = data.read(channel(folder, {"a.txt": content}, kind), "cbow")
    corpus = data.sentences(text, settings(), Cluster(), False)
    found: list[list[str]] = [[]]
    for token in corpus.tokens.tolist():
        found.append([]) if token == END else found[-1].append(corpus.vocabulary.words[token].decode())
    return found[:-1]


def test_a_text_is_cut_at_blanks_and_lines(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfthe cat  sat\r\n\nthe\tCAT\v\xc3\xb6\0x"
    assert sentences(tmp_path, content) == [["the", "cat", "sat"], [], ["the", "CAT", "ö", "x"]]


def test_gzip_and_lines_of_json_are_the_same_text(tmp_path: Path) -> None:
    plain = b"the cat sat\non the mat\n"
    lines = b'{"source": "the cat sat", "label": 1}\n\n{"source": "on\\nthe mat"}\n'
    expected = sentences(tmp_path, plain)
    assert sentences(tmp_path, gzip.compress(plain)) == expected
    assert sentences(tmp_path, lines, "application/jsonlines") == expected


def test_rare_words_are_left_out_and_the_most_frequent_come_first(tmp_path: Path) -> None:
    text = data.read(channel(tmp_path, {"a": b"b a a c b a\n"}), "cbow")
    corpus = data.sentences(text, settings(min_count=2), Cluster(), False)
    assert (corpus.vocabulary.words, corpus.vocabulary.counts_V.tolist()) == ([b"a", b"b"], [3, 2])
    assert corpus.tokens.tolist() == [1, 0, 0, 1, 0, END]
    assert corpus.words == 6


def test_a_corpus_without_a_newline_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_BLOCK", 7)
    words = [f"w{number % 10}" for number in range(300)]
    assert sentences(tmp_path, " ".join(words).encode()) == [words]


def test_labels_stand_anywhere_and_n_grams_are_those_of_the_original(tmp_path: Path) -> None:
    content = b"__label__b the cat __label__a rare\n__label__a the cat\nnothing\n__label__a\n"
    text = data.read(channel(tmp_path, {"a": content}), "supervised")
    given = settings(mode="supervised", min_count=2, word_ngrams=2, buckets=1000)
    corpus = data.labeled_lines(text, given)
    words = list(corpus.vocabulary.words)
    assert (words[0], set(words), list(corpus.vocabulary.labels)) == (
        b"</s>",
        {b"</s>", b"the", b"cat"},
        [b"__label__a", b"__label__b"],
    )
    the, cat, end = (words.index(word) for word in (b"the", b"cat", b"</s>"))

    def bigram(one: bytes, other: bytes) -> int:
        signed = [code - 2**32 if code >= 2**31 else code for code in (fnv(one), fnv(other))]
        bucket = (signed[0] * 116049371 + signed[1]) % 2**64 % 1000
        return 3 + np.flatnonzero(corpus.used == bucket).item()

    first = [bigram(b"the", b"cat"), bigram(b"cat", b"rare"), bigram(b"rare", b"</s>")]
    second = [bigram(b"the", b"cat"), bigram(b"cat", b"</s>")]
    assert corpus.tokens.tolist() == [
        *(FIRST_LABEL - 1, FIRST_LABEL, the, cat, end, *first, END),
        *(FIRST_LABEL, the, cat, end, *second, END),
        *(FIRST_LABEL, end, END),
    ]
    assert corpus.lines == 3


def test_validation_knows_only_what_training_has_met(tmp_path: Path) -> None:
    given = settings(mode="supervised", word_ngrams=2, buckets=1000)
    train = data.labeled_lines(data.read(channel(tmp_path, {"a": b"__label__a x y\n"}), "supervised"), given)
    other = data.read(channel(tmp_path, {"v": b"__label__new x z\n"}, name="validation"), "supervised")
    found = data.labeled_lines(other, given, train).tokens.tolist()
    spare = len(train.vocabulary.words) + len(train.used)
    x, end = train.vocabulary.words.index(b"x"), train.vocabulary.words.index(b"</s>")
    assert found == [FIRST_LABEL - 1, x, end, spare, spare, END]


def test_a_wrapped_manifest_gives_texts_and_labels_in_turn(tmp_path: Path) -> None:
    stream = io.BytesIO()
    for payload in (b"the cat", b"1", b"a dog", b'["x", 3]'):
        recordio.write(stream, payload)
    wrapped = channel(tmp_path, {"a": stream.getvalue()}, "application/jsonlines", wrapped=True)
    text = data.read(wrapped, "supervised")
    names = text.table.words()
    lines = " ".join("\n" if n == END else names[n].decode() for n in text.tokens.array().tolist())
    assert lines == "__label__1 the cat \n __label__x __label__3 a dog \n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "this is not JSON"),
        (b"[1]", 'with? the text "source"|object with the text "source"'),
        (b'{"source": 7, "label": 1}', "source"),
        (b'{"source": "x"}', '"label" is missing'),
        (b'{"source": "x", "label": 1.5}', "label"),
        (b'{"source": "x", "label": "a b"}', "without blanks"),
        (b'{"source": "x", "label": [null]}', "label"),
    ],
)
def test_a_line_of_json_that_is_no_record_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    given = channel(tmp_path, {"a": b'{"source": "x", "label": 1}\n\n' + line + b"\n"}, "application/jsonlines")
    with pytest.raises(DataError, match=f"(?s)channel train, file a, line 3: .*({reason})"):
        data.read(given, "supervised")


def test_a_text_that_is_none_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps(list(range(5000))).encode())
    for content, reason in ((b"x" * (3 << 20), "longer than"), (whole[:-9], "gzip")):
        with pytest.raises(DataError, match=f"channel train, file a: .*{reason}"):
            data.read(channel(tmp_path, {"a": content}), "cbow")


def test_a_text_without_labels_or_without_enough_words_is_refused(tmp_path: Path) -> None:
    text = data.read(channel(tmp_path, {"a": b"no label here\n__label__x\n"}), "supervised")
    with pytest.raises(DataError, match=r"file a: no word occurs min_count=5 times.* 4 different words"):
        data.sentences(text, settings(min_count=5), Cluster(), False)
    with pytest.raises(DataError, match="file a: no line has a label and a word"):
        data.labeled_lines(text, settings(mode="supervised", min_count=9))
