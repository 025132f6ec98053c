"""How the loops of training are compiled, and lanes for them: sixteen float32 numbers that are handled as one.

Left alone, a compiler hardly uses wide registers in loops over a dozen numbers. Lanes do; where a processor has
narrower registers, it takes several for them. Compiled loops that lie on disk do not notice a change to this file:
save the ``loops.py`` that use it as well. Only modules of loops import this one.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from clary.toolkit.compilation import compiler

WIDE = 16
# Sums may be formed in another order and rounded once, which wide registers need; infinite and undefined numbers keep
# their meaning.
_FREEDOMS = ("reassoc", "nsz", "contract")
_BIT, _SMALL, _FLOAT, _DOUBLE = ir.IntType(1), ir.IntType(32), ir.FloatType(), ir.DoubleType()
_BITS, _SMALLS, _FLOATS, _DOUBLES = (ir.VectorType(kind, WIDE) for kind in (_BIT, _SMALL, _FLOAT, _DOUBLE))
_FLOAT_BYTES = ir.Constant(_SMALL, 4)

compiled = compiler(*_FREEDOMS)


class _Lanes(types.Type):  # type: ignore[misc]
    """The type of sixteen float32 numbers side by side."""


class _Register(models.PrimitiveModel):  # type: ignore[misc]
    """How compiled code holds them."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)


register_model(_Lanes)(_Register)
_LANES = _Lanes("Lanes")


def _part(builder: Any, context: Any, signature: Any, given: Any) -> tuple[Any, Any]:
    """Where lanes begin in an array, and which of them belong to it."""
    array, at, count = signature.args[:3]
    data = context.make_array(array)(context, builder, given[0]).data
    place = builder.gep(data, [context.cast(builder, given[1], at, types.intp)])
    most = builder.trunc(context.cast(builder, given[2], count, types.int64), _SMALL)
    numbers = ir.Constant(_SMALLS, list(range(WIDE)))
    there = builder.icmp_signed("<", numbers, _each(builder, most, _SMALLS))
    return builder.bitcast(place, _FLOATS.as_pointer()), there


def _each(builder: Any, value: Any, kind: Any) -> Any:
    """The value in each lane."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_SMALL, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(_SMALLS, [0] * WIDE))


def _call(builder: Any, name: str, result: Any, *given: Any) -> Any:
    """What LLVM's own function of that name returns."""
    kind = ir.FunctionType(result, [each.type for each in given])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    free = () if isinstance(result, ir.VoidType) or "masked" in name else _FREEDOMS
    return builder.call(function, given, fastmath=free)


def _load(_: Any, array: Any, at: Any, count: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place, there = _part(builder, context, signature, given)
        zeros = ir.Constant(_FLOATS, [0.0] * WIDE)
        return _call(builder, f"llvm.masked.load.v{WIDE}f32.p0v{WIDE}f32", _FLOATS, place, _FLOAT_BYTES, there, zeros)

    return _LANES(array, at, count), code


def _store(_: Any, array: Any, at: Any, count: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place, there = _part(builder, context, signature, given)
        _call(
            builder, f"llvm.masked.store.v{WIDE}f32.p0v{WIDE}f32", ir.VoidType(), given[3], place, _FLOAT_BYTES, there
        )
        return context.get_dummy_value()

    return types.void(array, at, count, lanes), code


def _fetch(_: Any, array: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, given[0]).data
        place = builder.gep(data, [context.cast(builder, given[1], signature.args[1], types.intp)])
        place = builder.bitcast(place, cgutils.voidptr_t)
        read, near, is_data = (ir.Constant(_SMALL, number) for number in (0, 3, 1))
        _call(builder, "llvm.prefetch.p0i8", ir.VoidType(), place, read, near, is_data)
        return context.get_dummy_value()

    return types.void(array, at), code


def _spread(_: Any, value: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _each(builder, context.cast(builder, given[0], signature.args[0], types.float32), _FLOATS)

    return _LANES(value), code


def _root(_: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _call(builder, f"llvm.sqrt.v{WIDE}f32", _FLOATS, given[0])

    return _LANES(lanes), code


def _cut(_: Any, lanes: Any, most: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        value, upper = given
        lower = builder.fneg(upper)
        # Not by min and max, which would lose a number that is none.
        value = builder.select(builder.fcmp_ordered(">", value, upper), upper, value)
        return builder.select(builder.fcmp_ordered("<", value, lower), lower, value)

    return _LANES(lanes, most), code


def _total(_: Any, lanes: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        exact = builder.fpext(given[0], _DOUBLES)
        return _call(builder, f"llvm.vector.reduce.fadd.v{WIDE}f64", _DOUBLE, ir.Constant(_DOUBLE, 0.0), exact)

    return types.float64(lanes), code


def _offer(sign: Any, form: str) -> None:
    """Let a sign of Python stand for arithmetic of lanes."""

    def typed(_: Any) -> Any:
        def chosen(one: Any, other: Any) -> Any:
            return _LANES if isinstance(one, _Lanes) and isinstance(other, _Lanes) else None

        return chosen

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return getattr(builder, form)(*given, flags=_FREEDOMS)

    type_callable(sign)(typed)
    lower_builtin(sign, _Lanes, _Lanes)(code)


for _sign, _form in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _offer(_sign, _form)

# Numbers of an array from ``array[at]`` on, behind the first ``count`` of them zeros: ``load(array, at, count)``.
load = intrinsic(_load)
# Nothing; the first ``count`` lanes are written into an array: ``store(array, at, count, lanes)``.
store = intrinsic(_store)
# Nothing; the line of memory with ``array[at]`` is on its way to the processor: ``fetch(array, at)``.
fetch = intrinsic(_fetch)
# The same float32 in every lane: ``spread(value)``.
spread = intrinsic(_spread)
# The square root of each lane: ``root(lanes)``.
root = intrinsic(_root)
# Each lane, no further from zero than those of another: ``cut(lanes, most)``.
cut = intrinsic(_cut)
# The sum of all lanes, in float64: ``total(lanes)``.
total = intrinsic(_total)
