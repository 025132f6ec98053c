"""Malformed requests: each one is refused with the reason, and the next good one is answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.container.app import App, build
from clary.container.layout import Layout
from clary.container.serve_settings import ServeSettings
from serving import tiny_program
from serving.asgi import call
from serving.program import Program
from serving.tiny_program import TinyPredictor

CSV, JSON, LINES, PROTOBUF = (
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-recordio-protobuf",
)
MAGIC = b"\x0a\x23\xd7\xce"

BODIES: list[tuple[str, bytes]] = [
    *(
        (CSV, body)
        for body in (
            b"1,2",
            b"1,2,3,4",
            b"a,b,c",
            b"1,2,",
            b",,",
            b"1,,3",
            b"1,2,3\n1,2",
            b"1,2,3\n1,2,x",
            b"1;2;3",
            b"1 2 3",
            b"1,2,nan",
            b"1,2,inf",
            b"1,2,1e99",
            b'"1,2,3',
            b"\n\n\n",
            b"   ",
            b"\x00\x01\x02",
            b"\xff\xfe1,2,3",
            b"1,2,3\x00",
            b"x" * 5000,
            b"one,two,three\n1,2,3",
            b"0x1,2,3",
            b"1_0,2,3",
            b"--1,2,3",
        )
    ),
    *(
        (JSON, body)
        for body in (
            b"{",
            b"[]",
            b"null",
            b"7",
            b'"text"',
            b"{}",
            b'{"instances": 7}',
            b'{"instances": {}}',
            b'{"instances": [7]}',
            b'{"instances": [{}]}',
            b'{"instances": [{"features": []}]}',
            b'{"instances": [{"features": [1, 2]}]}',
            b'{"instances": [{"features": [1, 2, "x"]}]}',
            b'{"instances": [{"features": [1, 2, null]}]}',
            b'{"instances": [{"features": [1, 2, true]}]}',
            b'{"instances": [{"features": [1, 2, [3]]}]}',
            b'{"instances": [{"features": [1, 2, 1e99]}]}',
            b'{"instances": [{"features": [1, 2, NaN]}]}',
            b'{"instances": [{"features": "1,2,3"}]}',
            b'{"instances": [{"features": [1, 2, 3]}, {"features": [1, 2]}]}',
            b'{"instances": [{"data": 7}]}',
            b'{"instances": [{"data": {"features": {"values": 7}}}]}',
            b'{"instances": [{"data": {"features": {"keys": [0], "values": [1, 2], "shape": [3]}}}]}',
            b'{"instances": [{"data": {"features": {"keys": [3], "values": [1], "shape": [3]}}}]}',
            b'{"instances": [{"data": {"features": {"keys": [-1], "values": [1], "shape": [3]}}}]}',
            b'{"instances": [{"data": {"features": {"keys": [0], "values": [1], "shape": [9]}}}]}',
            b'{"instances": [{"features": [1, 2, 3]}',
            b'{"instances": [{"features": [1, 2, 3]}]} tail',
            b"\xff\xfe",
            b"[" * 5000,
        )
    ),
    *(
        (LINES, body)
        for body in (
            b"{",
            b"7",
            b"[1, 2, 3]",
            b'{"features": [1, 2]}',
            b'{"features": [1, 2, 3]}\n{"features": [1, 2]}',
            b'{"features": [1, 2, 3]}\nx',
            b'{"features": [1, 2, 3]} {"features": [1, 2, 3]}',
        )
    ),
    *(
        (PROTOBUF, body)
        for body in (
            b"1,2,3",
            MAGIC,
            MAGIC + b"\x04\x00\x00\x00",
            MAGIC + b"\xff\xff\xff\x1f" + b"x" * 8,
            MAGIC + b"\x00\x00\x00\x00",
            b"\x0b\x23\xd7\xce\x04\x00\x00\x00abcd",
            b"\xff" * 64,
        )
    ),
]

HEADERS: list[tuple[int, dict[str, str]]] = [
    (415, {"content_type": "text/xml"}),
    (415, {"content_type": "csv"}),
    (415, {"content_type": "text/csv, application/json"}),
    (415, {"content_type": "image/png; q=1"}),
    (400, {"content_type": "text/csv; label_size=x"}),
    (400, {"content_type": "text/csv; label_size=-1"}),
    (400, {"content_type": "text/csv; label_size=3"}),
    (406, {"content_type": CSV, "accept": "image/png"}),
    (406, {"content_type": CSV, "accept": "text/csv;q=0"}),
    (400, {"content_type": CSV, "accept": "text/csv;q=x"}),
    (415, {"content_type": CSV, "content_encoding": "br"}),
    (400, {"content_type": CSV, "x_amzn_sagemaker_custom_attributes": "\xff"}),
]

RAW = {
    "no HTTP at all": b"hello\r\n\r\n",
    "no version": b"POST /invocations\r\n\r\n",
    "a broken header": b"POST /invocations HTTP/1.1\r\nno colon\r\n\r\n",
    "a length that is no number": b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "a negative length": b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    "a broken chunk": b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a path in bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method of its own": b"FETCH /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "an end within the body": b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n1,2",
    "an end within the headers": b"POST /invocations HTTP/1.1\r\nHos",
    "binary noise": bytes(range(256)) * 4,
}


def fresh() -> App:
    return build(TinyPredictor(), ServeSettings(layout=Layout()))


@pytest.mark.parametrize(("content_type", "body"), BODIES)
def test_a_body_that_cannot_be_read_is_refused_and_the_next_is_answered(content_type: str, body: bytes) -> None:
    server = fresh()
    call(server, body=body, content_type=content_type).refused(400)
    assert call(server, body=b"1,2,3", content_type=CSV).json == {"predictions": [{"total": 6.0}]}


@pytest.mark.parametrize(("status", "headers"), HEADERS)
def test_headers_that_cannot_be_served_are_refused(status: int, headers: dict[str, str]) -> None:
    server = fresh()
    call(server, body=b"1,2,3", **headers).refused(status)
    assert call(server, body=b"1,2,3", content_type=CSV).status == 200


@given(st.binary(min_size=1, max_size=200), st.sampled_from([CSV, JSON, LINES, PROTOBUF]))
def test_noise_is_refused_or_answered_and_never_an_error_of_the_server(body: bytes, content_type: str) -> None:
    answer = call(fresh(), body=body, content_type=content_type)
    assert answer.status == 200 or answer.refused(400)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    root = tmp_path_factory.mktemp("malformed")
    tiny_program.write(root / "model")
    with Program(root, "--workers", "1", "--host", "127.0.0.1") as running:
        yield running.ready()


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_request_harms_nobody(program: Program, name: str) -> None:
    with socket.create_connection(("127.0.0.1", program.port), timeout=5) as connection:
        connection.sendall(RAW[name])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert not answer.startswith(b"HTTP/1.1 5")
    assert program.invoke(b"1,2,3").json == {"predictions": [{"total": 6.0}]}
    assert "Traceback" not in program.text()
