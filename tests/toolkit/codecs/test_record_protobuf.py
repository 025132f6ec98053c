"""RecordIO-protobuf: the published message, every spelling of a tensor, and refusals that name the record."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from clary.toolkit.codecs import record_blocks, record_message, record_protobuf, recordio
from clary.toolkit.errors import DataError, UserError
from clary.toolkit.records import Floats, Records

PUBLISHED = bytes.fromhex(
    "0A16 0A0676616C756573 120C 120A 0A08 0000803F 00000040 1212 0A0676616C756573 1208 1206 0A04 00004040"
)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
# A number whose four bytes are the magic, so that its record must be split.
MAGIC_NUMBER = np.frombuffer(recordio.MAGIC, "<f4")[0]
CELLS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 5)),
    elements=st.one_of(FINITE, st.just(float(MAGIC_NUMBER))),
)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def packed(values: list[int]) -> bytes:
    return b"".join(varint(value & (1 << 64) - 1) for value in values)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def doubles(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def entry(tensor: bytes, *, kind: int = 2, name: bytes = b"values") -> bytes:
    return field(1, name) + field(2, field(kind, tensor))


def record(tensor: bytes, *, kind: int = 2, label: bytes = b"") -> bytes:
    return field(1, entry(tensor, kind=kind)) + label


def framed(*payloads: bytes) -> bytes:
    return b"".join(recordio.frame(payload) for payload in payloads)


def parts(body: bytes, *, size: int = 1 << 20, missing: bool = False) -> list[Records]:
    return list(record_protobuf.read(io.BytesIO(body), source="a.pbr", size=size, missing=missing))


def read(body: bytes, *, size: int = 1 << 20, missing: bool = False) -> Records:
    return Records.join(parts(body, size=size, missing=missing))


def written(records: Records) -> bytes:
    stream = io.BytesIO()
    record_protobuf.write(stream, records)
    return stream.getvalue()


def bits(values: Floats) -> list[int]:
    found: list[int] = np.ascontiguousarray(values).view(np.uint32).ravel().tolist()
    return found


def test_the_published_message_is_written_and_read() -> None:
    rows = Records(np.array([[1, 2]], np.float32), np.array([[3]], np.float32))
    assert written(rows) == framed(PUBLISHED)
    for body in (PUBLISHED, framed(PUBLISHED)):
        found = record_protobuf.decode(body)
        assert found.dense().tolist() == [[1, 2]]
        assert found.labels is not None
        assert found.labels.tolist() == [[3]]


@given(CELLS, st.integers(0, 2), st.integers(1, 300))
def test_dense_records_are_read_back_bit_for_bit(cells: Floats, label_size: int, size: int) -> None:
    labels = np.tile(cells[:, :1], (1, label_size)) if label_size else None
    body = written(Records(cells, labels))
    for found in (read(body, size=size), read(body), record_protobuf.decode(body)):
        assert bits(found.dense()) == bits(cells)
        assert found.dense().flags.c_contiguous
        assert found.dense().flags.writeable
        assert (found.labels is None) == (labels is None)
        if found.labels is not None and labels is not None:
            assert bits(found.labels) == bits(labels)


@given(CELLS, st.integers(1, 300))
def test_sparse_records_are_read_back(cells: Floats, size: int) -> None:
    sparse = csr_matrix(np.where(np.abs(cells) > 1, cells, 0))
    body = written(Records(sparse, cells[:, :1].copy()))
    for found in (read(body, size=size), record_protobuf.decode(body)):
        assert found.sparse
        assert isinstance(found.features, csr_matrix)
        assert found.features.dtype == np.float32
        np.testing.assert_array_equal(found.dense(), sparse.toarray())
        assert found.labels is not None
        assert bits(found.labels) == bits(cells[:, :1])


def test_row_numbers_go_on_through_the_parts() -> None:
    body = written(Records(np.ones((100, 3), np.float32)))
    found = parts(body, size=200)
    assert len(found) > 5
    assert [part.first_row for part in found] == list(np.cumsum([1, *map(len, found[:-1])]))


@pytest.mark.parametrize(
    "tensor",
    [
        field(1, floats(1, 2, 3)),
        b"".join(b"\x0d" + floats(value) for value in (1, 2, 3)),
        field(1, floats(1)) + field(1, floats(2, 3)),
        field(1, floats(1)) + b"\x0d" + floats(2) + field(1, floats(3)),
        field(3, packed([3])) + field(1, floats(1, 2, 3)),
        field(1, floats(1, 2, 3)) + field(3, packed([1, 3])),
        field(1, floats(1, 2, 3)) + b"\x18\x03",
        field(9, b"unknown") + field(1, floats(1, 2, 3)) + b"\x60\x05" + b"\x65abcd" + b"\x61abcdefgh",
    ],
)
def test_every_spelling_of_a_dense_tensor(tensor: bytes) -> None:
    assert read(framed(record(tensor), record(tensor))).dense().tolist() == [[1, 2, 3]] * 2


@pytest.mark.parametrize(
    "tensor",
    [
        field(1, floats(5, 7)) + field(2, packed([1, 300])) + field(3, packed([1000])),
        field(3, packed([1000])) + field(2, packed([1, 300])) + field(1, floats(5, 7)),
        field(2, packed([300, 1])) + field(1, floats(7, 5)) + field(3, packed([1000])),
        b"\x10\x01\x10\xac\x02" + field(1, floats(5, 7)) + b"\x18\xe8\x07",
        field(2, packed([1])) + field(1, floats(5, 7)) + field(2, packed([300])) + field(3, packed([10, 100])),
    ],
)
def test_every_spelling_of_a_sparse_tensor(tensor: bytes) -> None:
    found = read(framed(record(tensor)))
    assert found.sparse
    assert found.width == 1000
    dense = found.dense()[0]
    assert {int(at): float(dense[at]) for at in np.flatnonzero(dense)} == {1: 5, 300: 7}


def test_entries_and_messages_in_any_order() -> None:
    value = field(2, field(2, field(1, floats(1, 2))))
    features = field(1, value + field(1, b"values"))
    label = field(2, entry(field(1, floats(9))))
    more = field(3, b"uid") + field(4, b"{}") + field(5, b"{}") + field(1, entry(field(1, floats(0)), name=b"other"))
    found = read(framed(label + more + features))
    assert found.dense().tolist() == [[1, 2]]
    assert found.labels is not None
    assert found.labels.tolist() == [[9]]


def test_a_shape_without_values_is_a_row_of_zeros() -> None:
    found = read(framed(record(field(3, packed([4])))))
    assert found.sparse
    assert found.dense().tolist() == [[0, 0, 0, 0]]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5), st.integers(1, 4))
def test_whole_numbers_are_read(values: list[int], count: int) -> None:
    body = framed(
        *[record(field(1, packed(values)), kind=7, label=field(2, entry(field(1, packed([1])), kind=7)))] * count
    )
    found = read(body)
    assert found.dense().tolist() == np.array([values] * count, np.float32).tolist()
    assert found.labels is not None
    assert found.labels.tolist() == [[1]] * count


def test_doubles_are_read() -> None:
    body = framed(*(record(field(1, doubles(at, -at / 3)), kind=3) for at in range(1, 9)))
    expected = np.array([[at, -at / 3] for at in range(1, 9)]).astype(np.float32)
    assert bits(read(body).dense()) == bits(expected)


def test_dense_and_sparse_records_may_be_mixed() -> None:
    dense = record(field(1, floats(1, 2, 3)))
    sparse = record(field(1, floats(5)) + field(2, packed([2])) + field(3, packed([3])))
    body = framed(dense, sparse, sparse, dense)
    assert [(part.sparse, len(part), part.first_row) for part in parts(body)] == [
        (False, 1, 1),
        (True, 2, 2),
        (False, 1, 4),
    ]
    assert record_protobuf.decode(body).dense().tolist() == [[1, 2, 3], [0, 0, 5], [0, 0, 5], [1, 2, 3]]


def test_records_that_differ_outside_their_numbers_are_read_one_by_one() -> None:
    one = record(field(1, floats(1, 2)), label=field(3, b"id-1"))
    two = record(field(1, floats(3, 4)), label=field(3, b"id-2"))
    other = record(field(1, floats(5, 6)), label=field(3, b"a longer id"))
    assert read(framed(one, two, one, other)).dense().tolist() == [[1, 2], [3, 4], [1, 2], [5, 6]]


DENSE = record(field(1, floats(1, 2)))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "features must hold 'values'; got nothing"),
        (field(1, entry(field(1, floats(1)), name=b"x")), "got 'x'"),
        (field(2, entry(field(1, floats(1)))), "features must hold 'values'"),
        (DENSE + field(2, entry(field(1, floats(1)), name=b"y")), "label must hold 'values'; got 'y'"),
        (record(field(1, floats(1, 2, 3))), "found 3 features, expected 2 as in the first record"),
        (record(field(1, floats(1))), "found 1 feature, expected 2"),
        (DENSE + field(2, entry(field(1, floats(1)))), "found 1 label, expected 0"),
        (record(b""), "no features"),
        (record(field(3, packed([0]))), "no features"),
        (record(field(1, floats(1)) + field(2, packed([1]))), "need a 'shape'"),
        (record(field(1, floats(1)) + field(2, packed([1, 2])) + field(3, packed([2]))), "found 2 keys for 1 value"),
        (record(field(1, floats(1)) + field(2, packed([2])) + field(3, packed([2]))), "position 2 is outside 0 to 1"),
        (record(field(1, floats(1)) + field(2, packed([2**63])) + field(3, packed([2]))), "is outside 0 to 1"),
        (
            record(field(1, floats(1, 2)) + field(2, packed([1, 1])) + field(3, packed([2]))),
            "1 occurs twice",
        ),
        (record(field(1, floats(1)) + field(2, packed([1])) + field(3, packed([2**62]))), "too large"),
        (record(field(1, floats(1, 2)) + field(3, packed([3]))), "does not fit 2 values"),
        (record(field(1, floats(1, 2)) + field(3, packed([1] * 40))), "more than 32 dimensions"),
        (record(field(1, floats(1, float("nan")))), "found nan"),
        (record(field(1, floats(1, float("inf")))), "found inf"),
        (record(field(1, doubles(1, 1e300)), kind=3), "finite 32-bit float"),
        (record(field(1, b"abcde")), "no multiple of 4"),
        (record(field(1, b"abcd"), kind=3), "no multiple of 8"),
        (record(field(1, b"\x80"), kind=7), "cut off"),
        (record(field(1, b"\xff" * 11 + b"\x01"), kind=7), "ten bytes"),
        (record(field(1, floats(1)) + field(2, b"\x80") + field(3, packed([2]))), "cut off"),
        (record(b"\x08\x05"), "wire type 0, expected 5"),
        (record(b"\x0d" + floats(1), kind=7), "wire type 5, expected 0"),
        (field(1, field(1, b"values") + field(2, field(9, b"jpeg"))), "blob of bytes"),
        (field(1, field(1, b"values") + field(2, b"")), "holds no tensor"),
        (field(1, field(1, b"values")), "no features"),
        (field(1, b"\x08\x01"), "name of a tensor has wire type 0"),
        (field(1, field(1, b"values") + b"\x10\x01"), "a value has wire type 0"),
        (field(1, field(1, b"\xff") + field(2, field(2, b""))), "not UTF-8"),
        (b"\x08\x01", "an entry of features or label has wire type 0"),
        (b"\x0a\x7f", "field 1 is cut off"),
        (b"\x0a", "cut off"),
        (b"\x0b", "wire type 3"),
        (b"\x02\x00", "number 0"),
        (b"\xff" * 12, "ten bytes"),
        (PUBLISHED[:-1], "cut off"),
    ],
)
def test_malformed_records_are_named(bad: bytes, reason: str) -> None:
    for body, row in ((framed(DENSE, DENSE, bad), 3), (framed(DENSE, bad, DENSE), 2)):
        for size in (16, 1 << 20):
            with pytest.raises(DataError) as found:
                parts(body, size=size)
            assert found.value.row == row
            assert reason in found.value.reason
            assert str(found.value).startswith(f"a.pbr, row {row}")


def test_a_wrong_number_among_many_records_is_named() -> None:
    cells = np.ones((500, 4), np.float32)
    cells[321, 2] = np.nan
    with pytest.raises(DataError, match=r"^a\.pbr, row 322, column 3: found nan"):
        parts(written(Records(cells)), size=1000)
    assert np.isnan(read(written(Records(cells)), missing=True).dense()[321, 2])
    labels = np.ones((500, 1), np.float32)
    labels[7] = np.inf
    with pytest.raises(DataError, match="row 8, column 1: found inf; every label"):
        parts(written(Records(np.ones((500, 4), np.float32), labels)), missing=True)


def test_a_request_without_a_record_is_refused() -> None:
    with pytest.raises(DataError, match="holds no record"):
        record_protobuf.decode(b"")
    with pytest.raises(DataError):
        record_protobuf.decode(b"1,2,3\n")


def refused_or_read(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except UserError:
        return


@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_refused(body: bytes) -> None:
    refused_or_read(lambda: record_protobuf.decode(body))
    refused_or_read(lambda: record_protobuf.decode_answers(body))
    refused_or_read(lambda: parts(framed(body)))
    refused_or_read(lambda: parts(framed(record(body))))


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_changed_byte_is_read_or_refused(at: int, byte: int) -> None:
    sparse = record(field(1, floats(1)) + field(2, packed([1])) + field(3, packed([2])))
    body = bytearray(framed(PUBLISHED, PUBLISHED, PUBLISHED, sparse, DENSE))
    body[at % len(body)] = byte
    refused_or_read(lambda: parts(bytes(body)))


def test_answers_hold_their_fields_in_the_label_map() -> None:
    columns = {"closest_cluster": np.array([3, 1]), "projection": np.array([[1, 2.5], [3, 4]])}
    body = record_protobuf.encode(columns)
    assert body == framed(
        *(
            field(2, entry(field(1, floats(one)), name=b"closest_cluster"))
            + field(2, entry(field(1, floats(*many)), name=b"projection"))
            for one, many in ((3, (1, 2.5)), (1, (3, 4)))
        )
    )
    answers = record_protobuf.decode_answers(body)
    assert [{name: values.tolist() for name, values in answer.items()} for answer in answers] == [
        {"closest_cluster": [3], "projection": [1, 2.5]},
        {"closest_cluster": [1], "projection": [3, 4]},
    ]
    nested = record_protobuf.encode({"parts": np.arange(4.0).reshape(1, 2, 2)})
    assert [each["parts"].tolist() for each in record_protobuf.decode_answers(nested)] == [[0, 1, 2, 3]]
    assert record_protobuf.encode({"score": np.empty(0)}) == b""


SPARSE = record(field(1, floats(1, 5)) + field(2, packed([1, 200])) + field(3, packed([300])))
WHOLE = record(field(1, packed([1, -1, 300])), kind=7, label=field(2, entry(field(1, doubles(2)), kind=3)))


@given(st.sampled_from([PUBLISHED, SPARSE, WHOLE]), st.integers(0, 100), st.integers(0, 255))
def test_a_record_means_the_same_whether_or_not_another_field_follows(whole: bytes, at: int, byte: int) -> None:
    changed = bytearray(whole)
    changed[at % len(whole)] = byte
    try:
        plain = read(framed(bytes(changed)), missing=True)
    except DataError:
        return
    longer = read(framed(bytes(changed) + field(3, b"uid")), missing=True)
    np.testing.assert_array_equal(longer.dense(), plain.dense())
    assert longer.sparse == plain.sparse
    assert (longer.labels is None) == (plain.labels is None)
    if longer.labels is not None and plain.labels is not None:
        assert bits(longer.labels) == bits(plain.labels)


# Enough records that sparse ones are read at once, and another field, which no usual writer puts there.
MANY = 40
UNUSUAL = field(3, b"uid")
WIDTHS = (1, 130, 2**14 + 1, 2**21 + 5, 2**28 + 1, 2**31 - 1)


def numbers(kind: int, values: Sequence[float]) -> bytes:
    if kind == 7:
        return packed([int(value) for value in values])
    return floats(*values) if kind == 2 else doubles(*values)


def part(number: int, content: bytes, *, left_out: bool) -> bytes:
    """A field, which some writers leave out where it is empty."""
    return b"" if left_out and not content else field(number, content)


def sparse_record(
    row: dict[int, float], width: int, kinds: tuple[int, int], labels: list[int], *, left_out: bool = False
) -> bytes:
    tensor = part(1, numbers(kinds[0], list(row.values())), left_out=left_out)
    tensor += part(2, packed(list(row)), left_out=left_out) + field(3, packed([width]))
    label = field(2, entry(field(1, numbers(kinds[1], labels)), kind=kinds[1])) if labels else b""
    return record(tensor, kind=kinds[0], label=label)


@st.composite
def sparse_records(draw: st.DrawFn) -> list[bytes]:
    width, label_size = draw(st.sampled_from(WIDTHS)), draw(st.integers(0, 2))
    kinds = draw(st.tuples(st.sampled_from([2, 3, 7]), st.sampled_from([2, 3, 7])))
    value = st.integers(-(2**31), 2**31 - 1) if kinds[0] == 7 else FINITE
    label = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=label_size, max_size=label_size)
    row = st.dictionaries(st.integers(0, width - 1), value, max_size=5)
    return [
        sparse_record(cells, width, kinds, labels, left_out=left_out)
        for cells, labels, left_out in draw(st.lists(st.tuples(row, label, st.booleans()), min_size=1, max_size=6))
    ]


def same(one: Records, other: Records) -> bool:
    """Whether all arrays hold the same, bit for bit."""
    assert isinstance(one.features, csr_matrix)
    assert isinstance(other.features, csr_matrix)
    assert (one.labels is None) == (other.labels is None)
    pairs = [(getattr(one.features, name), getattr(other.features, name)) for name in ("data", "indices", "indptr")]
    pairs += [] if one.labels is None else [(one.labels, other.labels)]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


def outcome(body: bytes, missing: bool) -> Records | str:
    try:
        return read(body, missing=missing)
    except DataError as error:
        return str(error)


@given(sparse_records())
def test_many_sparse_records_at_once_are_what_they_are_one_by_one(payloads: list[bytes]) -> None:
    payloads = (payloads * MANY)[:MANY]
    found, careful = read(framed(*payloads)), read(framed(*(payload + UNUSUAL for payload in payloads)))
    assert found.features.shape == careful.features.shape
    assert same(found, careful)
    assert len(found) == MANY


@given(sparse_records(), st.binary(max_size=9))
def test_sparse_records_of_the_usual_layout_are_followed_to_their_end(payloads: list[bytes], rest: bytes) -> None:
    features, labels = record_message.tensors(payloads[0])
    body = framed(*payloads)
    found = record_blocks.parse(b"1234" + body + rest, 4, features["values"], labels.get("values"))
    if features["values"].size < 2**28:
        assert found is not None
    if found is not None:
        assert found.size == len(body)
        assert len(found.counts) == len(payloads)


@given(
    st.sampled_from(
        [
            sparse_record({1: 1, 2: float("nan")}, 130, (2, 2), []),
            sparse_record({1: 1, 2: float("inf")}, 130, (2, 2), []),
            sparse_record({130: 1}, 130, (2, 2), []),
            sparse_record({2**63: 1}, 130, (2, 2), []),
            sparse_record({3: 1}, 131, (2, 2), []),
            sparse_record({3: 1}, 130, (2, 2), [1]),
            sparse_record({3: 1}, 130, (3, 2), []),
            sparse_record({7: 1, 3: 2, 5: 0}, 130, (2, 2), []),
            record(field(1, floats(1, 2)) + field(2, packed([5, 5])) + field(3, packed([130]))),
            record(field(1, floats(1, 2)) + field(2, packed([5])) + field(3, packed([130]))),
            record(field(1, floats(1)) + field(2, b"\x85") + field(3, packed([130]))),
            record(field(1, floats(1)) + field(2, b"\x85" * 10 + b"\x01") + field(3, packed([130]))),
            record(field(1, floats(1)) + field(2, b"\x85\x80\x00") + field(3, packed([130]))),
            record(field(1, floats(1)) + field(2, packed([5])) + field(3, packed([13, 10]))),
            record(field(1, floats(1)) + field(3, packed([130])) + field(2, packed([5]))),
            record(field(1, floats(*range(130)))),
            record(field(1, b"abc") + field(2, packed([5])) + field(3, packed([130]))),
        ]
    ),
    st.integers(1, MANY),
    st.booleans(),
)
def test_an_odd_record_among_many_is_read_or_refused_as_ever(odd: bytes, at: int, missing: bool) -> None:
    plain = [sparse_record({row: row, 129: 2}, 130, (2, 2), []) for row in range(MANY)]
    payloads = [*plain[:at], odd, *plain[at:]]
    found = outcome(framed(*payloads), missing)
    careful = outcome(framed(*(payload + UNUSUAL for payload in payloads)), missing)
    if isinstance(found, Records) and isinstance(careful, Records):
        assert same(found, careful)
    else:
        assert found == careful


@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(1, 4000))
def test_one_changed_byte_among_many_sparse_records_is_read_or_refused(at: int, byte: int, size: int) -> None:
    body = bytearray(framed(*(sparse_record({row: row, 200: 2}, 300, (2, 7), [row * 3]) for row in range(MANY))))
    body[at % len(body)] = byte
    refused_or_read(lambda: parts(bytes(body), size=size))
    refused_or_read(lambda: parts(bytes(body)))


def test_a_number_that_spells_the_magic_among_many_sparse_records() -> None:
    values = {at: float(MAGIC_NUMBER if at in (3, 4) else at) for at in range(9)}
    rows = [sparse_record(dict(list(values.items())[at % 9 :]), 50, (2, 2), [at]) for at in range(MANY)]
    unsplit = b"".join(recordio.MAGIC + struct.pack("<I", len(row)) + row + bytes(-len(row) % 4) for row in rows)
    careful = read(framed(*(row + UNUSUAL for row in rows)))
    for body in (framed(*rows), unsplit):
        assert same(read(body), careful)
        assert same(read(body, size=700), careful)


def test_rows_of_sparse_blocks_go_on_counting() -> None:
    plain, odd = sparse_record({1: 2}, 9, (2, 2), [1]), sparse_record({2: 1, 3: float("nan")}, 9, (2, 2), [1])
    body = framed(*[plain] * 500, odd, *[plain] * 500)
    found = parts(body, size=2000, missing=True)
    assert len(found) > 5
    assert [part.first_row for part in found] == list(np.cumsum([1, *map(len, found[:-1])]))
    assert sum(map(len, found)) == 1001
    with pytest.raises(DataError, match=r"^a\.pbr, row 501: found nan; every feature must be a finite"):
        parts(body, size=2000)
