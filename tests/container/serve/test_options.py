"""Options of answers: asked for with parameters of Accept, or set for every answer by the environment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.container.app import App, build
from clary.container.layout import Layout
from clary.container.multi_model import MultiModelApp
from clary.container.serve_settings import ServeSettings
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
from clary.toolkit.media import MediaType
from clary.toolkit.predictor import Columns, Surroundings
from clary.toolkit.records import Records
from clary.toolkit.spec import Option
from serving import tiny_program
from serving.asgi import Response, ask, call
from serving.tiny_program import FAIL, SPEC, TinyPredictor

CSV, JSON = "text/csv", "application/json"
OPTIONS = (
    Option(name="times", doc="What the total is multiplied with.", variable="TINY_TIMES"),
    Option(name="note", doc="Words that the answer repeats.", extension=True),
)


class Choosing(TinyPredictor):
    """Multiplies its totals on request, and ends its answers with the options that it was told."""

    spec = replace(SPEC, payloads=replace(SPEC.payloads, options=OPTIONS, aliases={"csv": CSV}))

    def __init__(self, width: int = 3) -> None:
        super().__init__(width)
        self.asked: list[tuple[int, dict[str, str]]] = []
        self.surroundings: list[Surroundings] = []

    def place(self, surroundings: Surroundings) -> None:
        if surroundings.options.get("times") == "never":
            raise UserError("times must be a number; got 'never'")
        self.surroundings.append(surroundings)

    def predict_with(self, request: Records, options: Mapping[str, str]) -> Columns:
        self.asked.append((len(request), dict(options)))
        return {"total": self.predict(request)["total"] * float(options.get("times", "1"))}

    def encode(self, answer: Columns, accept: MediaType) -> bytes:
        note = accept.parameters.get("note", "")
        return b" ".join([super().encode(answer, accept).strip(), *([note.encode()] if note else [])])


def settings(environment: Mapping[str, str] | None = None, **changed: Any) -> ServeSettings:
    return replace(ServeSettings.read(environment or {}, root=Path("nowhere"), workers="1"), **changed)


def total(app: App, accept: str = "", body: bytes = b"1,2,3") -> str:
    answer = call(app, body=body, content_type=CSV, accept=accept)
    assert answer.status == 200, answer.body
    return answer.body.decode()


def test_an_option_is_asked_for_with_a_parameter_of_accept() -> None:
    predictor = Choosing()
    app = build(predictor, settings())
    assert total(app, CSV) == "6.0"
    assert predictor.asked == []
    assert total(app, f"{CSV}; times=2") == "12.0"
    assert total(app, f"{CSV}; Times=2; note=well; q=0.5") == "12.0 well"
    assert predictor.asked == [(1, {"times": "2"}), (1, {"times": "2", "note": "well"})]


def test_a_parameter_that_is_no_option_is_left_alone() -> None:
    predictor = Choosing()
    assert total(build(predictor, settings()), f"{CSV}; charset=utf-8; verbose=true") == "6.0"
    assert predictor.asked == []


def test_a_quoted_value_may_hold_commas() -> None:
    assert total(build(Choosing(), settings()), f'{CSV}; note="a,b, c"; times=2, image/png') == "12.0 a,b, c"


def test_the_environment_sets_an_option_for_every_answer_and_a_request_overrules_it() -> None:
    predictor = Choosing()
    app = build(predictor, settings({"TINY_TIMES": "10", "note": "ignored"}))
    assert total(app, CSV) == "60.0"
    assert total(app, f"{CSV}; note=x") == "60.0 x"
    assert total(app, f"{CSV}; times=3") == "18.0"
    assert predictor.asked == [(1, {"times": "10"}), (1, {"times": "10", "note": "x"}), (1, {"times": "3"})]


def test_a_model_is_told_once_where_it_serves() -> None:
    predictor = Choosing()
    app = build(predictor, settings({"TINY_TIMES": "10", "SAGEMAKER_BATCH": "true"}, cores=6, workers=2))
    total(app, CSV)
    assert predictor.surroundings == [Surroundings(batch=True, threads=3, options={"times": "10"})]


def test_a_model_that_cannot_serve_there_is_not_installed() -> None:
    with pytest.raises(UserError, match="got 'never'"):
        build(Choosing(), settings({"TINY_TIMES": "never"}))


def test_a_model_among_several_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Choosing] = []

    def loaded(artifact: Artifact, device: str) -> Choosing:
        made.append(Choosing())
        return made[-1]

    monkeypatch.setattr(TinyPredictor, "load", loaded)
    folder = tiny_program.write(tmp_path / "a")
    environment = {"TINY_TIMES": "2", "SAGEMAKER_MULTI_MODEL": "true", "CLARY_DEVICE": "cpu"}
    with tiny_program.in_the_suite(), ThreadPoolExecutor(1) as executor:
        server = MultiModelApp(settings(environment, cores=1), executor)
        order = b'{"model_name": "a", "url": "%b"}' % folder.as_posix().encode()
        assert call(server, "POST", "/models", order).status == 200
        assert call(server, "POST", "/models/a/invoke", b"1,2,3", accept=CSV).body == b"12.0"
    assert made[0].surroundings == [Surroundings(multi_model=True, options={"times": "2"})]


CALLS = st.lists(
    st.tuples(st.sampled_from(["", "; times=2", "; times=3", "; note=a", "; times=2; note=a"]), st.integers(0, 99)),
    min_size=2,
    max_size=20,
)


@given(CALLS)
def test_calls_with_different_options_are_never_predicted_together(calls: list[tuple[str, int]]) -> None:
    predictor = Choosing()
    app = build(predictor, settings())

    async def all_of_them() -> list[Response]:
        asked = (
            ask(app, body=b"%d,0,0" % number, content_type=CSV, accept=CSV + options) for options, number in calls
        )
        return await asyncio.gather(*asked)

    for (options, number), answer in zip(calls, asyncio.run(all_of_them()), strict=True):
        times = float(options.partition("times=")[2][:1] or 1)
        assert answer.body.decode() == f"{number * times}" + (" a" if "note" in options else "")
    asked: dict[str, int] = {}
    for rows, options_ in predictor.asked:
        asked[str(options_)] = asked.get(str(options_), 0) + rows
    assert sum(asked.values()) == sum(bool(options) for options, _ in calls)
    assert sum(predictor.batches) == len(calls)


def test_calls_with_the_same_options_are_predicted_together() -> None:
    predictor = Choosing()
    app = build(predictor, settings())

    async def all_of_them() -> list[Response]:
        accepts = [CSV, f"{CSV}; times=2", f"{JSON};times=2"]
        return await asyncio.gather(
            *(ask(app, body=b"1,2,3", content_type=CSV, accept=accepts[at % 3]) for at in range(90))
        )

    bodies = {answer.body for answer in asyncio.run(all_of_them())}
    assert bodies == {b"6.0", b"12.0", b'{"predictions":[{"total":12.0}]}'}
    assert len(predictor.batches) < 20
    assert {tuple(options) for _, options in predictor.asked} == {("times",)}


def test_an_option_that_means_nothing_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    app = build(Choosing(), settings())

    async def both() -> tuple[Response, ...]:
        return await asyncio.gather(
            ask(app, body=b"1,2,3", content_type=CSV, accept=f"{CSV};times=many"),
            ask(app, body=b"1,2,3", content_type=CSV, accept=CSV),
            ask(app, body=f"{FAIL},0,0".encode(), content_type=CSV, accept=f"{CSV};times=2"),
            ask(app, body=b"1,2,3", content_type=CSV, accept=f"{CSV};times=2"),
        )

    statuses = [answer.status for answer in asyncio.run(both())]
    assert statuses == [500, 200, 500, 200]
    assert "ValueError" in caplog.text


def test_slow_options_do_not_hold_up_health_checks() -> None:
    """An explanation may take a thousand times as long as the prediction that was timed before it."""

    class Slow(Choosing):
        def predict_with(self, request: Records, options: Mapping[str, str]) -> Columns:
            import time

            time.sleep(0.3)
            return super().predict_with(request, options)

    async def beside() -> tuple[bool, int]:
        app = build(Slow(), settings())
        for _ in range(6):
            await ask(app, body=b"1,2,3", content_type=CSV)
        slow = asyncio.create_task(ask(app, body=b"1,2,3", content_type=CSV, accept=f"{CSV};times=2"))
        await asyncio.sleep(0.05)
        ping = await ask(app, "GET", "/ping")
        done = slow.done()
        assert (await slow).body == b"12.0"
        return done, ping.status

    assert asyncio.run(beside()) == (False, 200)


# The type of an answer to callers who ask for none


@pytest.mark.parametrize("accept", ["", "*/*", " , ", "*/*;q=0.3", "image/png, */*"])
def test_the_environment_sets_the_type_for_callers_who_ask_for_none(accept: str) -> None:
    app = build(TinyPredictor(), settings({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": " Text/CSV "}))
    assert call(app, body=b"1,2,3", content_type=CSV, accept=accept).body == b"6.0\n"
    named = call(app, body=b"1,2,3", content_type=CSV, accept="application/jsonlines, */*")
    assert named.body == b'{"total":6.0}\n'
    assert call(app, body=b"1,2,3", content_type=CSV, accept="application/*").json


@pytest.mark.parametrize("name", ["image/png", "text", "*/*", "text/csv; charset=utf-8"])
def test_a_default_type_that_the_model_cannot_answer_in_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(UserError, match="SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT must be one of application/json, "):
        build(TinyPredictor(), settings({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": name}))


def test_without_the_variable_the_algorithm_decides() -> None:
    assert settings({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": ""}).default_accept == ""
    assert call(build(TinyPredictor(), settings()), body=b"1,2,3", accept="*/*").json
    assert ServeSettings(layout=Layout()).default_accept == ""


# Short names of request types


def test_an_algorithm_may_declare_short_names_of_request_types() -> None:
    assert call(build(Choosing(), settings()), body=b"9,1,2,3", content_type="CSV;label_size=1").status == 200
    assert "text/csv" in call(build(TinyPredictor(), settings()), body=b"1,2,3", content_type="csv").refused(415)
