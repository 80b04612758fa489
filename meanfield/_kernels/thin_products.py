"""Products of thin matrices on strips of samples, compiled; the NumPy twin of each stands below it.

Each loop over samples becomes vector code on values that stay in registers or the nearest cache: 80 to 95 % of the
machine's multiply-adds for widths from 4 to 100, where BLAS on such shapes is bound by memory.
"""

from __future__ import annotations

import numpy as np

from ._compile import compiled
from .arithmetic import accumulate, multiply_add, tail
from .strips import BLOCK, ROW


def _make_expand(width, first):
    """Kernel ``out[r] = Σ_k a[k, r] x[k]``, k < width, added to ``out`` unless ``first``."""

    @compiled
    def kernel(a, x, out, n):
        for i in range(n):
            if first:
                z0 = z1 = z2 = z3 = z4 = z5 = z6 = z7 = 0.0
            else:
                z0, z1, z2, z3 = out[i], out[i + ROW], out[i + 2 * ROW], out[i + 3 * ROW]
                z4, z5, z6, z7 = out[i + 4 * ROW], out[i + 5 * ROW], out[i + 6 * ROW], out[i + 7 * ROW]
            for k in range(width):
                c, value = 8 * k, x[k * ROW + i]
                z0 = multiply_add(a[c], value, z0)
                z1 = multiply_add(a[c + 1], value, z1)
                z2 = multiply_add(a[c + 2], value, z2)
                z3 = multiply_add(a[c + 3], value, z3)
                z4 = multiply_add(a[c + 4], value, z4)
                z5 = multiply_add(a[c + 5], value, z5)
                z6 = multiply_add(a[c + 6], value, z6)
                z7 = multiply_add(a[c + 7], value, z7)
            out[i], out[i + ROW], out[i + 2 * ROW], out[i + 3 * ROW] = z0, z1, z2, z3
            out[i + 4 * ROW], out[i + 5 * ROW], out[i + 6 * ROW], out[i + 7 * ROW] = z4, z5, z6, z7

    return kernel


_expand_1, _expand_2, _expand_3, _expand_4 = (_make_expand(width, True) for width in (1, 2, 3, 4))
_expand_more = _make_expand(4, False)


@compiled
def expand(a, width, x, out, n):
    """``out[r] = Σ_k a[k, r] x[k]`` for the strips r < BLOCK of ``out`` and k < width of ``x``, n samples."""
    start = (width - 1) % 4 + 1
    if start == 1:
        _expand_1(a, x, out, n)
    elif start == 2:
        _expand_2(a, x, out, n)
    elif start == 3:
        _expand_3(a, x, out, n)
    else:
        _expand_4(a, x, out, n)
    for k in range(start, width, 4):
        _expand_more(tail(a, k * BLOCK), tail(x, k * ROW), out, n)


def expand_numpy(a, width, x, out, n):
    """NumPy twin of :func:`expand`."""
    _rows(out, BLOCK, n)[...] = a[: width * BLOCK].reshape(width, BLOCK).T @ _rows(x, width, n)


def _make_contract(width):
    """Kernel ``out[k] += Σ_r a[k, r] z[r]``, k < width."""

    @compiled
    def kernel(a, z, out, n):
        for i in range(n):
            z0, z1, z2, z3 = z[i], z[i + ROW], z[i + 2 * ROW], z[i + 3 * ROW]
            z4, z5, z6, z7 = z[i + 4 * ROW], z[i + 5 * ROW], z[i + 6 * ROW], z[i + 7 * ROW]
            for k in range(width):
                c = 8 * k
                total = multiply_add(a[c], z0, out[k * ROW + i])
                total = multiply_add(a[c + 1], z1, total)
                total = multiply_add(a[c + 2], z2, total)
                total = multiply_add(a[c + 3], z3, total)
                total = multiply_add(a[c + 4], z4, total)
                total = multiply_add(a[c + 5], z5, total)
                total = multiply_add(a[c + 6], z6, total)
                out[k * ROW + i] = multiply_add(a[c + 7], z7, total)

    return kernel


_contract_1, _contract_2, _contract_3, _contract_4 = (_make_contract(width) for width in (1, 2, 3, 4))


