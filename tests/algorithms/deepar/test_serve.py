"""A request is read, forecast and answered as its configuration asks, or refused by instance or line, and field."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.deepar import serve
from clary.algorithms.deepar.configuration import MOST_LEVELS, MOST_SAMPLES, Configuration
from clary.algorithms.deepar.data import Fields, Series
from clary.algorithms.deepar.frequency import Frequency
from clary.algorithms.deepar.serve import Predictor
from clary.toolkit import media
from clary.toolkit.errors import TooLargeError, UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Surroundings

HORIZON = 3
JSON, LINES = MediaType(media.JSON), MediaType(media.JSON_LINES)
TENTHS = [str(number / 10) for number in range(1, 10)]
PLAIN = {"start": "2024-01-01 00:00:00", "target": [1.0, 2.0, None, 4.0]}
FULL = {"start": "2024-01-01", "target": [7, "NaN"], "cat": [1, 0], "dynamic_feat": [[1, 2, 3, 4, 5]]}


class Stand:
    """In place of a network: sample s of a series is its last value plus s, at each step one more."""

    prediction_length, frequency = HORIZON, Frequency.parse("H")

    def __init__(self, fields: Fields) -> None:
        self.fields, self.calls = fields, list[tuple[int, int]]()

    def sample(self, series: Series, samples: int) -> npt.NDArray[np.float32]:
        """The samples (N, S, T)."""
        self.calls.append((len(series), samples))
        last_N = np.array([series.take([n]).target[-1] for n in range(len(series))])
        drawn = last_N[:, None, None] + np.arange(samples)[None, :, None] + np.arange(HORIZON)
        return np.asarray(np.nan_to_num(drawn), np.float32)


def predictor(fields: Fields | None = None, **surroundings: Any) -> Predictor:
    made = Predictor(Stand(fields or Fields(None, 0)))  # type: ignore[arg-type]
    made.place(Surroundings(**surroundings))
    return made


def asked(records: Any, configuration: Any = None, **surroundings: Any) -> Any:
    """The predictions for a JSON request."""
    body = {"instances": records} | ({} if configuration is None else {"configuration": configuration})
    made = predictor(**surroundings)
    request = made.decode(json.dumps(body).encode(), JSON)
    return json.loads(made.encode(made.predict_with(request, surroundings.get("options", {})), JSON))["predictions"]


# What is answered


def test_without_a_configuration_an_endpoint_answers_means() -> None:
    assert asked([PLAIN]) == [{"mean": [53.5, 54.5, 55.5]}]


def test_a_batch_transform_answers_means_and_quantiles_by_tenths() -> None:
    (found,) = asked([PLAIN], batch=True)
    assert list(found) == ["mean", "quantiles"]
    assert list(found["quantiles"]) == TENTHS
    assert found["quantiles"]["0.5"] == found["mean"]


def test_levels_are_answered_as_they_are_written() -> None:
    given = {"num_samples": 5, "output_types": ["samples", "quantiles"], "quantiles": ["0.50", 0.9, ".5", "1", "0"]}
    (found,) = asked([PLAIN], given)
    assert list(found) == ["quantiles", "samples"]
    assert found["samples"] == [[4.0 + s, 5.0 + s, 6.0 + s] for s in range(5)]
    assert found["quantiles"] == {
        "0.50": [6.0, 7.0, 8.0],
        "0.9": [7.6, 8.6, 9.6],
        ".5": [6.0, 7.0, 8.0],
        "1": [8.0, 9.0, 10.0],
        "0": [4.0, 5.0, 6.0],
    }


@pytest.mark.parametrize(
    ("given", "names", "levels"),
    [
        ({}, ["mean"], None),
        ({"num_samples": 1}, ["mean"], None),
        ({"quantiles": ["0.5"]}, ["mean", "quantiles"], ["0.5"]),
        ({"output_types": ["quantiles"]}, ["quantiles"], TENTHS),
        ({"output_types": ["mean"], "quantiles": ["0.5"]}, ["mean"], None),
        ({"output_types": ["mean", "mean"], "quantiles": []}, ["mean"], None),
        ({"output_types": ["quantiles"], "quantiles": ["0.5", "0.5"]}, ["quantiles"], ["0.5"]),
    ],
    ids=str,
)
def test_what_a_configuration_leaves_out_is_as_usual(given: Any, names: list[str], levels: list[str] | None) -> None:
    (found,) = asked([PLAIN], given)
    assert list(found) == names
    assert levels is None or list(found["quantiles"]) == levels


def test_the_environment_sets_what_is_usual_and_a_request_overrides_it() -> None:
    options = {"configuration": '{"num_samples": 3, "output_types": ["samples"]}'}
    assert len(asked([PLAIN], options=options)[0]["samples"]) == 3
    (found,) = asked([PLAIN], {"num_samples": 2}, options=options)
    assert {name: len(value) for name, value in found.items()} == {"samples": 2}
    assert asked([PLAIN], {"output_types": ["mean"]}, options=options) == [{"mean": [5.0, 6.0, 7.0]}]


def test_forwarded_fields_go_from_the_record_to_its_forecast() -> None:
    options = {"forwarded_fields": '["zip", "start"]'}
    records = [{**PLAIN, "zip": {"code": 7}}, PLAIN]
    first, second = asked(records, options=options)
    assert (first["zip"], first["start"]) == ({"code": 7}, PLAIN["start"])
    assert second["zip"] is None
    assert list(second) == ["mean", "zip", "start"]


def test_lines_go_in_and_lines_come_out_in_order() -> None:
    made = predictor()
    body = "\n".join(json.dumps({**PLAIN, "target": [value]}) for value in range(4)) + "\n"
    request = made.decode(body.encode(), LINES)
    assert made.count(request) == 4
    lines = made.encode(made.predict(request), LINES).splitlines()
    assert [json.loads(line)["mean"][0] for line in lines] == [49.5, 50.5, 51.5, 52.5]


def test_fields_that_the_model_knows_are_read() -> None:
    made = predictor(Fields((2, 1), 1))
    request = made.decode(json.dumps({"instances": [FULL]}).encode(), JSON)
    assert request.series.cat.tolist() == [[1, 0]]
    assert request.series.dynamic.ravel().tolist() == [1, 2, 3, 4, 5]


# Together


def test_requests_that_are_put_together_are_answered_as_each_alone() -> None:
    made = predictor()
    configurations = [{"num_samples": 2}, {}, {"num_samples": 2, "quantiles": ["0.5"]}, {"output_types": ["samples"]}]
    bodies = [
        json.dumps({"instances": [{**PLAIN, "target": [n]}] * (n + 1), "configuration": each}).encode()
        for n, each in enumerate(configurations)
    ]
    requests = [made.decode(body, JSON) for body in bodies]
    counts = [made.count(request) for request in requests]
    together = made.split(made.predict(made.join(requests)), counts)
    calls: list[tuple[int, int]] = made._forecaster.calls  # type: ignore[attr-defined]
    assert calls == [(4, 2), (6, 100)], "series with as many samples are drawn together"
    for request, found in zip(requests, together, strict=True):
        assert made.encode(found, LINES) == made.encode(made.predict(request), LINES)


def test_many_series_are_drawn_in_parts() -> None:
    made = predictor()
    request = made.decode(json.dumps({"instances": [{**PLAIN, "target": [n]} for n in range(400)]}).encode(), JSON)
    found = made.predict(request)
    calls: list[tuple[int, int]] = made._forecaster.calls  # type: ignore[attr-defined]
    assert [count for count, _ in calls] == [163, 163, 74]
    assert [float(each["mean"][0]) for each in found] == [n + 49.5 for n in range(400)]


@given(
    drawn=st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2), min_size=1, max_size=9),
    levels=st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True),
)
def test_quantiles_are_those_of_numpy_and_rise_with_their_level(
    drawn: list[list[float]], levels: list[float]
) -> None:
    samples_NST = np.array([drawn], np.float32)
    written = [repr(level) for level in sorted(levels)]
    (found,) = Configuration(1, ("mean", "quantiles"), tuple(written)).forecasts(samples_NST)
    quantiles_LT = np.array([found["quantiles"][level] for level in written])
    expected_LT = np.quantile(samples_NST[0].astype(np.float64), sorted(levels), axis=0)
    np.testing.assert_allclose(quantiles_LT, expected_LT, rtol=1e-5, atol=1e-1)
    assert (np.diff(quantiles_LT, axis=0) >= 0).all()
    np.testing.assert_allclose(found["mean"], samples_NST[0].mean(axis=0, dtype=np.float64), rtol=1e-6)


def test_samples_that_agree_have_one_mean_and_one_quantile() -> None:
    (found,) = Configuration(4, ("mean", "quantiles"), ("0.1", "0.9")).forecasts(np.full((1, 4, 2), 0.1, np.float32))
    shown = {each.tobytes() for each in (found["mean"], *found["quantiles"].values())}
    assert shown == {np.full(2, 0.1, np.float32).tobytes()}


# What is refused


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "this is not JSON"),
        (b"[]", 'a request is a JSON object with a list of "instances"'),
        (b'{"instances": {}}', 'a request is a JSON object with a list of "instances"'),
        (b'{"instances": []}', "the request holds no series; send one or more"),
        (b'{"instances": [], "config": {}}', "a request has instances and configuration, and no 'config'"),
        (b'{"instances": [7]}', "instance 1: a series must be an object"),
        (
            b'{"instances": [{"start": "2024-01-01", "target": [1, NaN]}]}',
            'a missing value is null or "NaN", in quotes',
        ),
        (b'{"instances": [{"start": "2024-01-01", "target": [1]}, {"target": [1]}]}', "instance 2, field start: "),
        (b'{"instances": [{"start": "2024-01-01", "target": ["x"]}]}', "instance 1, field target[0]: "),
        (b'{"instances": [{"start": "2024-01-01", "target": [1], "cat": [0]}]}', "instance 1, field cat: "),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_the_place(body: bytes, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        predictor().decode(body, JSON)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\n\n", "the request holds no series"),
        (b'{"start": "2024-01-01", "target": [1]}\n{', "line 2: this is not JSON"),
        (b'\n{"start": "2024-01-01", "target": [1]}\r\n\n{"start": 7, "target": [1]}\n', "line 4, field start: "),
        (b'{"instances": []}\n', "line 1, field start: is missing"),
    ],
)
def test_lines_that_cannot_be_read_are_counted_as_an_editor_does(body: bytes, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        predictor().decode(body, LINES)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cat": [1]}, "cat"),
        ({"cat": None}, "cat"),
        ({"cat": [2, 0]}, "cat[0]"),
        ({"cat": [0, -1]}, "cat[1]"),
        ({"dynamic_feat": None}, "dynamic_feat"),
        ({"dynamic_feat": [[1, 2]]}, "dynamic_feat[0]"),
        ({"dynamic_feat": [[1, 2, 3, 4, None]]}, "dynamic_feat[0][4]"),
    ],
    ids=str,
)
def test_fields_that_do_not_fit_the_model_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    body = json.dumps({"instances": [FULL, {**FULL, **change}]}).encode()
    with pytest.raises(UserError) as caught:
        predictor(Fields((2, 1), 1)).decode(body, JSON)
    assert str(caught.value).startswith(f"instance 2, field {field}: ")


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ([], "field configuration: must be a JSON object with any of num_samples, output_types, quantiles"),
        ({"samples": 5}, "field configuration.samples: is not known"),
        ({"num_samples": 0}, "field configuration.num_samples: must be an integer from 1 to 10000; got 0"),
        ({"num_samples": MOST_SAMPLES + 1}, "got 10001"),
        ({"num_samples": "5"}, 'got "5"'),
        ({"num_samples": True}, "got true"),
        ({"num_samples": 5.5}, "got 5.5"),
        ({"num_samples": None}, "got null"),
        ({"output_types": []}, 'must be a list of one or more of "mean", "quantiles", "samples"; got []'),
        ({"output_types": "mean"}, 'got "mean"'),
        ({"output_types": ["median"]}, 'got ["median"]'),
        ({"output_types": [["mean"]]}, 'got [["mean"]]'),
        ({"quantiles": []}, "field configuration.quantiles: must hold at least one level"),
        ({"quantiles": 0.5}, "must be a list"),
        ({"quantiles": ["0.5", "1.5"]}, "field configuration.quantiles[1]: must be a number between 0 and 1"),
        ({"quantiles": ["p90"]}, 'got "p90"'),
        ({"quantiles": ["nan"]}, 'got "nan"'),
        ({"quantiles": [-0.1]}, "got -0.1"),
        ({"quantiles": [True]}, "got true"),
        ({"quantiles": [[]]}, "got []"),
        ({"quantiles": ["0.5"] * (MOST_LEVELS + 1)}, "must be a list of at most 1000 levels"),
    ],
)
def test_a_bad_configuration_is_refused_by_the_name_of_its_member(configuration: Any, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        asked([PLAIN], configuration)
    assert reason in str(caught.value)
    assert "configuration" in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"configuration": "loud"}, "configuration must be JSON; got 'loud'"),
        ({"configuration": '{"num_samples": 0}'}, "field configuration.num_samples: "),
        ({"forwarded_fields": "zip"}, "forwarded_fields must be JSON; got 'zip'"),
        ({"forwarded_fields": '"zip"'}, 'forwarded_fields must be a JSON list of names, such as ["id"]'),
        ({"forwarded_fields": "[1]"}, 'forwarded_fields must be a JSON list of names, such as ["id"]'),
        ({"forwarded_fields": '["mean"]'}, "forwarded_fields cannot hold 'mean'"),
    ],
    ids=str,
)
def test_a_server_does_not_start_with_options_that_mean_nothing(options: dict[str, str], reason: str) -> None:
    with pytest.raises(UserError) as caught:
        predictor(options=options)
    assert reason in str(caught.value)


def test_an_answer_with_too_many_samples_is_refused_before_they_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MOST_NUMBERS", 2 * 100 * HORIZON)
    assert len(asked([PLAIN] * 2, {"output_types": ["samples"]})) == 2
    assert len(asked([PLAIN] * 3, {"output_types": ["quantiles"]})) == 3
    with pytest.raises(TooLargeError, match="have 900 numbers, and an answer may hold 600"):
        asked([PLAIN] * 3, {"output_types": ["samples"]})
