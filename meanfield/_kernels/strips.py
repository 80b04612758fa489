"""Samples as strips and neurons as packed coefficients: the layout in which the kernels of networks work.

A *strip* holds up to ``SAMPLES`` samples of one quantity: a row of ``ROW`` doubles of a flat array. Neurons come in
blocks of ``BLOCK``, their parameters (and gradients) packed as ``(p, BLOCK)``, flat. All distances inside a loop over
samples are then constants, and LLVM makes vector code of it.
"""

from __future__ import annotations

import math

import numpy as np

from ._compile import compiled
from .arithmetic import tail

SAMPLES = 256  # samples in a strip
ROW = SAMPLES + 8  # doubles between strips: a power of two would put all rows into the same sets of the cache
BLOCK = 8  # neurons a pass
LANES = 8  # strips are filled up to a multiple of this, so that no loop has a scalar rest


def aligned(*shape):
    """An uninitialised array that starts at a multiple of 64 bytes, so that vectors cross no cache line."""
    size = math.prod(shape)
    flat = np.empty(size + LANES)
    start = -(flat.ctypes.data // flat.itemsize) % LANES
    return flat[start : start + size].reshape(shape)


def blocks(m):
    """The number of blocks that m neurons fill."""
    return -(-m // BLOCK)


@compiled
def padded(n):
    """n rounded up to whole vectors."""
    return (n + LANES - 1) // LANES * LANES


@compiled
def load(points, strips):
    """Points (n, d) as the first d strips; the rest of a strip repeats the last point, so that it stays harmless."""
    n, d = points.shape
    for k in range(d):
        strip = strips[k * ROW : (k + 1) * ROW]
        for i in range(n):
            strip[i] = points[i, k]
        strip[n : padded(n)] = points[n - 1, k]


def load_numpy(points, strips):
    """NumPy twin of :func:`load`."""
    n, d = points.shape
    rows = strips[: d * ROW].reshape(d, ROW)
    rows[:, :n] = points.T
    rows[:, n : padded(n)] = points[-1:].T


@compiled
def store(strips, points):
    """The first d strips as points (n, d)."""
    n, d = points.shape
    for k in range(d):
        strip = strips[k * ROW : (k + 1) * ROW]
        for i in range(n):
            points[i, k] = strip[i]


def store_numpy(strips, points):
    """NumPy twin of :func:`store`."""
    n, d = points.shape
    points[...] = strips[: d * ROW].reshape(d, ROW)[:, :n].T


@compiled
def pack(parameters, packed):
    """``packed[l, j // BLOCK, k, j % BLOCK] = parameters[l, j, k]``, the last two axes flat; missing neurons are 0."""
    depth, m, p = parameters.shape
    packed[:] = 0.0
    for layer in range(depth):
        for j in range(m):
            block = tail(packed, (layer * packed.shape[1] + j // BLOCK) * p * BLOCK)
            neuron = tail(parameters, (layer * m + j) * p)
            for k in range(p):
                block[k * BLOCK + j % BLOCK] = neuron[k]


def pack_numpy(parameters, packed):
    """NumPy twin of :func:`pack`."""
    depth, m, p = parameters.shape
    rows = np.zeros((depth, packed.shape[1] * BLOCK, p))
    rows[:, :m] = parameters
    packed[...] = rows.reshape(depth, -1, BLOCK, p).transpose(0, 1, 3, 2).reshape(packed.shape)


@compiled
def unpack(packed, parameters):
    """The inverse of :func:`pack`."""
    depth, m, p = parameters.shape
    for layer in range(depth):
        for j in range(m):
            block = tail(packed, (layer * packed.shape[1] + j // BLOCK) * p * BLOCK)
            neuron = tail(parameters, (layer * m + j) * p)
            for k in range(p):
                neuron[k] = block[k * BLOCK + j % BLOCK]


def unpack_numpy(packed, parameters):
    """NumPy twin of :func:`unpack`."""
    depth, m, p = parameters.shape
    parameters[...] = packed.reshape(depth, -1, p, BLOCK).transpose(0, 1, 3, 2).reshape(depth, -1, p)[:, :m]


@compiled
def weigh(coefficients, width, weights, factor, out):
    """``out[k, r] = factor · weights[r] · coefficients[k, r]``, k < width, r < BLOCK, flat."""
    for k in range(width):
        for r in range(BLOCK):
            out[k * BLOCK + r] = factor * weights[r] * coefficients[k * BLOCK + r]


def weigh_numpy(coefficients, width, weights, factor, out):
    """NumPy twin of :func:`weigh`."""
    rows = coefficients[: width * BLOCK].reshape(width, BLOCK)
    out[: width * BLOCK] = (factor * weights * rows).ravel()
