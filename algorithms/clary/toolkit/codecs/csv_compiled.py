"""Decimal numbers of CSV lines to float32 by compiled code, for large files and where numba is installed.

A number of up to 19 digits becomes a float64 within two units in the last place of what the text says. Where that
leaves two float32 to choose from, or the text is anything but plain numbers, this reader gives up.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.toolkit.codecs import optional
from clary.toolkit.codecs.csv_cells import Layout
from clary.toolkit.records import Floats

# So many cells of a file are read otherwise first: to compile takes seconds where it was not done before.
PATIENCE = 8_000_000
_PLACES = 44  # a number of more decimal places, or zeros behind its digits, is left to others
_FACTORS = np.array([float(f"1e{-places}") for places in range(-_PLACES, _PLACES + 1)])
_MOST_DIGITS, _DIGITS_OF_POWER = 19, 3
_SMALLEST, _LARGEST = 1.2e-38, 3.4e38  # float32 has its full precision between these
# The digits of a float64 behind those of a float32; where they are this close to one half, either may be right.
_BEHIND, _HALF, _CLOSE = (1 << 29) - 1, 1 << 28, 6
_WHOLE = np.uint64(1 << 53)  # up to here a float64 is the whole number itself
_ZERO, _ONE, _NINE, _TEN = (np.uint64(number) for number in (48, 1, 9, 10))
_MINUS, _PLUS, _POINT, _NEWLINE, _SMALL_E, _LARGE_E = b"-+.\neE"


def numbers(data: bytes, layout: Layout, first_row: int) -> tuple[Floats, Floats] | None:
    """Lines as features (lines, D) and labels (lines, L); None where this is not the reader for them."""
    if first_row * layout.columns < PATIENCE or len(layout.delimiter) != 1 or not optional.available("numba"):
        return None
    rows = data.count(b"\n")
    features = np.empty((rows, layout.columns - layout.labels), np.float32)
    labels = np.empty((rows, layout.labels), np.float32)
    read = _compiled()(np.frombuffer(data, np.uint8), ord(layout.delimiter), _FACTORS, labels, features)
    return (features, labels) if read else None


@cache
def _compiled() -> Any:
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(_read)
    except RuntimeError:  # there is no folder that may be written, so the next process compiles again
        return numba.njit(nogil=True)(_read)


def _read(
    text: npt.NDArray[np.uint8],
    delimiter: int,
    factors: npt.NDArray[np.float64],
    labels: Floats,
    features: Floats,
) -> bool:
    """Fill labels and features from the text, which ends in a newline; False where it holds anything unusual.

    One function of plain loops over unsigned integers, because that is what compiles to fast code. As such integers
    wrap around, what is no digit is above nine once zero is taken off.
    """
    at, label_count, columns = np.uint64(0), labels.shape[1], labels.shape[1] + features.shape[1]
    for row in range(features.shape[0]):
        for column in range(columns):
            negative = text[at] == _MINUS
            if negative:
                at += _ONE
            mantissa, begin = np.uint64(0), at
            digit = np.uint64(text[at]) - _ZERO
            while digit <= _NINE:
                mantissa = mantissa * _TEN + digit
                at += _ONE
                digit = np.uint64(text[at]) - _ZERO
            digits, places = at - begin, np.int64(0)
            if digits == 0:
                return False
            if mantissa == 0:
                digits = np.uint64(0)
            if text[at] == _POINT:
                at += _ONE
                begin = at
                while mantissa == 0 and np.uint64(text[at]) == _ZERO:
                    at += _ONE
                first = at
                digit = np.uint64(text[at]) - _ZERO
                while digit <= _NINE:
                    mantissa = mantissa * _TEN + digit
                    at += _ONE
                    digit = np.uint64(text[at]) - _ZERO
                if at == begin:
                    return False
                digits += at - first
                places = np.int64(at - begin)
            if digits > _MOST_DIGITS:
                return False
            if text[at] == _SMALL_E or text[at] == _LARGE_E:
                at += _ONE
                lower = text[at] == _MINUS
                if lower or text[at] == _PLUS:
                    at += _ONE
                power, begin = np.int64(0), at
                while np.uint64(text[at]) - _ZERO <= _NINE and at - begin < _DIGITS_OF_POWER:
                    power = power * 10 + np.int64(text[at]) - 48
                    at += _ONE
                if at == begin:
                    return False
                places += power if lower else -power
            if text[at] != (delimiter if column < columns - 1 else _NEWLINE):
                return False
            at += _ONE
            value = np.float64(mantissa)
            if mantissa > 0:
                if places < -_PLACES or places > _PLACES:
                    return False
                value = value * factors[places + _PLACES]
                behind = np.float64(value).view(np.int64) & _BEHIND
                exact = places == 0 and mantissa <= _WHOLE
                if value < _SMALLEST or value > _LARGEST or (abs(behind - _HALF) <= _CLOSE and not exact):
                    return False
            if negative:
                value = -value
            if column < label_count:
                labels[row, column] = value
            else:
                features[row, column - label_count] = value
    return bool(at == len(text))
