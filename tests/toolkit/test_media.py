"""Media types are compared without case, and their parameters are kept."""

from __future__ import annotations

import pytest

from clary.toolkit.media import MediaType


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("text/csv", "text/csv", {}),
        ("TEXT/CSV", "text/csv", {}),
        ("text/csv;label_size=0", "text/csv", {"label_size": "0"}),
        ("text/csv; label_size = 0 ;", "text/csv", {"label_size": "0"}),
        (' text/csv ; Label_Size="1"', "text/csv", {"label_size": "1"}),
        ("application/x-recordio; label-format=class-id", "application/x-recordio", {"label-format": "class-id"}),
        ("application/json;verbose=True;a=b", "application/json", {"verbose": "True", "a": "b"}),
        ("text/csv;flag", "text/csv", {"flag": ""}),
        ("", "", {}),
    ],
)
def test_a_media_type_is_read(text: str, name: str, parameters: dict[str, str]) -> None:
    found = MediaType.parse(text)
    assert (found.name, found.parameters) == (name, parameters)


def test_a_media_type_is_written_and_read_back() -> None:
    found = MediaType("text/csv", {"label_size": "0", "a": "b"})
    assert str(found) == "text/csv; label_size=0; a=b"
    assert MediaType.parse(str(found)) == found
