"""The app without a socket: routes, requests, answers and refusals."""

from __future__ import annotations

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.container.app import App, build
from clary.container.layout import Layout
from clary.container.serve_settings import ServeSettings
from clary.toolkit import tabular
from clary.toolkit.media import MediaType
from clary.toolkit.records import Records
from serving.asgi import Response, ask, call
from serving.tiny_program import FAIL, REFUSE, SLEEP, WIDTH, TinyPredictor

ROW = b"1,2,3.5"
CSV = "text/csv"


def settings(**changed: Any) -> ServeSettings:
    return ServeSettings(layout=Layout(), **changed)


def app(**changed: Any) -> App:
    return build(TinyPredictor(), settings(**changed))


def test_an_app_is_healthy_once_it_has_its_model() -> None:
    with ThreadPoolExecutor(1) as executor:
        starting = App(settings(), executor)
        assert call(starting, "GET", "/ping").status == 503
        refused = call(starting, body=ROW, content_type=CSV)
        assert "still being loaded" in refused.refused(503)
        assert refused.headers["retry-after"] == "1"
        starting.install(TinyPredictor())
        assert call(starting, "GET", "/ping") == Response(200, {"content-length": "0"}, b"")
        assert call(starting, body=ROW, content_type=CSV).json == {"predictions": [{"total": 6.5}]}


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("application/json", b'{"predictions":[{"total":6.5},{"total":0.0}]}'),
        ("application/jsonlines", b'{"total":6.5}\n{"total":0.0}\n'),
        ("text/csv", b"6.5\n0.0\n"),
    ],
)
def test_an_answer_comes_in_the_type_asked_for(accept: str, body: bytes) -> None:
    answer = call(app(), body=ROW + b"\n0,0,0\n", content_type=CSV, accept=accept)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, body, accept)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", ROW),
        ("", ROW),
        ("application/octet-stream", ROW),
        ("text/csv; label_size=1", b"9," + ROW),
        ("application/json", b'{"instances": [{"features": [1, 2, 3.5]}]}'),
        ("application/jsonlines", b'{"features": [1, 2, 3.5]}\n'),
    ],
)
def test_a_request_is_read_by_its_type(content_type: str, body: bytes) -> None:
    assert call(app(), body=body, content_type=content_type).json == {"predictions": [{"total": 6.5}]}


def test_a_body_may_come_in_pieces_and_without_a_length() -> None:
    assert call(app(), body=[b"1,2", b",3", b".5"], content_type=CSV).json == {"predictions": [{"total": 6.5}]}


def test_several_accept_headers_count_as_one_list() -> None:
    async def twice() -> Response:
        return await ask(app(), body=ROW, content_type=CSV, accept="image/png", Accept="text/csv")

    assert asyncio.run(twice()).body == b"6.5\n"


def test_custom_attributes_come_back() -> None:
    answer = call(app(), body=ROW, x_amzn_sagemaker_custom_attributes="trace=7")
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"


@pytest.mark.parametrize("attributes", ["x" * 1025, "caf\xe9"])
def test_custom_attributes_outside_the_contract_are_refused(attributes: str) -> None:
    answer = call(app(), body=ROW, x_amzn_sagemaker_custom_attributes=attributes)
    assert "1024 visible ASCII characters" in answer.refused(400)


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/invocations", 405, "POST"),
        ("PUT", "/invocations", 405, "POST"),
        ("POST", "/ping", 405, "GET"),
        ("HEAD", "/ping", 405, "GET"),
        ("DELETE", "/execution-parameters", 405, "GET"),
        ("GET", "/", 404, None),
        ("POST", "/invocations/", 404, None),
        ("GET", "/models", 404, None),
        ("GET", "/%2e%2e/etc/passwd", 404, None),
    ],
)
def test_unknown_paths_and_methods_are_refused(method: str, path: str, status: int, allowed: str | None) -> None:
    answer = call(app(), method, path)
    answer.refused(status)
    assert answer.headers.get("allow") == allowed


