"""The binary format, written and read back, and against the original program; damage is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.blazingtext import files
from clary.algorithms.blazingtext.files import Content
from clary.algorithms.blazingtext.model import TextModel
from clary.toolkit.errors import UserError
from wording import content

WORDS, LABELS = [b"</s>", b"the", "h\u00f6he".encode(), b"cat"], [b"__label__a", b"__label__b"]


def same(one: Content, other: Content) -> bool:
    return (
        one.arguments == other.arguments
        and list(one.words) == list(other.words)
        and list(one.labels) == list(other.labels)
        and list(one.word_counts) == list(other.word_counts)
        and one.tokens == other.tokens
        and np.array_equal(one.inputs_RD, other.inputs_RD)
        and np.array_equal(one.outputs_OD, other.outputs_OD)
    )


def test_what_is_written_is_read_back() -> None:
    for given_ in (content(WORDS, LABELS, bucket=7), content(WORDS, model=files.CBOW, loss=files.NEGATIVES)):
        assert same(files.read(files.write(given_), source="x"), given_)


def test_buckets_without_a_row_are_zeros() -> None:
    whole = content(WORDS, LABELS, bucket=5)
    sparse = Content(**{**vars(whole), "inputs_RD": whole.inputs_RD[:6], "used": np.array([3, 1])})
    found = files.read(files.write(sparse), source="x").inputs_RD
    assert np.array_equal(found[:4], whole.inputs_RD[:4])
    assert np.array_equal(found[[7, 5]], whole.inputs_RD[4:6])
    assert not found[[4, 6, 8]].any()


@given(st.data())
def test_a_damaged_file_is_refused_or_read(data: st.DataObject) -> None:
    whole = files.write(content(WORDS, LABELS, bucket=2))
    at = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:at], whole[:at] + data.draw(st.binary(min_size=1, max_size=9)) + whole[at + 1 :]):
        with contextlib.suppress(UserError):
            files.read(damaged, source="model.bin")


def test_a_file_of_another_kind_or_with_more_behind_is_refused() -> None:
    whole = files.write(content(WORDS, LABELS))
    for damaged, reason in (
        (b"PK\x03\x04" + whole[4:], "does not begin"),
        (whole[:4] + b"\x09\0\0\0" + whole[8:], "version 9"),
        (whole + b"x", "behind its end"),
        (whole[:-1], "cut off"),
    ):
        with pytest.raises(UserError, match=reason):
            files.read(damaged, source="x")


def test_vectors_are_written_as_text() -> None:
    vectors = np.array([[0.5, -1.25], [1e-7, 3.0]], np.float32)
    assert files.write_text([b"a", "ö".encode()], vectors).decode() == "2 2\na 0.5 -1.25\nö 1e-7 3.0\n"


# The original program, where it is installed


@pytest.fixture
def original() -> Any:
    found = pytest.importorskip("fasttext")
    found.FastText.eprint = lambda *_args, **_more: None
    return found


def test_the_original_opens_ours(original: Any, tmp_path: Path) -> None:
    given_ = content(WORDS, LABELS, bucket=50, word_ngrams=3)
    (tmp_path / "m.bin").write_bytes(files.write(given_))
    model = original.load_model(str(tmp_path / "m.bin"))
    for text in ("the cat", "the höhe unseen cat the", "unseen", ""):
        found = {label.encode(): chance for chance, label in model.f.predict(text + "\n", 2, 0.0, "strict")}
        # The original adds a hundred-thousandth to each probability.
        assert found == pytest.approx(
            dict(zip(LABELS, TextModel(given_).probabilities(text.encode()), strict=True)), abs=3e-5
        )


@pytest.mark.parametrize("loss", ["softmax", "hs", "ova", "ns"])
def test_ours_opens_the_originals_classifiers(original: Any, tmp_path: Path, loss: str) -> None:
    text = "".join(f"__label__{n % 5} w{n % 5} w{(n * 7) % 11} über w{n % 3}\n" for n in range(300))
    (tmp_path / "t.txt").write_text(text + "__label__0 w0\n" * 40 + "__label__1 w1\n" * 20)
    model = original.train_supervised(
        str(tmp_path / "t.txt"),
        loss=loss,
        dim=6,
        wordNgrams=2,
        minn=2,
        maxn=3,
        bucket=200,
        thread=1,
        verbose=0,
        lr=0.5,
    )
    model.save_model(str(tmp_path / "m.bin"))
    ours = TextModel(files.read((tmp_path / "m.bin").read_bytes(), source="m.bin"))
    for line in ("w0 w1", "w2 über unseen", "w4 w4 w4 w0", "unseen"):
        found = {label: chance for chance, label in model.f.predict(line + "\n", 5, 0.0, "strict")}
        expected = dict(zip(ours.labels, ours.probabilities(line.encode()), strict=True))
        # One against all, the original looks its sigmoids up in a table with steps of a 32nd.
        near = 5e-5 if loss in ("softmax", "hs") else 1e-2
        assert {label.decode(): chance for label, chance in expected.items()} == pytest.approx(found, abs=near)


def test_ours_opens_the_originals_vectors(original: Any, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("the cat sat on the mat\nthe dog sat on the log über\n" * 30)
    model = original.train_unsupervised(str(tmp_path / "t.txt"), dim=6, minn=3, maxn=5, bucket=100, verbose=0)
    model.save_model(str(tmp_path / "m.bin"))
    ours = TextModel(files.read((tmp_path / "m.bin").read_bytes(), source="m.bin"))
    for word in ("the", "über", "unseen", "x", ""):
        assert ours.vector(word.encode()) == pytest.approx(model.get_word_vector(word), abs=1e-6)
