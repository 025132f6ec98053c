"""The families of errors, told apart by who can act on them.

    ClaryError
    ├── UserError                   fix the request: hyperparameters, data, configuration
    │   ├── HyperparameterError     one or more hyperparameters are wrong
    │   ├── DataError               a record cannot be read; names file, row and column
    │   ├── UnsupportedMediaError   the content type has no reader here
    │   ├── NotAcceptableError      the answer cannot be given in the form asked for
    │   └── TooLargeError           the body is larger than the limit
    └── PlatformError               fix the machine: disk, memory, network, another host

Anything else that is raised is a bug of ours. Only ``clary.container`` turns these into exit codes, failure
files and HTTP statuses.
"""

from __future__ import annotations

from collections.abc import Sequence


class ClaryError(Exception):
    """Any error that this package raises on purpose; its text is one or more sentences for a person."""


class UserError(ClaryError):
    """The caller can mend it: the text names what was found, what is allowed and what to do."""


class HyperparameterError(UserError):
    """One or more hyperparameters are wrong; ``problems`` holds a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class DataError(UserError):
    """A record cannot be used; the text begins with where it is.

    Rows and columns count from 1, as an editor shows them; a column may also be named. ``row`` is None where a format
    has no rows; ``kind`` is what the format calls one. ``field`` is the path of a value within a record, such as
    ``target[3]``.
    """

    def __init__(
        self,
        reason: str,
        *,
        source: str = "",
        row: int | None = None,
        column: int | str | None = None,
        field: str = "",
        kind: str = "row",
    ) -> None:
        self.reason, self.source, self.row, self.column = reason, source, row, column
        self.field, self.kind = field, kind
        place = [source] if source else []
        place += [f"{kind} {row}"] if row is not None else []
        place += [f"column {column}"] if column is not None else []
        place += [f"field {field}"] if field else []
        super().__init__(f"{', '.join(place)}: {reason}" if place else reason)


class UnsupportedMediaError(UserError):
    """The content type has no reader here; the text lists those that have."""


class NotAcceptableError(UserError):
    """The answer cannot be given in any of the forms asked for; the text lists those that can."""


class TooLargeError(UserError):
    """The body is larger than the limit; the text gives both sizes in bytes."""


class PlatformError(ClaryError):
    """The machine, the network or another host failed; the text says what to look at."""
