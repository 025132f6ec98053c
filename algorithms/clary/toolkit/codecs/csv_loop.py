"""The loop over the cells of CSV text, compiled by Numba: eight characters of a cell at once.

A machine word holds eight characters, the first in its lowest byte. Tests and sums of all eight are then a few
operations on the word, and no step waits for a guess of how long the number is. The technique is that of Lemire,
"Number parsing at a gigabyte per second" (2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from clary.toolkit.compilation import compiler
from clary.toolkit.records import Floats

Bytes = npt.NDArray[np.uint8]
_U = np.uint64

# Behind its last row the text has so many bytes that may be read, though they count for nothing.
MARGIN = 16

# In every byte of a word: 1, its highest bit, all others, '0', and what takes a number above 9 to the highest bit.
_ONES, _HIGH, _LOW, _ZEROS, _OVER = (_U(0x0101010101010101 * each) for each in (1, 0x80, 0x7F, 0x30, 0x76))
_PAIRS, _FIRST_PAIRS, _LAST_PAIRS = _U(0x000000FF000000FF), _U(0x000F424000000064), _U(0x0000271000000001)
_NOTHING, _ONE, _EIGHT, _TEN = (_U(each) for each in (0, 1, 8, 10))
_MINUS, _PLUS, _POINT, _NEWLINE, _SMALL_E, _LARGE_E = b"-+.\neE"
_POINT_AS_DIGIT = _U(_POINT ^ 0x30)

_MOST_PLACES = 44  # a number of more decimal places, or zeros behind its digits, is left to others
_FACTORS = np.array([float(f"1e{-places}") for places in range(-_MOST_PLACES, _MOST_PLACES + 1)])
_POWERS = np.array([10**each for each in range(20)], np.uint64)
_MOST_DIGITS, _DIGITS_OF_POWER = 19, 3
_SMALLEST, _LARGEST = 1.2e-38, 3.4e38  # float32 has its full precision between these
_WHOLE = _U(1 << 53)  # up to here a float64 is the whole number itself
# The digits of a float64 behind those of a float32; where they are this close to one half, either may be right.
_BEHIND, _HALF, _CLOSE = _U((1 << 29) - 1), 1 << 28, 6
_TO_HALF, _TWICE_CLOSE = _U((1 << 64) + _CLOSE - _HALF), _U(2 * _CLOSE)

_compiled = compiler()


def _eight_bytes(_: Any, text: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(text, at), code


def _trailing_zeros(_: Any, word: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(word), code


# Eight bytes of the text from a place on, wherever they stand in memory: ``_word(text, at)``.
_word = intrinsic(_eight_bytes)
# The number of zero bits below the lowest one of a word; 64 where there is none: ``_zeros_below(word)``.
_zeros_below = intrinsic(_trailing_zeros)


@_compiled
def _eight(digits: np.uint64) -> Any:
    """The number that the eight digits of a word come to: pairs, then pairs of pairs, then all."""
    pairs = digits * _TEN + (digits >> _EIGHT)
    return ((pairs & _PAIRS) * _FIRST_PAIRS + ((pairs >> _U(16)) & _PAIRS) * _LAST_PAIRS) >> _U(32)


@_compiled
def _others(word: np.uint64) -> Any:
    """The highest bit of every byte that is above nine."""
    return (((word & _LOW) + _OVER) | word) & _HIGH


@_compiled
def _close(value: float) -> bool:
    """Whether float32 may have two neighbors for the number that this float64 is near to."""
    return bool(((np.float64(value).view(np.uint64) + _TO_HALF) & _BEHIND) <= _TWICE_CLOSE)


@_compiled
def _long(text: Bytes, at: np.uint64) -> tuple[Any, float, bool]:
    """Where the unsigned number that begins there ends, its value, and whether it is one that can be told."""
    begin, point, mantissa, fits = at, _NOTHING, _NOTHING, True
    while True:
        digits = _word(text, at) ^ _ZEROS
        others = _others(digits)
        count = _zeros_below(others) >> _U(3)
        fits &= mantissa < _POWERS[_U(_MOST_DIGITS) - count]
        if count > _NOTHING:
            mantissa = mantissa * _POWERS[count] + _eight(digits << (_U(64) - (count << _U(3))))
            at += count
        if count < _EIGHT:
            if text[at] != _POINT or point > _NOTHING:
                break
            fits &= at > begin
            at += _ONE
            point = at
    fits &= begin < at and point < at
    places = np.int64(at - point) if point > _NOTHING else np.int64(0)
    if text[at] == _SMALL_E or text[at] == _LARGE_E:
        at += _ONE
        lower = text[at] == _MINUS
        if lower or text[at] == _PLUS:
            at += _ONE
        power, begin = np.int64(0), at
        while _U(text[at]) - _U(48) < _TEN and at - begin < _U(_DIGITS_OF_POWER):
            power = power * 10 + np.int64(text[at]) - 48
            at += _ONE
        fits &= at > begin
        places += power if lower else -power
    value = np.float64(mantissa)
    if mantissa > _NOTHING:
        if places < -_MOST_PLACES or places > _MOST_PLACES:
            return at, value, False
        value *= _FACTORS[places + _MOST_PLACES]
        exact = places == 0 and mantissa <= _WHOLE
        fits &= _SMALLEST <= value <= _LARGEST and (exact or not _close(value))
    return at, value, fits


@_compiled
def read(text: Bytes, delimiter: int, labels: Floats, features: Floats) -> int:
    """Fill labels and features from the text; the place behind the last row, or -1 where anything is unusual."""
    at, label_count, columns = _NOTHING, labels.shape[1], labels.shape[1] + features.shape[1]
    for row in range(features.shape[0]):
        for column in range(columns):
            mark = delimiter if column < columns - 1 else _NEWLINE
            negative = text[at] == _MINUS
            at += _U(negative)
            word = _word(text, at)
            # The first byte that is the mark has the lowest of the bits in `found`.
            unlike = word ^ (_ONES * _U(mark))
            found = _zeros_below((unlike - _ONES) & ~unlike & _HIGH)
            length = (found >> _U(3)) if found < _U(64) else _EIGHT
            # The number's last digit goes to the highest byte, and zeros before its first.
            digits = (word ^ _ZEROS) << ((_U(64) - (length << _U(3))) & _U(63))
            others = _others(digits)
            # Its point, as the lowest bit of that byte, is taken out; what stands before it moves up.
            point = others >> _U(7)
            digits ^= point * _POINT_AS_DIGIT
            unclear = (others & (others - _ONE)) | (digits & ((others << _ONE) - point))
            before = digits & (point - _U(point != _NOTHING))
            digits += (before << _EIGHT) - before
            behind = (_U(71) - _zeros_below(others)) >> _U(3)  # the point and the places behind it
            at_mark = text[at + length] == mark
            if at_mark and unclear == _NOTHING and length > behind and behind != _ONE:
                places = behind - _U(behind != _NOTHING)
                value = np.float64(_eight(digits)) * _FACTORS[places + _U(_MOST_PLACES)]
                at += length
                if behind != _NOTHING and _close(value):
                    return -1
            else:
                at, value, fits = _long(text, at)
                if not fits or text[at] != mark:
                    return -1
            at += _ONE
            if negative:
                value = -value
            if column < label_count:
                labels[row, column] = value
            else:
                features[row, column - label_count] = value
    return int(np.int64(at))


def warm() -> None:
    """Compile the loop, or load it from where an earlier process has left it."""
    none = np.empty((0, 1), np.float32)
    read(np.frombuffer(bytes(MARGIN), np.uint8), 0, none, none)
