"""Serves BlazingText: the vector of each word, or the best labels of each text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from clary.algorithms.blazingtext import files
from clary.algorithms.blazingtext.model import TextModel
from clary.algorithms.blazingtext.spec import MODES, SPEC, SUPERVISED
from clary.toolkit import media, predictor
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.media import MediaType

VECTORS, BINARY = "vectors.bin", "model.bin"
_MODE_OF = {files.CBOW: "cbow", files.SKIPGRAM: "skipgram", files.SUPERVISED: SUPERVISED}
_INSTANCES, _CONFIGURATION, _SOURCE, _K = "instances", "configuration", "source", "k"
Answer = list[Mapping[str, Any]]


@dataclass(frozen=True)
class Request:
    """Words or texts, and how many labels are wanted of each."""

    texts: tuple[str, ...]
    wanted: tuple[int, ...]


class Predictor(predictor.Predictor[Request, Answer]):
    """Word vectors or a classifier, ready to be asked; an answer is one object for each word or text."""

    spec = SPEC

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self._labels = [label.decode("utf-8", "replace") for label in model.labels]

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The model on the CPU, whatever the device: an answer takes microseconds."""
        mode = artifact.schema.get("mode")
        name = BINARY if mode == SUPERVISED else VECTORS
        if artifact.algorithm != SPEC.name or mode not in MODES or name not in artifact.files:
            found = f"this is a model of {artifact.algorithm}, or it has neither {VECTORS} nor {BINARY}"
            raise UserError(f"{found}; {SPEC.name} cannot load it")
        content = files.read(artifact.files[name], source=name)
        if (content.arguments.model == files.SUPERVISED) != (mode == SUPERVISED):
            raise UserError(f"this model is damaged: {name} is not of mode {mode}")
        return cls(TextModel(content))

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model that fastText has trained: ``model.bin``, ``vectors.bin``, or the only ``.bin`` file there is."""
        found = sorted(folder.glob("*.bin"))
        chosen = [path for path in found if path.name in (BINARY, VECTORS)] or found
        if (folder / MANIFEST).exists() or not chosen:
            return Artifact.read(folder)
        if len(chosen) > 1:
            raise UserError(f"{', '.join(path.name for path in chosen)} are several models; leave one")
        data = chosen[0].read_bytes()
        arguments = files.read(data, source=chosen[0].name).arguments
        mode = _MODE_OF[arguments.model]
        name = BINARY if mode == SUPERVISED else VECTORS
        given = {"mode": mode, "vector_dim": str(arguments.dim)}
        return Artifact(SPEC.name, given, {"mode": mode}, files={name: data})

    def decode(self, body: bytes, content_type: MediaType) -> Request:
        """The words or texts of a JSON document or of JSON Lines; DataError names the instance or the line."""
        if content_type.name == media.JSON_LINES:
            return _of_lines(body)
        document = _loaded(body)
        if not isinstance(document, dict) or not isinstance(document.get(_INSTANCES), list):
            raise UserError(f'a request is a JSON object with a list of texts in "{_INSTANCES}"')
        if strangers := [name for name in document if name not in (_INSTANCES, _CONFIGURATION)]:
            raise UserError(f"a request has {_INSTANCES} and {_CONFIGURATION}, and no {strangers[0]!r}")
        configuration = document.get(_CONFIGURATION, {})
        if not isinstance(configuration, dict) or set(configuration) - {_K}:
            raise UserError(f'"{_CONFIGURATION}" is an object with "{_K}", the number of labels wanted')
        texts = document[_INSTANCES]
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise DataError(f"an instance is a text; got {_kind(text)}", row=number, kind="instance")
        if not texts:
            raise UserError("the request holds no instance; send one or more")
        return Request(tuple(texts), (_wanted(configuration, {"field": f"{_CONFIGURATION}.{_K}"}),) * len(texts))

    def predict(self, request: Request) -> Answer:
        """For each word ``vector`` and ``word``; for each text ``prob`` and ``label``, best first."""
        if not self._model.supervised:
            return [{"vector": self._model.vector(_bytes(word)), "word": word} for word in request.texts]
        return [self._classified(*each) for each in zip(request.texts, request.wanted, strict=True)]

    def encode(self, answer: Answer, accept: MediaType) -> bytes:
        """A bare JSON list of objects, or one object on each line."""
        objects = [orjson.dumps(each, option=orjson.OPT_SERIALIZE_NUMPY) for each in answer]
        if accept.name == media.JSON_LINES:
            return b"".join([each + b"\n" for each in objects])
        return b"[" + b",".join(objects) + b"]"

    def count(self, request: Request) -> int:
        """Number of words or texts."""
        return len(request.texts)

    def join(self, requests: Sequence[Request]) -> Request:
        """One request with all words or texts, in order."""
        return Request(
            tuple(text for each in requests for text in each.texts),
            tuple(number for each in requests for number in each.wanted),
        )

    def split(self, answer: Answer, counts: Sequence[int]) -> list[Answer]:
        """The objects in runs of that many."""
        return [answer[end - count : end] for end, count in zip(accumulate(counts), counts, strict=True)]

    def _classified(self, text: str, wanted: int) -> dict[str, Any]:
        # A line ends a text, for fastText as here, so the ends within one are blanks.
        chances_L = self._model.probabilities(_bytes(text))
        best = np.argsort(-chances_L, kind="stable")[:wanted]
        return {"prob": chances_L[best].astype(np.float32), "label": [self._labels[place] for place in best]}


def _of_lines(body: bytes) -> Request:
    texts, wanted = [], []
    for row, line in _lines(body):
        record = _loaded(line, row=row, kind="line")
        if not isinstance(record, dict) or not isinstance(record.get(_SOURCE), str):
            reason = f'a line is an object with the text "{_SOURCE}", and "{_K}" where more labels are wanted'
            raise DataError(reason, row=row, kind="line")
        texts.append(record[_SOURCE])
        wanted.append(_wanted(record, {"row": row, "kind": "line", "field": _K}))
    if not texts:
        raise UserError("the request holds no line; send one JSON object on each")
    return Request(tuple(texts), tuple(wanted))


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    return ((row, line) for row, line in enumerate(body.split(b"\n"), 1) if line.strip())


def _wanted(given: Mapping[str, Any], place: Mapping[str, Any]) -> int:
    number = given.get(_K, 1)
    if type(number) is not int or number < 1:
        raise DataError(f"k must be a whole number of at least 1; got {orjson.dumps(number).decode()}", **place)
    return number


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _kind(value: Any) -> str:
    return orjson.dumps(value).decode()[:40]


def _loaded(text: bytes, **place: Any) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(f"this is not JSON: {error.msg}", **place) from None
