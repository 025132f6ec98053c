"""MXNet's array files: the published bytes, every version, and damage refused without allocating."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import DataError, UserError

PUBLISHED = bytes.fromhex(
    "1201000000000000 0000000000000000 0100000000000000 C9FA93F9 00000000 01000000 0200000000000000"
    "01000000 00000000 00000000 0000803F 00000040 0100000000000000 0500000000000000 6172673A77"
)
DTYPES = st.sampled_from([np.float32, np.float64, np.float16, np.uint8, np.int32, np.int8, np.int64, np.bool_])


def listed(*parts: bytes, count: int = 1, names: bytes = struct.pack("<Q", 0)) -> bytes:
    return struct.pack("<QQQ", 0x112, 0, count) + b"".join(parts) + names


def vector(*values: float) -> bytes:
    return struct.pack(f"<iii{len(values)}f", 1, 0, 0, *values)


def test_the_published_file_is_written_and_read() -> None:
    assert mxnet_ndarray.encode({"arg:w": np.array([1, 2], np.float32)}) == PUBLISHED
    found = mxnet_ndarray.decode(PUBLISHED)
    assert list(found) == ["arg:w"]
    assert found["arg:w"].dtype == np.float32
    assert found["arg:w"].tolist() == [1, 2]


@given(
    st.dictionaries(
        st.text(max_size=4),
        DTYPES.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(max_dims=3, max_side=3))),
        max_size=3,
    ),
    st.booleans(),
)
def test_what_is_written_is_read_back(given_arrays: dict[str, np.ndarray], named: bool) -> None:
    body = mxnet_ndarray.encode(given_arrays if named else list(given_arrays.values()))
    found = mxnet_ndarray.decode(body)
    assert list(found) == (list(given_arrays) if named else [str(at) for at in range(len(given_arrays))])
    for one, other in zip(found.values(), given_arrays.values(), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "array",
    [
        struct.pack("<II", 1, 2) + vector(1, 2),
        struct.pack("<IIq", 0xF993FAC8, 1, 2) + vector(1, 2),
        struct.pack("<IiIq", 0xF993FAC9, 0, 1, 2) + vector(1, 2),
        struct.pack("<Iiiq", 0xF993FACA, 0, 1, 2) + vector(1, 2),
        struct.pack("<II", 1, 2) + struct.pack("<iii", 2, 3, 12) + bytes.fromhex("803F 0040"),
    ],
)
def test_every_version_is_read(array: bytes) -> None:
    assert mxnet_ndarray.decode(listed(array))["0"].tolist() == [1, 2]


def test_scalars_of_version_3_have_data_and_those_of_version_2_have_none() -> None:
    assert mxnet_ndarray.decode(listed(struct.pack("<Iii", 0xF993FACA, 0, 0) + vector(5)))["0"].tolist() == 5
    assert mxnet_ndarray.decode(listed(struct.pack("<IiI", 0xF993FAC9, 0, 0)))["0"].size == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cut short"),
        (b"PK\x03\x04" + bytes(40), "no MXNet array file"),
        (PUBLISHED[:-1], "cut short"),
        (PUBLISHED[:60], "cut short"),
        (PUBLISHED[:30], "cut short"),
        (listed(count=2**40), "claims 1099511627776 arrays"),
        (listed(struct.pack("<IiI", 0xF993FAC9, 0, 500)), "500 dimensions"),
        (listed(struct.pack("<Iiiq", 0xF993FACA, 0, 1, -1) + vector(1)), "shape [-1]"),
        (listed(struct.pack("<IiIq", 0xF993FAC9, 0, 1, 2**60) + vector(1)), "shape [1152921504606846976]"),
        (listed(struct.pack("<IiIqq", 0xF993FAC9, 0, 2, 0, 2**62) + vector()), "shape [0, "),
        (listed(struct.pack("<IiIq", 0xF993FAC9, 0, 1, 30) + vector(1)), "120 bytes are due"),
        (listed(struct.pack("<Ii", 0xF993FAC9, 1) + bytes(99)), "row-sparse"),
        (listed(struct.pack("<Ii", 0xF993FAC9, 2) + bytes(99)), "CSR"),
        (listed(struct.pack("<IIiii", 1, 1, 1, 0, 99) + bytes(9)), "type 99"),
        (PUBLISHED[:-21] + struct.pack("<Q", 7), "1 arrays and 7 names"),
        (PUBLISHED[:-13] + struct.pack("<Q", 2**50), "cut short"),
        (PUBLISHED[:-1] + b"\xff", "not UTF-8"),
    ],
)
def test_damage_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(DataError) as found:
        mxnet_ndarray.decode(body, source="model_algo-1")
    assert reason in found.value.reason
    assert found.value.source == "model_algo-1"


@given(st.binary(max_size=80), st.integers(0, len(PUBLISHED) - 1), st.integers(0, 255))
def test_random_bytes_are_read_or_refused(body: bytes, at: int, byte: int) -> None:
    for attempt in (body, PUBLISHED[:24] + body, PUBLISHED[:at] + bytes([byte]) + PUBLISHED[at + 1 :]):
        try:
            mxnet_ndarray.decode(attempt)
        except UserError:
            continue


def test_other_types_are_not_written() -> None:
    with pytest.raises(TypeError, match="complex128"):
        mxnet_ndarray.encode([np.array([1j])])