def test_execution_parameters_advise_the_number_of_workers_within_what_the_service_allows() -> None:
    few, many = (call(app(workers=n), "GET", "/execution-parameters").json for n in (4, 96))
    assert few == {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
    assert many["MaxConcurrentTransforms"] * many["MaxPayloadInMB"] <= 100


def test_a_body_over_the_limit_is_refused_by_its_announced_length_and_by_what_arrives() -> None:
    small = app(payload_limit=20)
    assert "21 bytes; the limit is 20" in call(small, body=b"1" * 21, content_type=CSV).refused(413)
    assert "the limit is 20" in call(small, body=[b"1" * 15, b"1" * 15], content_type=CSV).refused(413)
    assert call(small, body=ROW, content_type=CSV).status == 200


def test_the_usual_limit_is_the_services() -> None:
    limit = 6_291_456
    assert call(app(), body=b"1" * (limit + 1), content_type=CSV).refused(413)
    fitting = b'{"instances": [{"features": [1, 2, 3]}]}'.ljust(limit)
    assert call(app(), body=fitting, content_type="application/json").status == 200


def test_a_compressed_body_is_refused() -> None:
    assert "gzip" in call(app(), body=ROW, content_encoding="gzip").refused(415)
    assert call(app(), body=ROW, content_encoding="identity").status == 200


@pytest.mark.parametrize("body", [b"", [], [b""], [b"", b""]])
def test_an_empty_body_is_refused(body: Any) -> None:
    assert "no body" in call(app(), body=body or [b""], content_type=CSV).refused(400)


def test_a_client_that_goes_away_is_forgotten() -> None:
    server = app(requests_in_flight=1)
    assert call(server, body=[b"1,2"], cut=True, content_type=CSV).status == 0
    assert call(server, body=ROW, content_type=CSV).status == 200


def test_a_failing_model_is_an_error_without_details_and_has_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = app()
    message = call(server, body=f"{FAIL},0,0".encode(), content_type=CSV).refused(500)
    assert "RuntimeError" in message
    assert "secret" not in message
    assert "secret detail" in caplog.text
    assert call(server, body=ROW, content_type=CSV).status == 200


def test_a_model_that_refuses_a_record_is_the_callers_matter(caplog: pytest.LogCaptureFixture) -> None:
    assert "knows no 667" in call(app(), body=f"{REFUSE},0,0".encode(), content_type=CSV).refused(400)
    assert not caplog.text


def test_long_messages_are_cut() -> None:
    call(app(), body=ROW, content_type="a" * 5000).refused(415)


@pytest.mark.parametrize("accept", ["text/csv", "application/jsonlines", "application/json"])
def test_answers_in_lines_end_a_line_in_batch_transform(accept: str) -> None:
    class Unended(TinyPredictor):
        def encode(self, answer: Any, accept: MediaType) -> bytes:
            return super().encode(answer, accept).rstrip()

    server = build(Unended(), settings(batch=True))
    body = call(server, body=ROW, content_type=CSV, accept=accept).body
    assert body.endswith(b"\n") == (accept != "application/json")


def rows(count: int) -> list[bytes]:
    return [",".join(str(at * WIDTH + column) for column in range(WIDTH)).encode() for at in range(count)]


def together(server: App, bodies: list[bytes], content_type: str = CSV) -> list[Response]:
    async def all_of_them() -> list[Response]:
        return await asyncio.gather(*(ask(server, body=body, content_type=content_type) for body in bodies))

    return asyncio.run(all_of_them())


def test_rows_asked_one_by_one_at_once_or_in_one_request_get_the_same_answers() -> None:
    bodies = rows(200)
    whole = call(app(), body=b"\n".join(bodies), content_type=CSV).json["predictions"]
    single = [call(app(), body=body, content_type=CSV).json["predictions"][0] for body in bodies[:20]]
    joint = [answer.json["predictions"][0] for answer in together(app(), bodies)]
    assert joint == whole
    assert single == whole[:20]


def test_requests_that_come_together_are_predicted_together() -> None:
    predictor = TinyPredictor()
    together(build(predictor, settings()), rows(200))
    assert len(predictor.batches) < 50
    assert sum(predictor.batches) == 200


def test_neighbors_of_a_bad_request_are_answered(caplog: pytest.LogCaptureFixture) -> None:
    bodies = [b"1,2,3", b"1,2", b"x,y,z", b"1,2,3", f"{FAIL},0,0".encode(), f"{REFUSE},0,0".encode(), b"1,2,3"]
    answers = together(app(), bodies)
    assert [answer.status for answer in answers] == [200, 400, 400, 200, 500, 400, 200]
    assert all(answer.json == {"predictions": [{"total": 6.0}]} for answer in answers if answer.status == 200)


BODIES = [
    b"1,2,3",
    b"4,5,6\n",
    b"7,8,9\r\n",
    b"1,2,3\n4,5,6",
    b"1e3,-2,.5",
    b"1,2",
    b"",
    b"\n",
    b"a,b,c",
    b"1,2,1e99",
    b'"1",2,3',
]


@given(st.lists(st.sampled_from(BODIES), min_size=2, max_size=8))
def test_requests_in_any_company_get_what_they_get_alone(bodies: list[bytes]) -> None:
    alone = {body: call(app(), body=body, content_type=CSV) for body in set(bodies)}
    assert together(app(), bodies) == [alone[body] for body in bodies]


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=2)
)
def test_numbers_are_read_together_as_they_are_read_alone(rows: list[list[float]]) -> None:
    bodies = [",".join(map(repr, row)).encode() for row in rows]
    joint = tabular.decode_together(bodies, MediaType(CSV))
    assert joint is not None
    alone = Records.join([tabular.decode(body, MediaType(CSV)) for body in bodies])
    np.testing.assert_array_equal(joint.dense(), alone.dense())


