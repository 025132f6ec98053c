"""Serves DeepAR: sample paths of what comes after each series, as means, quantiles and samples.

N series, S samples, T steps of the forecast.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import numpy as np
import orjson

from clary.algorithms.deepar import data
from clary.algorithms.deepar.configuration import BATCH, ENDPOINT, Configuration, Floats, Forecast, of_options
from clary.algorithms.deepar.data import Series
from clary.algorithms.deepar.model import Forecaster
from clary.algorithms.deepar.spec import CONFIGURATION, SAMPLES, SPEC
from clary.toolkit import media, predictor
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import DataError, TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Surroundings

MOST_NUMBERS = 1 << 23  # of all samples that one answer may hold
_PATHS = 1 << 14  # sample paths that are drawn at once: enough for long products, few enough for little memory
_INSTANCES = "instances"
_MEMBERS = (_INSTANCES, CONFIGURATION)


@dataclass(frozen=True)
class Request:
    """Series to forecast, with the configuration of each, and the records that they were read from."""

    series: Series
    configurations: tuple[Configuration, ...]
    records: tuple[Mapping[str, Any], ...]


class Predictor(predictor.Predictor[Request, list[Forecast]]):
    """A trained network, ready to be asked; an answer is one object for each series."""

    spec = SPEC

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster, self._usual = forecaster, ENDPOINT

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> Predictor:
        """The network on that device."""
        return cls(Forecaster.load(artifact, device))

    def place(self, surroundings: Surroundings) -> None:
        """Answer as a batch transform does where this is one; UserError for an option that means nothing."""
        self._usual = BATCH if surroundings.batch else ENDPOINT
        of_options(surroundings.options)

    def decode(self, body: bytes, content_type: MediaType) -> Request:
        """The series of a JSON document or of JSON Lines; DataError names the instance or line and the field."""
        if content_type.name == media.JSON_LINES:
            lines = {number: line for number, line in enumerate(body.split(b"\n"), 1) if line.strip()}
            records = [_loaded(line, row=number, kind="line") for number, line in lines.items()]
            return self._request(records, Configuration(), "line", list(lines))
        document = _loaded(body)
        if not isinstance(document, dict) or not isinstance(document.get(_INSTANCES), list):
            raise UserError(f'a request is a JSON object with a list of "{_INSTANCES}", each of them a series')
        if strangers := [name for name in document if name not in _MEMBERS]:
            raise UserError(f"a request has {' and '.join(_MEMBERS)}, and no {strangers[0]!r}")
        configuration = Configuration.of(document[CONFIGURATION]) if CONFIGURATION in document else Configuration()
        records = document[_INSTANCES]
        return self._request(records, configuration, "instance", range(1, len(records) + 1))

    def predict(self, request: Request) -> list[Forecast]:
        """The forecast of each series as its request asks, or as is usual here."""
        return self._forecasts(request, self._usual)

    def predict_with(self, request: Request, options: Mapping[str, str]) -> list[Forecast]:
        """The same, where options give the usual configuration, and fields that go from a record to its forecast."""
        configuration, forwarded = of_options(options)
        found = self._forecasts(request, configuration.over(self._usual))
        for forecast, record in zip(found, request.records, strict=True):
            forecast.update({name: record.get(name) for name in forwarded})
        return found

    def encode(self, answer: list[Forecast], accept: MediaType) -> bytes:
        """One JSON object with all forecasts, or one line for each."""
        objects = [orjson.dumps(forecast, option=orjson.OPT_SERIALIZE_NUMPY) for forecast in answer]
        if accept.name == media.JSON_LINES:
            return b"".join([each + b"\n" for each in objects])
        return b'{"%b":[%b]}' % (SPEC.payloads.json_key.encode(), b",".join(objects))

    def count(self, request: Request) -> int:
        """Number of series."""
        return len(request.series)

    def join(self, requests: Sequence[Request]) -> Request:
        """One request with the series of all, in order."""
        return Request(
            Series.join([each.series for each in requests]),
            tuple(configuration for each in requests for configuration in each.configurations),
            tuple(record for each in requests for record in each.records),
        )

    def split(self, answer: list[Forecast], counts: Sequence[int]) -> list[list[Forecast]]:
        """The forecasts in runs of that many."""
        ends = list(accumulate(counts))
        return [answer[end - count : end] for end, count in zip(ends, counts, strict=True)]

    def _request(
        self,
        records: list[Any],
        configuration: Configuration,
        kind: Literal["instance", "line"],
        numbers: Sequence[int],
    ) -> Request:
        if not records:
            raise UserError("the request holds no series; send one or more")
        model = self._forecaster
        try:
            series = data.instances(records, model.fields, model.prediction_length, model.frequency, kind)
        except DataError as error:
            # Blank lines are no records, and an editor counts them.
            row = None if error.row is None else numbers[error.row - 1]
            raise DataError(error.reason, row=row, field=error.field, kind=kind) from None
        return Request(series, (configuration,) * len(records), tuple(records))

    def _forecasts(self, request: Request, usual: Configuration) -> list[Forecast]:
        """The forecasts in order; series with as many samples are drawn together."""
        wanted = [each.over(usual) for each in request.configurations]
        self._check_size(wanted)
        found: list[Forecast] = [{} for _ in wanted]
        for places in _together(wanted):
            drawn_NST = self._drawn(request.series.take(np.array(places)), wanted[places[0]].num_samples or 0)
            for place, at in _alike(wanted, places).items():
                for number, forecast in zip(at, place.forecasts(drawn_NST[at]), strict=True):
                    found[places[number]] = forecast
        return found

    def _drawn(self, series: Series, samples: int) -> Floats:
        return np.ascontiguousarray(self._forecaster.sample(series, samples), np.float32)

    def _check_size(self, wanted: Sequence[Configuration]) -> None:
        paths = sum(each.num_samples or 0 for each in wanted if SAMPLES in (each.output_types or ()))
        if (numbers := paths * self._forecaster.prediction_length) > MOST_NUMBERS:
            raise TooLargeError(
                f"the samples asked for have {numbers} numbers, and an answer may hold {MOST_NUMBERS}; "
                "send fewer series at a time, or ask for fewer samples or for quantiles"
            )


def _together(wanted: Sequence[Configuration]) -> Iterator[list[int]]:
    """The numbers of series that are drawn at once: with as many samples, and no more paths than memory can hold."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number, each in enumerate(wanted):
        groups[each.num_samples or 0].append(number)
    for samples, numbers in groups.items():
        most = max(1, _PATHS // samples)
        yield from (numbers[start : start + most] for start in range(0, len(numbers), most))


def _alike(wanted: Sequence[Configuration], places: Sequence[int]) -> Mapping[Configuration, list[int]]:
    """Where among those places each configuration stands."""
    found: defaultdict[Configuration, list[int]] = defaultdict(list)
    for at, place in enumerate(places):
        found[wanted[place]].append(at)
    return found


def _loaded(text: bytes, **place: Any) -> Any:
    try:
        return orjson.loads(text)
    except ValueError as error:
        hint = '; a missing value is null or "NaN", in quotes' if b"NaN" in text else ""
        raise DataError(f"this is not JSON: {error}{hint}", **place) from None
