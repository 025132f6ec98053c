"""Many time series in a few flat arrays, as training and forecasting want them.

N series, P points of all of them, C categorical features, F dynamic features, Q steps of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from clary.algorithms.deepar import files
from clary.algorithms.deepar.frequency import Frequency
from clary.algorithms.deepar.record import CAT, DYNAMIC, TARGET, Expected, Form, Record
from clary.algorithms.deepar.spec import BETA, IGNORE, NEGATIVE_BINOMIAL, Hyperparameters
from clary.toolkit.channels import ChannelInput
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.parameters import AUTO

Array = npt.NDArray[Any]

_FEWEST_OBSERVATIONS = 300


@dataclass(frozen=True)
class Fields:
    """The optional fields that a model uses.

    ``categories`` holds how many values each categorical feature has, and is None where cat is left out;
    ``dynamic`` is the number of dynamic features, 0 where dynamic_feat is left out.
    """

    categories: tuple[int, ...] | None
    dynamic: int


class Origin(NamedTuple):
    """A file or a request, and what it calls one series: a line, a row or an instance."""

    source: str
    kind: str


@dataclass(frozen=True)
class Series:
    """Series i has the points ``target[ends[i]:ends[i + 1]]`` (P, float32), NaN where one is missing.

    The first is at ``start[i]``, units of ``frequency`` since 1970, the next ``frequency.multiple`` units later.
    ``cat`` is (N, C); the dynamic features ``dynamic[dynamic_ends[i]:dynamic_ends[i + 1]]`` (Q, F) begin with the
    points and may go on for longer. ``files`` and ``rows`` (N) say where each series came from: which of the
    ``origins``, and its number there.
    """

    frequency: Frequency
    start: Array
    target: Array
    ends: Array
    cat: Array
    dynamic: Array
    dynamic_ends: Array
    origins: tuple[Origin, ...]
    files: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.start)

    @property
    def lengths(self) -> Array:
        """How many points each series (N) has, with those that are missing."""
        return np.diff(self.ends)

    @property
    def observations(self) -> int:
        """How many points all series have, without those that are missing."""
        return int(np.count_nonzero(~np.isnan(self.target)))

    def take(self, indices: Any) -> Series:
        """The series at these places, in their order; a place may come several times."""
        target, ends = _picked(self.target, self.ends, indices)
        dynamic, dynamic_ends = _picked(self.dynamic, self.dynamic_ends, indices)
        start, cat, files, rows = (each[indices] for each in (self.start, self.cat, self.files, self.rows))
        return Series(self.frequency, start, target, ends, cat, dynamic, dynamic_ends, self.origins, files, rows)

    def withheld(self, points: int) -> tuple[Series, Array]:
        """These series without their last points, and those points (N, points); each is longer than that.

        Dynamic features stay, so that they reach to the end of the forecast.
        """
        kept = np.arange(len(self.target)) < np.repeat(self.ends[1:] - points, self.lengths)
        target_NT = self.target[self.ends[1:, None] - np.arange(points, 0, -1)]
        return replace(self, target=self.target[kept], ends=_ends(self.lengths - points)), target_NT

    @classmethod
    def join(cls, parts: Sequence[Series]) -> Series:
        """All series of the parts, in order; there is at least one part, and all have the same fields."""
        if len(parts) == 1:
            return parts[0]
        shifts = accumulate((len(part.origins) for part in parts), initial=0)
        return cls(
            frequency=parts[0].frequency,
            origins=tuple(origin for part in parts for origin in part.origins),
            files=np.concatenate([part.files + shift for part, shift in zip(parts, shifts, strict=False)]),
            ends=_ends(np.concatenate([part.lengths for part in parts])),
            dynamic_ends=_ends(np.concatenate([np.diff(part.dynamic_ends) for part in parts])),
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _PLAIN},
        )

    def error(self, index: int, reason: str, field: str = "") -> DataError:
        """An error that names the file and the line of the series at that place."""
        origin = self.origins[self.files[index]]
        return DataError(reason, source=origin.source, row=int(self.rows[index]), kind=origin.kind, field=field)


_PLAIN = ("start", "target", "cat", "dynamic", "rows")


def _ends(lengths: Any) -> Array:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _picked(flat: Array, ends: Array, indices: Any) -> tuple[Array, Array]:
    """The stretches of a flat array at these places, and where they end."""
    lengths = np.diff(ends)[indices]
    found = _ends(lengths)
    places = np.arange(found[-1]) + np.repeat(ends[:-1][indices] - found[:-1], lengths)
    return flat[places], found


def read(channel: ChannelInput, hp: Hyperparameters, fields: Fields | None = None) -> tuple[Series, Fields]:
    """All series of a channel, and the fields that they have.

    Without ``fields`` the hyperparameters and the first series decide which fields there are, and a cardinality
    that is ``auto`` is one more than the largest category; otherwise they are those of the train channel. DataError
    names the file, the line and the field of the first series that cannot be used; UserError if there is none at all.
    """
    form = None if fields is None else _trained(hp, fields)
    origins, records, places = list[Origin](), list[Record](), list[tuple[int, int]]()
    for source, kind, given in files.records(channel, _ignored(hp)):
        origins.append(Origin(source, kind))
        for row, each in given:
            form = form or _first(hp, each)
            records.append(_checked(form, each, origins[-1], row))
            places.append((len(origins) - 1, row))
    if not records and not channel.may_be_empty:
        raise UserError(f"channel {channel.name} holds no series")
    series = _flat(Frequency.parse(hp.time_freq), form or _first(hp, {}), records, origins, places)
    return series, fields or Fields(_cardinalities(hp, series), series.dynamic.shape[1])


def instances(
    records: Sequence[object],
    fields: Fields,
    prediction_length: int,
    frequency: Frequency,
    kind: Literal["instance", "line"] = "instance",
) -> Series:
    """The series of a request to a model with these fields; their features reach to the end of the forecast.

    DataError names the instance, or the line, and the field.
    """
    why = "as in training"
    known = fields.categories or ()
    form = Form(Expected(len(known), why), Expected(fields.dynamic, why), (prediction_length,), known)
    origin = Origin("", kind)
    checked = [_checked(form, each, origin, row) for row, each in enumerate(records, 1)]
    return _flat(frequency, form, checked, [origin], [(0, row) for row in range(1, len(checked) + 1)])


def check_observations(count: int) -> None:
    """Look at how many points all hosts have for training; UserError where they are too few."""
    if count < _FEWEST_OBSERVATIONS:
        raise UserError(
            f"the train channel holds {count} observations, without those that are missing; at least "
            f"{_FEWEST_OBSERVATIONS} are needed, over all series"
        )


def check_support(series: Series, likelihood: str) -> None:
    """Look at the points for what the likelihood gives no chance at all; DataError names the first."""
    target = series.target
    if likelihood == BETA:
        bad, allowed = (target < 0) | (target > 1), "values from 0 to 1"
    elif likelihood == NEGATIVE_BINOMIAL:
        bad, allowed = (target < 0) | (target % 1 > 0), "counts, which are whole numbers of at least 0"
    else:
        return
    if bad.any():
        place = int(bad.argmax())
        index = int(np.searchsorted(series.ends, place, "right")) - 1
        reason = f"found {target[place]:g}; the likelihood {likelihood} is for {allowed}"
        raise series.error(index, reason, f"{TARGET}[{place - series.ends[index]}]")


def _ignored(hp: Hyperparameters) -> set[str]:
    settings = {CAT: hp.cardinality, DYNAMIC: hp.num_dynamic_feat}
    return {name for name, setting in settings.items() if setting == IGNORE}


def _first(hp: Hyperparameters, record: object) -> Form:
    """What the hyperparameters, and where they are ``auto`` the first series, ask of all series."""
    members = record if isinstance(record, Mapping) else {}
    cat, dynamic = (Expected(_count(members.get(name)), "as in the first series") for name in (CAT, DYNAMIC))
    known = hp.cardinalities()
    if isinstance(known, tuple):
        cat = Expected(len(known), f"as cardinality is {hp.cardinality}")
    if isinstance(hp.num_dynamic_feat, int):
        dynamic = Expected(hp.num_dynamic_feat, f"as num_dynamic_feat is {hp.num_dynamic_feat}")
    return _form(hp, cat, dynamic, known if isinstance(known, tuple) else ())


def _trained(hp: Hyperparameters, fields: Fields) -> Form:
    """What a model with these fields asks of series to test it with."""
    known, why = fields.categories or (), "as in the train channel"
    return _form(hp, Expected(len(known), why), Expected(fields.dynamic, why), known)


def _form(hp: Hyperparameters, cat: Expected, dynamic: Expected, known: Sequence[int]) -> Form:
    left_out, ahead = Expected(None), (0, hp.prediction_length)
    ignored = _ignored(hp)
    return Form(left_out if CAT in ignored else cat, left_out if DYNAMIC in ignored else dynamic, ahead, known)


def _count(value: object) -> int:
    """How many features the value of a field has; what is no list or empty counts as one, to be refused as such."""
    if value is None:
        return 0
    return max(1, len(value)) if isinstance(value, list) else 1


def _checked(form: Form, record: object, origin: Origin, row: int) -> Record:
    try:
        return form.read(record)
    except DataError as error:
        source, kind = origin
        raise DataError(error.reason, source=source, row=row, kind=kind, field=error.field) from None


def _flat(
    frequency: Frequency,
    form: Form,
    records: Sequence[Record],
    origins: Sequence[Origin],
    places: Sequence[tuple[int, int]],
) -> Series:
    seconds = np.array([each.start for each in records], np.int64)
    features = [each.dynamic_FT for each in records if each.dynamic_FT is not None]
    columns = form.dynamic.count or 0
    files_rows = np.array(places, np.int64).reshape(-1, 2)
    return Series(
        frequency=frequency,
        start=frequency.ordinal(seconds.astype("M8[s]")),
        target=np.concatenate([np.empty(0, np.float32), *(each.target_T for each in records)]),
        ends=_ends([len(each.target_T) for each in records]),
        cat=np.array([each.cat for each in records], np.int64).reshape(len(records), form.cat.count or 0),
        dynamic=np.concatenate([np.empty((0, columns), np.float32), *(each.T for each in features)]),
        dynamic_ends=_ends([each.shape[1] for each in features] if columns else np.zeros(len(records))),
        origins=tuple(origins),
        files=files_rows[:, 0],
        rows=files_rows[:, 1],
    )


def _cardinalities(hp: Hyperparameters, series: Series) -> tuple[int, ...] | None:
    known = hp.cardinalities()
    if known != AUTO:
        return known
    highest = series.cat.max(axis=0, initial=-1) + 1
    return tuple(highest.tolist()) or None
