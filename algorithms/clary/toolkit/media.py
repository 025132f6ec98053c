"""Media types: ``text/csv; label_size=1`` as a lower-case name and its parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

CSV = "text/csv"
TEXT = "text/plain"
LIBSVM = "text/libsvm"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
RECORDIO_PROTOBUF = "application/x-recordio-protobuf"
PARQUET = "application/x-parquet"
TEXT = "text/plain"


@dataclass(frozen=True)
class MediaType:
    """A media type's name in lower case and its parameters, names in lower case."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """Read ``type/subtype; name=value``; case and blanks around ``;`` and ``=`` do not matter."""
        name, *rest = text.split(";")
        pairs = (part.partition("=") for part in rest if part.strip())
        return cls(name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs})

    def __str__(self) -> str:
        return "; ".join([self.name, *(f"{key}={value}" for key, value in self.parameters.items())])


_SUFFIXES = {
    ".csv": CSV,
    ".libsvm": LIBSVM,
    ".svm": LIBSVM,
    ".pbr": RECORDIO_PROTOBUF,
    ".rec": RECORDIO_PROTOBUF,
    ".recordio": RECORDIO_PROTOBUF,
    ".data": RECORDIO_PROTOBUF,
    ".jsonl": JSON_LINES,
    ".parquet": PARQUET,
}


def of_file(name: str) -> str | None:
    """The type of rows that a file's name tells, ``.gz`` set aside; None if it tells none."""
    return _SUFFIXES.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix)
