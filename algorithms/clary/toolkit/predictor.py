"""What serving asks of an algorithm: load an artifact, decode a body, predict, encode an answer.

An algorithm whose requests are rows of numbers derives from ``TabularPredictor`` and writes ``load`` and
``predict``; one with requests of its own writes all four. One that declares options writes ``predict_with`` too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy.typing as npt

from clary.toolkit import media, tabular
from clary.toolkit.artifact import Artifact
from clary.toolkit.codecs import jsonlines
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from clary.toolkit.spec import AlgorithmSpec
from clary.toolkit.tabular import PLAIN, Reading

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Columns = dict[str, npt.NDArray[Any]]

_SWITCH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a server knows before its first request: whether it serves a batch transform, or several models.

    ``threads`` is how many cores one request may use. ``options`` holds the values that the environment gives to
    declared options, by the option's name.
    """

    batch: bool = False
    multi_model: bool = False
    threads: int = 1
    options: Mapping[str, str] = field(default_factory=dict)


class Predictor(ABC, Generic[Request, Answer]):
    """A loaded model. ``predict`` may be called from several threads at once and changes nothing."""

    spec: ClassVar[AlgorithmSpec]

    @classmethod
    @abstractmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor[Request, Answer]:
        """The model that the artifact holds, on that device; UserError if it is not one of this algorithm's."""

    @classmethod
    def adopt(cls, folder: Path) -> Artifact:
        """The model in a folder without ``model.json``, made elsewhere; UserError where it is of no known kind."""
        return Artifact.read(folder)

    def place(self, surroundings: Surroundings) -> None:
        """Be told once, before the first request, where this model serves; UserError where it cannot serve there."""

    @abstractmethod
    def decode(self, body: bytes, content_type: MediaType) -> Request:
        """Read a request body; UserError names the record and the reason where it cannot be read."""

    @abstractmethod
    def predict(self, request: Request) -> Answer:
        """Answer every record of the request, in order."""

    def predict_with(self, request: Request, options: Mapping[str, str]) -> Answer:
        """Answer as these options ask, declared ones by name; called where the caller or the environment set one.

        UserError where a value means nothing.
        """
        return self.predict(request)

    def options(self, accept: MediaType) -> dict[str, str]:
        """The declared options that stand among the parameters of the type of an answer."""
        declared = (option.name for option in self.spec.payloads.options)
        return {name: accept.parameters[name] for name in declared if name in accept.parameters}

    @abstractmethod
    def encode(self, answer: Answer, accept: MediaType) -> bytes:
        """Write the answer in one of the declared response types; options are among the type's parameters."""

    @abstractmethod
    def count(self, request: Request) -> int:
        """Number of records in the request."""

    @abstractmethod
    def join(self, requests: Sequence[Request]) -> Request:
        """One request that holds the records of all, in order, so that they are predicted together."""

    @abstractmethod
    def split(self, answer: Answer, counts: Sequence[int]) -> list[Answer]:
        """The answer cut into runs of that many records."""

    def decode_together(self, bodies: Sequence[bytes], content_type: MediaType) -> Request | None:
        """One request with a record from each body, in order; None where each must be read alone.

        For small requests that arrive together this saves most of the reading. Nothing is refused here: what
        cannot be read this way is read alone, and refused there.
        """
        return None

    def encode_parts(self, answer: Answer, counts: Sequence[int], accept: MediaType) -> list[bytes]:
        """The answer in runs of that many records, each written as ``encode`` would write it."""
        return [self.encode(part, accept) for part in self.split(answer, counts)]


def switched(options: Mapping[str, str], name: str, default: bool = False) -> bool:
    """Whether the option of that name is on; UserError for a value that means neither on nor off."""
    value = _SWITCH.get(options.get(name, str(default)).strip().lower())
    if value is None:
        raise UserError(f"{name} must be 'true' or 'false'; got {options[name]!r}")
    return value


class TabularPredictor(Predictor[Records, Columns]):
    """A predictor of rows of numbers; an answer is one array for each declared field, N rows long.

    ``reading`` says what its rows may hold beyond complete ones, in requests and in files to be scored.
    """

    reading: Reading = PLAIN

    def decode(self, body: bytes, content_type: MediaType) -> Records:
        """Read rows in any tabular request type; DataError names the row and the reason."""
        return self.check(tabular.decode(body, content_type, self.reading))

    @abstractmethod
    def check(self, records: Records) -> Records:
        """These records if the model can score them (their width, above all); DataError otherwise."""

    def encode(self, answer: Columns, accept: MediaType) -> bytes:
        """Write the columns in one of the tabular response types."""
        return tabular.encode(answer, accept, json_key=self.spec.payloads.json_key)

    def count(self, request: Records) -> int:
        """Number of rows."""
        return len(request)

    def join(self, requests: Sequence[Records]) -> Records:
        """All rows, in order."""
        return Records.join(requests)

    def split(self, answer: Columns, counts: Sequence[int]) -> list[Columns]:
        """The columns cut into runs of that many rows."""
        return [
            {name: column[end - count : end] for name, column in answer.items()}
            for count, end in zip(counts, accumulate(counts), strict=True)
        ]

    def decode_together(self, bodies: Sequence[bytes], content_type: MediaType) -> Records | None:
        """Rows of equal width, one from each CSV body; None for anything else."""
        if type(self).decode is not TabularPredictor.decode:
            return None
        records = tabular.decode_together(bodies, content_type)
        return None if records is None else self.check(records)

    def encode_parts(self, answer: Columns, counts: Sequence[int], accept: MediaType) -> list[bytes]:
        """The columns in runs of that many rows, written together where the type has a way to do so."""
        if accept.name != media.JSON or type(self).encode is not TabularPredictor.encode:
            return super().encode_parts(answer, counts, accept)
        return jsonlines.encode_parts(answer, counts, key=self.spec.payloads.json_key)
