"""Short vectors of doubles inside compiled kernels: one register of the processor, or a few.

LLVM vectorises a loop only where it can prove that nothing overlaps and that no sum is reordered; loops over pairs of
particles and over windows of a grid do not let it. A kernel that names its vectors is compiled to the widest registers
there are (8 lanes are one register of AVX-512, two of AVX2, four of NEON), with sums in the order written.
``+``, ``-``, ``*`` work lane by lane. Widths are compile-time constants, best powers of two: others are split badly.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

DOUBLE = ir.DoubleType()


class Vector(types.Type):
    """Numba's type of a vector of ``width`` doubles."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.llvm = ir.VectorType(DOUBLE, width)
        super().__init__(name=f"vector({width})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """A vector is held as LLVM's own."""

    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, kind.llvm)


def primitive(function: Callable) -> Any:
    """A function of compiled kernels given by the LLVM instructions it becomes; widths are seen as constants."""
    return intrinsic(prefer_literal=True)(function)


def lanes(value: float | int, width: int, lane: ir.Type = DOUBLE) -> ir.Constant:
    """The constant vector with ``value`` in every lane."""
    return ir.Constant(ir.VectorType(lane, width), [value] * width)


def call(builder, name: str, kind: Vector, arguments):
    """A call of the LLVM intrinsic ``name`` on vectors of this kind."""
    signature = ir.FunctionType(kind.llvm, [kind.llvm] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.v{kind.width}f64")
    return builder.call(function, arguments)


def _kind(like) -> Vector:
    """The type meant by a width known at compile time, or by another vector."""
    return like if isinstance(like, Vector) else Vector(like.literal_value)


def _address(context, builder, array, arguments, kind: Vector):
    data = context.make_array(array)(context, builder, arguments[0]).data
    return builder.bitcast(builder.gep(data, [arguments[1]]), kind.llvm.as_pointer())


@primitive
def load(typing, array, index, like):
    """``array[index : index + width]`` of a contiguous float64 array; ``like`` is a constant width or a vector."""
    kind = _kind(like)

    def generate(context, builder, signature, arguments):
        result = builder.load(_address(context, builder, array, arguments, kind))
        result.align = 8
        return result

    return kind(array, types.intp, like), generate


@primitive
def store(typing, array, index, vector):
    """``array[index : index + width] = vector``."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _address(context, builder, array, arguments, vector)).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@primitive
def splat(typing, number, like):
    """The vector with ``number`` in every lane; ``like`` is a constant width or a vector."""
    kind = _kind(like)

    def generate(context, builder, signature, arguments):
        undefined, index = ir.Constant(kind.llvm, ir.Undefined), ir.IntType(32)
        one = builder.insert_element(undefined, arguments[0], ir.Constant(index, 0))
        return builder.shuffle_vector(one, undefined, lanes(0, kind.width, index))

    return kind(types.float64, like), generate


@primitive
def total(typing, x):
    """The sum of the lanes, added in pairs."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(DOUBLE, [DOUBLE, x.llvm])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{x.width}f64")
        return builder.call(function, [ir.Constant(DOUBLE, -0.0), arguments[0]], fastmath=("reassoc",))

    return types.float64(x), generate


def _lane_by_lane(name: str, kind: Vector):
    return lambda context, builder, signature, arguments: call(builder, name, kind, arguments)


@primitive
def multiply_add(typing, x, y, z):
    """``x·y + z``, rounded once where the processor can."""
    return x(x, y, z), _lane_by_lane("fmuladd", x)


@primitive
def larger(typing, x, y):
    """The larger of two numbers."""
    return x(x, y), _lane_by_lane("maxnum", x)


@primitive
def nearest(typing, x):
    """The nearest integer, ties to even."""
    return x(x), _lane_by_lane("rint", x)


@primitive
def square_root(typing, x):
    """√x."""
    return x(x), _lane_by_lane("sqrt", x)


def _make_operator(instruction: str):
    @primitive
    def apply(typing, x, y):
        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments)

        return x(x, y), generate

    def lanewise(x, y):
        return (lambda x, y: apply(x, y)) if isinstance(x, Vector) and x == y else None

    return lanewise


for _sign, _instruction in (
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
):  # fmt: skip
    overload(_sign)(_make_operator(_instruction))
