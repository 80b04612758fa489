"""What the kernels of networks need from LLVM and Numba does not say: flags of single operations, uncounted views.

Numba gives floating-point operations one common set of flags. Kernels need them one by one: a multiplication and an
addition that may be fused, a sum whose order is free (else a loop that sums is scalar), and a reduction of arguments
by a rounding trick that must not be simplified away. None of this depends on data or threads: same machine, same bits.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.np import arrayobj

intrinsic: Any = extending.intrinsic  # its results are called without the first argument
# Scalar functions of loops: LLVM would leave long ones as calls, and a loop that calls stays scalar.
inlined = numba.njit(error_model="numpy", forceinline=True)
_FUSED = ("contract",)
_ANY_ORDER = ("contract", "reassoc", "nsz")
_THREE = types.float64(types.float64, types.float64, types.float64)


@intrinsic
def multiply_add(context, a, b, c):
    """``a b + c``, rounded once where the machine can."""

    def generate(context, builder, signature, arguments):
        a, b, c = arguments
        return builder.fadd(builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)

    return _THREE, generate


@intrinsic
def accumulate(context, a, b, total):
    """``a b + total`` for a sum over a loop, whose terms may be added in another order."""

    def generate(context, builder, signature, arguments):
        a, b, total = arguments
        return builder.fadd(total, builder.fmul(a, b, flags=_FUSED), flags=_ANY_ORDER)

    return _THREE, generate


@intrinsic
def bits(context, a):
    """The 64 bits of a double, as an integer."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def from_bits(context, a):
    """The double of 64 bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def tail(context, array, start):
    """``array.ravel()[start:]`` of a contiguous array that the caller holds.

    Numba counts references of every slice by atomic operations, a third of the time of a kernel on one block.
    """
    if not (isinstance(array, types.Array) and array.layout == "C" and array.dtype == types.float64):
        return None
    flat = types.Array(types.float64, 1, "C")

    def generate(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        view = context.make_array(flat)(context, builder)
        size = builder.sub(source.nitems, arguments[1])
        arrayobj.populate_array(
            view,
            data=builder.gep(source.data, [arguments[1]]),
            shape=cgutils.pack_array(builder, [size]),
            strides=cgutils.pack_array(builder, [source.itemsize]),
            itemsize=source.itemsize,
            meminfo=None,
        )
        return view._getvalue()

    return flat(array, types.int64), generate
