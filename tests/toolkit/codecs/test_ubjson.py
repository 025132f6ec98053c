"""A whole document is told from a part of one, whatever it holds."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.codecs import ubjson
from clary.toolkit.errors import DataError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def length(count: int) -> bytes:
    return b"L" + struct.pack(">q", count)


def name(text: str) -> bytes:
    return length(len(text.encode())) + text.encode()


def spelled(value: Any, *, counted: bool) -> bytes:
    """The document; containers say how many members they have, or end with a mark."""
    if value is None:
        return b"Z"
    if isinstance(value, bool):
        return b"T" if value else b"F"
    if isinstance(value, int):
        return b"U" + bytes([value]) if 0 <= value < 256 else b"L" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"S" + name(value)
    if isinstance(value, dict):
        members = [name(key) + spelled(each, counted=counted) for key, each in value.items()]
        first, last = b"{", b"}"
    else:
        members = [spelled(each, counted=counted) for each in value]
        first, last = b"[", b"]"
    inside = b"".join(members)
    return first + b"#" + length(len(members)) + inside if counted else first + inside + last


@given(VALUES, st.booleans())
def test_a_whole_document_passes_and_no_part_of_it_does(value: Any, counted: bool) -> None:
    whole = spelled(value, counted=counted)
    ubjson.check(whole)
    for end in range(len(whole)):
        with pytest.raises(DataError):
            ubjson.check(whole[:end])
    with pytest.raises(DataError, match="something follows the document"):
        ubjson.check(whole + b"Z")


@pytest.mark.parametrize(("kind", "size"), [(b"d", 4), (b"l", 4), (b"L", 8), (b"U", 1), (b"Z", 0)])
def test_arrays_of_one_kind_are_as_long_as_they_say(kind: bytes, size: int) -> None:
    whole = b"[$" + kind + b"#" + length(1000) + bytes(1000 * size)
    ubjson.check(whole)
    if size:
        with pytest.raises(DataError, match="ends early"):
            ubjson.check(whole[:-1])


def test_objects_of_one_kind_have_names() -> None:
    ubjson.check(b"{$U#U\x02" + name("a") + b"\x01" + name("b") + b"\x02")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the content ends early at byte 0"),
        (b"X", "b'X' is no kind of value at byte 1"),
        (b"SX", "b'X' is no kind of length"),
        (b"S" + length(-1), "ends early"),
        (b"[#" + length(-1), "ends early"),
        (b"[#" + length(2**62), "ends early"),
        (b"[$d#" + length(2**62), "ends early"),
        (b"[$d", "ends early"),
        (b"[$dd", "a kind without a count"),
        (b"[" * 200, "more than 100 deep"),
        (b"[$[#" * 200, "ends early|deep|no kind"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=rf"model: not whole UBJSON: .*({reason})"):
        ubjson.check(content, source="model")


@given(st.binary(max_size=60) | st.lists(st.sampled_from(list(b"[]{}$#LUSZdi\x00\x01")), max_size=30).map(bytes))
def test_any_bytes_pass_or_are_refused(content: bytes) -> None:
    with contextlib.suppress(DataError):
        ubjson.check(content)