def test_a_predictor_that_reads_and_writes_its_own_way_does_so_in_company_too() -> None:
    class Own(TinyPredictor):
        def decode(self, body: bytes, content_type: MediaType) -> Records:
            return super().decode(body + b"0", content_type)

        def encode(self, answer: Any, accept: MediaType) -> bytes:
            return b"<" + super().encode(answer, accept) + b">"

    answers = together(build(Own(), settings()), [b"1,2,3", b"1,2,4"])
    assert [answer.body for answer in answers] == [
        b'<{"predictions":[{"total":33.0}]}>',
        b'<{"predictions":[{"total":43.0}]}>',
    ]


def test_neighbors_may_differ_in_types() -> None:
    async def mixed() -> tuple[Response, ...]:
        server = app()
        instance = b'{"instances": [{"features": [1, 2, 3]}]}'
        sparse = {"data": {"features": {"keys": [0, 2], "shape": [3], "values": [1, 5]}}}
        sparse_request = json.dumps({"instances": [sparse]}).encode()
        return await asyncio.gather(
            ask(server, body=b"1,2,3\n0,0,0", content_type=CSV, accept="text/csv"),
            ask(server, body=instance, content_type="application/json"),
            ask(server, body=b'{"instances": []}', content_type="application/json"),
            ask(server, body=sparse_request, content_type="application/json", accept="application/jsonlines"),
        )

    assert [answer.body for answer in asyncio.run(mixed())] == [
        b"6.0\n0.0\n",
        b'{"predictions":[{"total":6.0}]}',
        b'{"predictions":[]}',
        b'{"total":6.0}\n',
    ]


def test_above_capacity_requests_are_told_to_come_back_and_the_others_are_answered() -> None:
    server = app(requests_in_flight=3)
    answers = together(server, rows(10))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 7
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status == 503)
    assert "as many as it takes" in next(answer for answer in answers if answer.status == 503).refused(503)
    assert [answer.status for answer in together(server, rows(3))] == [200] * 3


def test_bodies_beyond_the_memory_for_requests_are_told_to_come_back() -> None:
    server = app(bytes_in_flight=20)
    statuses = [answer.status for answer in together(server, [ROW] * 4)]
    assert sorted(statuses) == [200, 200, 503, 503]
    assert call(server, body=[ROW, b"\n" * 20], content_type=CSV).status == 503
    assert [answer.status for answer in together(server, [ROW] * 2)] == [200, 200]


def test_a_long_prediction_holds_up_neither_health_checks_nor_other_requests() -> None:
    async def beside() -> tuple[bool, Response, Response, Response]:
        server = app()
        await ask(server, body=ROW, content_type=CSV)
        slow = asyncio.create_task(ask(server, body=f"{SLEEP},0.5,{'0' * 40}".encode(), content_type=CSV))
        await asyncio.sleep(0.05)
        ping = await ask(server, "GET", "/ping")
        other = await ask(server, body=ROW, content_type=CSV)
        return slow.done(), ping, other, await slow

    done, ping, other, slow = asyncio.run(beside())
    assert not done
    assert (ping.status, other.status, slow.status) == (200, 200, 200)


def test_a_large_request_is_answered_off_the_event_loop() -> None:
    many = b"\n".join([ROW] * 20_000)
    answers = together(app(), [many, ROW, many])
    assert [len(answer.json["predictions"]) for answer in answers] == [20_000, 1, 20_000]


def test_recordio_goes_in_and_out() -> None:
    protobuf = MediaType("application/x-recordio-protobuf")
    stream = io.BytesIO()
    tabular.write(stream, Records(np.array([[1, 2, 3.5]], np.float32)), protobuf)
    answer = call(app(), body=stream.getvalue(), content_type=protobuf.name, accept=protobuf.name)
    assert (answer.status, answer.headers["content-type"]) == (200, protobuf.name)