@compiled
def contract(a, width, z, out, n):
    """``out[k] += Σ_r a[k, r] z[r]`` for the strips k < width of ``out`` and r < BLOCK of ``z``, n samples."""
    start = (width - 1) % 4 + 1
    if start == 1:
        _contract_1(a, z, out, n)
    elif start == 2:
        _contract_2(a, z, out, n)
    elif start == 3:
        _contract_3(a, z, out, n)
    else:
        _contract_4(a, z, out, n)
    for k in range(start, width, 4):
        _contract_4(tail(a, k * BLOCK), z, tail(out, k * ROW), n)


def contract_numpy(a, width, z, out, n):
    """NumPy twin of :func:`contract`."""
    _rows(out, width, n)[...] += a[: width * BLOCK].reshape(width, BLOCK) @ _rows(z, BLOCK, n)


@compiled
def _inner_pair(z, x, y, n, out):
    """``out[r] += Σ_i z[r, i] x[i]``, ``out[8 + r]`` with y: sixteen sums at once, as many as registers hold."""
    g0 = g1 = g2 = g3 = g4 = g5 = g6 = g7 = 0.0
    h0 = h1 = h2 = h3 = h4 = h5 = h6 = h7 = 0.0
    for i in range(n):
        a, b = x[i], y[i]
        z0, z1, z2, z3 = z[i], z[i + ROW], z[i + 2 * ROW], z[i + 3 * ROW]
        z4, z5, z6, z7 = z[i + 4 * ROW], z[i + 5 * ROW], z[i + 6 * ROW], z[i + 7 * ROW]
        g0, g1, g2, g3 = accumulate(a, z0, g0), accumulate(a, z1, g1), accumulate(a, z2, g2), accumulate(a, z3, g3)
        g4, g5, g6, g7 = accumulate(a, z4, g4), accumulate(a, z5, g5), accumulate(a, z6, g6), accumulate(a, z7, g7)
        h0, h1, h2, h3 = accumulate(b, z0, h0), accumulate(b, z1, h1), accumulate(b, z2, h2), accumulate(b, z3, h3)
        h4, h5, h6, h7 = accumulate(b, z4, h4), accumulate(b, z5, h5), accumulate(b, z6, h6), accumulate(b, z7, h7)
    for r, total in enumerate((g0, g1, g2, g3, g4, g5, g6, g7, h0, h1, h2, h3, h4, h5, h6, h7)):
        out[r] += total


@compiled
def _inner_one(z, x, n, out):
    """``out[r] += Σ_i z[r, i] x[i]``."""
    g0 = g1 = g2 = g3 = g4 = g5 = g6 = g7 = 0.0
    for i in range(n):
        a = x[i]
        z0, z1, z2, z3 = z[i], z[i + ROW], z[i + 2 * ROW], z[i + 3 * ROW]
        z4, z5, z6, z7 = z[i + 4 * ROW], z[i + 5 * ROW], z[i + 6 * ROW], z[i + 7 * ROW]
        g0, g1, g2, g3 = accumulate(a, z0, g0), accumulate(a, z1, g1), accumulate(a, z2, g2), accumulate(a, z3, g3)
        g4, g5, g6, g7 = accumulate(a, z4, g4), accumulate(a, z5, g5), accumulate(a, z6, g6), accumulate(a, z7, g7)
    for r, total in enumerate((g0, g1, g2, g3, g4, g5, g6, g7)):
        out[r] += total


@compiled
def inner(z, x, width, n, out):
    """``out[k, r] += Σ_i z[r, i] x[k, i]`` for the strips r < BLOCK of ``z`` and k < width of ``x``, n samples."""
    for k in range(0, width - 1, 2):
        _inner_pair(z, tail(x, k * ROW), tail(x, (k + 1) * ROW), n, tail(out, k * BLOCK))
    if width % 2:
        _inner_one(z, tail(x, (width - 1) * ROW), n, tail(out, (width - 1) * BLOCK))


def inner_numpy(z, x, width, n, out):
    """NumPy twin of :func:`inner`."""
    out[: width * BLOCK].reshape(width, BLOCK)[...] += _rows(x, width, n) @ _rows(z, BLOCK, n).T


def _rows(flat, number, n):
    """The first ``number`` strips of a flat array, n samples each, as a view."""
    return np.lib.stride_tricks.as_strided(flat, (number, n), (ROW * flat.itemsize, flat.itemsize))
