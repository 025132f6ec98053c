"""Which types requests and answers have."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.container.negotiation import request_type, response_type
from clary.toolkit.errors import NotAcceptableError, UnsupportedMediaError, UserError

REQUESTS = ("text/csv", "application/json", "application/jsonlines")
ANSWERS = ("application/json", "application/jsonlines", "text/csv", "application/x-recordio-protobuf")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        (" text/csv ;label_size=1", "text/csv"),
        ("application/json; charset=utf-8", "application/json"),
        ("", "text/csv"),
        ("application/octet-stream", "text/csv"),
    ],
)
def test_a_request_type_is_found_in_any_capitals_and_missing_ones_are_the_first_declared(
    header: str, name: str
) -> None:
    assert request_type(header, REQUESTS).name == name


def test_a_request_type_keeps_its_parameters() -> None:
    assert request_type("text/csv; Label_Size = 1", REQUESTS).parameters == {"label_size": "1"}


@pytest.mark.parametrize(
    "header", ["csv", "text/x-libsvm", "text/*", "*/*", "text/csv,application/json", ";", "image/png"]
)
def test_an_unknown_request_type_is_refused_with_the_list_of_known_ones(header: str) -> None:
    if header == ";":
        assert request_type(header, REQUESTS).name == "text/csv"
        return
    with pytest.raises(UnsupportedMediaError, match="text/csv, application/json, application/jsonlines"):
        request_type(header, REQUESTS)


def test_octet_stream_is_itself_where_an_algorithm_declares_it() -> None:
    assert request_type("application/octet-stream", ("image/png", "application/octet-stream")).name.endswith("stream")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", "application/json"),
        (" , ", "application/json"),
        ("*/*", "application/json"),
        ("*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv"),
        ("Text/CSV", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("text/csv;q=0.5, application/jsonlines", "application/jsonlines"),
        ("image/png, text/csv;q=0.1", "text/csv"),
        ("*/*, text/csv", "text/csv"),
        ("*/*;q=0.9, text/csv;q=0.8", "application/json"),
        ("*/*, application/json;q=0", "application/jsonlines"),
        ("application/*;q=0, */*", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
    ],
)
def test_an_answer_has_the_type_that_the_client_likes_best(header: str, name: str) -> None:
    assert response_type(header, ANSWERS).name == name


def test_an_answer_type_keeps_its_parameters_but_not_its_quality() -> None:
    assert response_type("application/json; verbose=true; q=0.5", ANSWERS).parameters == {"verbose": "true"}


@pytest.mark.parametrize("header", ["image/png", "csv", "text/csv;q=0", "*/*;q=0", "application/json;q=0.0, image/*"])
def test_an_answer_that_cannot_be_given_is_refused_with_the_list_of_those_that_can(header: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/json, application/jsonlines, text/csv"):
        response_type(header, ANSWERS)


@pytest.mark.parametrize("header", ["text/csv;q=high", "text/csv;q=2", "text/csv;q=-1", "text/csv;q=nan", "*/*;q="])
def test_a_quality_that_is_no_number_from_0_to_1_is_refused(header: str) -> None:
    with pytest.raises(UserError, match="q must be a number from 0 to 1"):
        response_type(header, ANSWERS)


@given(st.text(max_size=60))
def test_any_header_gets_a_declared_type_or_a_refusal(header: str) -> None:
    for choose, types in ((request_type, REQUESTS), (response_type, ANSWERS)):
        with contextlib.suppress(UserError):
            assert choose(header, types).name in types


@given(
    st.lists(st.tuples(st.sampled_from(ANSWERS), st.integers(1, 9)), min_size=1, max_size=6, unique_by=lambda e: e[0])
)
def test_the_highest_quality_wins_and_the_first_of_equals(entries: list[tuple[str, int]]) -> None:
    header = ", ".join(f"{name};q=0.{quality}" for name, quality in entries)
    best = max(quality for _, quality in entries)
    assert response_type(header, ANSWERS).name == next(name for name, quality in entries if quality == best)
