"""What an endpoint answers for words and texts, and which models from outside it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clary.algorithms.blazingtext import files
from clary.algorithms.blazingtext.model import TextModel
from clary.algorithms.blazingtext.serve import Predictor
from clary.toolkit import media
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from wording import content

JSON, LINES = MediaType(media.JSON), MediaType(media.JSON_LINES)
WORDS, LABELS = [b"</s>", b"awesome", b"blazing"], [b"__label__1", b"__label__2", b"__label__3"]
CLASSIFIER = content(WORDS, LABELS, word_ngrams=2, bucket=20)
VECTORS = content(WORDS, model=files.SKIPGRAM, loss=files.NEGATIVES)
Ask = Callable[..., str]


@pytest.fixture
def words() -> Predictor:
    return Predictor(TextModel(VECTORS))


@pytest.fixture
def texts() -> Predictor:
    return Predictor(TextModel(CLASSIFIER))


def ask(predictor: Predictor, body: str, kind: MediaType = JSON, accept: MediaType = JSON) -> str:
    return predictor.encode(predictor.predict(predictor.decode(body.encode(), kind)), accept).decode()


def test_words_are_answered_by_a_bare_list(words: Predictor) -> None:
    found = json.loads(ask(words, '{"instances": ["awesome", "unseen", "awesome"]}'))
    assert [each["word"] for each in found] == ["awesome", "unseen", "awesome"]
    assert found[0]["vector"] == pytest.approx(VECTORS.inputs_RD[1].tolist())
    assert found[1]["vector"] == [0.0, 0.0, 0.0]


def test_texts_are_answered_by_the_best_labels(texts: Predictor) -> None:
    document = {"instances": ["awesome blazing", "blazing"], "configuration": {"k": 2}}
    found = json.loads(ask(texts, json.dumps(document)))
    chances = TextModel(CLASSIFIER).probabilities(b"awesome blazing")
    best = np.argsort(-chances)[:2]
    assert found[0]["label"] == [LABELS[place].decode() for place in best]
    assert found[0]["prob"] == pytest.approx(chances[best].tolist(), rel=1e-6)
    assert [len(each["prob"]) for each in found] == [2, 2]
    assert len(json.loads(ask(texts, '{"instances": ["x"]}'))[0]["label"]) == 1


def test_lines_say_for_themselves_how_many_labels_they_want(texts: Predictor) -> None:
    body = '{"source": "awesome"}\n\n{"source": "blazing", "k": 9}\n'
    lines = ask(texts, body, MediaType.parse("application/jsonlines;data=text"), LINES).splitlines()
    assert [len(json.loads(line)["label"]) for line in lines] == [1, 3]
    assert sum(json.loads(lines[1])["prob"]) == pytest.approx(1, abs=1e-5)


def test_the_ends_of_lines_in_a_text_are_blanks(texts: Predictor) -> None:
    assert json.loads(ask(texts, '{"instances": ["awesome\\nblazing"]}')) == json.loads(
        ask(texts, '{"instances": ["awesome blazing"]}')
    )


def test_an_empty_text_is_answered(texts: Predictor) -> None:
    assert len(json.loads(ask(texts, '{"instances": [""]}'))[0]["prob"]) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"instances": ["a", 7]}', "instance 2: an instance is a text; got 7"),
        ('{"instances": []}', "holds no instance"),
        ('{"instances": ["a"], "configuration": {"k": 0}}', "field configuration.k: k must be a whole number"),
        ('{"instances": ["a"], "configuration": {"k": true}}', "k must be a whole number of at least 1; got true"),
        ('{"instances": ["a"], "configuration": {"n": 1}}', '"configuration" is an object with "k"'),
        ('{"instances": ["a"], "config": {}}', "no 'config'"),
    ],
)
def test_a_request_that_means_nothing_is_refused(texts: Predictor, body: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        texts.decode(body.encode(), JSON)


@pytest.mark.parametrize("line", ['{"k": 1}', '{"source": 1}', '{"source": "a", "k": "2"}', "[]", "{"])
def test_a_line_that_is_no_request_is_named(texts: Predictor, line: str) -> None:
    with pytest.raises(UserError, match="line 3"):
        texts.decode(f'{{"source": "a"}}\n\n{line}\n'.encode(), LINES)


@pytest.mark.parametrize(
    ("name", "given"), [("model.bin", CLASSIFIER), ("lid.bin", CLASSIFIER), ("model.bin", VECTORS)]
)
def test_a_file_of_the_original_is_served(tmp_path: Path, name: str, given: files.Content) -> None:
    (tmp_path / name).write_bytes(files.write(given))
    loaded = Predictor.load(Predictor.adopt(tmp_path), "cpu")
    assert ask(loaded, '{"instances": ["awesome"]}') == ask(Predictor(TextModel(given)), '{"instances": ["awesome"]}')


def test_a_folder_with_several_models_or_a_broken_one_is_refused(tmp_path: Path) -> None:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(files.write(VECTORS))
    with pytest.raises(UserError, match=r"a.bin, b.bin are several models"):
        Predictor.adopt(tmp_path)
    (tmp_path / "b.bin").unlink()
    (tmp_path / "a.bin").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"a\.bin cannot be read"):
        Predictor.adopt(tmp_path)
