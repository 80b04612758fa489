"""The exponential of vectors, without branches; the library's works one number at a time, at twenty times the cost."""

from __future__ import annotations

import math

from llvmlite import ir
from numba.extending import overload

from .vectors import Vector, lanes, larger, multiply_add, primitive, splat

LOWEST = -708.0  # e^x is a normal number from here on
ROUND = 1.5 * 2.0**52  # adding it leaves the nearest integer in the last bits of a double
LOG2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # k times it is exact for |k| < 2^11
LOG2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12 = (1.0 / math.factorial(n) for n in range(2, 13))


@primitive
def _times_power_of_two(typing, x, shifted):
    """``x·2^k`` where ``shifted = k + ROUND``: k is added to the exponent bits of x."""
    integers = ir.VectorType(ir.IntType(64), x.width)

    def generate(context, builder, signature, arguments):
        number, power = (builder.bitcast(argument, integers) for argument in arguments)
        power = builder.shl(power, lanes(52, x.width, ir.IntType(64)))
        return builder.bitcast(builder.add(number, power), x.llvm)

    return x(x, x), generate


def exp(x):
    """``e^x`` for x ≤ 708, in every lane of a vector; below −708 the value there, 3e-308. Error ≤ 2 eps.

    ``e^x = 2^k e^r`` with ``k = round(x/log 2)``, ``|r| ≤ ½ log 2``, and e^r by its Taylor polynomial of degree 12, of
    remainder 2e-16.
    """
    raise NotImplementedError("for compiled kernels only; NumPy has its own")


@overload(exp)
def _exp(x):
    if not isinstance(x, Vector):
        return None

    def compiled(x):
        x = larger(x, splat(LOWEST, x))
        shifted = multiply_add(x, splat(1.0 / math.log(2.0), x), splat(ROUND, x))
        k = shifted - splat(ROUND, x)
        r = multiply_add(k, splat(-LOG2_HIGH, x), x)
        r = multiply_add(k, splat(-LOG2_LOW, x), r)
        p = multiply_add(splat(C12, x), r, splat(C11, x))
        for c in (C10, C9, C8, C7, C6, C5, C4, C3, C2, 1.0, 1.0):
            p = multiply_add(p, r, splat(c, x))
        return _times_power_of_two(p, shifted)

    return compiled
