"""Compiled code reads the numbers that Arrow reads, bit for bit, or leaves them to it."""

from __future__ import annotations

import io
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.toolkit.codecs import csv, csv_blocks, csv_compiled
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.codecs.lines import Block

pytest.importorskip("numba")
from clary.toolkit.codecs import csv_loop

FAR = csv_compiled.PATIENCE
NUMBER = st.one_of(
    st.from_regex(r"\A-?[0-9]{1,8}(\.[0-9]{1,8})?\Z"),
    st.from_regex(r"\A-?[0-9]{1,12}(\.[0-9]{1,9})?([eE][-+]?[0-9]{1,2})?\Z"),
    st.floats(-(2.0**99), 2.0**99, width=32).map(repr),
    st.floats(-1e6, 1e6).map(repr),
    st.floats(-1e9, 1e9).map("{:.6f}".format),
    st.floats(-1e9, 1e9).map("{:.18e}".format),
)
UNUSUAL = (
    "|1.5,2,3|1.5|1.5,|,1.5|1.5,x|1.5, 2|+1.5,2|.5,2|5.,2|-,2|1.5e,2|1e+,2|nan,2|inf,2|1.5,1e39|1.5,1e-40|1.5,1e100"
    "|1.5e9999,2|1.5;2|--1.5,2|1.5,16777217.0|1.5.5,2|1..5,2|1-5,2|1/5,2|1:5,2|.,2|-.5,2|1.5,2-|1.5,2.|1.\xb15,2|1.5,2\0"
    "|1.5,|1.5,12345678x|1.5,1234567.|12345678.,2|123456789.5.5,2|1.5,99999999999999999999"
)


def compiled(data: bytes, layout: Layout) -> Any:
    return csv_compiled.fill(csv_loop, Block(data, 1), layout)


def bits(found: Any) -> list[Any]:
    return [part.view(np.uint32).tolist() for part in found]


@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=20), st.sampled_from([0, 1]))
def test_numbers_are_those_of_arrow_or_left_to_it(rows: list[tuple[str, ...]], labels: int) -> None:
    data, layout = "".join(",".join(row) + "\n" for row in rows).encode(), Layout(3, labels, False, "", ",")
    found = compiled(data, layout)
    expected = csv_blocks.numbers(data, layout)
    assert found is None or (expected is not None and bits(found) == bits(expected))


@pytest.mark.parametrize("form", ["%.5f", "%.9g", "%.18e", "%r"])
def test_numbers_in_usual_forms_are_read(form: str) -> None:
    numbers = np.random.default_rng(0).standard_normal((300, 3)) * [1, 1e-6, 1e8]
    spelled = [[repr(float(each)) if form == "%r" else form % each for each in row] for row in numbers]
    data, layout = "".join(",".join(row) + "\n" for row in spelled).encode(), Layout(3, 1, False, "", ",")
    found = compiled(data, layout)
    assert found is not None
    assert [part.shape for part in found] == [(300, 2), (300, 1)]
    whole = np.column_stack([found[1], found[0]])
    assert np.array_equal(whole, np.array(spelled, np.float64).astype(np.float32))


@pytest.mark.parametrize("line", UNUSUAL.split("|"))
def test_what_is_unusual_is_left_to_others(line: str) -> None:
    data = f"1.5,2.5\n{line}\n1.5,2.5\n".encode("latin-1")
    assert compiled(data, Layout(2, 0, False, "", ",")) is None


def test_another_delimiter_is_read() -> None:
    found = compiled(b"1.5;-0.0\n", Layout(2, 0, False, "", ";"))
    assert found is not None
    assert found[0].tolist() == [[1.5, 0.0]]
    assert np.signbit(found[0][0, 1])


def test_the_start_of_a_file_and_all_until_it_is_loaded_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    layout, start, far = Layout(2, 0, False, "", ","), Block(b"1.5,2.5\n", 1), Block(b"1.5,2.5\n", FAR // 2)
    monkeypatch.setattr(csv_compiled, "loaded", Future)
    assert csv_compiled.numbers(far, layout) is None
    monkeypatch.undo()
    csv_compiled.loaded().result()
    assert csv_compiled.numbers(start, layout) is None
    assert csv_compiled.numbers(far, layout) is not None


def test_a_file_reads_the_same_with_it_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    text = "".join(",".join(f"{each:.7g}" for each in row) + "\n" for row in rng.standard_normal((4000, 5))).encode()
    text = text[: len(text) // 2].rsplit(b"\n", 1)[0] + b"\n\n" + text[len(text) // 2 :].split(b"\n", 1)[1]

    def read() -> list[Any]:
        blocks = csv.read(io.BytesIO(text), label_size=1, block_bytes=1 << 12)
        return [(each.first_row, each.features.tolist(), each.labels.tolist()) for each in blocks]  # type: ignore[union-attr]

    plain = read()
    csv_compiled.loaded().result()
    monkeypatch.setattr(csv_compiled, "PATIENCE", 100)
    assert read() == plain
