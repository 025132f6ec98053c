"""An endpoint answers every declared type, the same for the same records, and outlives every bad request."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from clary.algorithms import registry
from clary.toolkit import media, tabular
from clary.toolkit.artifact import MANIFEST
from clary.toolkit.records import Floats, Records
from clary.toolkit.spec import AlgorithmSpec
from exam import damage, material
from exam.asking import ask, close, first, of_numbers, several, telling
from exam.endpoint import Endpoint, rows
from exam.room import Outcome

BAD_JSON = (
    b"",
    b"[]",
    b"null",
    b"{}",
    b'{"instances": {}}',
    b'{"instances": [7]}',
    b'{"instances": [{}]}',
    b'{"instances": [{"features": "many"}]}',
    b'{"instances": [{"features": [null]}]}',
    b'{"instances": [{"features": [[1]]}]}',
    b'{"instances": [{"features": ["1"]}]}',
    b'{"instances": [{"features": []}]}',
    b'{"instances": [{"features": [1]}',
    b'{"instances": [{"features": [NaN]}]}',
    b'{"instances": [{"features": [1e999]}]}',
    b'{"instances": [{"data": {"features": {"keys": [0], "values": [1, 2], "shape": [4]}}}]}',
    b'{"instances": [{"data": {"features": {"keys": [9], "values": [1], "shape": [4]}}}]}',
    b'{"instances": [{"data": {"features": {"keys": [-1], "values": [1], "shape": [4]}}}]}',
    b'{"instances": [{"data": {"features": {"keys": [0], "values": [1]}}}]}',
    b"[" * 5000,
)


# What it answers


def test_each_request_type_is_answered_in_each_answer_type(
    endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str, answer_type: str
) -> None:
    expected = rows(algorithm, ask(endpoint, algorithm, first(algorithm), several(algorithm), telling(algorithm)))
    answer = ask(endpoint, algorithm, request_type, several(algorithm), answer_type)
    assert answer.content_type == answer_type
    assert len(expected) == len(several(algorithm))
    assert close(rows(algorithm, answer, expected[0]), expected)


def test_a_short_name_stands_for_its_type(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    for short, name in algorithm.payloads.aliases.items():
        body = material.body(algorithm, name, several(algorithm))
        answer = endpoint.invoke(body, short)
        assert answer.status == 200, (short, answer.body)
        assert answer.body == endpoint.invoke(body, name).body


def test_answers_carry_the_declared_fields(endpoint: Endpoint, algorithm: AlgorithmSpec, answer_type: str) -> None:
    (named, *_) = rows(algorithm, ask(endpoint, algorithm, first(algorithm), several(algorithm), telling(algorithm)))
    answer = ask(endpoint, algorithm, first(algorithm), several(algorithm), answer_type)
    for record in rows(algorithm, answer, named):
        for field in algorithm.payloads.fields:
            assert field.optional or field.name in record
            assert field.shape == "vector" or len(record.get(field.name, [0.0])) == 1
        assert set(record) <= {field.name for field in algorithm.payloads.fields}
        assert np.isfinite([number for values in record.values() for number in values]).all()


def test_no_accept_header_means_the_first_declared_type(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    for accept in (None, "*/*", "application/*;q=0.1, */*", "text/html, */*;q=0.5"):
        answer = ask(endpoint, algorithm, first(algorithm), several(algorithm), accept)
        assert answer.status == 200
        assert answer.content_type in algorithm.payloads.responses
    assert (
        ask(endpoint, algorithm, first(algorithm), several(algorithm)).content_type == algorithm.payloads.responses[0]
    )


def test_types_are_compared_without_case_and_parameters(
    endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str
) -> None:
    body = material.body(algorithm, request_type, several(algorithm))
    accept = f"{algorithm.payloads.responses[0].upper()}; charset=utf-8"
    answer = endpoint.invoke(body, f"{request_type.upper()}; charset=utf-8", accept)
    assert answer.status == 200, answer.body
    assert answer.body == endpoint.invoke(body, request_type, algorithm.payloads.responses[0]).body


def test_many_records_at_once_are_answered_as_each_alone(
    endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str
) -> None:
    if len(several(algorithm)) == 1:
        pytest.skip(f"a request of {algorithm.title} holds one record")
    together = rows(algorithm, ask(endpoint, algorithm, request_type, several(algorithm)))
    alone = [rows(algorithm, ask(endpoint, algorithm, request_type, range(n, n + 1)))[0] for n in several(algorithm)]
    assert close(together, alone)


def test_the_order_of_records_is_kept_and_has_no_effect(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    kind = first(algorithm)
    if registry.example(algorithm.name).at_once < 40:
        pytest.skip(f"a request of {algorithm.title} holds few records")
    whole = rows(algorithm, ask(endpoint, algorithm, kind, range(40)))
    parts = [rows(algorithm, ask(endpoint, algorithm, kind, range(n, n + 8))) for n in (32, 24, 16, 8, 0)]
    assert close([record for part in reversed(parts) for record in part], whole)


def test_the_same_request_has_the_same_answer(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    assert len({ask(endpoint, algorithm, first(algorithm), several(algorithm)).body for _ in range(3)}) == 1


def test_callers_at_once_get_their_own_answers(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    most = len(several(algorithm))
    ranges = [range(n, n + 1 + n % min(3, most)) for n in range(24)]
    kind = first(algorithm)
    expected = [rows(algorithm, ask(endpoint, algorithm, kind, numbers)) for numbers in ranges]
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda numbers: ask(endpoint, algorithm, kind, numbers), ranges * 3))
    for answer, wanted in zip(answers, expected * 3, strict=True):
        assert close(rows(algorithm, answer), wanted)


@pytest.mark.only_if(media.JSON)
def test_sparse_instances_are_answered_as_dense_ones(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    of_numbers(algorithm)
    dense = json.loads(material.body(algorithm, media.JSON, several(algorithm)))["instances"]
    forms = [
        _sparse(each["features"]) if number % 2 else _long(each["features"]) for number, each in enumerate(dense)
    ]
    answer = endpoint.invoke(json.dumps({"instances": forms}).encode(), media.JSON)
    assert close(rows(algorithm, answer), rows(algorithm, ask(endpoint, algorithm, media.JSON, several(algorithm))))


def _long(features: Sequence[float]) -> dict[str, object]:
    return {"data": {"features": {"values": features}}, "configuration": {}, "id": "extra members do no harm"}


def _sparse(features: Sequence[float]) -> dict[str, object]:
    keys = [place for place, value in enumerate(features) if value]
    values = [features[place] for place in keys]
    return {"data": {"features": {"keys": keys, "shape": [len(features)], "values": values}}}


@pytest.mark.only_if("missing")
def test_missing_values_are_answered_alike_in_every_request_type(
    endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str
) -> None:
    of_numbers(algorithm)
    body = material.body(algorithm, request_type, several(algorithm), holes=True)
    asked = [first(algorithm), request_type]
    bodies = [material.body(algorithm, kind, several(algorithm), holes=True) for kind in asked]
    expected, found = [rows(algorithm, endpoint.invoke(*each)) for each in zip(bodies, asked, strict=True)]
    assert len(found) == len(several(algorithm))
    assert close(found, expected)
    assert not close(found, rows(algorithm, ask(endpoint, algorithm, request_type, several(algorithm)))), body


@pytest.mark.only_if("missing", media.CSV)
def test_an_empty_cell_of_a_request_is_nan(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    text = material.body(algorithm, media.CSV, several(algorithm), holes=True).decode()
    lines = [[cell or "nan" for cell in line.split(",")] for line in text.splitlines()]
    spelled = "".join(",".join(cells) + "\n" for cells in lines)
    assert spelled != text
    assert endpoint.invoke(spelled.encode(), media.CSV).body == endpoint.invoke(text.encode(), media.CSV).body


def test_execution_parameters_are_those_of_the_contract(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    answer = endpoint.ask("GET", "/execution-parameters")
    assert answer.status == 200
    found = json.loads(answer.body)
    assert found["MaxConcurrentTransforms"] >= 1
    assert found["BatchStrategy"] in ("MULTI_RECORD", "SINGLE_RECORD")
    assert found["MaxPayloadInMB"] == 6


# What it refuses; after each refusal it still answers.


@pytest.fixture
def still_answers(endpoint: Endpoint, algorithm: AlgorithmSpec) -> Iterator[None]:
    before = ask(endpoint, algorithm, first(algorithm), several(algorithm)).body
    yield
    assert endpoint.ask("GET", "/ping").status == 200
    assert ask(endpoint, algorithm, first(algorithm), several(algorithm)).body == before


@pytest.mark.usefixtures("still_answers")
def test_a_bad_body_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str) -> None:
    whole = material.body(algorithm, request_type, several(algorithm))
    for body in damage.bodies(request_type, whole):
        answer = endpoint.invoke(body, request_type)
        assert answer.status == 400, (body[:40], answer)
        assert answer.problem


@pytest.mark.only_if(media.JSON)
@pytest.mark.usefixtures("still_answers")
@pytest.mark.parametrize("body", BAD_JSON, ids=lambda body: body[:60].decode())
def test_bad_json_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec, body: bytes) -> None:
    answer = endpoint.invoke(body, media.JSON)
    assert answer.status == 400, answer
    assert answer.problem


def refusal_of_cell(endpoint: Endpoint, algorithm: AlgorithmSpec, text: str) -> str:
    """The refusal of a CSV request whose second row has this text in its second cell."""
    of_numbers(algorithm)
    lines = material.body(algorithm, media.CSV, several(algorithm)).decode().splitlines()
    cells = lines[1].split(",")
    body = "\n".join([lines[0], ",".join([cells[0], text, *cells[2:]]), *lines[2:]])
    answer = endpoint.invoke(body.encode(), media.CSV)
    assert answer.status == 400
    return answer.problem


@pytest.mark.unless("missing")
@pytest.mark.only_if(media.CSV)
@pytest.mark.usefixtures("still_answers")
@pytest.mark.parametrize("text", ["", "nan"])
def test_a_missing_value_of_a_request_is_refused_with_its_place(
    endpoint: Endpoint, algorithm: AlgorithmSpec, text: str
) -> None:
    assert "row 2, column 2" in refusal_of_cell(endpoint, algorithm, text)


@pytest.mark.only_if(media.CSV)
@pytest.mark.usefixtures("still_answers")
@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999", "many"])
def test_a_cell_that_is_no_finite_number_is_refused_with_its_place(
    endpoint: Endpoint, algorithm: AlgorithmSpec, text: str
) -> None:
    assert "row 2, column 2" in refusal_of_cell(endpoint, algorithm, text)


@pytest.mark.usefixtures("still_answers")
def test_records_of_another_width_are_refused_with_both_sizes(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    of_numbers(algorithm)
    width = material.rows(algorithm.name, material.channels(algorithm)[0]).width
    for kind in algorithm.payloads.requests:
        # Where values may be left out, those at the end of a row may.
        may_lack = algorithm.capabilities.missing or kind == media.LIBSVM
        for wrong in (width + 1,) if may_lack else (width + 1, width - 1, 1):
            answer = endpoint.invoke(material.request(algorithm, Records(_halves(wrong)), kind), kind)
            assert answer.status == 400, kind
            assert f"{wrong} feature" in answer.problem
            assert str(width) in answer.problem


def _halves(width: int) -> Floats:
    return np.full((1, width), 0.5, np.float32)


@pytest.mark.usefixtures("still_answers")
def test_an_empty_body_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str) -> None:
    assert endpoint.invoke(b"", request_type).status == 400


@pytest.mark.usefixtures("still_answers")
def test_a_request_of_an_unread_type_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    read = {*algorithm.payloads.requests, *algorithm.payloads.aliases}
    kinds = ("application/pdf", "text/csvv", "a/b/c", "?", *tabular.TYPES, *tabular.ALIASES)
    for kind in (kind for kind in kinds if kind not in read):
        answer = endpoint.invoke(b"1,2,3", kind)
        assert answer.status == 415, kind
        assert first(algorithm) in answer.problem


@pytest.mark.usefixtures("still_answers")
def test_an_unwritten_answer_type_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    for accept in ("application/pdf", "image/*", "*/*;q=0", "text/html, image/png"):
        answer = ask(endpoint, algorithm, first(algorithm), several(algorithm), accept)
        assert answer.status == 406, accept
        assert algorithm.payloads.responses[0] in answer.problem


@pytest.mark.usefixtures("still_answers")
def test_an_option_that_means_nothing_is_refused_by_name(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    for option in algorithm.payloads.options:
        accept = f"{telling(algorithm)}; {option.name}=no-such-value"
        answer = ask(endpoint, algorithm, first(algorithm), several(algorithm), accept)
        assert answer.status == 400, option.name
        assert option.name in answer.problem


@pytest.mark.usefixtures("still_answers")
def test_a_body_over_the_limit_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec, request_type: str) -> None:
    answer = endpoint.invoke(b"1" * (6 * 2**20 + 1), request_type)
    assert answer.status == 413
    assert str(6 * 2**20) in answer.problem


@pytest.mark.usefixtures("still_answers")
def test_an_unknown_path_or_method_is_refused(endpoint: Endpoint, algorithm: AlgorithmSpec) -> None:
    assert endpoint.ask("GET", "/nothing").status == 404
    assert endpoint.ask("GET", "/invocations").status == 405
    assert endpoint.ask("POST", "/ping").status == 405


# Start and end


def test_ping_is_healthy_only_when_the_model_is_loaded(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    with Endpoint(trained.layout.root, algorithm.name) as endpoint:
        endpoint.listening()
        while (answer := endpoint.ask("GET", "/ping")).status != 200:
            assert answer.status == 503
        assert ask(endpoint, algorithm, first(algorithm), several(algorithm)).status == 200


def test_the_model_names_its_algorithm(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    with Endpoint(trained.layout.root, "") as endpoint:
        assert ask(endpoint.healthy(), algorithm, first(algorithm), several(algorithm)).status == 200


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_a_server_without_a_sound_model_never_becomes_healthy(
    trained: Outcome, algorithm: AlgorithmSpec, tmp_path: Path, damage: str
) -> None:
    model = tmp_path / "ml" / "model"
    shutil.copytree(trained.layout.model, model)
    manifest = model / MANIFEST
    if damage == "missing":
        shutil.rmtree(model)
        model.mkdir()
    else:
        text = manifest.read_text()
        manifest.write_text(text[:40] if damage == "cut" else text.replace(algorithm.name, "no_such_algorithm"))
    with Endpoint(tmp_path / "ml", algorithm.name) as endpoint:
        assert endpoint.process.wait(20) == 1
        assert "ClientError: " in endpoint.log()
        assert "Traceback" not in endpoint.log()


def test_a_stop_signal_ends_the_server_with_status_0(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    with Endpoint(trained.layout.root, algorithm.name) as endpoint:
        endpoint.healthy()
        endpoint.process.terminate()
        assert endpoint.process.wait(20) == 0
