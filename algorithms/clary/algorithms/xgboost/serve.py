"""Serves XGBoost: the library's own predictions, values chosen from them, and what each feature adds to them.

N rows, D features, C classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from clary.algorithms.xgboost.library import XGBoostError, xgboost
from clary.algorithms.xgboost.model import expect_readable
from clary.algorithms.xgboost.spec import SPEC
from clary.toolkit import media, tabular
from clary.toolkit.artifact import MANIFEST, Artifact
from clary.toolkit.codecs import jsonlines
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Columns, Surroundings, TabularPredictor, switched
from clary.toolkit.records import Floats, Records
from clary.toolkit.tabular import Reading

FILE = "xgboost-model"
MOST_CONTRIBUTIONS = 2**24  # numbers in one answer; as JSON they are some 200 MB
KEYS = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores", "predicted_score")

_NUMBERED = re.compile(rf"{FILE}(?:-(\d+))?")
_ELSEWHERE = (".json", ".ubj", ".bst", ".model")
_ROWS_TO_PREDICT, _ROWS_TO_EXPLAIN = 2000, 100  # at least, for a thread to be worth its start
_LINES = (media.CSV, media.JSON_LINES)
_VOTED = ("multi:softmax", "binary:hinge")
_THRESHOLDS = {"binary:logistic": 0.5, "binary:logitraw": 0.0}
_PLACE_IN_SOURCE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")


class Model:
    """One model of the library, which may be asked from several threads at once and uses one core for each.

    The library's own threads wait for each other with all their might, which costs a small request more than it
    gains, and its neighbors too.
    """

    def __init__(self, content: bytes, name: str) -> None:
        expect_readable(content, name)
        with _told(f"{name} cannot be read as an XGBoost model"):
            self._booster = _in_order(xgboost.Booster({"nthread": 1}, model_file=bytearray(content)))
        learner = json.loads(self._booster.save_config())["learner"]
        self.width = int(self._booster.num_features())
        self.objective: str = learner["objective"]["name"]
        self.classes = int(learner["learner_model_param"]["num_class"])
        kind = learner["gradient_booster"]["name"]
        # The library adds a dart model up in another order where it needs no DMatrix, and has no such way for linear
        # models, which it also does not promise to be safe in several threads.
        self._in_place = kind == "gbtree"
        self._turn = Lock() if kind == "gblinear" else nullcontext()
        self.predict(np.full((1, self.width), np.nan, np.float32))

    def predict(self, features: Any) -> Floats:
        """What ``Booster.predict`` answers: (N,), or (N, C) where each class has a number."""
        with _told("XGBoost cannot predict these rows"):
            if self._in_place:
                return np.asarray(self._booster.inplace_predict(features, validate_features=False))
            with self._turn:
                return np.asarray(
                    self._booster.predict(xgboost.DMatrix(features, nthread=1), validate_features=False)
                )

    def contributions(self, features: Any) -> Floats:
        """What each feature adds to the margin, and at the end what it begins with: (N, D + 1) or (N, C, D + 1)."""
        with _told("XGBoost cannot explain these rows"), self._turn:
            rows = xgboost.DMatrix(features, nthread=1)
            return np.asarray(self._booster.predict(rows, pred_contribs=True, validate_features=False))


@dataclass(frozen=True)
class _Asked:
    """What the options of an answer come to: the chosen values, whether all models speak, and the contributions."""

    keys: tuple[str, ...] = ()
    together: bool = True
    contributions: bool = False

    @classmethod
    def read(cls, options: Mapping[str, str]) -> _Asked:
        """What the options ask for; UserError names the one that means nothing."""
        keys = tuple(key for key in options.get("output", "").replace(" ", "").lower().split(",") if key)
        unknown = [key for key in keys if key not in KEYS]
        if unknown or len(set(keys)) < len(keys):
            raise UserError(
                f"output (SAGEMAKER_INFERENCE_OUTPUT) must be a list with commas of {', '.join(KEYS)}, each at most "
                f"once; got {options['output']!r}"
            )
        return cls(keys, switched(options, "ensemble", True), switched(options, "contributions"))


class Predictor(TabularPredictor):
    """One model, or those of a cross-validation, which answer together."""

    spec = SPEC
    reading = Reading(missing=True, delimiter=None)

    def __init__(self, models: Sequence[Model]) -> None:
        self._models, self._first = models, models[0]
        self._width = self._first.width
        self._surroundings = Surroundings()

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The models on the CPU, whatever the device: it is quicker with rows by the dozen than the way to a GPU."""
        named = sorted((name for name in artifact.files if _NUMBERED.fullmatch(name)), key=_number)
        if artifact.algorithm != SPEC.name or not named:
            raise UserError(f"this is a model of {artifact.algorithm}, or it has no {FILE}; XGBoost cannot load it")
        models = [Model(artifact.files[name], name) for name in named]
        kinds = {(model.width, model.objective, model.classes) for model in models}
        if len(kinds) > 1:
            raise UserError(f"{', '.join(named)} cannot answer together: they differ in features or objective")
        return cls(models)

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """A model that the library saved as JSON or UBJSON: ``xgboost-model``, or one file of another name.

        ``xgboost-model-0``, ``xgboost-model-1``, ... answer together. Names that begin with a dot are left out.
        """
        files = {path.name: path for path in sorted(folder.glob("[!.]*")) if path.is_file()}
        named = [name for name in files if _NUMBERED.fullmatch(name)]
        others = [name for name in files if name.lower().endswith(_ELSEWHERE) or _is_model(files[name])]
        if not (named or others) or (named and MANIFEST in files):
            return Artifact.read(folder)
        if not named and len(others) > 1:
            raise UserError(
                f"{folder} holds several models: {', '.join(others)}; leave one, or call them {FILE}-0, {FILE}-1 and "
                "so on, if they shall answer together"
            )
        contents = {name: files[name].read_bytes() for name in named or others}
        for name, content in contents.items():
            expect_readable(content, name)
        return Artifact(SPEC.name, {}, {}, {}, contents if named else {FILE: contents[others[0]]})

    def place(self, surroundings: Surroundings) -> None:
        """Answer in the forms of a batch transform or of a multi-model endpoint; UserError for an unknown option."""
        _Asked.read(surroundings.options)
        self._surroundings = surroundings

    def decode(self, body: bytes, content_type: MediaType) -> Records:
        """Read rows of features; with ``label_size=1`` a first column too many is a label, which is cut off."""
        parameters = dict(content_type.parameters)
        size = parameters.pop("label_size", "0")
        if size not in ("0", "1"):
            raise UserError(f"label_size must be 0 or 1 in a request; got {size!r} in {str(content_type)!r}")
        records = tabular.decode(body, MediaType(content_type.name, parameters), self.reading)
        if size == "1" and not records.sparse and records.width == self._width + 1:
            records = replace(records, features=np.ascontiguousarray(records.dense()[:, 1:]))
        return self.check(records)

    def decode_together(self, bodies: Sequence[bytes], content_type: MediaType) -> Records | None:
        """Rows of the model's width, one from each CSV body; None for anything else."""
        records = tabular.decode_together(bodies, content_type)
        return None if records is None else self.check(records)

    def check(self, records: Records) -> Records:
        """The records, if dense rows have the model's width and sparse ones no feature that the model lacks."""
        if not records.sparse:
            return records.expect_width(self._width, name="num_features") if len(records) else records
        matrix: Any = records.features
        if records.width <= self._width:
            return replace(records, features=_csr(matrix.data, matrix.indices, matrix.indptr, self._width))
        beyond = np.flatnonzero(matrix.indices >= self._width)
        if not len(beyond):
            return records.expect_width(self._width, name="num_features")
        row = int(np.searchsorted(matrix.indptr, beyond[0], side="right")) - 1
        raise DataError(
            f"the row has at least {matrix.indices[beyond[0]] + 1} features, with a value at position "
            f"{matrix.indices[beyond[0]]}; the model has {self._width}, at positions 0 to {self._width - 1}",
            source=records.source,
            row=records.first_row + row,
        )

    def join(self, requests: Sequence[Records]) -> Records:
        """All rows, in order. Among sparse rows dense ones keep their zeros, which are values and not missing."""
        if any(request.sparse for request in requests):
            requests = [request if request.sparse else _as_sparse(request) for request in requests]
        return Records.join(requests)

    def predict(self, request: Records) -> Columns:
        """``score``, as the library predicts it: for ``multi:softprob`` one number for each class."""
        return {"score": self._score(request, self._models)}

    def predict_with(self, request: Records, options: Mapping[str, str]) -> Columns:
        """The score or the values that ``output`` chooses, and with ``contributions`` what the features add."""
        asked = _Asked.read(options)
        models = self._models if asked.together else self._models[:1]
        answer = {"score": self._score(request, models)}
        if asked.keys:
            known = _values(answer["score"], self._first.objective, self._first.classes)
            nothing = np.full(len(request), np.nan, np.float32)
            answer = {key: known.get(key, nothing) for key in asked.keys}
        return {**answer, **self._explained(request, models)} if asked.contributions else answer

    def encode(self, answer: Columns, accept: MediaType) -> bytes:
        """Write the answer in one of the declared types, in the managed container's forms."""
        score, place = answer.get("score"), self._surroundings
        if len(answer) == 1 and score is not None:
            if place.batch:
                return b"".join([text + b"\n" for text in _texts(score)])
            if place.multi_model and accept.name == media.CSV:
                return b",".join(_texts(score))
            if place.multi_model and accept.name == media.JSON:
                return orjson.dumps(np.ascontiguousarray(score), option=orjson.OPT_SERIALIZE_NUMPY)
        elif accept.name == media.CSV:
            if score is None:
                return b"\n".join([b",".join(cells) for cells in zip(*map(_quoted, answer.values()), strict=True)])
            answer = {name: column.reshape(len(column), prod(column.shape[1:])) for name, column in answer.items()}
        return super().encode(answer, accept)

    def encode_parts(self, answer: Columns, counts: Sequence[int], accept: MediaType) -> list[bytes]:
        """The answer in runs of that many rows, written together where each row has a line or an object."""
        if "score" not in answer or self._surroundings.multi_model:
            return super().encode_parts(answer, counts, accept)
        if accept.name in _LINES or (self._surroundings.batch and len(answer) == 1):
            lines = iter(self.encode(answer, accept).splitlines(keepends=True))
            return [b"".join(islice(lines, count)) for count in counts]
        if accept.name == media.JSON:
            return jsonlines.encode_parts(answer, counts, key=SPEC.payloads.json_key)
        return super().encode_parts(answer, counts, accept)

    def _score(self, request: Records, models: Sequence[Model]) -> Floats:
        scores = [self._shared_out(model.predict, request, _ROWS_TO_PREDICT) for model in models]
        if len(scores) == 1:
            return scores[0]
        together = np.stack(scores)
        if self._first.objective not in _VOTED:
            return np.asarray(together.mean(axis=0))
        # Of equally many votes the lower class wins.
        votes = [(together == label).sum(axis=0) for label in range(max(2, self._first.classes))]
        return np.asarray(np.argmax(votes, axis=0), np.float32)

    def _shared_out(self, ask: Callable[[Any], Floats], request: Records, least: int) -> Floats:
        """What ``ask`` answers for the rows; by several threads, where each has that many rows to work on."""
        features: Any = request.features
        parts = min(self._surroundings.threads, len(request) // least)
        if parts < 2:
            return ask(features)
        cuts = np.linspace(0, len(request), parts + 1).astype(int).tolist()
        with ThreadPoolExecutor(parts, "rows") as threads:
            return np.concatenate(list(threads.map(lambda cut: ask(features[cut[0] : cut[1]]), pairwise(cuts))))

    def _explained(self, request: Records, models: Sequence[Model]) -> Columns:
        """``base`` and ``contributions``; of several models their means, so that they add up to the mean margin."""
        each = max(1, self._first.classes) * (self._width + 1)
        if len(request) * each > MOST_CONTRIBUTIONS:
            most = max(1, MOST_CONTRIBUTIONS // each)
            raise TooLargeError(f"{len(request)} rows have too many contributions for one answer; ask for {most}")
        parts = [self._shared_out(model.contributions, request, _ROWS_TO_EXPLAIN) for model in models]
        whole = parts[0] if len(parts) == 1 else np.mean(parts, axis=0)
        return {"base": whole[..., -1], "contributions": whole[..., :-1]}


def _as_sparse(records: Records) -> Records:
    """The dense rows with every value that is there, zeros too."""
    rows = records.dense()
    there = ~np.isnan(rows)
    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return replace(records, features=_csr(rows[there], np.nonzero(there)[1], ends, records.width))


def _csr(values: Floats, positions: npt.NDArray[Any], ends: npt.NDArray[Any], width: int) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((values, positions, ends), shape=(len(ends) - 1, width))


def _number(name: str) -> int:
    found = _NUMBERED.fullmatch(name)
    return int(found[1] or -1) if found else -1


def _is_model(path: Path) -> bool:
    """Whether a file begins as one of the library does, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(4).startswith((b"{", b"\x80", b"binf"))


def _in_order(booster: xgboost.Booster) -> xgboost.Booster:
    """The booster; a linear one from before XGBoost 1.6 with its base score as that version meant it.

    Such a model does not say how many rounds it has. The library takes it for one that has none, and its base score
    for a guess that is not on the scale of probabilities yet; seen up to version 3.2.
    """
    model = json.loads(booster.save_config())["learner"]
    if model["gradient_booster"]["name"] != "gblinear" or booster.num_boosted_rounds():
        return booster
    model = json.loads(bytes(booster.save_raw("json")))
    model["learner"]["learner_model_param"]["boost_from_average"] = "0"
    return xgboost.Booster({"nthread": 1}, model_file=bytearray(json.dumps(model).encode()))


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Tells an error of the library to a person."""
    try:
        yield
    except XGBoostError as error:
        reason = _PLACE_IN_SOURCE.sub("", str(error)).partition("Stack trace:")[0]
        raise UserError(f"{what}: {' '.join(reason.split())}") from error


def _values(score: Floats, objective: str, classes: int) -> Columns:
    """Every value that the objective knows, by key."""
    if objective == "multi:softprob":
        best = score.max(axis=1)
        label, all_labels, each = score.argmax(axis=1), np.arange(classes), score
    elif objective.startswith(("binary:", "multi:")):
        threshold = _THRESHOLDS.get(objective)
        label = (score if threshold is None else score > threshold).astype(np.int64)
        best, all_labels, each = score, np.arange(max(2, classes)), np.stack([1 - score, score], axis=1)
    else:
        return {"predicted_score": score}
    known = {
        "predicted_label": label,
        "labels": np.broadcast_to(all_labels, (len(score), len(all_labels))),
        "raw_score": best,
        "raw_scores": each,
    }
    if objective in ("binary:logistic", "multi:softprob"):
        known |= {"probability": best, "probabilities": each}
    return known


def _texts(column: npt.NDArray[Any]) -> list[bytes]:
    """Each row's value as text: a number, or a list of numbers in brackets."""
    numbers = np.ascontiguousarray(column)
    if column.ndim == 1 and len(column):
        values = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    else:
        values = [orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY).replace(b",", b", ") for row in numbers]
    return [value.replace(b"null", b"nan") for value in values]


def _quoted(column: npt.NDArray[Any]) -> list[bytes]:
    """Each row's value as a cell of CSV."""
    texts = _texts(column)
    return texts if column.ndim == 1 else [b'"%b"' % text for text in texts]
